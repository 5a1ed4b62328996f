//! Callbacks of this dialect (`didww.md` section 7): what is told of an export, how it is signed, and how often it is tried.
//!
//! When exports end and how calls are made is decided elsewhere.

use super::attributes::CallbackMethod;
use super::callback_url::{CallbackUrl, form_encoded};
use super::note::Note;
use super::paths::file_url;
use super::schema::{Status, TYPE};
use super::{DIALECT, signature};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tollbook_app::notifications::{CallbackDraft, CallbackForm, JobEvent, JobNotice};
use tollbook_kit::retry::Schedule;
use tollbook_kit::secret::Secret;
use tollbook_model::ports::CallMethod;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The waits before the second attempt to the tenth.
const WAITS: Schedule = Schedule::new(&[
    MINUTE,
    Duration::from_secs(10 * 60),
    Duration::from_secs(30 * 60),
    HOUR,
    Duration::from_secs(3 * 60 * 60),
    Duration::from_secs(6 * 60 * 60),
    Duration::from_secs(12 * 60 * 60),
    DAY,
    Duration::from_secs(2 * 24 * 60 * 60),
]);

/// How exports call back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DidwwCallbacks;

/// What is kept with a call so that it can be signed when it is made.
#[derive(Serialize, Deserialize)]
struct ToBeSigned {
    /// The key that ordered the export.
    key: Option<String>,
    /// Our own parameters.
    parameters: Vec<(String, String)>,
}

impl CallbackForm for DidwwCallbacks {
    fn dialect(&self) -> &'static str {
        DIALECT
    }

    fn compose(&self, notice: &JobNotice<'_>) -> Option<CallbackDraft> {
        let job = notice.job;
        let note = Note::of(job).ok()?;
        let parameters = parameters(notice)?;
        let url = CallbackUrl::parse(job.contacts.callback_url.as_deref()?)?;
        let (method, url, content_type, body) = match note.callback_method {
            Some(CallbackMethod::Get) => {
                (CallMethod::Get, url.with_parameters(&parameters), None, String::new())
            }
            Some(CallbackMethod::Post) | None => {
                let form = Some("application/x-www-form-urlencoded".to_owned());
                (CallMethod::Post, url.with_parameters(&[]), form, form_encoded(&parameters))
            }
        };
        let key = job.callback_key.as_ref().map(|key| key.reveal().clone());
        let to_be_signed = ToBeSigned { key, parameters };
        let note = Some(serde_json::to_string(&to_be_signed).ok()?);
        Some(CallbackDraft { method, url, content_type, body, id: job.id.to_string(), note })
    }

    fn headers(
        &self,
        draft: &CallbackDraft,
        secret: Option<&Secret<String>>,
        _now_ms: i64,
    ) -> Option<Vec<(&'static str, String)>> {
        let ToBeSigned { key, parameters } = serde_json::from_str(draft.note.as_ref()?).ok()?;
        let key = secret.map(|secret| secret.reveal().clone()).or(key)?;
        let url = CallbackUrl::parse(&draft.url)?;
        Some(vec![("x-didww-signature", signature::of(&key, &url, &parameters))])
    }

    fn wait_after(&self, failed: u32, _random: f64) -> Option<Duration> {
        WAITS.wait_after(usize::try_from(failed).ok()?)
    }

    fn gives_up_after(&self) -> Duration {
        // The number of attempts is the bound: those that a stop of the service put off are made up for.
        Duration::MAX
    }

    fn answer_within(&self) -> Duration {
        MINUTE
    }

    fn takes_credentials(&self) -> bool {
        true
    }
}

/// What is told, in the order of the names; nothing of a cancelled export, which is as if it had never been.
fn parameters(notice: &JobNotice<'_>) -> Option<Vec<(String, String)>> {
    let status = match notice.event {
        JobEvent::Ready => Status::Completed,
        JobEvent::Failed => Status::Failed,
        JobEvent::Cancelled => return None,
    };
    let mut parameters = vec![
        ("id", notice.job.id.to_string()),
        ("status", status.name().to_owned()),
        ("type", TYPE.to_owned()),
    ];
    if status == Status::Completed {
        parameters.push(("url", file_url(notice.public_url, notice.job.id)));
    }
    Some(parameters.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_ten_attempts_at_exact_times() {
        let waits: Vec<u64> = (1..)
            .map_while(|failed| DidwwCallbacks.wait_after(failed, 0.7))
            .map(|wait| wait.as_secs())
            .collect();
        assert_eq!(waits, [60, 600, 1800, 3600, 10_800, 21_600, 43_200, 86_400, 172_800]);
        assert_eq!(DidwwCallbacks.honours_retry_after(), None);
        assert!(!DidwwCallbacks.ends_at(410));
        assert_eq!(DidwwCallbacks.answer_within().as_secs(), 60);
    }

    fn draft(key: Option<&str>) -> CallbackDraft {
        let to_be_signed =
            ToBeSigned { key: key.map(str::to_owned), parameters: vec![("id".into(), "1".into())] };
        CallbackDraft {
            method: CallMethod::Post,
            url: "https://foo.com/bar".into(),
            content_type: None,
            body: String::new(),
            id: "1".into(),
            note: serde_json::to_string(&to_be_signed).ok(),
        }
    }

    #[test]
    fn the_secret_signs_and_without_it_the_key() {
        let signed = |draft, secret: Option<&str>| {
            let secret = secret.map(|text| Secret::new(text.to_owned()));
            let [(name, value)] = DidwwCallbacks.headers(&draft, secret.as_ref(), 0)?.try_into().ok()?;
            assert_eq!(name, "x-didww-signature");
            Some(value)
        };
        let by_key = signed(draft(Some("key")), None).unwrap();
        let by_secret = signed(draft(Some("key")), Some("secret")).unwrap();
        assert_ne!(by_key, by_secret);
        assert_eq!(signed(draft(None), Some("secret")), Some(by_secret));
        assert_eq!(signed(draft(Some("secret")), Some("key")), Some(by_key));
        assert_eq!(signed(draft(None), None), None, "no key, no call");
    }
}
