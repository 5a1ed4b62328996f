//! The export jobs port: which transaction is begun, and whether it leaves a trace.
//!
//! The statements are in one file per stage of a job's life: `order` takes it, `line` hands it to workers, `sight` fixes
//! what it sees, `parts` keeps what is written, `ending` ends it, and `reading` shows it. A worker's statements ask in
//! their own transaction whether his claim holds; whose turn it is, is not decided here.

mod ending;
mod line;
mod order;
mod parts;
mod reading;
mod sight;

use super::{SqliteCatalog, read_failed};
use async_trait::async_trait;
use parts::Kept;
use std::ops::Range;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::retry::Pending;
use tollbook_model::audit::AuditEntry;
use tollbook_model::export_job::{
    Claim, ExportJob, ExportPart, JobError, JobInLine, JobProgress, JobSnapshot, JobState, Lease, Sight,
};
use tollbook_model::ports::{
    ExportJobs, IdempotencyKey, JobEnd, JobFilter, LeftoverPart, NewNotification, Ordered, PartsOfRange,
    SnapshotScope,
};
use tollbook_model::tenant::TenantName;
use tollbook_model::time_range::TimeRange;
use uuid::Uuid;

#[async_trait]
impl ExportJobs for SqliteCatalog {
    async fn order(
        &self,
        job: ExportJob,
        most_queued: u32,
        key: Option<IdempotencyKey>,
        audit: AuditEntry,
    ) -> Result<Ordered, Fault> {
        let doing = "taking an order of an export";
        let mut transaction = self.begin_write(doing).await?;
        self.require_tenant(doing, &mut transaction, &job.tenant).await?;
        let ordered = order::take(&mut transaction, &self.sealer, job, most_queued, key, audit)
            .await
            .map_err(|error| self.write_failed(doing, error))?;
        let is_new = matches!(ordered, Ordered::New);
        self.settle(doing, transaction, Ok(is_new)).await?;
        Ok(ordered)
    }

    async fn ordered_before(&self, key: &IdempotencyKey, now_ms: i64) -> Result<Option<Ordered>, Fault> {
        let doing = "looking for an order that came before";
        let mut transaction = self.begin_read(doing).await?;
        order::answer_of_key(&mut transaction, &self.sealer, key, now_ms)
            .await
            .map_err(|error| read_failed(doing, error))
    }

    async fn find(&self, id: Uuid) -> Result<Option<ExportJob>, Fault> {
        let doing = "looking for an export job";
        let mut transaction = self.begin_read(doing).await?;
        reading::find(&mut transaction, &self.sealer, &id).await.map_err(|error| read_failed(doing, error))
    }

    async fn list(&self, filter: &JobFilter) -> Result<Vec<ExportJob>, Fault> {
        let doing = "listing export jobs";
        let mut transaction = self.begin_read(doing).await?;
        reading::list(&mut transaction, &self.sealer, filter).await.map_err(|error| read_failed(doing, error))
    }

    async fn rename(
        &self,
        tenant: &TenantName,
        id: Uuid,
        reference: Option<String>,
        audit: AuditEntry,
    ) -> Result<bool, Fault> {
        let doing = "renaming an export job";
        let mut transaction = self.begin_write(doing).await?;
        let renamed = order::rename(&mut transaction, tenant, &id, reference, audit).await;
        self.settle(doing, transaction, renamed).await
    }

    async fn in_line(&self) -> Result<Vec<JobInLine>, Fault> {
        let doing = "listing export jobs in line";
        let mut transaction = self.begin_read(doing).await?;
        line::all(&mut transaction).await.map_err(|error| read_failed(doing, error))
    }

    async fn claim(
        &self,
        seen: Claim,
        lease: Lease,
        now_ms: i64,
    ) -> Result<Option<(Claim, ExportJob)>, Fault> {
        let doing = "claiming an export job";
        let mut transaction = self.begin_write(doing).await?;
        let claimed = line::claim(&mut transaction, &self.sealer, seen, lease, now_ms)
            .await
            .map_err(|error| self.write_failed(doing, error))?;
        self.settle(doing, transaction, Ok(claimed.is_some())).await?;
        Ok(claimed)
    }

