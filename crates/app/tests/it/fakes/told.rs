//! The outbox and what leads out of the house: notices are only kept, and told to nobody.

use super::World;
use async_trait::async_trait;
use std::time::Duration;
use tollbook_app::notifications::{CallbackDraft, CallbackForm, JobNotice};
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::retry::Pending;
use tollbook_kit::secret::Secret;
use tollbook_model::ports::*;
use tollbook_model::tenant::TenantName;
use uuid::Uuid;

#[async_trait]
impl Notifications for World {
    async fn due_beside(
        &self,
        _: i64,
        _: &[Uuid],
        _: &LeftOut,
        _: usize,
    ) -> Result<Vec<StoredNotification>, Fault> {
        Ok(Vec::new())
    }
    async fn untold(&self, tenant: &TenantName, most: u32) -> Result<u32, Fault> {
        let jobs = self.jobs.lock().unwrap();
        let of_tenant = jobs.outbox.iter().filter(|notice| notice.tenant == *tenant);
        Ok(u32::try_from(of_tenant.count()).unwrap().min(most))
    }
    async fn next_due_in(&self, _: i64) -> Result<Option<i64>, Fault> {
        Ok(None)
    }
    async fn done(&self, _: Uuid) -> Result<(), Fault> {
        Ok(())
    }
    async fn postpone(&self, _: Uuid, _: u32, _: Pending) -> Result<(), Fault> {
        Ok(())
    }
}

/// Addresses that begin with `https://` may be called, and nobody is at home.
#[async_trait]
impl Callbacks for World {
    fn judge(&self, url: &str) -> Result<(), Fault> {
        let allowed = url.starts_with("https://");
        if allowed { Ok(()) } else { Err(Fault::parameter("url", "must begin with https://")) }
    }
    async fn call(&self, _: OutgoingCall) -> Result<CallAnswer, Fault> {
        Err(Fault::new(Code::Unavailable, "nobody is at home"))
    }
}

/// Bodies are the word for the event and the state of the job.
pub(super) struct Words;

impl CallbackForm for Words {
    fn dialect(&self) -> &'static str {
        "native"
    }
    fn compose(&self, notice: &JobNotice<'_>) -> Option<CallbackDraft> {
        let JobNotice { job, event, .. } = notice;
        Some(CallbackDraft {
            method: CallMethod::Post,
            url: job.contacts.callback_url.clone()?,
            content_type: None,
            body: format!("{event:?} {} {}", job.state.name(), job.files.len()),
            id: job.id.to_string(),
            note: job.callback_key.as_ref().map(|key| key.reveal().clone()),
        })
    }
    fn headers(
        &self,
        _: &CallbackDraft,
        _: Option<&Secret<String>>,
        _: i64,
    ) -> Option<Vec<(&'static str, String)>> {
        None
    }
    fn wait_after(&self, _: u32, _: f64) -> Option<Duration> {
        None
    }
    fn gives_up_after(&self) -> Duration {
        Duration::ZERO
    }
    fn answer_within(&self) -> Duration {
        Duration::ZERO
    }
}
