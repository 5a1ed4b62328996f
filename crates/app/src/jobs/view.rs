//! A job as it is shown: with filters that tell no caller's number, and with links while it is ready.

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
        // An attempt that is only begun to give the job up is none.
        job.attempt = job.attempt.min(MOST_ATTEMPTS);
        let is_ready =
            job.state == JobState::Ready && job.expires_at_ms.is_some_and(|end_ms| now_ms < end_ms);
        let links = is_ready.then(|| links.links_to(&job, now_ms));
        Self { filters: shown_filters(tenant, &job.order.query), links, job }
    }
}