    async fn disown_others(&self, owner: Uuid) -> Result<(), Fault> {
        let doing = "ending the leases of processes that are gone";
        let mut transaction = self.begin_write(doing).await?;
        let disowned = line::disown_others(&mut transaction, &owner).await;
        self.settle(doing, transaction, disowned).await.map(drop)
    }

    async fn pin(
        &self,
        claim: Claim,
        scope: &SnapshotScope,
        range: TimeRange,
        now_ms: i64,
    ) -> Result<Option<(JobSnapshot, Sight)>, Fault> {
        let doing = "pinning what an export job sees";
        let mut transaction = self.begin_write(doing).await?;
        let pinned = sight::pin(&mut transaction, claim, scope, range, now_ms)
            .await
            .map_err(|error| self.write_failed(doing, error))?;
        self.settle(doing, transaction, Ok(pinned.is_some())).await?;
        Ok(pinned)
    }

    async fn keep_sight(&self, claim: Claim, seen: JobSnapshot) -> Result<Option<JobSnapshot>, Fault> {
        let doing = "keeping what an export job sees";
        let mut transaction = self.begin_write(doing).await?;
        let kept = sight::keep(&mut transaction, claim, seen)
            .await
            .map_err(|error| self.write_failed(doing, error))?;
        self.settle(doing, transaction, Ok(kept.is_some())).await?;
        Ok(kept)
    }

    async fn heartbeat(&self, claim: Claim, lease: Lease, progress: JobProgress) -> Result<bool, Fault> {
        let doing = "noting that an export job is worked on";
        let mut transaction = self.begin_write(doing).await?;
        let beaten = line::heartbeat(&mut transaction, claim, lease, progress).await;
        self.settle(doing, transaction, beaten).await
    }

    async fn keep_part(&self, claim: Claim, part: ExportPart) -> Result<bool, Fault> {
        let doing = "keeping a part of an export";
        let mut transaction = self.begin_write(doing).await?;
        let kept = parts::keep(&mut transaction, claim, part)
            .await
            .map_err(|error| self.write_failed(doing, error))?;
        if kept == Kept::OutOfOrder {
            let text = "the part does not follow the parts that are kept; go on behind the last one";
            return Err(Fault::new(Code::Conflict, text).with_context(doing));
        }
        self.settle(doing, transaction, Ok(kept == Kept::Yes)).await
    }

    async fn parts(&self, job: Uuid) -> Result<Vec<ExportPart>, Fault> {
        let doing = "listing the parts of an export";
        let mut transaction = self.begin_read(doing).await?;
        parts::of_job(&mut transaction, &job).await.map_err(|error| read_failed(doing, error))
    }

    async fn parts_of_range(&self, job: Uuid, range: Range<u64>) -> Result<PartsOfRange, Fault> {
        let doing = "listing the parts of a range of an export";
        let mut transaction = self.begin_read(doing).await?;
        parts::of_range(&mut transaction, &job, range).await.map_err(|error| read_failed(doing, error))
    }

    async fn start_over(&self, claim: Claim) -> Result<bool, Fault> {
        let doing = "forgetting the parts of an export that begins again";
        let mut transaction = self.begin_write(doing).await?;
        let forgotten = parts::start_over(&mut transaction, claim).await;
        self.settle(doing, transaction, forgotten).await
    }

    async fn let_go(&self, claim: Claim, rest: Option<Pending>, counts: bool) -> Result<bool, Fault> {
        let doing = "letting an export job go";
        let mut transaction = self.begin_write(doing).await?;
        let let_go = line::let_go(&mut transaction, claim, rest, counts).await;
        self.settle(doing, transaction, let_go).await
    }

    async fn end(
        &self,
        claim: Claim,
        end: JobEnd,
        at_ms: i64,
        notices: Vec<NewNotification>,
    ) -> Result<bool, Fault> {
        let doing = "ending an export job";
        let mut transaction = self.begin_write(doing).await?;
        let ended = ending::end(&mut transaction, &self.sealer, claim, end, at_ms, notices).await;
        self.settle(doing, transaction, ended).await
    }

