//! The form of callbacks: what a dialect decides about the calls that tell of its jobs.
//!
//! Words, signatures and schedules are the dialect's; when and where a call is made is decided here, by the rules that it
//! gives.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;
use tollbook_kit::secret::Secret;
use tollbook_model::export_job::ExportJob;
use tollbook_model::ports::CallMethod;

/// What became of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobEvent {
    /// Its files are there.
    Ready,
    /// It was given up.
    Failed,
    /// A user ended it.
    Cancelled,
}

/// What is to be told of a job.
#[derive(Debug, Clone, Copy)]
pub struct JobNotice<'a> {
    /// The job as it is after the change: with its files, or with its error.
    pub job: &'a ExportJob,
    /// What became of it.
    pub event: JobEvent,
    /// When, in milliseconds.
    pub at_ms: i64,
    /// Public base URL of the service, without a slash at its end.
    pub public_url: &'a str,
}

/// A call as it is kept until it was answered. It is the same at every attempt; only the headers, which may hold the time
/// and a signature, are made anew.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallbackDraft {
    /// How the address is called.
    pub method: CallMethod,
    /// The address, with whatever the dialect adds to it. It may hold secrets of the receiver.
    pub url: String,
    /// Media type of the body, if there is one.
    pub content_type: Option<String>,
    /// The body; empty where there is none.
    pub body: String,
    /// The id by which the receiver knows repetitions.
    pub id: String,
    /// What the dialect needs for signing and keeps with the call, such as a key.
    pub note: Option<String>,
}

/// Says only which call it is: addresses and notes may be secrets.
impl fmt::Debug for CallbackDraft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackDraft").field("id", &self.id).finish_non_exhaustive()
    }
}

/// How the jobs of one dialect call back. Pure: nothing here calls, waits or looks anything up.
pub trait CallbackForm: Send + Sync {
    /// The dialect, as jobs name it.
    fn dialect(&self) -> &'static str;

    /// The call that tells of this event; none when the dialect tells nothing of it. The job has a callback address.
    fn compose(&self, notice: &JobNotice<'_>) -> Option<CallbackDraft>;

    /// The headers of one attempt beside those of the content, signed with the secret that the tenant has now, if it has
    /// any. None: the call cannot be signed as it must be, so it is not made now.
    fn headers(
        &self,
        draft: &CallbackDraft,
        secret: Option<&Secret<String>>,
        now_ms: i64,
    ) -> Option<Vec<(&'static str, String)>>;

    /// The wait after so many failed attempts, 1 and up; none when it is given up. `random` is 0 to 1, for those that
    /// spread their attempts.
    fn wait_after(&self, failed: u32, random: f64) -> Option<Duration>;

    /// How long after its making a call is not attempted again.
    fn gives_up_after(&self) -> Duration;

    /// How long a receiver may take for a whole answer.
    fn answer_within(&self) -> Duration;

    /// The longest wait that a receiver may ask for by `Retry-After`; none when that is not heeded.
    fn honours_retry_after(&self) -> Option<Duration> {
        None
    }

    /// Is this status a refusal for good?
    fn ends_at(&self, _status: u16) -> bool {
        false
    }

    /// May addresses hold a user name and a password, and a fragment, which is not sent?
    fn takes_credentials(&self) -> bool {
        false
    }
}
