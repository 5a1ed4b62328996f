//! Telling, against an outbox in memory and receivers that do what they are told.

mod attempts;
mod dispatching;
mod wording;

use super::form::{CallbackDraft, CallbackForm, JobEvent, JobNotice};
use super::notices::{NoticeSettings, Notices};
use super::ports::NoticePorts;
use async_trait::async_trait;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollbook_kit::clock::{Clock, ManualClock};
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::ids::{IdSource, SeededRandomness};
use tollbook_kit::retry::Pending;
use tollbook_kit::secret::Secret;
use tollbook_model::access::Role;
use tollbook_model::audit::AuditEntry;
use tollbook_model::dataset::Dataset;
use tollbook_model::export::{ExportQuery, Signing};
use tollbook_model::export_job::{
    ExportJob, FileKeeping, JobContacts, JobFile, JobOrder, JobOwner, JobProgress, JobState,
};
use tollbook_model::format::ExportFormat;
use tollbook_model::ports::*;
use tollbook_model::privacy::PseudonymKey;
use tollbook_model::selection::{Interval, Selection};
use tollbook_model::tenant::{Tenant, TenantName};
use tollbook_model::time_range::TimeRange;
use tollbook_model::user::{User, UserCredentials};
use uuid::Uuid;

/// 2026-01-05T09:00:00Z.
pub(super) const NOW_MS: i64 = 1_767_603_600_000;
const HOST: &str = "hooks.example";

/// What a receiver does with a call.
#[derive(Debug, Clone)]
pub(super) enum Reaction {
    Status(u16),
    /// This status, and to come again after so many seconds.
    Later(u16, u64),
    /// Nobody is there.
    Away,
    /// The call is never answered.
    Hangs,
    Panics,
}

/// A call as it came: its time, address, headers and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) at_ms: i64,
    pub(super) method: CallMethod,
    pub(super) url: String,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

/// Everything behind the ports of notices.
pub(super) struct Outside {
    pub(super) clock: ManualClock,
    randomness: Arc<SeededRandomness>,
    /// What comes of calls, in turn; afterwards everything is taken. Hosts that begin with `hangs` hang.
    pub(super) reactions: Mutex<VecDeque<Reaction>>,
    pub(super) calls: Mutex<Vec<Call>>,
    /// What comes of mails, in turn; afterwards everything is taken.
    pub(super) refusals: Mutex<VecDeque<Code>>,
    pub(super) mails: Mutex<Vec<Mail>>,
    pub(super) outbox: Mutex<Vec<StoredNotification>>,
    /// While true, nothing can be written to the outbox.
    pub(super) disk_is_full: AtomicBool,
    pub(super) secret: Mutex<Option<&'static str>>,
    pub(super) users: Mutex<Vec<User>>,
}

impl Outside {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            clock: ManualClock::at(NOW_MS),
            randomness: Arc::new(SeededRandomness::new(7)),
            reactions: Mutex::default(),
            calls: Mutex::default(),
            refusals: Mutex::default(),
            mails: Mutex::default(),
            outbox: Mutex::default(),
            disk_is_full: AtomicBool::new(false),
            secret: Mutex::default(),
            users: Mutex::default(),
        })
    }

    pub(super) fn ports(self: &Arc<Self>) -> NoticePorts {
        NoticePorts {
            notifications: self.clone(),
            callbacks: self.clone(),
            mailer: Some(self.clone()),
            forms: vec![Arc::new(Spread), Arc::new(Exact)],
            tenants: self.clone(),
            users: self.clone(),
            clock: Arc::new(Hands(self.clone())),
            randomness: self.randomness.clone(),
        }
    }

    pub(super) fn notices(self: &Arc<Self>) -> Notices {
        let ports = self.ports();
        let ids = IdSource::new(ports.clock.clone(), ports.randomness.clone());
        let settings = NoticeSettings {
            public_url: "https://cdr.example.net:8443/".into(),
            mail_domains: vec!["Ops.Example".into()],
        };
        Notices::new(ports, ids, settings)
    }

    /// Keeps the notices of this event of a job, and answers them as they are kept.
    pub(super) fn keep(self: &Arc<Self>, job: &ExportJob, event: JobEvent) -> Vec<StoredNotification> {
        let made = self.notices().of(job, event, self.clock.now_ms()).unwrap();
        let stored = |notification| StoredNotification { notification, failed: 0, rests: None };
        let kept: Vec<_> = made.into_iter().map(stored).collect();
        self.outbox.lock().unwrap().extend(kept.clone());
        kept
    }

    fn write(&self) -> Result<(), Fault> {
        let full = self.disk_is_full.load(Ordering::SeqCst);
        if full { Err(Fault::new(Code::StorageFull, "full")) } else { Ok(()) }
    }
}

