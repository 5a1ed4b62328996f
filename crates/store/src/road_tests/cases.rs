//! Single promises of the store, one test each.

use super::retention::OneTenant;
use super::*;
use crate::artifacts::{PartStore, UnpublishedPart};
use crate::blob::DirectoryBlobs;
use crate::config::{MAX_BODY_DAYS, ROUND_STEPS, STEP_DAYS};
use crate::lake::settle::SettledCounts;
use crate::lake::unnamed::refuse_unknown_lake;
use crate::{Store, StoreParts};
use async_trait::async_trait;
use std::collections::BTreeMap;
use tollbook_kit::fault::Code;
use tollbook_model::ports::{DoomedObject, Manifest, ManifestBatch, Replacement, Rollup, Snapshot};
use tollbook_model::time_range::utc_day;
use uuid::Uuid;

#[test]
fn sequences_are_gapless_and_told_to_each_request() {
    block_on(async {
        let world = World::new(small_config());
        let mut told = BTreeMap::new();
        for round in 0..5u16 {
            // Of a large one each day becomes a batch and an object of its own.
            let calls = many(round * 2000..round * 2000 + if round == 2 { 1500 } else { 3 }, 1);
            let (first, last) = world.submit(&calls).await.unwrap().sequences.unwrap();
            told.insert(first, last);
        }
        let mut next = 1;
        for (first, last) in told {
            assert_eq!(first, next);
            next = last + 1;
        }
        let seen = world.read().await;
        assert_eq!(seen.sequences, (1..next).collect::<Vec<_>>());
        assert_eq!(seen.watermark, next - 1);
        assert_eq!(world.blobs.list("journal").unwrap().len(), 3);
    });
}

/// Each batch's days and records, in the order of their sequences.
async fn batch_days(world: &World) -> Vec<(i32, i32, u64)> {
    let snapshot = world.snapshot().await;
    let of = |batch: &ManifestBatch| (utc_day(batch.time_ms.0), utc_day(batch.time_ms.1), batch.rows);
    snapshot.batches.iter().map(of).collect()
}

#[test]
fn a_batch_holds_one_day_and_a_submission_one_range_of_sequences() {
    block_on(async {
        let world = World::new(small_config());
        let mut expected = Expected::default();
        // Days come in turns; some records twice, some with other content, some known from before.
        let mixed = [many(0..90, 1), many(30..60, 2), many(0..6000, 1)].concat();
        for calls in [many(0..1, 1), many(0..30, 1), mixed, many(0..6000, 1)] {
            assert_eq!(world.submit(&calls).await.unwrap(), expected.take(&calls));
            expected.check(&world.read().await);
        }
        let day = |at: i32| FIRST_DAY as i32 + at;
        let days = batch_days(&world).await;
        assert_eq!(days[0], (day(0), day(0), 1));
        assert_eq!(days[1..4], [(day(0), day(0), 9), (day(1), day(1), 10), (day(2), day(2), 10)]);
        assert_eq!(days.iter().map(|(first, _, _)| *first).collect::<Vec<_>>()[4..], [0, 1, 2].map(day));
        assert!(days.iter().all(|(first, last, _)| first == last), "{days:?}");
    });
}

#[test]
fn requests_of_different_days_share_a_commit_but_no_batch() {
    block_on(async {
        let world = World::new(StoreConfig { gather: Duration::from_millis(200), ..small_config() });
        let mut expected = Expected::default();
        for round in 0..4u16 {
            // Lone records of all days, a body over all days, and one that is large, all of the same ids in part.
            let mut submissions: Vec<Vec<Call>> =
                (0..30).map(|key| many(key..key + 1, i64::from(round))).collect();
            submissions.push(many(0..20, i64::from(round) + 1));
            submissions.push(many(0..3000, 1).into_iter().filter(|call| call.key % 3 == 1).collect());
            together(&world, &mut expected, submissions).await;
            expected.check(&world.read().await);
        }
        let days = batch_days(&world).await;
        assert!(days.iter().all(|(first, last, _)| first == last), "{days:?}");
        let lone = days.iter().filter(|(_, _, rows)| *rows == 1).count();
        assert!(lone < 60, "{lone} batches of one record for 120 lone records");
    });
}

