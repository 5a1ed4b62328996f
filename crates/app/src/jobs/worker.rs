//! A worker's attempt at a job: from the claim to its end, or to a rest before the next attempt.
//!
//! Whatever is written names the claim. Once that no longer holds, because the job was cancelled or taken over, nothing
//! is written any more, and the work ends.

use super::failures::{self, GIVEN_UP_AFTER, MOST_ATTEMPTS, Verdict, is_overdue};
use super::progress::Pace;
use crate::exports::desk::ExportDesk;
use crate::exports::file_name;
use crate::exports::manifests::{Outcome as Made, Outline};
use crate::notifications::{JobEvent, Notices};
use crate::tenants::{TenantDirectory, time_to_export_is_over};
use futures::StreamExt;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::retry::Pending;
use tollbook_kit::secret::Secret;
use tollbook_kit::supervise::StopToken;
use tollbook_model::dataset::Dataset;
use tollbook_model::export::{ExportCounters, ExportRequest, ExportedFile, Signing};
use tollbook_model::export_job::{
    Claim, ExportJob, FileKeeping, JobError, JobFile, JobSnapshot, JobState, Lease, Sight,
};
use tollbook_model::ports::{Artifacts, ExportJobs, ExportParts, ExportRows, JobEnd, SnapshotScope};
use tollbook_model::tenant::Tenant;
use uuid::Uuid;

/// Time between signs of life.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// How long a lease holds without one (`natalia.md` section 1).
const LEASE: Duration = Duration::from_secs(60);
/// Makes the files of jobs.
pub(crate) struct Worker {
    /// The process, as leases know it: every start is another one.
    pub(crate) owner: Uuid,
    pub(crate) port: Arc<dyn ExportJobs>,
    pub(crate) artifacts: Arc<dyn Artifacts>,
    pub(crate) tenants: Arc<TenantDirectory>,
    pub(crate) desk: Arc<ExportDesk>,
    pub(crate) notices: Arc<Notices>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Rings when there is something to erase.
    pub(crate) leftovers: Arc<Notify>,
}

/// How an attempt ended.
enum Attempt {
    /// The job is ready.
    Ready,
    /// It is no longer ours.
    Lost,
    /// The process stops.
    BrokenOff,
    /// It was none: all attempts that the job may have are used up.
    WornOut,
    /// The job's time is over.
    Overdue,
    /// It failed.
    Failed(Fault),
}

/// Why work on a job does not go on.
enum Stopped {
    /// It is no longer ours.
    Lost,
    /// It failed.
    Failed(Fault),
}

impl From<Fault> for Stopped {
    fn from(fault: Fault) -> Self {
        Self::Failed(fault)
    }
}

/// Passes while the claim holds.
fn ours(holds: bool) -> Result<(), Stopped> {
    if holds { Ok(()) } else { Err(Stopped::Lost) }
}

impl Worker {
    /// A lease from now on.
    pub(super) fn lease(&self) -> Lease {
        Lease { owner: self.owner, holds: Pending::new(self.clock.now_ms(), LEASE) }
    }

    /// Makes an attempt at a job. `ended` tells that the job was ended by somebody else, `stop` that the process stops.
    pub(super) async fn work(&self, claim: Claim, job: ExportJob, ended: &StopToken, stop: &StopToken) {
        tracing::debug!(job = %job.id, tenant = job.tenant.as_str(), attempt = job.attempt, "an export begins");
        let attempt = if job.attempt > MOST_ATTEMPTS {
            Attempt::WornOut
        } else if is_overdue(job.created_at_ms, self.clock.now_ms()) {
            Attempt::Overdue
        } else {
            self.attempt(claim, &job, ended, stop).await
        };
        let settled = match attempt {
            Attempt::Ready => Ok(()),
            Attempt::Lost => {
                tracing::info!(job = %job.id, "an export has ended or was taken over; its work stops");
                Ok(())
            }
            Attempt::BrokenOff => self.port.let_go(claim, None, false).await.map(drop),
            Attempt::WornOut => self.give_up(claim, &job, failures::worn_out()).await,
            Attempt::Overdue => self.give_up(claim, &job, failures::overdue()).await,
            Attempt::Failed(fault) => self.after_failure(claim, &job, &fault).await,
        };
        // The lease is not renewed any more: when it is over, the next attempt begins.
        if let Err(fault) = settled {
            let (job, fault) = (job.id, fault.log_text());
            tracing::error!(%job, fault, "the end of an attempt at an export could not be kept");
        }
    }