    async fn fail_unread(&self, seen: Claim, error: JobError, at_ms: i64) -> Result<bool, Fault> {
        let doing = "failing an export job that cannot be read";
        let mut transaction = self.begin_write(doing).await?;
        let failed = ending::fail_unread(&mut transaction, seen, error, at_ms).await;
        self.settle(doing, transaction, failed).await
    }

    async fn cancel(
        &self,
        tenant: &TenantName,
        id: Uuid,
        at_ms: i64,
        notices: Vec<NewNotification>,
        audit: AuditEntry,
    ) -> Result<bool, Fault> {
        let doing = "cancelling an export job";
        let mut transaction = self.begin_write(doing).await?;
        let cancelled =
            ending::cancel(&mut transaction, &self.sealer, tenant, &id, at_ms, notices, audit).await;
        self.settle(doing, transaction, cancelled).await
    }

    async fn expire(&self, tenant: &TenantName, id: Uuid, audit: Option<AuditEntry>) -> Result<bool, Fault> {
        let doing = "taking the files of an export back";
        let mut transaction = self.begin_write(doing).await?;
        let expired = ending::expire(&mut transaction, tenant, &id, self.clock.now_ms(), audit).await;
        self.settle(doing, transaction, expired).await
    }

    async fn remove(
        &self,
        tenant: &TenantName,
        id: Uuid,
        states: &[JobState],
        audit: AuditEntry,
    ) -> Result<bool, Fault> {
        let doing = "removing an export job";
        let mut transaction = self.begin_write(doing).await?;
        let removed = ending::remove(&mut transaction, tenant, &id, states, audit).await;
        self.settle(doing, transaction, removed).await
    }

    async fn due_to_expire(&self, now_ms: i64, limit: usize) -> Result<Vec<(TenantName, Uuid)>, Fault> {
        let doing = "listing exports whose files are due to be removed";
        let mut transaction = self.begin_read(doing).await?;
        reading::due_to_expire(&mut transaction, now_ms, limit)
            .await
            .map_err(|error| read_failed(doing, error))
    }

    async fn leftovers(&self, behind: Option<(Uuid, u32)>, limit: usize) -> Result<Vec<LeftoverPart>, Fault> {
        let doing = "listing what is left of exports";
        let mut transaction = self.begin_read(doing).await?;
        parts::leftovers(&mut transaction, behind, limit).await.map_err(|error| read_failed(doing, error))
    }

    async fn forget_parts(&self, parts: &[LeftoverPart]) -> Result<(), Fault> {
        let doing = "forgetting what is left of exports";
        for some in parts.chunks(parts::FORGOTTEN_AT_ONCE) {
            let mut transaction = self.begin_write(doing).await?;
            let forgotten = parts::forget(&mut transaction, some).await;
            self.settle(doing, transaction, forgotten).await?;
        }
        Ok(())
    }

    async fn forget_ended_before(&self, before_ms: i64) -> Result<u64, Fault> {
        self.forget_in_steps("forgetting old export jobs", ending::FORGET, before_ms).await
    }

    /// In steps between which other writers get their turn; what is to be told is withdrawn in each, as a worker may end
    /// a job in between.
    async fn end_all(&self, tenant: &TenantName, at_ms: i64) -> Result<u64, Fault> {
        let doing = "ending the export jobs of a tenant";
        let mut ended = 0;
        loop {
            let mut transaction = self.begin_write(doing).await?;
            let step = ending::end_some(&mut transaction, tenant, at_ms)
                .await
                .map_err(|error| self.write_failed(doing, error))?;
            self.commit(doing, transaction).await?;
            if step == 0 {
                return Ok(ended);
            }
            ended += step;
        }
    }
}

/// The states that this one may follow, as a JSON array: what an update of the table must find.
fn leaders(of: JobState) -> String {
    names(of.leaders())
}

/// States as a JSON array.
fn names(states: impl IntoIterator<Item = JobState>) -> String {
    states.into_iter().map(JobState::name).collect::<serde_json::Value>().to_string()
}