/// A record of a day since 1970.
fn of_day(day: usize) -> CallRecord<'static> {
    let start_ms = day as i64 * DAY_MS;
    let mut record = Call { key: 0, seconds: 1 }.record();
    let id = derive_id(&TenantName::default_tenant(), "src", "1", start_ms);
    record.set(CallField::Id, Value::Uuid(id)).unwrap();
    record.set(CallField::StartAt, Value::Instant(start_ms)).unwrap();
    record
}

#[test]
fn a_body_of_too_many_days_is_refused_as_a_whole() {
    block_on(async {
        let world = World::new(small_config());
        let body = |days: usize| {
            let mut sink = world.intake.open(&tenant(), Dataset::Cdr);
            (0..days).for_each(|day| sink.push(&of_day(day)));
            sink.commit()
        };
        let fault = body(MAX_BODY_DAYS + 1).await.unwrap_err();
        assert_eq!(fault.code(), Code::Invalid);
        assert!(fault.message().contains("at most 1000 different days"), "{}", fault.message());
        assert_eq!((world.catalog.appends(), world.snapshot().await.watermark), (0, 0));
        let committed = body(MAX_BODY_DAYS).await.unwrap();
        assert_eq!(committed.sequences, Some((1, MAX_BODY_DAYS as u64)));
    });
}

#[test]
fn requests_that_come_together_share_commits() {
    block_on(async {
        let world = World::new(StoreConfig { reserve_bytes: 0, ..StoreConfig::default() });
        for round in 0..10u16 {
            let submissions =
                (0..64).map(|client| many(round * 64 + client..round * 64 + client + 1, 1)).collect();
            together(&world, &mut Expected::default(), submissions).await;
        }
        assert!(world.catalog.appends() <= 40, "{} commits for 640 requests", world.catalog.appends());
    });
}

#[test]
fn a_full_disk_refuses_records_and_reads_go_on() {
    block_on(async {
        let clock = Arc::new(ManualClock::at(NOW_MS));
        let blobs = MemoryBlobs::new(clock.clone());
        let world = World::on(StoreConfig::default(), clock, Arc::new(blobs.clone()));
        world.submit(&many(0..5, 1)).await.unwrap();
        blobs.set_free_bytes(StoreConfig::default().reserve_bytes - 1);
        assert_eq!(world.submit(&many(5..9, 1)).await.unwrap_err().code(), Code::StorageFull);
        assert_eq!(world.read().await.latest.len(), 5);
        blobs.set_free_bytes(u64::MAX);
        let committed = world.submit(&many(5..9, 1)).await.unwrap();
        assert_eq!((committed.duplicates, committed.sequences), (0, Some((6, 9))));
    });
}

#[test]
fn the_sweep_waits_for_readers_and_for_its_grace() {
    block_on(async {
        let world = World::new(small_config());
        world.submit(&many(0..200, 1)).await.unwrap();
        let reader = world.snapshot().await;
        world.compaction.compact_now().await.unwrap();
        world.clock.advance(world.config.batch_erase_grace - Duration::from_millis(1));
        world.sweep.round().await.unwrap();
        assert_eq!((world.sweep.status().erased, world.sweep.status().pinned), (0, 0));
        world.clock.advance(Duration::from_millis(1));
        world.sweep.round().await.unwrap();
        assert_eq!((world.sweep.status().erased, world.sweep.status().pinned), (0, 3));
        assert_eq!(Seen::of(&reader, world.blobs.as_ref()).await.latest.len(), 200);
        drop(reader);
        world.sweep.round().await.unwrap();
        assert_eq!((world.sweep.status().erased, world.sweep.status().pinned), (3, 0));
        assert_eq!(world.blobs.list("journal").unwrap(), []);
        assert_eq!(world.read().await.latest.len(), 200);
    });
}

#[test]
fn replaced_parts_stay_longer_than_replaced_batches() {
    block_on(async {
        let world = World::new(small_config());
        for keys in [0..90, 90..180] {
            world.submit(&many(keys, 1)).await.unwrap();
            world.compaction.compact_now().await.unwrap();
        }
        // Of each of the three days two batches, and two parts that were merged.
        world.clock.advance(world.config.batch_erase_grace);
        world.sweep.round().await.unwrap();
        assert_eq!(world.sweep.status().erased, 6);
        assert_eq!(world.blobs.list("lake").unwrap().len(), world.snapshot().await.parts.len() + 6);
        world.clock.advance(world.config.erase_grace);
        world.sweep.round().await.unwrap();
        assert_eq!(world.sweep.status().erased, 12);
        assert_eq!(world.blobs.list("lake").unwrap().len(), world.snapshot().await.parts.len());
        assert_eq!(world.read().await.latest.len(), 180);
    });
}

