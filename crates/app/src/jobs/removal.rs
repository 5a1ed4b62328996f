//! Taking jobs back: cancelling what is not ready, removing the files of what is, and forgetting a job as a whole.

use super::Jobs;
use crate::notifications::JobEvent;
use std::sync::Arc;
use tollbook_kit::fault::Fault;
use tollbook_model::access::{Action, Caller};
use tollbook_model::audit::{AuditEntry, AuditObject, Outcome};
use tollbook_model::export_job::{ExportJob, JobState};
use uuid::Uuid;

impl Jobs {
    /// Takes a job back: one that is queued or running is cancelled, one that is ready loses its files, with all links to
    /// them. Of one that has ended otherwise nothing changes.
    ///
    /// # Errors
    /// `forbidden` when the caller may export nothing, or it is somebody else's and he may not take back those;
    /// `not_found`; `storage_full`, `unavailable` or `internal`.
    pub async fn remove(&self, caller: &Caller, id: Uuid) -> Result<(), Fault> {
        let mut job = self.removable(caller, id).await?;
        // The job may go on between the look and the deed, but only twice: to running, and to its end.
        while !self.taken_back(caller, &job).await? {
            job = self.visible.find(caller, id).await?;
        }
        Ok(())
    }

    /// Forgets a job: it ends if it has not ended, its files and the links to them go, and so does all that is still to be
    /// told of it. Nobody is told of this either. Afterwards it is as if it had never been ordered.
    ///
    /// # Errors
    /// As [`Jobs::remove`].
    pub async fn discard(&self, caller: &Caller, id: Uuid) -> Result<(), Fault> {
        let mut job = self.removable(caller, id).await?;
        // It may end between the look and the deed.
        while !self.discarded(caller, &job).await? {
            job = self.visible.find(caller, id).await?;
        }
        self.running.stop(id);
        self.erase_files(id).await;
        // A place in the quota may be free.
        self.running.ring();
        Ok(())
    }

    /// False when the job has ended since it was seen, or is gone.
    async fn discarded(&self, caller: &Caller, job: &ExportJob) -> Result<bool, Fault> {
        let had_ended = job.state.has_ended();
        let states: Vec<_> =
            JobState::ALL.into_iter().filter(|state| state.has_ended() == had_ended).collect();
        let action = if had_ended { "export.delete" } else { "export.cancel" };
        self.port.remove(&job.tenant, job.id, &states, self.entry(caller, action, job.id)).await
    }

    /// A job that the caller may take back.
    async fn removable(&self, caller: &Caller, id: Uuid) -> Result<ExportJob, Fault> {
        let job = self.visible.find(caller, id).await?;
        if job.owner.credential != caller.credential {
            self.rights.require(caller, Action::RemoveExports).await?;
        }
        Ok(job)
    }

    /// False when the job is no longer in the state that it was seen in.
    async fn taken_back(&self, caller: &Caller, job: &ExportJob) -> Result<bool, Fault> {
        match job.state {
            JobState::Queued | JobState::Running => self.cancelled(caller, job).await,
            JobState::Ready => {
                let entry = self.entry(caller, "export.delete", job.id);
                let expired = self.port.expire(&job.tenant, job.id, Some(entry)).await?;
                if expired {
                    self.erase_files(job.id).await;
                }
                Ok(expired)
            }
            JobState::Failed | JobState::Cancelled | JobState::Expired => Ok(true),
        }
    }

    async fn cancelled(&self, caller: &Caller, job: &ExportJob) -> Result<bool, Fault> {
        let at_ms = self.clock.now_ms();
        let (state, finished_at_ms, queue_position) = (JobState::Cancelled, Some(at_ms), None);
        let ended = ExportJob { state, finished_at_ms, queue_position, ..job.clone() };
        let notices = self.notices.of(&ended, JobEvent::Cancelled, at_ms)?;
        let entry = self.entry(caller, "export.cancel", job.id);
        let cancelled = self.port.cancel(&job.tenant, job.id, at_ms, notices, entry).await?;
        if cancelled {
            self.running.stop(job.id);
            self.sweep.ring();
            self.notices.ring();
            // A place in the quota is free.
            self.running.ring();
        }
        Ok(cancelled)
    }

    /// Erases at once what nobody can reach any more. If that fails, the sweep does it.
    async fn erase_files(&self, job: Uuid) {
        let sweep = Arc::clone(&self.sweep);
        let erased = self.changes.carry(async move { sweep.erase_files_of(job).await });
        if let Err(fault) = erased.await {
            tracing::warn!(%job, fault = fault.log_text(), "files of an export are not erased yet");
            self.sweep.ring();
        }
    }

    /// An entry about a job.
    pub(super) fn entry(&self, caller: &Caller, action: &'static str, job: Uuid) -> AuditEntry {
        let object = AuditObject::new("export_job", job);
        caller.entry(self.clock.now_ms(), action, Some(object), Outcome::Success)
    }
}
