//! One attempt to tell a notice, and what follows from it: told, refused for good, or a rest by the rules of its form.
//!
//! When an attempt is made is the dispatcher's business. The log names jobs, never addresses.

use super::content::Content;
use super::form::{CallbackDraft, CallbackForm};
use super::mail;
use super::ports::NoticePorts;
use bytes::Bytes;
use futures::FutureExt;
use std::panic::AssertUnwindSafe;
use std::time::Duration;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::ids::Randomness;
use tollbook_kit::retry::Pending;
use tollbook_kit::secret::Secret;
use tollbook_model::ports::{Mail, OutgoingCall, StoredNotification};
use tollbook_model::tenant::TenantName;
use uuid::Uuid;

/// Time to connect to a receiver.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
const NO_MAIL_SERVER: &str = "no mail server is set";

/// The receiver of what cannot be read: no host is called so.
const NOBODY: &str = "?";

/// A notice that is to be told now.
pub(super) struct Attempt {
    stored: StoredNotification,
    content: Result<Content, Fault>,
}

/// What becomes of a notice after an attempt.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is forgotten: it was told, or is given up.
    Forget,
    /// It rests.
    Rest {
        /// Attempts that failed so far.
        failed: u32,
        /// Until when.
        rests: Pending,
    },
}

/// What came of an attempt.
#[derive(Debug)]
enum Outcome {
    /// It was taken.
    Told,
    /// It will never be taken.
    Refused(String),
    /// It may be taken another time.
    Failed {
        /// What went wrong.
        reason: String,
        /// How long the receiver wants to be left alone.
        retry_after: Option<Duration>,
    },
}

impl Attempt {
    pub(super) fn of(stored: StoredNotification) -> Self {
        let content = Content::from_text(&stored.notification.content);
        Self { stored, content }
    }

    pub(super) fn notice(&self) -> Uuid {
        self.stored.notification.id
    }

    pub(super) fn tenant(&self) -> &TenantName {
        &self.stored.notification.tenant
    }

    /// Whom it goes to; see [`Content::receiver`]. What cannot be read goes to nobody and waits for nobody.
    pub(super) fn receiver(&self) -> String {
        self.content.as_ref().map_or_else(|_| NOBODY.to_owned(), Content::receiver)
    }

    /// The key under which its receiver is kept; see [`Content::receiver_key`].
    pub(super) fn receiver_key(&self) -> u64 {
        self.stored.notification.receiver
    }

    /// Makes it. A panic is a failure like others.
    pub(super) async fn make(&self, ports: &NoticePorts) -> Next {
        let sent = match &self.content {
            Ok(Content::Callback { dialect, draft }) => match ports.form(dialect) {
                Some(form) => AssertUnwindSafe(self.call(ports, form, draft)).catch_unwind().await,
                None => Ok(Outcome::Refused("its dialect does not call any more".to_owned())),
            },
            Ok(Content::Mail(mail)) => AssertUnwindSafe(send(ports, mail)).catch_unwind().await,
            Err(fault) => Ok(Outcome::Refused(fault.log_text())),
        };
        let outcome = sent.unwrap_or_else(|_| failed("the attempt panicked"));
        self.judge(ports, outcome)
    }

    async fn call(&self, ports: &NoticePorts, form: &dyn CallbackForm, draft: &CallbackDraft) -> Outcome {
        let secret = match ports.tenants.find(self.tenant()).await {
            Ok(Some(tenant)) => tenant.settings.callback_secret,
            Ok(None) => return Outcome::Refused("its tenant is gone".to_owned()),
            Err(fault) => return failed(fault.log_text()),
        };
        let Some(mut headers) = form.headers(draft, secret.as_ref(), ports.clock.now_ms()) else {
            return failed("there is no secret to sign it with");
        };
        headers.extend(draft.content_type.clone().map(|media_type| ("content-type", media_type)));
        let call = OutgoingCall {
            method: draft.method,
            url: Secret::new(draft.url.clone()),
            headers,
            body: Bytes::copy_from_slice(draft.body.as_bytes()),
            connect_within: CONNECT_WITHIN,
            answer_within: form.answer_within(),
        };
        match ports.callbacks.call(call).await {
            Ok(answer) if (200..300).contains(&answer.status) => Outcome::Told,
            Ok(answer) if form.ends_at(answer.status) => {
                Outcome::Refused(format!("the receiver answered {}", answer.status))
            }
            Ok(answer) => Outcome::Failed {
                reason: format!("the receiver answered {}", answer.status),
                retry_after: answer.retry_after,
            },
            // Not the whole of it: what was called belongs into no log.
            Err(fault) => failed(format!("{}: {}", fault.code().name(), fault.message())),
        }
    }