#[test]
fn objects_without_a_row_are_set_aside_and_erased_a_week_later() {
    block_on(async {
        let world = World::new(small_config());
        world.submit(&many(0..200, 1)).await.unwrap();
        world.submit(&many(200..300, 1)).await.unwrap();
        world.compaction.compact_now().await.unwrap();
        world.submit(&many(300..500, 1)).await.unwrap();
        let keys = |folder: &str| -> Vec<String> {
            let mut keys: Vec<_> =
                world.blobs.list(folder).unwrap().into_iter().map(|object| object.path).collect();
            keys.sort();
            keys
        };
        let before = [keys("journal"), keys("lake")];
        // A control database that knows none of it, as after a restore of a wrong one.
        let wrong = Sweep::new(SweepParts {
            config: world.config.clone(),
            manifest: Arc::new(MemoryCatalog::new()),
            blobs: world.blobs.clone(),
            pins: Pins::default(),
            clock: world.clock.clone(),
        });
        wrong.round().await.unwrap();
        assert_eq!([keys("journal"), keys("lake")], before, "what is young may be named any moment");
        world.clock.advance(world.config.unnamed_round);
        wrong.round().await.unwrap();
        assert_eq!([keys("journal"), keys("lake")].concat(), Vec::<String>::new());
        let aside = keys("set-aside");
        assert_eq!(aside.len() as u64, wrong.status().set_aside);
        // The warning's way back.
        for path in &aside {
            let former = path.strip_prefix("set-aside/2024-10-06/").unwrap();
            world.blobs.rename(path, former).unwrap();
        }
        assert_eq!([keys("journal"), keys("lake")], before);
        assert_eq!(world.read().await.latest.len(), 500);
        // With the right control database nothing of it is set aside again.
        world.sweep.round().await.unwrap();
        assert_eq!(world.sweep.status().set_aside, 0);
        assert_eq!(world.read().await.latest.len(), 500);

        world.blobs.put("lake/cdr/tenant=default/left-by-a-crash.parquet", b"x").unwrap();
        world.clock.advance(world.config.unnamed_round);
        world.sweep.round().await.unwrap();
        assert_eq!((world.sweep.status().set_aside, keys("set-aside").len()), (1, 1));
        world.clock.advance(world.config.set_aside_for);
        world.sweep.round().await.unwrap();
        assert_eq!(keys("set-aside").len(), 1, "seven days and the rest of the first one");
        world.clock.advance(Duration::from_millis(DAY_MS as u64));
        world.sweep.round().await.unwrap();
        assert_eq!((world.sweep.status().set_aside_erased, keys("set-aside").len()), (1, 0));
    });
}

#[test]
fn parts_of_exports_that_nobody_named_are_set_aside_but_never_those_just_written() {
    block_on(async {
        let world = World::new(small_config());
        let store = PartStore::new(world.blobs.clone(), world.ids.clone(), 0);
        let begin = || store.create(&TenantName::default_tenant(), Uuid::from_u128(7)).unwrap();
        let publish = |mut part: UnpublishedPart| {
            part.write(b"some bytes").unwrap();
            part.publish().unwrap()
        };
        let (named, forgotten, slow) = (publish(begin()), publish(begin()), begin());
        world.catalog.name_export_part(&named);
        world.clock.advance(world.config.unnamed_age);
        world.sweep.round().await.unwrap();
        assert_eq!(world.sweep.status().set_aside, 0, "not older than that");

        world.clock.advance(world.config.unnamed_round);
        // Begun long ago, published now and named in a moment.
        let slow = publish(slow);
        world.sweep.round().await.unwrap();
        assert_eq!(world.sweep.status().set_aside, 1);
        let left = |path: &str| world.blobs.find(path).unwrap().is_some();
        assert!(left(&named) && left(&slow) && !left(&forgotten));
        let aside = world.blobs.list("set-aside").unwrap();
        assert!(aside[0].path.ends_with(&format!("/{forgotten}")), "{}", aside[0].path);

        world.clock.advance(world.config.set_aside_for + Duration::from_millis(DAY_MS as u64));
        world.catalog.name_export_part(&slow);
        world.sweep.round().await.unwrap();
        assert!(left(&named) && left(&slow) && world.blobs.list("set-aside").unwrap().is_empty());
    });
}

