//! A job as the service tells it (`natalia.md` section 8), and the calls about one.
//!
//! Only what is looked at here is read; the whole answer is kept beside it, for whoever wants it as it came.

use super::sink::is_plain;
use crate::remote::{NOT_OURS, Remote, segment};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tollbook_kit::fault::{Code, Fault};
use tollbook_model::export_job::JobState;

/// A job.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// Where it is in its life.
    pub(crate) state: JobState,
    /// The members that are looked at.
    pub(crate) told: Told,
    /// All of it, as it came.
    pub(crate) answer: Value,
}

/// The members of a job that are looked at.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Told {
    pub(crate) id: String,
    status: String,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(crate) progress: Progress,
    #[serde(default)]
    pub(crate) queue_position: Option<u64>,
    #[serde(default, deserialize_with = "null_as_default")]
    pub(crate) files: Vec<JobFile>,
    #[serde(default)]
    pub(crate) manifest_url: Option<String>,
    #[serde(default)]
    error: Option<JobError>,
}

/// How far a job is.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Progress {
    #[serde(default)]
    pub(crate) rows_done: u64,
    #[serde(default)]
    pub(crate) rows_estimated: u64,
    #[serde(default)]
    pub(crate) percent: u8,
    #[serde(default)]
    pub(crate) eta_s: Option<u64>,
}

/// A file of a job.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct JobFile {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    pub(crate) sha256: String,
    #[serde(default)]
    pub(crate) download_url: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct JobError {
    code: String,
    message: String,
    #[serde(default)]
    retryable: bool,
}

fn null_as_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

impl Job {
    /// The job that an answer tells.
    ///
    /// # Errors
    /// `unavailable` when it tells none.
    pub(crate) fn of(answer: Value) -> Result<Self, Fault> {
        let foreign = || Fault::new(Code::Unavailable, NOT_OURS);
        let told = Told::deserialize(&answer).map_err(|_| foreign())?;
        // Names become names of files here: one that leads elsewhere is not followed.
        let are_plain = told.files.iter().all(|file| is_plain(&file.name));
        let state = JobState::from_name(&told.status).filter(|_| are_plain);
        Ok(Self { state: state.ok_or_else(foreign)?, told, answer })
    }

    /// Looks a job up; each look at a ready one gives new links.
    ///
    /// # Errors
    /// As [`Remote::look_up`].
    pub(crate) async fn look_up(remote: &Remote, id: &str) -> Result<Self, Fault> {
        Self::of(remote.look_up(&path(id)).await?)
    }

    /// The same for a job whose files are wanted.
    ///
    /// # Errors
    /// As [`Job::look_up`]; `gone` when the job has no files, or none any more.
    pub(crate) async fn look_up_ready(remote: &Remote, id: &str) -> Result<Self, Fault> {
        let job = Self::look_up(remote, id).await?;
        if job.state == JobState::Ready { Ok(job) } else { Err(Fault::new(Code::Gone, job.end_in_words())) }
    }

    /// How it ended, or that it has not.
    pub(crate) fn end_in_words(&self) -> String {
        let id = &self.told.id;
        match (self.state, &self.told.error) {
            (JobState::Failed, Some(JobError { code, message, retryable })) => {
                let advice = if *retryable { "; the same order may succeed now" } else { "" };
                format!("job {id} failed: {message} ({code}){advice}")
            }
            (JobState::Expired, _) => format!("job {id} is expired: its files are removed; order it again"),
            (state, _) => format!("job {id} is {}", state.name()),
        }
    }
}

/// The path of a job of any dataset and dialect.
pub(crate) fn path(id: &str) -> String {
    format!("/api/v1/export-jobs/{}", segment(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_job_is_read_whatever_is_null() {
        let queued = json!({"id": "j", "status": "queued", "progress": null, "files": null, "error": null});
        let job = Job::of(queued.clone()).unwrap();
        assert_eq!((job.state, job.told.files.len(), job.told.progress.percent), (JobState::Queued, 0, 0));
        assert_eq!(job.answer, queued);
        let error = json!({"code": "unavailable", "message": "no", "retryable": true});
        let failed = Job::of(json!({"id": "j", "status": "failed", "files": [], "error": error})).unwrap();
        assert_eq!(failed.end_in_words(), "job j failed: no (unavailable); the same order may succeed now");
    }

    #[test]
    fn what_is_no_job_and_names_that_lead_elsewhere_are_refused() {
        let named = |name: &str| {
            json!({"id": "j", "status": "ready",
                "files": [{"name": name, "bytes": 1, "rows": 1, "sha256": "0", "download_url": "x"}]})
        };
        assert!(Job::of(named("cdr.csv")).is_ok());
        for foreign in [Value::Null, json!({"id": "j"}), json!({"id": "j", "status": "melted"})] {
            assert!(Job::of(foreign).is_err());
        }
        for name in ["", ".", "..", "../x", "/etc/passwd", "a/b"] {
            assert!(Job::of(named(name)).is_err(), "{name}");
        }
    }
}
