//! The table of export jobs: fenced like the real one, with pins and notices kept in the same step.

use super::World;
use async_trait::async_trait;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::Ordering;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::retry::Pending;
use tollbook_model::audit::AuditEntry;
use tollbook_model::export_job::*;
use tollbook_model::ports::*;
use tollbook_model::tenant::TenantName;
use tollbook_model::time_range::TimeRange;
use uuid::Uuid;

/// A job as it is kept.
#[derive(Clone)]
pub(crate) struct JobRow {
    pub(crate) job: ExportJob,
    pub(crate) generation: u64,
    pub(crate) lease: Option<Lease>,
    pub(crate) rests: Option<Pending>,
    pub(crate) parts: Vec<ExportPart>,
    pub(crate) pinned: Option<Snapshot>,
    /// Its order makes no sense to this version.
    pub(crate) is_unreadable: bool,
    /// The next claim goes on with the attempt that a stop broke off.
    pub(crate) goes_on: bool,
    /// Percents that were told, in order.
    pub(crate) told: Vec<u8>,
}

/// All jobs, by age.
#[derive(Default)]
pub(crate) struct JobTable {
    pub(crate) rows: BTreeMap<Uuid, JobRow>,
    keys: Vec<(IdempotencyKey, Uuid, i64)>,
    pub(crate) outbox: Vec<NewNotification>,
    /// Parts of jobs that are gone.
    left_over: Vec<(Uuid, ExportPart)>,
}

impl JobTable {
    /// The row, while this claim holds.
    fn held(&mut self, claim: Claim) -> Option<&mut JobRow> {
        let row = self.rows.get_mut(&claim.job)?;
        (row.generation == claim.generation && row.job.state == JobState::Running).then_some(row)
    }

    /// What an order with this key is answered, if one came before.
    fn answer_of(&self, key: &IdempotencyKey, now_ms: i64) -> Option<Ordered> {
        let same = |(known, _, at_ms): &&(IdempotencyKey, Uuid, i64)| {
            *at_ms > now_ms - IDEMPOTENCY_KEPT_MS
                && (known.credential, &known.path, &known.key) == (key.credential, &key.path, &key.key)
        };
        // An older one of the same words may be there still.
        let (known, id, _) = self.keys.iter().rev().find(same)?;
        Some(match known.request == key.request {
            true => Ordered::Before(Box::new(self.shown(&self.rows[id]))),
            false => Ordered::OtherRequest,
        })
    }

    fn shown(&self, row: &JobRow) -> ExportJob {
        let before = |other: &&JobRow| {
            other.job.state == JobState::Queued
                && other.job.tenant == row.job.tenant
                && other.job.id <= row.job.id
        };
        let queue_position =
            (row.job.state == JobState::Queued).then(|| self.rows.values().filter(before).count() as u64);
        ExportJob { queue_position, ..row.job.clone() }
    }
}

/// The one road from state to state; false when the table forbids it.
fn move_to(row: &mut JobRow, state: JobState, at_ms: i64) -> bool {
    if !row.job.state.followers().contains(&state) {
        return false;
    }
    row.job.state = state;
    if state != JobState::Expired {
        row.job.finished_at_ms = Some(at_ms);
    }
    (row.pinned, row.lease, row.rests, row.job.callback_key) = (None, None, None, None);
    true
}

impl World {
    pub(crate) fn job(&self, id: Uuid) -> ExportJob {
        self.jobs.lock().unwrap().rows[&id].job.clone()
    }

    pub(crate) fn state(&self, id: Uuid) -> JobState {
        self.job(id).state
    }

    /// Changes what is kept of a job behind everybody's back.
    pub(crate) fn tamper(&self, id: Uuid, change: impl FnOnce(&mut JobRow)) {
        change(self.jobs.lock().unwrap().rows.get_mut(&id).unwrap());
    }

    /// Names of what was told, by the state of the job that it tells of.
    pub(crate) fn told(&self) -> Vec<String> {
        let jobs = self.jobs.lock().unwrap();
        jobs.outbox.iter().map(|notice| notice.content.reveal().clone()).collect()
    }
}