    async fn attempt(&self, claim: Claim, job: &ExportJob, ended: &StopToken, stop: &StopToken) -> Attempt {
        let counters = Arc::new(ExportCounters::default());
        tokio::select! {
            biased;
            () = ended.cancelled() => Attempt::Lost,
            () = stop.cancelled() => Attempt::BrokenOff,
            stopped = self.show_life(claim, job, &counters) => stopped,
            made = self.make(claim, job, &counters) => match made {
                Ok(()) => Attempt::Ready,
                Err(Stopped::Lost) => Attempt::Lost,
                Err(Stopped::Failed(fault)) => Attempt::Failed(fault),
            },
        }
    }

    /// Shows life until the claim no longer holds, or the job's time is over. That is also judged by time that nobody can
    /// set: a clock that was set back makes no attempt last for ever.
    async fn show_life(&self, claim: Claim, job: &ExportJob, counters: &ExportCounters) -> Attempt {
        let (mut pace, begun) = (Pace::new(job.progress), self.clock.monotonic());
        loop {
            tokio::time::sleep(HEARTBEAT).await;
            let now = self.clock.monotonic();
            if is_overdue(job.created_at_ms, self.clock.now_ms()) || now >= begun + GIVEN_UP_AFTER {
                return Attempt::Overdue;
            }
            match self.port.heartbeat(claim, self.lease(), pace.look(counters, now)).await {
                Ok(true) => {}
                Ok(false) => return Attempt::Lost,
                // The work goes on: if the lease ends meanwhile, its claim no longer holds.
                Err(fault) => {
                    tracing::warn!(job = %job.id, fault = fault.log_text(), "a sign of life could not be kept");
                }
            }
        }
    }

    /// Makes the file, part by part, behind those that earlier attempts kept, and publishes it.
    async fn make(
        &self,
        claim: Claim,
        job: &ExportJob,
        counters: &Arc<ExportCounters>,
    ) -> Result<(), Stopped> {
        let tenant = self.tenants.named(&job.tenant).await?;
        let tenant = tenant.filter(|tenant| !tenant.is_over(self.clock.now_ms()));
        let tenant = tenant.ok_or_else(time_to_export_is_over)?;
        let request = self.desk.request(&tenant, job.order.query.clone(), job.id)?;
        let (seen, sight) = self.sight(claim, &request).await?;
        let ExportParts { mut parts, file } = self.parts(claim, &request, &sight, counters).await?;
        while let Some(part) = parts.next().await {
            let part = part?;
            let path = part.path.clone();
            if !self.port.keep_part(claim, part).await? {
                self.erase_unkept(path).await;
                return Err(Stopped::Lost);
            }
        }
        drop(parts);
        let file = file.await.map_err(|_| Fault::internal("an export ended without telling its file"))?;
        self.publish(claim, job, &tenant, seen, file).await
    }

