//! What retention drops, and what it leaves.

use super::*;
use crate::lake::retention::{Retention, RetentionParts};
use async_trait::async_trait;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use tollbook_model::audit::AuditEntry;
use tollbook_model::ports::{DoomedObject, Manifest, Replacement, Rollup, Snapshot, Tenants};
use tollbook_model::tenant::{TenantSettings, TenantState};
use uuid::Uuid;

/// The tenant that all records here are of, in a state that a test may change.
pub(super) struct OneTenant {
    cdr_retention_days: u32,
    state: Mutex<TenantState>,
}

impl OneTenant {
    pub(super) fn open(cdr_retention_days: u32) -> Arc<Self> {
        Arc::new(Self { cdr_retention_days, state: TenantState::Open.into() })
    }
    fn becomes(&self, state: TenantState) {
        *self.state.lock().unwrap() = state;
    }
    fn tenant(&self) -> Tenant {
        let state = *self.state.lock().unwrap();
        Tenant { state, ..tenant().with_cdr_days(self.cdr_retention_days) }
    }
}

#[async_trait]
impl Tenants for OneTenant {
    async fn find(&self, _name: &TenantName) -> Result<Option<Tenant>, Fault> {
        Ok(Some(self.tenant()))
    }
    async fn list(&self) -> Result<Vec<Tenant>, Fault> {
        Ok(vec![self.tenant()])
    }
    async fn count(&self) -> Result<u64, Fault> {
        Ok(1)
    }
    async fn create(&self, _tenant: Tenant, _audit: AuditEntry) -> Result<(), Fault> {
        Err(Fault::internal("there is one tenant only"))
    }
    async fn change(&self, _tenant: Tenant, _audit: AuditEntry) -> Result<bool, Fault> {
        Err(Fault::internal("this tenant does not change"))
    }
    async fn erase(&self, _name: &TenantName, _audit: AuditEntry) -> Result<bool, Fault> {
        Err(Fault::internal("this tenant stays"))
    }
}

fn retention(world: &World, cdr_retention_days: u32) -> Retention {
    retention_of(world, OneTenant::open(cdr_retention_days))
}

fn retention_of(world: &World, tenants: Arc<OneTenant>) -> Retention {
    Retention::new(RetentionParts {
        config: world.config.clone(),
        manifest: Arc::new(world.catalog.clone()),
        tenants,
        clock: world.clock.clone(),
    })
}

async fn days_of(world: &World) -> Vec<i32> {
    let mut days: Vec<i32> = world.snapshot().await.parts.iter().map(|part| part.day).collect();
    days.dedup();
    days
}

#[test]
fn retention_drops_whole_days_and_nothing_else() {
    block_on(async {
        let world = World::new(small_config());
        world.submit(&many(0..30, 1)).await.unwrap();
        world.compaction.compact_now().await.unwrap();
        world.clock.advance(Duration::from_millis(7 * DAY_MS as u64));
        let retention = retention(&world, 8);
        retention.round().await.unwrap();
        assert_eq!(days_of(&world).await, [20_001, 20_002], "eight days ago and later are kept");
        assert_eq!((retention.status().parts, retention.status().rows), (1, 10));
        retention.round().await.unwrap();
        assert_eq!(retention.status().parts, 1);
    });
}

#[test]
fn a_past_day_stays_while_records_come_for_it() {
    block_on(async {
        let world = World::new(small_config());
        let retention = retention(&world, 1);
        world.submit(&many(0..30, 1)).await.unwrap();
        world.compaction.compact_now().await.unwrap();
        world.clock.advance(world.config.late_grace - Duration::from_millis(1));
        retention.round().await.unwrap();
        assert_eq!(
            days_of(&world).await,
            [20_000, 20_001, 20_002],
            "loaded a little less than the grace ago"
        );
        // Another one for the first day, in the journal at first.
        world.submit(&[Call { key: 0, seconds: 2 }]).await.unwrap();
        world.clock.advance(Duration::from_millis(1));
        retention.round().await.unwrap();
        assert_eq!(days_of(&world).await, [20_000], "the others' time is over");
        world.compact_when_due().await;
        retention.round().await.unwrap();
        let seen = world.read().await;
        assert_eq!(seen.latest.len(), 10);
        assert_eq!(seen.latest[&Call { key: 0, seconds: 2 }.id()].seconds, 2);
        world.clock.advance(world.config.late_grace);
        retention.round().await.unwrap();
        assert_eq!(world.read().await.latest.len(), 0);
    });
}