#[async_trait]
impl ExportJobs for World {
    async fn order(
        &self,
        job: ExportJob,
        most_queued: u32,
        key: Option<IdempotencyKey>,
        audit: AuditEntry,
    ) -> Result<Ordered, Fault> {
        let mut jobs = self.jobs.lock().unwrap();
        if let Some(answer) = key.as_ref().and_then(|key| jobs.answer_of(key, job.created_at_ms)) {
            return Ok(answer);
        }
        let waits = |row: &&JobRow| row.job.state == JobState::Queued && row.job.tenant == job.tenant;
        if jobs.rows.values().filter(waits).count() >= most_queued as usize {
            return Ok(Ordered::QueueIsFull);
        }
        self.log(vec![audit])?;
        jobs.keys.extend(key.map(|key| (key, job.id, job.created_at_ms)));
        let (generation, lease, rests, pinned) = (0, None, None, None);
        let (parts, told, is_unreadable, goes_on) = (Vec::new(), Vec::new(), false, false);
        jobs.rows.insert(
            job.id,
            JobRow { job, generation, lease, rests, parts, pinned, is_unreadable, goes_on, told },
        );
        Ok(Ordered::New)
    }
    async fn ordered_before(&self, key: &IdempotencyKey, now_ms: i64) -> Result<Option<Ordered>, Fault> {
        Ok(self.jobs.lock().unwrap().answer_of(key, now_ms))
    }
    async fn find(&self, id: Uuid) -> Result<Option<ExportJob>, Fault> {
        let jobs = self.jobs.lock().unwrap();
        if self.look_ups_fail.load(Ordering::SeqCst) {
            return Err(Fault::new(Code::Unavailable, "the table is busy"));
        }
        Ok(jobs.rows.get(&id).map(|row| jobs.shown(row)))
    }
    async fn list(&self, filter: &JobFilter) -> Result<Vec<ExportJob>, Fault> {
        let jobs = self.jobs.lock().unwrap();
        let any = |list: bool, found: bool| list || found;
        let wanted = |job: &ExportJob| {
            job.tenant == filter.tenant
                && filter.datasets.contains(&job.order.query.selection.dataset)
                && any(filter.states.is_empty(), filter.states.contains(&job.state))
                && any(filter.dialects.is_empty(), filter.dialects.contains(&job.dialect))
                && (filter.created_from_ms..filter.created_to_ms).contains(&job.created_at_ms)
                && filter.behind.is_none_or(|behind| (job.created_at_ms, job.id) < behind)
        };
        let mut found: Vec<_> =
            jobs.rows.values().filter(|row| wanted(&row.job)).map(|row| jobs.shown(row)).collect();
        found.sort_by_key(|job| std::cmp::Reverse((job.created_at_ms, job.id)));
        found.truncate(filter.limit);
        Ok(found)
    }
    async fn rename(
        &self,
        tenant: &TenantName,
        id: Uuid,
        reference: Option<String>,
        audit: AuditEntry,
    ) -> Result<bool, Fault> {
        let mut jobs = self.jobs.lock().unwrap();
        let Some(row) = jobs.rows.get_mut(&id).filter(|row| row.job.tenant == *tenant) else {
            return Ok(false);
        };
        self.log(vec![audit])?;
        row.job.external_reference = reference;
        Ok(true)
    }
    async fn in_line(&self) -> Result<Vec<JobInLine>, Fault> {
        let jobs = self.jobs.lock().unwrap();
        let open = jobs.rows.values().filter(|row| !row.job.state.has_ended());
        Ok(open
            .map(|row| JobInLine {
                claim: Claim { job: row.job.id, generation: row.generation },
                tenant: row.job.tenant.clone(),
                state: row.job.state,
                created_at_ms: row.job.created_at_ms,
                rows_estimated: row.job.progress.rows_estimated,
                lease: row.lease,
                rests: row.rests,
            })
            .collect())
    }
    async fn claim(
        &self,
        seen: Claim,
        lease: Lease,
        now_ms: i64,
    ) -> Result<Option<(Claim, ExportJob)>, Fault> {
        self.writable()?;
        let mut jobs = self.jobs.lock().unwrap();
        let Some(row) = jobs.rows.get_mut(&seen.job) else { return Ok(None) };
        let is_had = row.lease.is_some_and(|lease| !lease.holds.is_over(now_ms));
        let rests = row.rests.is_some_and(|rest| !rest.is_over(now_ms));
        if row.generation != seen.generation || row.job.state.has_ended() || is_had || rests {
            return Ok(None);
        }
        if row.is_unreadable {
            return Err(Fault::internal("an order names something unknown"));
        }
        row.generation += 1;
        row.job.attempt += u32::from(!std::mem::take(&mut row.goes_on));
        row.job.state = JobState::Running;
        row.job.started_at_ms.get_or_insert(now_ms);
        (row.lease, row.rests) = (Some(lease), None);
        Ok(Some((Claim { generation: row.generation, ..seen }, row.job.clone())))
    }
    async fn disown_others(&self, owner: Uuid) -> Result<(), Fault> {
        for row in self.jobs.lock().unwrap().rows.values_mut() {
            row.lease = row.lease.filter(|lease| lease.owner == owner);
        }
        Ok(())
    }
    async fn pin(
        &self,
        claim: Claim,
        _: &SnapshotScope,
        _: TimeRange,
        now_ms: i64,
    ) -> Result<Option<(JobSnapshot, Sight)>, Fault> {
        let watermark = self.committed.lock().unwrap().len() as u64;
        let mut jobs = self.jobs.lock().unwrap();
        let Some(row) = jobs.held(claim) else { return Ok(None) };
        let seen = *row.job.snapshot.get_or_insert(JobSnapshot { at_ms: now_ms, watermark });
        let snapshot = Snapshot { watermark: seen.watermark, ..Snapshot::default() };
        let pinned = row.pinned.get_or_insert(snapshot).clone();
        Ok(Some((seen, Sight::Records(Box::new(pinned)))))
    }
    async fn keep_sight(&self, claim: Claim, seen: JobSnapshot) -> Result<Option<JobSnapshot>, Fault> {
        let mut jobs = self.jobs.lock().unwrap();
        Ok(jobs.held(claim).map(|row| *row.job.snapshot.get_or_insert(seen)))
    }
    async fn heartbeat(&self, claim: Claim, lease: Lease, progress: JobProgress) -> Result<bool, Fault> {
        let mut jobs = self.jobs.lock().unwrap();
        let Some(row) = jobs.held(claim) else { return Ok(false) };
        (row.lease, row.job.progress) = (Some(lease), progress);
        row.told.push(progress.percent);
        Ok(true)
    }
    async fn keep_part(&self, claim: Claim, part: ExportPart) -> Result<bool, Fault> {
        self.writable()?;
        let mut jobs = self.jobs.lock().unwrap();
        let Some(row) = jobs.held(claim) else { return Ok(false) };
        if part.number as usize != row.parts.len() {
            return Err(Fault::new(Code::Conflict, "the part does not follow"));
        }
        row.parts.push(part);
        Ok(true)
    }
    async fn parts(&self, job: Uuid) -> Result<Vec<ExportPart>, Fault> {
        let jobs = self.jobs.lock().unwrap();
        let left = jobs.left_over.iter().filter(|(of, _)| *of == job).map(|(_, part)| part);
        Ok(jobs.rows.get(&job).map_or_else(|| left.cloned().collect(), |row| row.parts.clone()))
    }
    async fn parts_of_range(&self, job: Uuid, range: Range<u64>) -> Result<PartsOfRange, Fault> {
        let (mut found, mut ends) = (PartsOfRange { parts: Vec::new(), before: 0, whole: 0 }, 0);
        for part in self.parts(job).await? {
            let starts = ends;
            ends += part.bytes;
            if part.bytes > 0 && ends > range.start && starts < range.end {
                if found.parts.is_empty() {
                    found.before = starts;
                }
                found.parts.push(part);
            }
        }
        Ok(PartsOfRange { whole: ends, ..found })
    }
    async fn start_over(&self, claim: Claim) -> Result<bool, Fault> {
        let mut jobs = self.jobs.lock().unwrap();
        Ok(jobs.held(claim).map(|row| row.parts.clear()).is_some())
    }
    async fn let_go(&self, claim: Claim, rest: Option<Pending>, counts: bool) -> Result<bool, Fault> {
        let mut jobs = self.jobs.lock().unwrap();
        let Some(row) = jobs.held(claim) else { return Ok(false) };
        row.generation += 1;
        row.goes_on = !counts;
        (row.lease, row.rests) = (None, rest);
        Ok(true)
    }
    async fn end(
        &self,
        claim: Claim,
        end: JobEnd,
        at_ms: i64,
        notices: Vec<NewNotification>,
    ) -> Result<bool, Fault> {
        self.writable()?;
        let mut jobs = self.jobs.lock().unwrap();
        let Some(row) = jobs.held(claim) else { return Ok(false) };
        let state = match end {
            JobEnd::Ready { files, manifest, expires_at_ms } => {
                (row.job.files, row.job.manifest) = (files, manifest);
                row.job.expires_at_ms = Some(expires_at_ms);
                JobState::Ready
            }
            JobEnd::Failed(error) => {
                row.job.error = Some(error);
                JobState::Failed
            }
        };
        assert!(move_to(row, state, at_ms));
        jobs.outbox.extend(notices);
        Ok(true)
    }
    async fn fail_unread(&self, seen: Claim, error: JobError, at_ms: i64) -> Result<bool, Fault> {
        let mut jobs = self.jobs.lock().unwrap();
        let found = jobs.rows.get_mut(&seen.job).filter(|row| row.generation == seen.generation);
        let Some(row) = found else { return Ok(false) };
        row.job.error = Some(error);
        Ok(move_to(row, JobState::Failed, at_ms))
    }
    async fn cancel(
        &self,
        tenant: &TenantName,
        id: Uuid,
        at_ms: i64,
        notices: Vec<NewNotification>,
        audit: AuditEntry,
    ) -> Result<bool, Fault> {
        self.writable()?;
        let mut jobs = self.jobs.lock().unwrap();
        let Some(row) = jobs.rows.get_mut(&id).filter(|row| row.job.tenant == *tenant) else {
            return Ok(false);
        };
        if !move_to(row, JobState::Cancelled, at_ms) {
            return Ok(false);
        }
        jobs.outbox.extend(notices);
        self.log(vec![audit])?;
        Ok(true)
    }
    async fn expire(&self, tenant: &TenantName, id: Uuid, audit: Option<AuditEntry>) -> Result<bool, Fault> {
        self.writable()?;
        let mut jobs = self.jobs.lock().unwrap();
        let Some(row) = jobs.rows.get_mut(&id).filter(|row| row.job.tenant == *tenant) else {
            return Ok(false);
        };
        if !move_to(row, JobState::Expired, 0) {
            return Ok(false);
        }
        self.log(audit.into_iter().collect())?;
        Ok(true)
    }
    async fn remove(
        &self,
        tenant: &TenantName,
        id: Uuid,
        states: &[JobState],
        audit: AuditEntry,
    ) -> Result<bool, Fault> {
        self.writable()?;
        let mut jobs = self.jobs.lock().unwrap();
        let meant = |row: &JobRow| states.contains(&row.job.state) && row.job.tenant == *tenant;
        if !jobs.rows.get(&id).is_some_and(meant) {
            return Ok(false);
        }
        self.log(vec![audit])?;
        let row = jobs.rows.remove(&id).unwrap();
        jobs.left_over.extend(row.parts.into_iter().map(|part| (id, part)));
        jobs.keys.retain(|(_, job, _)| *job != id);
        jobs.outbox.retain(|notice| notice.job != id);
        Ok(true)
    }
    async fn due_to_expire(&self, now_ms: i64, limit: usize) -> Result<Vec<(TenantName, Uuid)>, Fault> {
        let jobs = self.jobs.lock().unwrap();
        let due = |row: &&JobRow| {
            row.job.state == JobState::Ready && row.job.expires_at_ms.is_some_and(|end| end <= now_ms)
        };
        let due = jobs.rows.values().filter(due).take(limit);
        Ok(due.map(|row| (row.job.tenant.clone(), row.job.id)).collect())
    }
    async fn leftovers(&self, behind: Option<(Uuid, u32)>, limit: usize) -> Result<Vec<LeftoverPart>, Fault> {
        let jobs = self.jobs.lock().unwrap();
        let over = |row: &&JobRow| row.job.state.has_ended() && row.job.state != JobState::Ready;
        let of_rows = jobs.rows.values().filter(over);
        let of_rows = of_rows.flat_map(|row| row.parts.iter().map(|part| (row.job.id, part)));
        let of_removed = jobs.left_over.iter().map(|(job, part)| (*job, part));
        let leftover = |(job, part): (Uuid, &ExportPart)| LeftoverPart {
            job,
            number: part.number,
            path: part.path.clone(),
        };
        let mut all: Vec<_> = of_rows.chain(of_removed).map(leftover).collect();
        all.sort_by_key(|part| (part.job, part.number));
        all.retain(|part| behind.is_none_or(|behind| (part.job, part.number) > behind));
        all.truncate(limit);
        Ok(all)
    }
    async fn forget_parts(&self, parts: &[LeftoverPart]) -> Result<(), Fault> {
        let mut jobs = self.jobs.lock().unwrap();
        for part in parts {
            jobs.left_over.retain(|(job, kept)| (*job, kept.number) != (part.job, part.number));
            if let Some(row) = jobs.rows.get_mut(&part.job) {
                row.parts.retain(|kept| kept.number != part.number);
            }
        }
        Ok(())
    }
    async fn forget_ended_before(&self, before_ms: i64) -> Result<u64, Fault> {
        let mut jobs = self.jobs.lock().unwrap();
        let before = jobs.rows.len();
        jobs.rows.retain(|_, row| {
            let ended = row.job.finished_at_ms.is_some_and(|end| end < before_ms);
            !(ended && row.parts.is_empty() && row.job.state != JobState::Ready)
        });
        Ok((before - jobs.rows.len()) as u64)
    }
    async fn end_all(&self, tenant: &TenantName, at_ms: i64) -> Result<u64, Fault> {
        let mut jobs = self.jobs.lock().unwrap();
        let mut ended = 0;
        for row in jobs.rows.values_mut().filter(|row| row.job.tenant == *tenant) {
            let to = if row.job.state == JobState::Ready { JobState::Expired } else { JobState::Cancelled };
            ended += u64::from(move_to(row, to, at_ms));
        }
        jobs.outbox.retain(|notice| notice.tenant != *tenant);
        Ok(ended)
    }
}