#[test]
fn a_lake_of_which_the_catalog_knows_nothing_is_refused() {
    block_on(async {
        let world = World::new(small_config());
        let known = |catalog: MemoryCatalog| {
            let blobs = world.blobs.clone();
            async move { refuse_unknown_lake(&catalog, blobs).await }
        };
        known(MemoryCatalog::new()).await.expect("a first start");
        world.submit(&many(0..30, 1)).await.unwrap();
        known(MemoryCatalog::new()).await.expect("there is no lake yet");
        world.compaction.compact_now().await.unwrap();
        known(world.catalog.clone()).await.unwrap();
        let fault = known(MemoryCatalog::new()).await.unwrap_err();
        assert_eq!(fault.code(), Code::Conflict);
        for way in ["restore the catalog.sqlite", "move lake/"] {
            assert!(fault.message().contains(way), "{}", fault.message());
        }
        // All records dropped, their files not yet erased: that is no unknown lake.
        let old_parts = world.snapshot().await.parts.iter().map(|part| part.id).collect();
        let (batches, new_parts) = (Vec::new(), Vec::new());
        let dropped = Replacement { scope: scope(), batches, old_parts, new_parts, at_ms: NOW_MS };
        assert!(world.catalog.replace(dropped).await.unwrap());
        world.clock.advance(world.config.batch_erase_grace);
        world.sweep.round().await.unwrap();
        known(world.catalog.clone()).await.unwrap();
    });
}

#[test]
fn a_day_larger_than_a_part_is_cut_and_never_overlaps() {
    block_on(async {
        let config = StoreConfig { part_rows: 500, recent_ids: 0, ..small_config() };
        let world = World::new(config);
        // Written in an order that interleaves, with every record twice and some revised.
        for seconds in [1, 1, 2] {
            let odd: Vec<Call> =
                many(0..3000, seconds).into_iter().filter(|call| call.key % 2 == 1).collect();
            world.submit(&odd).await.unwrap();
            world.submit(&many(0..3000, seconds)).await.unwrap();
            world.compaction.compact_now().await.unwrap();
        }
        let snapshot = world.snapshot().await;
        assert_eq!(snapshot.parts.iter().map(|part| part.rows).collect::<Vec<_>>(), [500; 6]);
        for pair in snapshot.parts.windows(2) {
            assert!(pair[0].row_groups.last().unwrap().ids.1 < pair[1].row_groups[0].ids.0);
        }
        assert!(snapshot.parts.iter().all(|part| !part.unsettled));
        let seen = Seen::of(&snapshot, world.blobs.as_ref()).await;
        assert!(seen.latest.values().all(|record| record.seconds == 2 && record.revision == 1));
        let settled = world.compaction.status().settled;
        assert_eq!(settled, SettledCounts { duplicates: 3 * 4500 - 3000 - 3000, revisions: 3000 });
    });
}

#[test]
fn a_folder_serves_as_well_as_memory() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Arc::new(DirectoryBlobs::open(folder.path()).unwrap());
        let clock = Arc::new(ManualClock::at(NOW_MS));
        let world = World::on(StoreConfig { reserve_bytes: 0, ..small_config() }, clock, blobs);
        world.submit(&many(0..90, 1)).await.unwrap();
        world.compaction.compact_now().await.unwrap();
        assert_eq!(world.read().await.latest.len(), 90);
        assert!(folder.path().join("lake/cdr/tenant=default/date=2024-10-04").is_dir());
    });
}

#[test]
fn versions_that_ingest_did_not_connect_are_numbered_by_compaction() {
    block_on(async {
        let world = World::new(StoreConfig { recent_ids: 0, ..small_config() });
        for seconds in [1, 2, 2, 1] {
            world.submit(&many(0..9, seconds)).await.unwrap();
        }
        world.compaction.compact_now().await.unwrap();
        let seen = world.read().await;
        assert!(seen.latest.values().all(|record| record.seconds == 1 && record.revision == 2));
        assert_eq!(world.compaction.status().settled, SettledCounts { duplicates: 9, revisions: 18 });
    });
}

