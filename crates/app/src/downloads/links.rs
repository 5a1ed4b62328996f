//! Links to the files of ready jobs: for how long they are good, and how they are put together.
//!
//! How a link is read back is told in [`link_text`](super::link_text); which keys sign, in [`keys`](super::keys).

use super::keys::{LinkKeys, MOST_LINK_LIFE};
use super::link_text::ROOT;
use std::sync::Arc;
use std::time::Duration;
use tollbook_model::export_job::ExportJob;

/// Links to everything that a ready job has, made at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobLinks {
    /// Absolute URLs, one per file of the job, in their order.
    pub files: Vec<String>,
    /// The URL of the signed manifest, if the job has one.
    pub manifest: Option<String>,
    /// Until when they are good, in milliseconds: a whole second.
    pub expires_at_ms: i64,
}

/// Makes links.
pub(crate) struct LinkMaker {
    keys: Arc<LinkKeys>,
    base: String,
    life: Duration,
}

impl LinkMaker {
    /// Links below this public URL that are good for `life`, but not for longer than keys are kept for them.
    pub(crate) fn new(keys: Arc<LinkKeys>, public_url: &str, life: Duration) -> Self {
        let life = life.min(MOST_LINK_LIFE);
        Self { keys, base: public_url.trim_end_matches('/').to_owned(), life }
    }

    /// Links to the files of a ready job: good for the life of links, but not longer than the files are kept.
    pub(crate) fn links_to(&self, job: &ExportJob, now_ms: i64) -> JobLinks {
        let life_ms = i64::try_from(self.life.as_millis()).unwrap_or(i64::MAX);
        let ends_ms = now_ms.saturating_add(life_ms).min(job.expires_at_ms.unwrap_or(i64::MAX));
        let ends_s = ends_ms.div_euclid(1000).max(0);
        let link = |name: &str| self.link(&format!("{ROOT}{}/{name}", job.id), ends_s);
        JobLinks {
            files: job.files.iter().map(|file| link(&file.name)).collect(),
            manifest: job.manifest.as_ref().map(|_| link(tollbook_model::export_job::MANIFEST_FILE)),
            expires_at_ms: ends_s.saturating_mul(1000),
        }
    }

    fn link(&self, path: &str, ends_s: i64) -> String {
        let exp = ends_s.to_string();
        let (kid, sig) = self.keys.sign(path, &exp);
        format!("{}{path}?exp={exp}&kid={kid}&sig={sig}", self.base)
    }
}