#[test]
fn of_a_tenant_whose_time_is_over_nothing_stays() {
    block_on(async {
        let world = World::new(small_config());
        let tenants = OneTenant::open(TenantSettings::MOST_DAYS);
        let retention = retention_of(&world, tenants.clone());
        world.submit(&many(0..30, 1)).await.unwrap();
        world.compaction.compact_now().await.unwrap();
        // What compaction has not moved yet: batches inline, and one large enough to be an object.
        world.submit(&many(30..33, 1)).await.unwrap();
        world.submit(&many(100..1600, 1)).await.unwrap();
        assert!(!world.blobs.list("journal").unwrap().is_empty());
        let ends_at_ms = NOW_MS + DAY_MS;
        tenants.becomes(TenantState::Closing { ends_at_ms });
        world.clock.advance(Duration::from_millis(DAY_MS as u64 - 1));
        retention.round().await.unwrap();
        assert_eq!(retention.status().rows, 0, "its exports work until the last moment");
        assert_eq!(world.read().await.latest.len(), 1533);

        world.clock.advance(Duration::from_millis(1));
        let exporting = world.snapshot().await;
        retention.round().await.unwrap();
        let status = retention.status();
        assert_eq!((status.parts, status.batches, status.rows), (3, 6, 1533));
        let left = world.snapshot().await;
        assert_eq!((left.parts.len(), left.batches.len()), (0, 0));
        assert_eq!(world.catalog.scopes().await.unwrap(), [], "nothing calls it up again");

        world.clock.advance(world.config.erase_grace.max(world.config.batch_erase_grace));
        world.sweep.round().await.unwrap();
        assert_eq!(Seen::of(&exporting, world.blobs.as_ref()).await.latest.len(), 1533, "still being read");
        drop(exporting);
        world.sweep.round().await.unwrap();
        assert_eq!(world.catalog.doomed(i64::MAX, 100).await.unwrap(), []);
        assert_eq!(world.blobs.list("lake").unwrap().len() + world.blobs.list("journal").unwrap().len(), 0);

        tenants.becomes(TenantState::Closed);
        retention.round().await.unwrap();
        let after = retention.status();
        assert_eq!((after.parts, after.batches, after.rows), (status.parts, status.batches, status.rows));
    });
}

#[test]
fn what_compaction_publishes_while_a_tenant_is_dropped_goes_too() {
    block_on(async {
        let world = World::new(small_config());
        world.submit(&many(0..30, 1)).await.unwrap();
        let tenants = OneTenant::open(1);
        tenants.becomes(TenantState::Closed);
        let manifest = Arc::new(Overtaken {
            catalog: world.catalog.clone(),
            compaction: world.compaction.clone(),
            times: AtomicUsize::new(1),
        });
        let retention = Retention::new(RetentionParts {
            config: world.config.clone(),
            manifest,
            tenants,
            clock: world.clock.clone(),
        });
        retention.round().await.unwrap();
        let status = retention.status();
        assert_eq!((status.parts, status.batches, status.rows), (3, 0, 30), "only what was there at last");
        assert_eq!(world.catalog.scopes().await.unwrap(), []);
    });
}

/// A manifest in which compaction is quicker than whoever swaps, so many times.
struct Overtaken {
    catalog: MemoryCatalog,
    compaction: Compaction,
    times: AtomicUsize,
}

#[async_trait]
impl Manifest for Overtaken {
    async fn replace(&self, replacement: Replacement) -> Result<bool, Fault> {
        if self.times.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            self.compaction.compact_now().await?;
        }
        self.catalog.replace(replacement).await
    }
    async fn scopes(&self) -> Result<Vec<SnapshotScope>, Fault> {
        self.catalog.scopes().await
    }
    async fn snapshot(&self, scope: &SnapshotScope, range: TimeRange) -> Result<Snapshot, Fault> {
        self.catalog.snapshot(scope, range).await
    }
    async fn rollups(&self, parts: &[Uuid]) -> Result<Vec<(Uuid, Rollup)>, Fault> {
        self.catalog.rollups(parts).await
    }
    async fn doomed(&self, until_ms: i64, limit: usize) -> Result<Vec<DoomedObject>, Fault> {
        self.catalog.doomed(until_ms, limit).await
    }
    async fn forget(&self, ids: &[Uuid]) -> Result<(), Fault> {
        self.catalog.forget(ids).await
    }
    async fn names_object(&self, path: &str) -> Result<bool, Fault> {
        self.catalog.names_object(path).await
    }
}
