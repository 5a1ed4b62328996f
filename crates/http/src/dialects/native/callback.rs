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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use hmac::{Hmac, KeyInit, Mac};
    use jiff::tz::TimeZone;
    use sha2::{Digest, Sha256};
    use tollbook_model::access::Role;
    use tollbook_model::dataset::Dataset;
    use tollbook_model::export::{ExportQuery, Signing};
    use tollbook_model::export_job::{
        ExportJob, FileKeeping, JobContacts, JobFile, JobOrder, JobOwner, JobProgress, JobState,
    };
    use tollbook_model::format::ExportFormat;
    use tollbook_model::selection::{Interval, Selection};
    use tollbook_model::tenant::TenantName;
    use tollbook_model::time_range::TimeRange;

    /// 2026-01-05T09:01:10Z.
    const AT_MS: i64 = 1_767_603_670_000;

    fn job(files: usize) -> ExportJob {
        let selection = Selection {
            dataset: Dataset::Cdr,
            range: TimeRange::all(),
            filters: Vec::new(),
            columns: vec![0],
            timezone: TimeZone::UTC,
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
        let file = JobFile { name: "cdr.csv".into(), bytes: 3_100_000, rows: 120_000, sha256: [0; 32] };
        ExportJob {
            id: "0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01".parse().unwrap(),
            tenant: TenantName::default_tenant(),
            dialect: "native".into(),
            order: JobOrder { query, from: None, to: None },
            owner: JobOwner { credential: Uuid::nil(), actor: "token:1".into(), role: Role::Analyst },
            external_reference: Some("a \"reference\"\n".into()),
            contacts: JobContacts {
                callback_url: Some("https://hooks.example/x?y=z".into()),
                notify_email: Vec::new(),
            },
            keeping: FileKeeping::TenantSetting,
            dialect_note: None,
            callback_key: None,
            state: JobState::Ready,
            created_at_ms: 0,
            started_at_ms: None,
            finished_at_ms: None,
            snapshot: None,
            expires_at_ms: None,
            attempt: 1,
            progress: JobProgress::default(),
            queue_position: None,
            files: vec![file; files],
            manifest: None,
            error: None,
        }
    }

    fn draft(job: &ExportJob, event: JobEvent) -> CallbackDraft {
        let public_url = "https://cdr.example.net:8443";
        NativeCallbacks.compose(&JobNotice { job, event, at_ms: AT_MS, public_url }).unwrap()
    }

    #[test]
    fn the_call_is_the_contracts() {
        let ready = draft(&job(1), JobEvent::Ready);
        let body = concat!(
            r#"{"type":"export.ready","timestamp":"2026-01-05T09:01:10.000Z","#,
            r#""data":{"id":"0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01","dataset":"cdr","status":"ready","#,
            r#""rows":120000,"bytes":3100000,"external_reference":"a \"reference\"\n","#,
            r#""job_url":"https://cdr.example.net:8443/api/v1/cdr/export-jobs/0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01"}}"#
        );
        assert_eq!(ready.body, body);
        assert_eq!((ready.method, ready.url.as_str()), (CallMethod::Post, "https://hooks.example/x?y=z"));
        assert_eq!(ready.content_type.as_deref(), Some("application/json"));
        for (event, word) in [(JobEvent::Failed, "failed"), (JobEvent::Cancelled, "cancelled")] {
            let call = draft(&ExportJob { external_reference: None, ..job(0) }, event);
            let told: serde_json::Value = serde_json::from_str(&call.body).unwrap();
            assert_eq!(
                (told["type"].as_str().unwrap(), &told["data"]["status"]),
                (&*format!("export.{word}"), &word.into())
            );
            for nothing in ["rows", "bytes", "external_reference"] {
                assert_eq!(told["data"].get(nothing), Some(&serde_json::Value::Null), "{nothing}");
            }
        }
    }

    #[test]
    fn its_id_follows_from_job_and_event_and_its_signature_verifies() {
        let call = draft(&job(1), JobEvent::Ready);
        let digest = Sha256::digest(b"0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01\nexport.ready");
        assert_eq!(call.id, format!("msg_{}", &hex::encode(digest)[..32]));
        assert_ne!(call.id, draft(&job(1), JobEvent::Failed).id);

        let secret = Secret::new("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned());
        let headers = NativeCallbacks.headers(&call, Some(&secret), AT_MS + 999).unwrap();
        let key: Vec<u8> = (0..32).collect();
        let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
        mac.update(format!("{}.1767603670.{}", call.id, call.body).as_bytes());
        let expected = [
            ("webhook-id", call.id.clone()),
            ("webhook-timestamp", "1767603670".to_owned()),
            ("webhook-signature", format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))),
        ];
        assert_eq!(headers, expected);
        assert_eq!(NativeCallbacks.headers(&call, None, AT_MS).unwrap(), expected[..2]);
    }

    #[test]
    fn attempts_follow_the_contracts_schedule() {
        let wait = |failed, random| NativeCallbacks.wait_after(failed, random).map(|wait| wait.as_millis());
        for (failed, seconds) in [(1, 1), (2, 5), (3, 30), (4, 120), (5, 300), (6, 300), (364, 300)] {
            let spread = [0.0, 0.5, 1.0].map(|random| wait(failed, random));
            assert_eq!(spread, [Some(seconds * 800), Some(seconds * 1000), Some(seconds * 1200)], "{failed}");
        }
        assert_eq!((wait(0, 0.5), wait(365, 0.5), wait(u32::MAX, 0.5)), (None, None, None));
        // The number of attempts is no end while the quickest of them fit into the time.
        let whole: u128 = (1..365).filter_map(|failed| wait(failed, 0.0)).sum();
        assert!(whole >= 24 * 60 * 60 * 1000, "{whole}");
        assert!(NativeCallbacks.ends_at(410));
        assert!([200, 400, 404, 429, 500].iter().all(|status| !NativeCallbacks.ends_at(*status)));
        assert_eq!(NativeCallbacks.honours_retry_after(), Some(Duration::from_secs(3600)));
        assert!(!NativeCallbacks.takes_credentials());
    }
}
