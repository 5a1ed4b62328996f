//! Callbacks of the native dialect: what is told, in the form of Standard Webhooks (`natalia.md` section 10).
//!
//! When jobs end and how calls are made is decided elsewhere.

use crate::dialect::Dialect;
use crate::standard_webhooks;
use serde::Serialize;
use std::time::Duration;
use tollbook_app::notifications::{CallbackDraft, CallbackForm, JobEvent, JobNotice};
use tollbook_kit::secret::Secret;
use tollbook_model::ports::CallMethod;
use tollbook_model::time_range::instant_text;
use uuid::Uuid;

/// Waits after the first failed attempts; the last one is repeated.
const WAITS: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(5 * 60),
];
/// Waits are spread by up to this share.
const SPREAD: f64 = 0.2;
const GIVES_UP_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// As many attempts as fit into that time at most: they end also where the clock is of no help.
const MOST_ATTEMPTS: u32 = 365;
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const MOST_RETRY_AFTER: Duration = Duration::from_secs(60 * 60);
/// The status of a receiver that wants no more.
const GONE: u16 = 410;

/// How native jobs call back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NativeCallbacks;

/// The body of a call; its members stand in this order.
#[derive(Serialize)]
struct Message<'a> {
    r#type: &'static str,
    timestamp: String,
    data: JobData<'a>,
}

/// What is told of a job. Its link needs a token.
#[derive(Serialize)]
struct JobData<'a> {
    id: Uuid,
    dataset: &'static str,
    status: &'static str,
    rows: Option<u64>,
    bytes: Option<u64>,
    external_reference: Option<&'a str>,
    job_url: String,
}

impl CallbackForm for NativeCallbacks {
    fn dialect(&self) -> &'static str {
        Dialect::Native.name()
    }

    fn compose(&self, notice: &JobNotice<'_>) -> Option<CallbackDraft> {
        let (job, (event, status)) = (notice.job, words(notice.event));
        let dataset = job.order.query.selection.dataset.name();
        let is_ready = notice.event == JobEvent::Ready;
        let message = Message {
            r#type: event,
            timestamp: instant_text(notice.at_ms),
            data: JobData {
                id: job.id,
                dataset,
                status,
                rows: is_ready.then(|| job.files.iter().map(|file| file.rows).sum()),
                bytes: is_ready.then(|| job.files.iter().map(|file| file.bytes).sum()),
                external_reference: job.external_reference.as_deref(),
                job_url: format!("{}/api/v1/{dataset}/export-jobs/{}", notice.public_url, job.id),
            },
        };
        Some(CallbackDraft {
            method: CallMethod::Post,
            url: job.contacts.callback_url.clone()?,
            content_type: Some("application/json".to_owned()),
            body: serde_json::to_string(&message).ok()?,
            id: standard_webhooks::message_id(&[&job.id.to_string(), event]),
            note: None,
        })
    }

    fn headers(
        &self,
        draft: &CallbackDraft,
        secret: Option<&Secret<String>>,
        now_ms: i64,
    ) -> Option<Vec<(&'static str, String)>> {
        Some(standard_webhooks::headers(&draft.id, now_ms, &draft.body, secret))
    }

    fn wait_after(&self, failed: u32, random: f64) -> Option<Duration> {
        let last = WAITS.len() - 1;
        let at = usize::try_from(failed.checked_sub(1)?).map_or(last, |at| at.min(last));
        (failed < MOST_ATTEMPTS).then(|| WAITS[at].mul_f64(1.0 - SPREAD + 2.0 * SPREAD * random))
    }

    fn gives_up_after(&self) -> Duration {
        GIVES_UP_AFTER
    }

    fn answer_within(&self) -> Duration {
        ANSWER_WITHIN
    }

    fn honours_retry_after(&self) -> Option<Duration> {
        Some(MOST_RETRY_AFTER)
    }

    fn ends_at(&self, status: u16) -> bool {
        status == GONE
    }
}

/// The type of the message, and the job's state in it.
fn words(event: JobEvent) -> (&'static str, &'static str) {
    match event {
        JobEvent::Ready => ("export.ready", "ready"),
        JobEvent::Failed => ("export.failed", "failed"),
        JobEvent::Cancelled => ("export.cancelled", "cancelled"),
    }
}
