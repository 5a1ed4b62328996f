//! Retention: drops whole days that a tenant does not keep any longer, and everything of a tenant whose time is over.
//!
//! Of a tenant in use it drops parts only. Records that are older already when they arrive are taken like any other, and
//! their whole day stays until nothing has come for it for a while: who loads old records wants to use them, and of a
//! record's revisions the latest must not go first. Of a tenant that is over nothing is waited for, and batches that
//! compaction has not moved yet go as well. Erasing the bytes is the sweep's business.

use super::{plan, rounds};
use crate::config::{StoreConfig, millis};
use std::sync::{Arc, Mutex, PoisonError};
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::Fault;
use tollbook_kit::supervise::{OnError, Supervisor};
use tollbook_model::dataset::Dataset;
use tollbook_model::ports::{Manifest, ManifestPart, Replacement, Snapshot, SnapshotScope, Tenants};
use tollbook_model::tenant::Tenant;
use tollbook_model::time_range::{TimeRange, utc_day};
use uuid::Uuid;

/// What retention has done since the process started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetentionStatus {
    /// Rounds over all tenants.
    pub rounds: u64,
    /// When the last round ended, in milliseconds; none before the first.
    pub last_round_at_ms: Option<i64>,
    /// Parts dropped.
    pub parts: u64,
    /// Journal batches dropped, of tenants whose time is over.
    pub batches: u64,
    /// Records in both.
    pub rows: u64,
}

/// Parts or batches that go in one transaction, so that it does not keep others waiting.
const DROPPED_AT_ONCE: usize = 1000;
/// How often a round looks again when compaction has swapped what was about to go.
const PASSES: usize = 3;

/// What retention needs of the outside.
pub struct RetentionParts {
    /// Knobs.
    pub config: Arc<StoreConfig>,
    /// The manifest's tables.
    pub manifest: Arc<dyn Manifest>,
    /// Who keeps records how long.
    pub tenants: Arc<dyn Tenants>,
    /// Decides which days are past.
    pub clock: Arc<dyn Clock>,
}

/// The retention of all tenants. Clones share one status.
#[derive(Clone)]
pub struct Retention {
    parts: Arc<RetentionParts>,
    status: Arc<Mutex<RetentionStatus>>,
}

impl Retention {
    /// Retention that does nothing until it is asked or started.
    pub fn new(parts: RetentionParts) -> Self {
        Self { parts: Arc::new(parts), status: Arc::default() }
    }

    /// Starts the task `retention`.
    pub fn start(&self, supervisor: &Supervisor) {
        let (this, stop) = (self.clone(), supervisor.stop_token());
        let rhythm = (self.parts.config.retention_round, self.parts.config.retention_round);
        let task = async move { rounds::run("retention", rhythm, None, stop, || this.round()).await };
        supervisor.spawn("retention", OnError::Log, task);
    }