#[derive(Debug)]
struct Hands(Arc<Outside>);

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Outside")
    }
}

impl Clock for Hands {
    fn now_ms(&self) -> i64 {
        self.0.clock.now_ms()
    }
    fn monotonic(&self) -> Duration {
        self.0.clock.monotonic()
    }
}

#[async_trait]
impl Notifications for Outside {
    async fn due_beside(
        &self,
        now_ms: i64,
        except: &[Uuid],
        left_out: &LeftOut,
        limit: usize,
    ) -> Result<Vec<StoredNotification>, Fault> {
        let outbox = self.outbox.lock().unwrap();
        let due = outbox.iter().filter(|stored| {
            !except.contains(&stored.notification.id)
                && !left_out.holds(&stored.notification)
                && stored.rests.is_none_or(|rests| rests.is_over(now_ms))
        });
        Ok(due.take(limit).cloned().collect())
    }
    async fn untold(&self, tenant: &TenantName, most: u32) -> Result<u32, Fault> {
        let outbox = self.outbox.lock().unwrap();
        let of_tenant = outbox.iter().filter(|stored| stored.notification.tenant == *tenant);
        Ok(u32::try_from(of_tenant.count()).unwrap().min(most))
    }
    async fn next_due_in(&self, now_ms: i64) -> Result<Option<i64>, Fault> {
        let outbox = self.outbox.lock().unwrap();
        let left = outbox.iter().filter_map(|stored| stored.rests).filter(|rests| !rests.is_over(now_ms));
        Ok(left.map(|rests| i64::try_from(rests.left(now_ms).as_millis()).unwrap()).min())
    }
    async fn done(&self, id: Uuid) -> Result<(), Fault> {
        self.write()?;
        self.outbox.lock().unwrap().retain(|stored| stored.notification.id != id);
        Ok(())
    }
    async fn postpone(&self, id: Uuid, failed: u32, rests: Pending) -> Result<(), Fault> {
        self.write()?;
        for stored in self.outbox.lock().unwrap().iter_mut().filter(|stored| stored.notification.id == id) {
            (stored.failed, stored.rests) = (failed, Some(rests));
        }
        Ok(())
    }
}

#[async_trait]
impl Callbacks for Outside {
    fn judge(&self, url: &str) -> Result<(), Fault> {
        let fine = url.starts_with("https://");
        if fine { Ok(()) } else { Err(Fault::parameter("url", "must be https")) }
    }
    async fn call(&self, call: OutgoingCall) -> Result<CallAnswer, Fault> {
        let url = call.url.reveal().clone();
        self.calls.lock().unwrap().push(Call {
            at_ms: self.clock.now_ms(),
            method: call.method,
            url: url.clone(),
            headers: call.headers,
            body: call.body.to_vec(),
        });
        let reaction = self.reactions.lock().unwrap().pop_front();
        let reaction =
            reaction.unwrap_or(if url.contains("//hangs") { Reaction::Hangs } else { Reaction::Status(204) });
        match reaction {
            Reaction::Status(status) => Ok(CallAnswer { status, retry_after: None }),
            Reaction::Later(status, seconds) => {
                Ok(CallAnswer { status, retry_after: Some(Duration::from_secs(seconds)) })
            }
            Reaction::Away => Err(Fault::new(Code::Unavailable, "nobody is there")
                .with_context("calling https://secret.example")),
            Reaction::Hangs => std::future::pending().await,
            Reaction::Panics => panic!("asked to"),
        }
    }
}