#[test]
fn compacted_records_that_come_again_after_a_restart_are_counted_exactly() {
    block_on(async {
        let mut world = World::new(StoreConfig { part_rows: 100, ..small_config() });
        let mut expected = Expected::default();
        let first = many(0..900, 1);
        assert_eq!(world.submit(&first).await.unwrap(), expected.take(&first));
        world.compaction.compact_now().await.unwrap();
        let mixed: Vec<Call> = (880..960).map(|key| Call { key, seconds: i64::from(key % 2) }).collect();
        let resent = [
            many(450..451, 1),
            many(450..452, 2),
            first.clone(),
            many(0..900, 1),
            mixed.clone(),
            mixed,
            many(0..960, 7),
        ];
        for calls in resent {
            world.restart().await;
            // Twice: what is read for the first time has to be right, and what is remembered of it.
            for _ in 0..2 {
                assert_eq!(world.submit(&calls).await.unwrap(), expected.take(&calls));
            }
            expected.check(&world.read().await);
        }
        world.compaction.compact_now().await.unwrap();
        let seen = world.read().await;
        for (id, (seconds, revision)) in &expected.latest {
            assert_eq!((seen.latest[id].seconds, seen.latest[id].revision), (*seconds, *revision));
        }
    });
}

#[test]
fn of_a_record_in_several_parts_the_latest_content_decides() {
    block_on(async {
        let mut world = World::new(small_config());
        let mut expected = Expected::default();
        let today = |keys: std::ops::Range<u16>, seconds| -> Vec<Call> {
            many(keys, seconds).into_iter().filter(|call| call.key % 3 == 2).collect()
        };
        for calls in [today(0..300, 1), today(90..210, 2)] {
            assert_eq!(world.submit(&calls).await.unwrap(), expected.take(&calls));
            world.compact_when_due().await;
            world.restart().await;
        }
        let snapshot = world.snapshot().await;
        assert_eq!(snapshot.parts.iter().map(|part| part.unsettled).collect::<Vec<_>>(), [false, true]);
        assert_eq!(snapshot.batches, []);
        // The first ones are in one part only, but what is read with them is not.
        for calls in [today(0..90, 1), today(90..210, 2), today(120..150, 1), today(0..300, 2)] {
            assert_eq!(world.submit(&calls).await.unwrap(), expected.take(&calls));
        }
        expected.check(&world.read().await);
    });
}

#[test]
fn records_of_the_lake_that_come_again_at_once_are_counted_once_each() {
    block_on(async {
        let mut world = World::new(small_config());
        let calls = many(0..300, 1);
        world.submit(&calls).await.unwrap();
        world.compaction.compact_now().await.unwrap();
        world.restart().await;
        let mut tasks = tokio::task::JoinSet::new();
        for client in 0..8u16 {
            let mut sink = world.intake.open(&tenant(), Dataset::Cdr);
            let of_client = many(30 * client..30 * client + 90, 1);
            of_client.iter().for_each(|call| sink.push(&call.record()));
            tasks.spawn(sink.commit());
        }
        for committed in tasks.join_all().await {
            let committed = committed.unwrap();
            assert_eq!((committed.accepted, committed.duplicates, committed.sequences), (90, 90, None));
        }
        assert_eq!(world.read().await.watermark, 300);
    });
}

#[test]
fn thousands_of_single_records_are_compacted_in_bounded_steps() {
    block_on(async {
        let world = World::new(StoreConfig { compact_batches: 100, ..small_config() });
        for key in 0..700 {
            world.submit(&many(key..key + 1, 1)).await.unwrap();
        }
        assert_eq!(world.snapshot().await.batches.len(), 700);
        world.compaction.compact_now().await.unwrap();
        let seen = world.read().await;
        assert_eq!(seen.latest.len(), 700);
        assert_eq!(seen.sequences, (1..=700).collect::<Vec<_>>());
    });
}

/// Notes whose batches and parts are swapped, in order.
struct Swaps {
    catalog: MemoryCatalog,
    seen: std::sync::Mutex<Vec<(TenantName, usize)>>,
}

