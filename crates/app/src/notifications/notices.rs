//! The notices of a job: which there are when it ends, and the task that tells them.

use super::contacts;
use super::content::Content;
use super::dispatcher::Dispatcher;
use super::form::{CallbackForm, JobEvent, JobNotice};
use super::mail;
use super::ports::NoticePorts;
use std::sync::Arc;
use std::time::Duration;
use tollbook_kit::fault::{Code, Detail, Fault};
use tollbook_kit::ids::IdSource;
use tollbook_kit::supervise::{OnError, Supervisor};
use tollbook_model::export_job::{ExportJob, JobContacts};
use tollbook_model::ports::NewNotification;
use tollbook_model::tenant::TenantName;

/// Notices of a tenant that may be still to be told while another job orders more: the outbox does not grow without bound
/// while a receiver does not answer.
const MOST_UNTOLD: u32 = 10_000;
/// When asking again makes sense while so many are.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// What the operator has set.
#[derive(Debug, Clone, Default)]
pub(crate) struct NoticeSettings {
    /// Public base URL, which links in notices begin with.
    pub(crate) public_url: String,
    /// Domains to whose addresses mail may go though they are no user's.
    pub(crate) mail_domains: Vec<String>,
}

/// Notices of jobs.
pub struct Notices {
    ids: IdSource,
    settings: NoticeSettings,
    ports: Arc<NoticePorts>,
    dispatcher: Arc<Dispatcher>,
}

impl Notices {
    pub(crate) fn new(ports: NoticePorts, ids: IdSource, settings: NoticeSettings) -> Self {
        let settings = NoticeSettings {
            public_url: settings.public_url.trim_end_matches('/').to_owned(),
            mail_domains: settings.mail_domains.iter().map(|domain| domain.to_lowercase()).collect(),
        };
        let ports = Arc::new(ports);
        Self { ids, settings, dispatcher: Arc::new(Dispatcher::new(ports.clone())), ports }
    }

    /// What is wrong with the contacts of a job that this dialect orders: all of it, for one answer.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    pub(crate) async fn check(
        &self,
        tenant: &TenantName,
        dialect: &str,
        contacts: &JobContacts,
    ) -> Result<Vec<Detail>, Fault> {
        let mut faults = Vec::new();
        if let Some(url) = &contacts.callback_url {
            faults.extend(contacts::callback_fault(&*self.ports.callbacks, self.form(dialect), url));
        }
        if !contacts.notify_email.is_empty() {
            let users = self.ports.users.list(tenant).await?;
            let domains = self.ports.mailer.as_ref().map(|_| &self.settings.mail_domains[..]);
            faults.extend(contacts::mail_fault(&contacts.notify_email, &users, domains));
        }
        Ok(faults)
    }

    /// Is there room for what a job with these contacts will tell? Jobs that are under way may fill it meanwhile: theirs are
    /// kept all the same.
    ///
    /// # Errors
    /// `too_many`; `unavailable` or `internal`.
    pub(crate) async fn require_room(
        &self,
        tenant: &TenantName,
        contacts: &JobContacts,
    ) -> Result<(), Fault> {
        let tells_nobody = contacts.callback_url.is_none() && contacts.notify_email.is_empty();
        if tells_nobody || self.ports.notifications.untold(tenant, MOST_UNTOLD).await? < MOST_UNTOLD {
            return Ok(());
        }
        let text = "10,000 callbacks and mails of the tenant could not be delivered yet; see to it that their receivers \
                    answer, or order without callback_url and notify_email";
        Err(Fault::new(Code::TooMany, text).with_retry_after(TRY_AGAIN))
    }

    /// What is to be told of a job, as it is after the change, to those whom it names; to be kept in the transaction of
    /// the change.
    ///
    /// # Errors
    /// `internal` only.
    pub(crate) fn of(
        &self,
        job: &ExportJob,
        event: JobEvent,
        at_ms: i64,
    ) -> Result<Vec<NewNotification>, Fault> {
        let notice = JobNotice { job, event, at_ms, public_url: &self.settings.public_url };
        let form = job.contacts.callback_url.as_ref().and_then(|_| self.form(&job.dialect));
        let call = form.and_then(|form| {
            let draft = form.compose(&notice)?;
            Some(Content::Callback { dialect: form.dialect().to_owned(), draft })
        });
        let mails = mail::compose(&notice).into_iter().map(Content::Mail);
        call.into_iter().chain(mails).map(|content| self.notification(&notice, &content)).collect()
    }

    /// Makes the dispatcher look again. To be rung after a transaction that kept notices.
    pub(crate) fn ring(&self) {
        self.dispatcher.ring();
    }

    /// Starts the dispatcher; it stops with the supervisor.
    pub(crate) fn start(&self, supervisor: &Supervisor) {
        let (dispatcher, stop) = (self.dispatcher.clone(), supervisor.stop_token());
        supervisor.spawn("notifications", OnError::Log, async move { dispatcher.run(&stop).await });
    }

    fn form(&self, dialect: &str) -> Option<&dyn CallbackForm> {
        self.ports.form(dialect)
    }

    fn notification(&self, notice: &JobNotice<'_>, content: &Content) -> Result<NewNotification, Fault> {
        Ok(NewNotification {
            id: self.ids.next_id(),
            tenant: notice.job.tenant.clone(),
            job: notice.job.id,
            receiver: content.receiver_key(&notice.job.tenant),
            content: content.to_text()?,
            created_at_ms: notice.at_ms,
        })
    }
}