    /// What follows from the outcome.
    fn judge(&self, ports: &NoticePorts, outcome: Outcome) -> Next {
        let notification = &self.stored.notification;
        let (job, tenant) = (notification.job, notification.tenant.as_str());
        let (what, attempt) = (self.kind(), self.stored.failed.saturating_add(1));
        match outcome {
            Outcome::Told => {
                tracing::info!(%job, tenant, what, attempt, "the end of a job was told");
                Next::Forget
            }
            Outcome::Refused(reason) => {
                tracing::warn!(%job, tenant, what, attempt, reason, "the end of a job cannot be told");
                Next::Forget
            }
            Outcome::Failed { reason, retry_after } => match self.rest(ports, attempt, retry_after) {
                Some(rests) => {
                    let seconds = rests.wait_ms / 1000;
                    tracing::info!(%job, tenant, what, attempt, reason, seconds, "the end of a job is told later");
                    Next::Rest { failed: attempt, rests }
                }
                None => {
                    tracing::warn!(%job, tenant, what, attempt, reason, "telling the end of a job is given up");
                    Next::Forget
                }
            },
        }
    }

    /// The rest after so many failed attempts; none when it would last beyond the time in which the notice is told. A
    /// clock that was set back to before the notice was made ends nothing.
    fn rest(&self, ports: &NoticePorts, failed: u32, retry_after: Option<Duration>) -> Option<Pending> {
        let random = fraction(&*ports.randomness);
        let (wait, gives_up_after) = match &self.content {
            Ok(Content::Callback { dialect, .. }) => {
                let form = ports.form(dialect)?;
                let wait = form.wait_after(failed, random)?;
                let asked = form.honours_retry_after().and_then(|most| Some(retry_after?.min(most)));
                (asked.map_or(wait, |asked| asked.max(wait)), form.gives_up_after())
            }
            Ok(Content::Mail(_)) => (mail::wait_after(failed, random)?, mail::GIVES_UP_AFTER),
            Err(_) => return None,
        };
        let now_ms = ports.clock.now_ms();
        let age_ms = now_ms.saturating_sub(self.stored.notification.created_at_ms);
        let age = Duration::from_millis(u64::try_from(age_ms).unwrap_or(0));
        (age.saturating_add(wait) <= gives_up_after).then(|| Pending::new(now_ms, wait))
    }

    fn kind(&self) -> &'static str {
        match &self.content {
            Ok(Content::Callback { .. }) => "callback",
            Ok(Content::Mail(_)) => "mail",
            Err(_) => "unreadable",
        }
    }
}

async fn send(ports: &NoticePorts, mail: &Mail) -> Outcome {
    let Some(mailer) = &ports.mailer else { return failed(NO_MAIL_SERVER) };
    match mailer.send(mail).await {
        Ok(()) => Outcome::Told,
        Err(fault) if fault.code() == Code::Invalid => Outcome::Refused(fault.log_text()),
        Err(fault) => failed(fault.log_text()),
    }
}

fn failed(reason: impl Into<String>) -> Outcome {
    Outcome::Failed { reason: reason.into(), retry_after: None }
}

/// A random fraction, 0 to 1.
fn fraction(randomness: &dyn Randomness) -> f64 {
    let mut bytes = [0; 4];
    randomness.fill(&mut bytes);
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}