#[async_trait]
impl Manifest for Swaps {
    async fn replace(&self, replacement: Replacement) -> Result<bool, Fault> {
        let swap = (replacement.scope.tenant.clone(), replacement.new_parts.len());
        self.seen.lock().unwrap().push(swap);
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

#[test]
fn a_tenant_with_much_to_compact_lets_the_others_go_between() {
    block_on(async {
        let world = World::new(small_config());
        let years = 5 * STEP_DAYS;
        let small = Tenant { name: TenantName::parse("small").unwrap(), ..tenant() };
        let mut large = world.intake.open(&tenant(), Dataset::Cdr);
        (0..years).for_each(|day| large.push(&of_day(day)));
        large.commit().await.unwrap();
        let mut few = world.intake.open(&small, Dataset::Cdr);
        few.push(&of_day(0));
        few.commit().await.unwrap();
        let swaps = Arc::new(Swaps { catalog: world.catalog.clone(), seen: Default::default() });
        let compaction = Compaction::new(CompactionParts {
            config: world.config.clone(),
            manifest: swaps.clone(),
            blobs: world.blobs.clone(),
            snapshots: world.snapshots.clone(),
            ids: world.ids.clone(),
            clock: world.clock.clone(),
        });
        compaction.compact_now().await.unwrap();
        let seen = swaps.seen.lock().unwrap();
        assert!(seen[..2].iter().any(|(of, _)| *of == small.name), "{seen:?}");
        assert!(seen.iter().all(|(_, parts)| *parts <= STEP_DAYS), "{seen:?}");
        assert_eq!(seen.iter().map(|(_, parts)| parts).sum::<usize>(), years + 1);
    });
}

#[test]
fn a_round_leaves_the_rest_of_a_large_load_to_the_next_one_which_begins_at_once() {
    block_on(async {
        let hour = Duration::from_secs(3600);
        let config = StoreConfig {
            compact_batches: 1,
            compaction_rounds: (Duration::from_millis(1), hour),
            ..small_config()
        };
        let world = World::new(config);
        let records = 2 * 2 * ROUND_STEPS as u16 + 3;
        for key in 0..records {
            world.submit(&many(key..key + 1, 1)).await.unwrap();
        }
        // A step takes two batches. Nobody else rings the bell, and the timer would take an hour.
        world.compaction.start(Arc::new(Notify::new()), &world.supervisor);
        wait_until(|| world.compaction.status().batches == u64::from(records)).await;
        wait_until(|| !world.compaction.status().work_left).await;
        assert!(world.compaction.status().rounds >= 3);
        assert_eq!(world.read().await.latest.len(), usize::from(records));
    });
}

#[test]
fn a_running_store_compacts_by_itself_and_stops_in_order() {
    block_on(async {
        let clock = Arc::new(ManualClock::at(NOW_MS));
        let catalog = Arc::new(MemoryCatalog::new());
        let rounds = (Duration::from_millis(1), Duration::from_secs(3600));
        let config = StoreConfig { compact_rows: 10, compaction_rounds: rounds, ..small_config() };
        let supervisor = Supervisor::new();
        let parts = StoreParts {
            config,
            journal: catalog.clone(),
            manifest: catalog.clone(),
            tenants: OneTenant::open(1),
            blobs: Arc::new(MemoryBlobs::new(clock.clone())),
            ids: IdSource::new(clock.clone(), Arc::new(SeededRandomness::new(1))),
            clock,
            bell: Arc::new(Notify::new()),
        };
        let store = Store::start(parts, &supervisor).await.unwrap();
        wait_until(|| store.compaction.status().rounds > 0).await;
        let mut sink = store.intake.open(&tenant(), Dataset::Cdr);
        many(0..20, 1).iter().for_each(|call| sink.push(&call.record()));
        sink.commit().await.unwrap();
        // Only the bell can have told it: the timer would take an hour.
        wait_until(|| store.compaction.status().rows_written == 20).await;
        assert_eq!(supervisor.stop(Duration::from_secs(5)).await, Vec::<&str>::new());
        let mut late = store.intake.open(&tenant(), Dataset::Cdr);
        late.push(&many(30..31, 1)[0].record());
        assert_eq!(late.commit().await.unwrap_err().code(), Code::Unavailable);
    });
}
