//! A job as it is shown: with filters that tell no caller's number, with links while it is ready, and expired from the
//! moment on at which its files are due to be removed.

use super::failures::MOST_ATTEMPTS;
use super::progress;
use crate::downloads::{JobLinks, LinkMaker};
use crate::exports::manifests::shown_filters;
use std::collections::BTreeMap;
use tollbook_model::export_job::{ExportJob, JobState};
use tollbook_model::tenant::Tenant;

/// A job, for whoever may see it.
#[derive(Debug, Clone)]
pub struct JobView {
    /// The job. Of its order, show the filters of this view instead.
    pub job: ExportJob,
    /// What is filtered by, as manifests tell it: callers are hidden where the tenant hides them.
    pub filters: BTreeMap<String, Vec<String>>,
    /// Where its files can be fetched; only while it is ready.
    pub links: Option<JobLinks>,
}

impl JobView {
    /// Of a job of this tenant, now.
    pub(super) fn of(tenant: &Tenant, links: &LinkMaker, mut job: ExportJob, now_ms: i64) -> Self {
        job.progress = progress::shown(&job);
        // An attempt that is only begun to give the job up is none; one that is begun is the first at least.
        job.attempt = job.attempt.clamp(u32::from(job.started_at_ms.is_some()), MOST_ATTEMPTS);
        // Nobody can have the files any more, though the sweep comes later.
        if job.state == JobState::Ready && job.expires_at_ms.is_none_or(|end_ms| end_ms <= now_ms) {
            job.state = JobState::Expired;
        }
        let links = (job.state == JobState::Ready).then(|| links.links_to(&job, now_ms));
        Self { filters: shown_filters(tenant, &job.order.query), links, job }
    }
}