    /// What the job sees: the same in every attempt.
    async fn sight(&self, claim: Claim, request: &ExportRequest) -> Result<(JobSnapshot, Sight), Stopped> {
        let now_ms = self.clock.now_ms();
        match request.selection.dataset {
            Dataset::Cdr | Dataset::Kpis => {
                let scope = SnapshotScope { tenant: request.tenant.clone(), dataset: Dataset::Cdr };
                let pinned = self.port.pin(claim, &scope, request.selection.range, now_ms).await?;
                pinned.ok_or(Stopped::Lost)
            }
            Dataset::AuditLog | Dataset::AgentConfiguration => {
                let watermark = self.desk.end_of_given(request).await?;
                let seen = JobSnapshot { at_ms: now_ms, watermark };
                let seen = self.port.keep_sight(claim, seen).await?.ok_or(Stopped::Lost)?;
                Ok((seen, Sight::Given { watermark: seen.watermark }))
            }
        }
    }

    /// The parts that are still to be made. Rows that are handed over cannot be gone on with, and neither can parts that
    /// are damaged: then the file is begun again.
    async fn parts(
        &self,
        claim: Claim,
        request: &ExportRequest,
        sight: &Sight,
        counters: &Arc<ExportCounters>,
    ) -> Result<ExportParts, Stopped> {
        let data_plane = &self.desk.data_plane;
        let kept = self.port.parts(claim.job).await?;
        let begins = kept.is_empty();
        if !begins && matches!(sight, Sight::Records(_)) {
            let rows = self.rows(request, sight).await?;
            match data_plane.write(request.clone(), rows, kept, counters.clone()).await {
                Err(fault) if fault.code() == Code::Conflict => {
                    let fault = fault.log_text();
                    tracing::error!(job = %claim.job, fault, "an export begins again: its parts are damaged");
                }
                made => return Ok(made?),
            }
        }
        if !begins {
            ours(self.port.start_over(claim).await?)?;
        }
        let rows = self.rows(request, sight).await?;
        Ok(data_plane.write(request.clone(), rows, Vec::new(), counters.clone()).await?)
    }

    async fn rows(&self, request: &ExportRequest, sight: &Sight) -> Result<ExportRows, Fault> {
        match sight {
            Sight::Records(snapshot) => Ok(ExportRows::Pinned(snapshot.clone())),
            Sight::Given { watermark } => self.desk.given_rows(request, *watermark).await,
        }
    }

    /// The one step after which everybody can have the file.
    async fn publish(
        &self,
        claim: Claim,
        job: &ExportJob,
        tenant: &Tenant,
        seen: JobSnapshot,
        file: ExportedFile,
    ) -> Result<(), Stopped> {
        let at_ms = self.clock.now_ms();
        let query = &job.order.query;
        let name = file_name(query, job.created_at_ms);
        let sha256 = file.sha256.ok_or_else(|| Fault::internal("the file of an export was not hashed"))?;
        let files = vec![JobFile { name: name.clone(), bytes: file.bytes, rows: file.rows, sha256 }];
        let manifest = match query.signing {
            Signing::None => None,
            Signing::Manifest | Signing::Records => {
                let schema_id = self.desk.schema_id(query.selection.dataset);
                let outline = Outline::of(tenant, job.id, schema_id, query);
                let JobSnapshot { at_ms: snapshot_at_ms, watermark } = seen;
                let merkle_root = file.merkle_root;
                let made = Made { snapshot_at_ms, watermark, files: vec![(name, file)], merkle_root };
                Some(Secret::new(self.desk.manifests.sign(&outline, &made, at_ms)?))
            }
        };
        let expires_at_ms = expiry(job.keeping, tenant, at_ms);
        let ended = ExportJob {
            state: JobState::Ready,
            finished_at_ms: Some(at_ms),
            snapshot: Some(seen),
            expires_at_ms: Some(expires_at_ms),
            files: files.clone(),
            manifest: manifest.clone(),
            ..job.clone()
        };
        let notices = self.notices.of(&ended, JobEvent::Ready, at_ms)?;
        let end = JobEnd::Ready { files, manifest, expires_at_ms };
        ours(self.port.end(claim, end, at_ms, notices).await?)?;
        self.notices.ring();
        let (rows, bytes) = ended.files.first().map_or((0, 0), |file| (file.rows, file.bytes));
        tracing::info!(job = %job.id, tenant = job.tenant.as_str(), rows, bytes, "an export is ready");
        Ok(())
    }

