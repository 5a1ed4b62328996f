//! Which jobs a caller may see: those of his tenant whose dataset he may export. All others are as if they were not there.

use crate::rights::Rights;
use std::sync::Arc;
use tollbook_kit::fault::{Code, Fault};
use tollbook_model::access::{Action, Caller};
use tollbook_model::export_job::ExportJob;
use tollbook_model::ports::ExportJobs;
use uuid::Uuid;

/// Looks jobs up for callers.
pub(crate) struct VisibleJobs {
    rights: Arc<Rights>,
    port: Arc<dyn ExportJobs>,
}

impl VisibleJobs {
    pub(crate) fn new(rights: Arc<Rights>, port: Arc<dyn ExportJobs>) -> Self {
        Self { rights, port }
    }

    /// The job of that id.
    ///
    /// # Errors
    /// `forbidden` when the caller may export nothing; `not_found`; `unavailable` or `internal`.
    pub(crate) async fn find(&self, caller: &Caller, id: Uuid) -> Result<ExportJob, Fault> {
        self.rights.require_any_export(caller).await?;
        let found = self.port.find(id).await?;
        let job = found.filter(|job| job.tenant == caller.tenant).ok_or_else(unknown_job)?;
        match self.rights.require(caller, Action::Export(job.order.query.selection.dataset)).await {
            Ok(()) => Ok(job),
            // It would tell that the job exists.
            Err(fault) if fault.code() == Code::Forbidden => Err(unknown_job()),
            Err(fault) => Err(fault),
        }
    }
}

/// What is said of a job that is not there, or not to be seen.
pub(crate) fn unknown_job() -> Fault {
    Fault::new(Code::NotFound, "no such export; list the exports that there are")
}