#[async_trait]
impl Mailer for Outside {
    async fn send(&self, mail: &Mail) -> Result<(), Fault> {
        self.mails.lock().unwrap().push(mail.clone());
        match self.refusals.lock().unwrap().pop_front() {
            Some(code) => Err(Fault::new(code, "not taken")),
            None => Ok(()),
        }
    }
}

#[async_trait]
impl Tenants for Outside {
    async fn find(&self, name: &TenantName) -> Result<Option<Tenant>, Fault> {
        let mut tenant = Tenant::new(name.clone(), vec![PseudonymKey::new(1, [0; 32])], NOW_MS);
        tenant.settings.callback_secret =
            self.secret.lock().unwrap().map(|text| Secret::new(text.to_owned()));
        Ok((name.as_str() != "erased").then_some(tenant))
    }
    async fn list(&self) -> Result<Vec<Tenant>, Fault> {
        unreachable!("tenants are not listed")
    }
    async fn count(&self) -> Result<u64, Fault> {
        unreachable!("tenants are not counted")
    }
    async fn create(&self, _: Tenant, _: AuditEntry) -> Result<(), Fault> {
        unreachable!("no tenant is made")
    }
    async fn change(&self, _: Tenant, _: AuditEntry) -> Result<bool, Fault> {
        unreachable!("no tenant is changed")
    }
    async fn erase(&self, _: &TenantName, _: AuditEntry) -> Result<bool, Fault> {
        unreachable!("no tenant is erased")
    }
}

#[async_trait]
impl Users for Outside {
    async fn by_username(&self, _: &str) -> Result<Option<(User, UserCredentials)>, Fault> {
        unreachable!("nobody logs in")
    }
    async fn find(&self, _: &TenantName, _: Uuid) -> Result<Option<User>, Fault> {
        unreachable!("no user is looked up by his id")
    }
    async fn list(&self, tenant: &TenantName) -> Result<Vec<User>, Fault> {
        let users = self.users.lock().unwrap();
        Ok(users.iter().filter(|user| user.tenant == *tenant).cloned().collect())
    }
    async fn create(&self, _: User, _: UserCredentials, _: AuditEntry) -> Result<(), Fault> {
        unreachable!("no user is made")
    }
    async fn change(&self, _: User, _: CredentialChange, _: AuditEntry) -> Result<bool, Fault> {
        unreachable!("no user is changed")
    }
    async fn remove(&self, _: &TenantName, _: Uuid, _: AuditEntry) -> Result<bool, Fault> {
        unreachable!("no user is removed")
    }
}

/// A dialect that signs when it can, spreads its attempts, and heeds what receivers say.
struct Spread;

/// A dialect that calls without a body, must sign, and spreads nothing.
struct Exact;

impl CallbackForm for Spread {
    fn dialect(&self) -> &'static str {
        "spread"
    }
    fn compose(&self, notice: &JobNotice<'_>) -> Option<CallbackDraft> {
        Some(CallbackDraft {
            method: CallMethod::Post,
            url: notice.job.contacts.callback_url.clone()?,
            content_type: Some("text/plain".into()),
            body: format!("{:?} {} {}", notice.event, notice.at_ms, notice.public_url),
            id: format!("{}-{:?}", notice.job.id, notice.event),
            note: None,
        })
    }
    fn headers(
        &self,
        draft: &CallbackDraft,
        secret: Option<&Secret<String>>,
        now_ms: i64,
    ) -> Option<Vec<(&'static str, String)>> {
        let signature = secret.map(|secret| ("x-signature", format!("{} {now_ms}", secret.reveal())));
        Some([("x-id", draft.id.clone())].into_iter().chain(signature).collect())
    }
    fn wait_after(&self, failed: u32, random: f64) -> Option<Duration> {
        assert!((0.0..=1.0).contains(&random));
        let seconds = [1, 5, 30, 120, 300][usize::try_from(failed).unwrap().min(5) - 1];
        (failed < 1_000).then(|| Duration::from_secs(seconds))
    }
    fn gives_up_after(&self) -> Duration {
        Duration::from_secs(24 * 60 * 60)
    }
    fn answer_within(&self) -> Duration {
        Duration::from_secs(30)
    }
    fn honours_retry_after(&self) -> Option<Duration> {
        Some(Duration::from_secs(3600))
    }
    fn ends_at(&self, status: u16) -> bool {
        status == 410
    }
}