    async fn after_failure(&self, claim: Claim, job: &ExportJob, fault: &Fault) -> Result<(), Fault> {
        let (id, attempt) = (job.id, job.attempt);
        match failures::judge(fault, attempt) {
            Verdict::Rest(rest) => {
                let fault = fault.log_text();
                tracing::warn!(job = %id, attempt, ?rest, fault, "an attempt at an export failed; it is tried again");
                let rest = Pending::new(self.clock.now_ms(), rest);
                self.port.let_go(claim, Some(rest), true).await.map(drop)
            }
            Verdict::GiveUp(error) => {
                tracing::error!(job = %id, attempt, fault = fault.log_text(), "an export failed and is given up");
                self.give_up(claim, job, error).await
            }
        }
    }

    async fn give_up(&self, claim: Claim, job: &ExportJob, error: JobError) -> Result<(), Fault> {
        let at_ms = self.clock.now_ms();
        let ended = ExportJob {
            state: JobState::Failed,
            finished_at_ms: Some(at_ms),
            error: Some(error.clone()),
            ..job.clone()
        };
        let notices = self.notices.of(&ended, JobEvent::Failed, at_ms)?;
        tracing::info!(job = %job.id, tenant = job.tenant.as_str(), code = error.code, "an export is given up");
        if self.port.end(claim, JobEnd::Failed(error), at_ms, notices).await? {
            self.notices.ring();
            self.leftovers.notify_one();
        }
        Ok(())
    }

    /// Erases a part that came too late. If that fails, the store's sweep finds it: nobody names it.
    async fn erase_unkept(&self, path: Option<String>) {
        if let Some(path) = path
            && let Err(fault) = self.artifacts.erase(vec![path]).await
        {
            tracing::debug!(fault = fault.log_text(), "a part that is not needed is not erased yet");
        }
    }
}

/// When files that are ready now are removed.
fn expiry(keeping: FileKeeping, tenant: &Tenant, now_ms: i64) -> i64 {
    match keeping {
        FileKeeping::TenantSetting => {
            now_ms.saturating_add(i64::from(tenant.settings.file_retention_s) * 1000)
        }
        FileKeeping::CalendarMonth => {
            let later = Timestamp::from_millisecond(now_ms)
                .and_then(|now| now.to_zoned(TimeZone::UTC).checked_add(Span::new().months(1)));
            // Only at the end of the calendar is there no next month.
            later.map_or(i64::MAX, |later| later.timestamp().as_millisecond())
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use super::*;
    use tollbook_model::privacy::PseudonymKey;
    use tollbook_model::tenant::TenantName;
    use tollbook_model::time_range::parse_instant;

    #[test]
    fn files_are_kept_as_long_as_was_said() {
        let mut tenant = Tenant::new(TenantName::default_tenant(), vec![PseudonymKey::new(1, [1; 32])], 0);
        tenant.settings.file_retention_s = 3600;
        let ms = |text: &str| parse_instant(text).unwrap();
        for (now, keeping, end) in [
            ("2026-01-31T12:00:00.005Z", FileKeeping::TenantSetting, "2026-01-31T13:00:00.005Z"),
            ("2026-01-31T12:00:00.005Z", FileKeeping::CalendarMonth, "2026-02-28T12:00:00.005Z"),
            ("2026-02-28T12:00:00Z", FileKeeping::CalendarMonth, "2026-03-28T12:00:00Z"),
            ("2026-12-05T12:00:00Z", FileKeeping::CalendarMonth, "2027-01-05T12:00:00Z"),
        ] {
            assert_eq!(expiry(keeping, &tenant, ms(now)), ms(end), "{now} {keeping:?}");
        }
    }
}
