//! What becomes of jobs after their end: files expire by age, what nobody can reach is erased, and old jobs are
//! forgotten.
//!
//! When a round is made is decided by `tasks`.

use super::running::RunningJobs;
use std::sync::Arc;
use tokio::sync::Notify;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::Fault;
use tollbook_model::export_job::ExportPart;
use tollbook_model::ports::{Artifacts, ExportJobs, LeftoverPart};
use tollbook_model::tenant::TenantName;
use uuid::Uuid;

/// Rows that are looked at together.
const AT_ONCE: usize = 256;
/// How long a job can be seen after its end (`natalia.md` section 8).
const SEEN_MS: i64 = 90 * 86_400_000;

/// Clears up behind jobs.
pub(crate) struct JobSweep {
    port: Arc<dyn ExportJobs>,
    artifacts: Arc<dyn Artifacts>,
    running: Arc<RunningJobs>,
    clock: Arc<dyn Clock>,
    bell: Arc<Notify>,
}

impl JobSweep {
    pub(crate) fn new(
        port: Arc<dyn ExportJobs>,
        artifacts: Arc<dyn Artifacts>,
        running: Arc<RunningJobs>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { port, artifacts, running, clock, bell: Arc::default() }
    }

    /// Rings when there is something to erase.
    pub(crate) fn bell(&self) -> Arc<Notify> {
        self.bell.clone()
    }

    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }

    /// One round.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`: the first failure, after the other steps were made.
    pub(crate) async fn round(&self) -> Result<(), Fault> {
        let expired = self.expire_by_age().await;
        let erased = self.erase_leftovers().await;
        let before_ms = self.clock.now_ms().saturating_sub(SEEN_MS);
        let forgotten = self.port.forget_ended_before(before_ms).await;
        expired.and(erased).and(forgotten.map(drop))
    }

    async fn expire_by_age(&self) -> Result<(), Fault> {
        loop {
            let due = self.port.due_to_expire(self.clock.now_ms(), AT_ONCE).await?;
            for (tenant, job) in &due {
                self.port.expire(tenant, *job, None).await?;
            }
            if due.len() < AT_ONCE {
                return Ok(());
            }
        }
    }

    /// Whatever cannot be erased stays for the next round, and holds nothing else up.
    async fn erase_leftovers(&self) -> Result<(), Fault> {
        let (mut behind, mut outcome) = (None, Ok(()));
        loop {
            let leftovers = self.port.leftovers(behind, AT_ONCE).await?;
            let Some(last) = leftovers.last() else { return outcome };
            behind = Some((last.job, last.number));
            let erased = self.erase(&leftovers).await;
            outcome = outcome.and(erased);
            if leftovers.len() < AT_ONCE {
                return outcome;
            }
        }
    }

    /// Erases the files of a job that has ended and has none any more.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    pub(super) async fn erase_files_of(&self, job: Uuid) -> Result<(), Fault> {
        let leftover = |part: ExportPart| LeftoverPart { job, number: part.number, path: part.path };
        let leftovers: Vec<_> = self.port.parts(job).await?.into_iter().map(leftover).collect();
        self.erase(&leftovers).await
    }

    /// Erases them together, or those that can be one by one; answers the first failure after all were tried.
    async fn erase(&self, leftovers: &[LeftoverPart]) -> Result<(), Fault> {
        let paths: Vec<String> = leftovers.iter().filter_map(|part| part.path.clone()).collect();
        if paths.is_empty() || self.artifacts.erase(paths).await.is_ok() {
            return if leftovers.is_empty() { Ok(()) } else { self.port.forget_parts(leftovers).await };
        }
        let (mut erased, mut outcome) = (Vec::new(), Ok(()));
        for part in leftovers {
            match self.artifacts.erase(part.path.iter().cloned().collect()).await {
                Ok(()) => erased.push(part.clone()),
                Err(fault) => outcome = outcome.and(Err(fault)),
            }
        }
        let left = leftovers.len() - erased.len();
        tracing::warn!(left, erased = erased.len(), "some parts of exports cannot be erased; the others are");
        let forgotten = if erased.is_empty() { Ok(()) } else { self.port.forget_parts(&erased).await };
        outcome.and(forgotten)
    }

    /// Ends all jobs of a tenant whose time is over, and erases what they left.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    pub(crate) async fn end_all_of(&self, tenant: &TenantName) -> Result<(), Fault> {
        let ended = self.port.end_all(tenant, self.clock.now_ms()).await?;
        self.running.stop_all_of(tenant);
        if ended > 0 {
            tracing::info!(
                tenant = tenant.as_str(),
                jobs = ended,
                "the exports of a closed tenant are ended"
            );
        }
        self.erase_leftovers().await
    }
}