impl CallbackForm for Exact {
    fn dialect(&self) -> &'static str {
        "exact"
    }
    fn compose(&self, notice: &JobNotice<'_>) -> Option<CallbackDraft> {
        (notice.event == JobEvent::Ready).then(|| CallbackDraft {
            method: CallMethod::Get,
            url: format!(
                "{}?id={}",
                notice.job.contacts.callback_url.as_deref().unwrap_or(""),
                notice.job.id
            ),
            content_type: None,
            body: String::new(),
            id: notice.job.id.to_string(),
            note: notice.job.callback_key.as_ref().map(|key| key.reveal().clone()),
        })
    }
    fn headers(
        &self,
        draft: &CallbackDraft,
        secret: Option<&Secret<String>>,
        _: i64,
    ) -> Option<Vec<(&'static str, String)>> {
        let key = secret.map(|secret| secret.reveal().clone()).or_else(|| draft.note.clone())?;
        Some(vec![("x-key", key)])
    }
    fn wait_after(&self, failed: u32, _: f64) -> Option<Duration> {
        (failed < 3).then_some(Duration::from_secs(2 * 86_400))
    }
    fn gives_up_after(&self) -> Duration {
        Duration::MAX
    }
    fn answer_within(&self) -> Duration {
        Duration::from_secs(60)
    }
    fn takes_credentials(&self) -> bool {
        true
    }
}

pub(super) fn tenant(name: &str) -> TenantName {
    TenantName::parse(name).unwrap()
}

/// A ready job that tells nobody.
pub(super) fn job() -> ExportJob {
    let selection = Selection {
        dataset: Dataset::Cdr,
        range: TimeRange::new(NOW_MS - 86_400_000, NOW_MS).unwrap(),
        filters: Vec::new(),
        columns: vec![0],
        timezone: jiff::tz::TimeZone::get("Europe/Paris").unwrap(),
        interval: Interval::Day,
    };
    let query = ExportQuery {
        selection,
        format: ExportFormat::Csv,
        formula_guard: false,
        signing: Signing::None,
        columns_named: false,
        sheet: None,
    };
    ExportJob {
        id: Uuid::from_u128(0x0b6b_5c1e),
        tenant: tenant("acme"),
        dialect: "spread".into(),
        order: JobOrder { query, from: None, to: None },
        owner: JobOwner { credential: Uuid::nil(), actor: "token:1".into(), role: Role::Analyst },
        external_reference: Some("a reference".into()),
        contacts: JobContacts::default(),
        keeping: FileKeeping::TenantSetting,
        dialect_note: None,
        callback_key: None,
        state: JobState::Ready,
        created_at_ms: NOW_MS,
        started_at_ms: Some(NOW_MS),
        finished_at_ms: Some(NOW_MS),
        snapshot: None,
        expires_at_ms: Some(NOW_MS + 7 * 86_400_000),
        attempt: 1,
        progress: JobProgress::default(),
        queue_position: None,
        files: vec![JobFile { name: "cdr.csv".into(), bytes: 3_100_000, rows: 120_000, sha256: [0; 32] }],
        manifest: None,
        error: None,
    }
}

/// The same, which calls this host.
pub(super) fn calling(host: &str) -> ExportJob {
    let contacts =
        JobContacts { callback_url: Some(format!("https://{host}/hook")), notify_email: Vec::new() };
    ExportJob { contacts, ..job() }
}

/// The same, which mails these people.
pub(super) fn mailing(addresses: &[&str]) -> ExportJob {
    let notify_email = addresses.iter().map(|address| (*address).to_owned()).collect();
    ExportJob { contacts: JobContacts { callback_url: None, notify_email }, ..job() }
}