    /// What it has done.
    pub fn status(&self) -> RetentionStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One round over all tenants.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`; the next round goes on.
    pub async fn round(&self) -> Result<(), Fault> {
        for scope in self.parts.manifest.scopes().await? {
            // Nobody said how long an unknown tenant's records are to be kept, so they are.
            let Some(tenant) = self.parts.tenants.find(&scope.tenant).await? else { continue };
            if tenant.is_over(self.parts.clock.now_ms()) {
                self.drop_everything(scope).await?;
            } else if scope.dataset == Dataset::Cdr {
                self.drop_past_days(scope, &tenant).await?;
            }
        }
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.rounds += 1;
        status.last_round_at_ms = Some(self.parts.clock.now_ms());
        Ok(())
    }

    /// Leaves nothing live, so that the scope is not met again. What compaction publishes meanwhile goes with the next
    /// pass or round.
    async fn drop_everything(&self, scope: SnapshotScope) -> Result<(), Fault> {
        for _ in 0..PASSES {
            let snapshot = self.parts.manifest.snapshot(&scope, TimeRange::all()).await?;
            if snapshot.parts.is_empty() && snapshot.batches.is_empty() {
                return Ok(());
            }
            for some in snapshot.batches.chunks(DROPPED_AT_ONCE) {
                let ids = some.iter().map(|batch| batch.id).collect();
                let rows = some.iter().map(|batch| batch.rows).sum();
                self.drop(&scope, Dropped { batches: ids, rows, ..Dropped::default() }).await?;
            }
            for some in snapshot.parts.chunks(DROPPED_AT_ONCE) {
                self.drop(&scope, Dropped::parts(some.iter())).await?;
            }
        }
        Ok(())
    }

    async fn drop_past_days(&self, scope: SnapshotScope, tenant: &Tenant) -> Result<(), Fault> {
        let now_ms = self.parts.clock.now_ms();
        let days = i32::try_from(tenant.settings.cdr_days).unwrap_or(i32::MAX);
        let first_kept = utc_day(now_ms).saturating_sub(days);
        let snapshot = self.parts.manifest.snapshot(&scope, past_range(first_kept)?).await?;
        let quiet_since_ms = now_ms.saturating_sub(millis(self.parts.config.late_grace));
        let past = Dropped::parts(
            snapshot
                .parts
                .iter()
                .filter(|part| part.day < first_kept && is_quiet(part.day, &snapshot, quiet_since_ms)),
        );
        if past.parts.is_empty() { Ok(()) } else { self.drop(&scope, past).await }
    }

    /// Dooms all of it or, when compaction was quicker with any of it, nothing: that is made good later.
    async fn drop(&self, scope: &SnapshotScope, dropped: Dropped) -> Result<(), Fault> {
        let (parts, batches) = (dropped.parts.len() as u64, dropped.batches.len() as u64);
        let replacement = Replacement {
            scope: scope.clone(),
            batches: dropped.batches,
            old_parts: dropped.parts,
            new_parts: Vec::new(),
            at_ms: self.parts.clock.now_ms(),
        };
        if self.parts.manifest.replace(replacement).await? {
            let rows = dropped.rows;
            tracing::info!(
                tenant = %scope.tenant, dataset = %scope.dataset, parts, batches, rows,
                "dropped records past their retention"
            );
            let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
            status.parts += parts;
            status.batches += batches;
            status.rows += rows;
        }
        Ok(())
    }
}

/// What goes together.
#[derive(Default)]
struct Dropped {
    parts: Vec<Uuid>,
    batches: Vec<Uuid>,
    rows: u64,
}

impl Dropped {
    fn parts<'p>(parts: impl Iterator<Item = &'p ManifestPart>) -> Self {
        let mut dropped = Self::default();
        for part in parts {
            dropped.parts.push(part.id);
            dropped.rows += part.rows;
        }
        dropped
    }
}

/// Has nothing come for the day since then?
fn is_quiet(day: i32, snapshot: &Snapshot, since_ms: i64) -> bool {
    let parts = snapshot.parts.iter().filter(|part| part.day == day).map(published_at_ms);
    let batches = snapshot.batches.iter().filter(|batch| plan::touches_day(batch, day));
    parts.chain(batches.map(|batch| batch.received_at_ms)).all(|at_ms| at_ms <= since_ms)
}

/// When a part was written, which is never before its newest records were received: ids of parts begin with the time.
fn published_at_ms(part: &ManifestPart) -> i64 {
    let written = part.id.get_timestamp().map(|time| time.to_unix());
    written.map_or(0, |(seconds, nanos)| {
        i64::try_from(seconds).unwrap_or(i64::MAX / 1000).saturating_mul(1000) + i64::from(nanos / 1_000_000)
    })
}

fn past_range(first_kept: i32) -> Result<TimeRange, Fault> {
    let end = i64::from(first_kept) * crate::record_keys::DAY_MS;
    TimeRange::new(i64::MIN, end).ok_or_else(|| Fault::internal("a retention that ends before time begins"))
}
