//! Export jobs: exports that are made in the background and fetched when they are ready (`natalia.md` sections 1 and 8).
//!
//! Here is who may order, see and take back which job, whose turn it is, and what follows from a failure. The states of
//! a job and the table of what may follow what are `model`'s; how jobs are kept is the catalog's business, and how files
//! are made the data wing's.

mod failures;
mod orders;
mod progress;
mod removal;
mod runner;
mod running;
mod sweep;
mod turns;
mod view;
mod worker;

pub use orders::{Idempotency, NewJob, OrderedJob};
pub(crate) use runner::Runner;
pub(crate) use running::RunningJobs;
pub(crate) use sweep::JobSweep;
pub use view::JobView;
pub(crate) use worker::Worker;

use crate::changes::Changes;
use crate::downloads::LinkMaker;
use crate::exports::desk::ExportDesk;
use crate::faults::all_right;
use crate::notifications::Notices;
use crate::rights::Rights;
use crate::tenants::TenantDirectory;
use crate::visible_jobs::{VisibleJobs, unknown_job};
use std::sync::Arc;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::Fault;
use tollbook_kit::ids::IdSource;
use tollbook_model::access::{Action, Caller};
use tollbook_model::dataset::Dataset;
use tollbook_model::export_job::{ExportJob, JobState};
use tollbook_model::ports::{ExportJobs, JobFilter};
use tollbook_model::tenant::Tenant;
use uuid::Uuid;

/// Which jobs a caller wants to see; newest first.
#[derive(Debug, Clone)]
pub struct JobListing {
    /// Of which datasets; empty: of all that he may export.
    pub datasets: Vec<Dataset>,
    /// In which states; empty: in any.
    pub states: Vec<JobState>,
    /// Ordered by which dialects; empty: by any.
    pub dialects: Vec<String>,
    /// Ordered at or after, in milliseconds.
    pub created_from_ms: i64,
    /// Ordered before, in milliseconds.
    pub created_to_ms: i64,
    /// Most jobs.
    pub limit: usize,
    /// Only jobs behind this place: the `next` of an earlier page.
    pub behind: Option<(i64, Uuid)>,
}

/// Some of the jobs that a caller may see.
#[derive(Debug, Clone)]
pub struct JobPage {
    /// The jobs.
    pub jobs: Vec<JobView>,
    /// Where to go on; none when these were the last ones.
    pub next: Option<(i64, Uuid)>,
}

/// Export jobs, as their users see them.
pub struct Jobs {
    pub(crate) rights: Arc<Rights>,
    pub(crate) tenants: Arc<TenantDirectory>,
    pub(crate) visible: Arc<VisibleJobs>,
    pub(crate) port: Arc<dyn ExportJobs>,
    pub(crate) desk: Arc<ExportDesk>,
    pub(crate) notices: Arc<Notices>,
    pub(crate) links: LinkMaker,
    pub(crate) running: Arc<RunningJobs>,
    pub(crate) sweep: Arc<JobSweep>,
    pub(crate) ids: IdSource,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) changes: Changes,
}

impl Jobs {
    /// May the caller export this dataset at all? Protocols ask before they read a body.
    ///
    /// # Errors
    /// `forbidden`.
    pub async fn permit(&self, caller: &Caller, dataset: Dataset) -> Result<(), Fault> {
        self.rights.require(caller, Action::Export(dataset)).await
    }

    /// May the caller see jobs at all? Protocols ask before they read parameters.
    ///
    /// # Errors
    /// `forbidden`, when he may export no dataset.
    pub async fn permit_any(&self, caller: &Caller) -> Result<(), Fault> {
        self.rights.require_any_export(caller).await
    }

    /// The job of that id.
    ///
    /// # Errors
    /// `forbidden` when the caller may export nothing; `not_found` for an unknown job, one of another tenant, or one of
    /// a dataset that he may not export; `unavailable` or `internal`.
    pub async fn find(&self, caller: &Caller, id: Uuid) -> Result<JobView, Fault> {
        let job = self.visible.find(caller, id).await?;
        let tenant = self.tenants.of(caller).await?;
        Ok(self.view(&tenant, job))
    }

    /// The jobs of his tenant that the caller may see, those of other callers among them.
    ///
    /// # Errors
    /// `forbidden` when the caller may export nothing; `unavailable` or `internal`.
    pub async fn list(&self, caller: &Caller, listing: JobListing) -> Result<JobPage, Fault> {
        self.permit_any(caller).await?;
        let wanted = |dataset: &Dataset| listing.datasets.is_empty() || listing.datasets.contains(dataset);
        let may_see = |dataset: &Dataset| caller.require(Action::Export(*dataset)).is_ok();
        let datasets: Vec<_> = Dataset::ALL.into_iter().filter(wanted).filter(may_see).collect();
        if datasets.is_empty() || listing.limit == 0 {
            return Ok(JobPage { jobs: Vec::new(), next: None });
        }
        let filter = JobFilter {
            tenant: caller.tenant.clone(),
            datasets,
            states: listing.states.clone(),
            dialects: listing.dialects,
            created_from_ms: listing.created_from_ms,
            created_to_ms: listing.created_to_ms,
            behind: listing.behind,
            // One more tells whether there is another page.
            limit: listing.limit.saturating_add(1),
        };
        let mut jobs = self.port.list(&filter).await?;
        let is_last = jobs.len() <= listing.limit;
        jobs.truncate(listing.limit);
        let next = jobs.last().filter(|_| !is_last).map(|job| (job.created_at_ms, job.id));
        let tenant = self.tenants.of(caller).await?;
        let views = jobs.into_iter().map(|job| self.view(&tenant, job));
        // One that was found ready may be shown expired already.
        let wanted = |view: &JobView| listing.states.is_empty() || listing.states.contains(&view.job.state);
        Ok(JobPage { jobs: views.filter(wanted).collect(), next })
    }

    /// Changes the caller's own name for a job, and answers the job. What changes nothing is not logged.
    ///
    /// # Errors
    /// `forbidden` and `not_found` as [`Jobs::find`]; `invalid` for a name of more than 100 characters; `storage_full`,
    /// `unavailable` or `internal`.
    pub async fn rename(
        &self,
        caller: &Caller,
        id: Uuid,
        reference: Option<String>,
    ) -> Result<JobView, Fault> {
        let job = self.visible.find(caller, id).await?;
        all_right(reference.as_deref().and_then(orders::reference_fault).into_iter().collect())?;
        if job.external_reference != reference {
            let entry = self.entry(caller, "export.rename", id);
            if !self.port.rename(&caller.tenant, id, reference, entry).await? {
                return Err(unknown_job());
            }
        }
        self.find(caller, id).await
    }

    fn view(&self, tenant: &Tenant, job: ExportJob) -> JobView {
        JobView::of(tenant, &self.links, job, self.clock.now_ms())
    }
}
