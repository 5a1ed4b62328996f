//! The road of records through the store, from a request to what a reader of a snapshot sees, with everything that
//! may happen on the way: repetitions, revisions, restarts, failures, compaction and sweeping at any moment.

mod cases;
mod properties;
mod retention;

use crate::blob::{Blobs, MemoryBlobs};
use crate::config::StoreConfig;
use crate::journal::{JournalIntake, JournalParts};
use crate::lake::compaction::{Compaction, CompactionParts};
use crate::lake::part_rows::PartBatches;
use crate::lake::snapshots::{PinnedSnapshot, Pins, SnapshotReader};
use crate::lake::sweep::{Sweep, SweepParts};
use crate::record_keys::{DAY_MS, RecordId, RecordKeys, id_day};
use crate::testing::MemoryCatalog;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tollbook_columns::batch_codec::{decode_batch, with_sequences};
use tollbook_columns::layout::STORED_COLUMNS;
use tollbook_kit::clock::ManualClock;
use tollbook_kit::fault::Fault;
use tollbook_kit::ids::{IdSource, SeededRandomness};
use tollbook_kit::supervise::Supervisor;
use tollbook_model::call::{CallField, CallRecord, derive_id};
use tollbook_model::dataset::Dataset;
use tollbook_model::ports::{Committed, Intake, SnapshotScope};
use tollbook_model::privacy::PseudonymKey;
use tollbook_model::tenant::{CallerNumbers, Tenant, TenantName};
use tollbook_model::time_range::TimeRange;
use tollbook_model::value::Value;

const FIRST_DAY: i64 = 20_000;
const NOW_MS: i64 = (FIRST_DAY + 2) * DAY_MS + DAY_MS / 2;

/// A record by its key (which decides day and id) and the content that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Call {
    key: u16,
    seconds: i64,
}

impl Call {
    fn start_ms(self) -> i64 {
        (FIRST_DAY + i64::from(self.key % 3)) * DAY_MS + i64::from(self.key) * 1000
    }

    fn id(self) -> RecordId {
        derive_id(&TenantName::default_tenant(), "src", &self.key.to_string(), self.start_ms())
    }

    fn record(self) -> CallRecord<'static> {
        let mut record = CallRecord::new();
        record.set(CallField::Id, Value::Uuid(self.id())).unwrap();
        record
            .set_text(CallField::PbxAlias, if self.key.is_multiple_of(2) { "paris" } else { "lyon" })
            .unwrap();
        record.set(CallField::StartAt, Value::Instant(self.start_ms())).unwrap();
        record.set(CallField::DurationS, Value::Integer(self.seconds)).unwrap();
        record.set_text(CallField::Direction, "inbound").unwrap();
        record.set_text(CallField::Result, "answered").unwrap();
        record.set(CallField::ReceivedAt, Value::Instant(NOW_MS)).unwrap();
        record.set(CallField::Revision, Value::Integer(0)).unwrap();
        record
    }
}

fn tenant() -> Tenant {
    Tenant::new(TenantName::default_tenant(), vec![PseudonymKey::new(1, [7; 32])], 0)
        .with_caller_numbers(CallerNumbers::Plain)
        .with_cdr_days(1)
}

fn scope() -> SnapshotScope {
    SnapshotScope { tenant: TenantName::default_tenant(), dataset: Dataset::Cdr }
}

/// A store whose process may die; catalog and blobs live on.
struct World {
    config: Arc<StoreConfig>,
    clock: Arc<ManualClock>,
    ids: IdSource,
    catalog: MemoryCatalog,
    blobs: Arc<dyn Blobs>,
    snapshots: SnapshotReader,
    compaction: Compaction,
    sweep: Sweep,
    supervisor: Supervisor,
    intake: JournalIntake,
}

impl World {
    fn new(config: StoreConfig) -> Self {
        let clock = Arc::new(ManualClock::at(NOW_MS));
        let blobs = Arc::new(MemoryBlobs::new(clock.clone()));
        Self::on(config, clock, blobs)
    }

    fn on(config: StoreConfig, clock: Arc<ManualClock>, blobs: Arc<dyn Blobs>) -> Self {
        let config = Arc::new(config);
        let catalog = MemoryCatalog::new();
        let ids = IdSource::new(clock.clone(), Arc::new(SeededRandomness::new(1)));
        let pins = Pins::default();
        let shared = Arc::new(catalog.clone());
        let snapshots = SnapshotReader::new(shared.clone(), shared.clone(), blobs.clone(), pins.clone());
        let compaction = Compaction::new(CompactionParts {
            config: config.clone(),
            manifest: shared.clone(),
            blobs: blobs.clone(),
            snapshots: snapshots.clone(),
            ids: ids.clone(),
            clock: clock.clone(),
        });
        let sweep = Sweep::new(SweepParts {
            config: config.clone(),
            manifest: shared,
            blobs: blobs.clone(),
            pins,
            clock: clock.clone(),
        });
        let supervisor = Supervisor::new();
        let intake = start_intake(&config, &catalog, &blobs, &snapshots, &ids, &clock, &supervisor);
        Self { config, clock, ids, catalog, blobs, snapshots, compaction, sweep, supervisor, intake }
    }

    /// The process is gone, with all it remembered; another one starts.
    async fn restart(&mut self) {
        self.supervisor.stop(Duration::ZERO).await;
        self.supervisor = Supervisor::new();
        let Self { config, catalog, blobs, snapshots, ids, clock, supervisor, .. } = &*self;
        self.intake = start_intake(config, catalog, blobs, snapshots, ids, clock, supervisor);
    }

    /// One round of compaction as time brings it: batches are old enough, and a day that is not over keeps its parts.
    async fn compact_when_due(&self) {
        self.clock.advance(self.config.compact_age);
        let before = self.compaction.status().rounds;
        self.compaction.start(Arc::new(Notify::new()), &self.supervisor);
        wait_until(|| self.compaction.status().rounds > before).await;
    }

    async fn submit(&self, calls: &[Call]) -> Result<Committed, Fault> {
        let mut sink = self.intake.open(&tenant(), Dataset::Cdr);
        for call in calls {
            sink.push(&call.record());
        }
        sink.commit().await
    }

    async fn snapshot(&self) -> PinnedSnapshot {
        self.snapshots.pin(&scope(), TimeRange::all()).await.unwrap()
    }

    async fn read(&self) -> Seen {
        Seen::of(&self.snapshot().await, self.blobs.as_ref()).await
    }
}

fn start_intake(
    config: &Arc<StoreConfig>,
    catalog: &MemoryCatalog,
    blobs: &Arc<dyn Blobs>,
    snapshots: &SnapshotReader,
    ids: &IdSource,
    clock: &Arc<ManualClock>,
    supervisor: &Supervisor,
) -> JournalIntake {
    let parts = JournalParts {
        config: config.clone(),
        journal: Arc::new(catalog.clone()),
        blobs: blobs.clone(),
        snapshots: snapshots.clone(),
        ids: ids.clone(),
        clock: clock.clone(),
        bell: Arc::new(Notify::new()),
    };
    JournalIntake::start(parts, supervisor)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SeenRecord {
    sequence: u64,
    seconds: i64,
    revision: i64,
}

/// What a reader sees that trusts the marks: days without an unsettled part or batch are read without settling.
struct Seen {
    latest: HashMap<RecordId, SeenRecord>,
    sequences: Vec<u64>,
    watermark: u64,
}

impl Seen {
    async fn of(snapshot: &PinnedSnapshot, blobs: &dyn Blobs) -> Self {
        let all: Vec<usize> = (0..STORED_COLUMNS).collect();
        let mut batches = Vec::new();
        for part in &snapshot.parts {
            let rows: u64 = part.row_groups.iter().map(|group| group.rows).sum();
            let read: Vec<_> =
                PartBatches::open(blobs, &part.path, &all, 100).unwrap().map(Result::unwrap).collect();
            assert_eq!(read.iter().map(|batch| batch.num_rows() as u64).sum::<u64>(), rows);
            batches.extend(read);
        }
        for batch in &snapshot.batches {
            let decoded = decode_batch(&snapshot.batch(batch.id).await.unwrap(), &all).unwrap();
            batches.push(with_sequences(decoded, batch.first_sequence).unwrap());
        }
        let unsettled = |day: i32| {
            let times = |(from, to): (i64, i64)| (from / DAY_MS, to / DAY_MS);
            snapshot.parts.iter().any(|part| part.day == day && part.unsettled)
                || snapshot.batches.iter().any(|batch| {
                    let (from, to) = times(batch.time_ms);
                    batch.unsettled && from <= i64::from(day) && i64::from(day) <= to
                })
        };
        let mut seen = Self { latest: HashMap::new(), sequences: Vec::new(), watermark: snapshot.watermark };
        for batch in &batches {
            let keys = RecordKeys::of(batch).unwrap();
            let seconds = batch.column(CallField::DurationS as usize).as_primitive::<Int64Type>();
            for row in 0..keys.len() {
                let record = SeenRecord {
                    sequence: keys.sequence(row),
                    seconds: seconds.value(row),
                    revision: keys.revision(row),
                };
                seen.sequences.push(record.sequence);
                let before = seen.latest.insert(keys.id(row), record);
                if let Some(before) = before {
                    assert!(
                        unsettled(id_day(&keys.id(row))),
                        "a repeated id in a day that is marked settled"
                    );
                    if before.sequence > record.sequence {
                        seen.latest.insert(keys.id(row), before);
                    }
                }
            }
        }
        seen.sequences.sort_unstable();
        seen
    }
}

/// What the store must hold, kept by the simplest means.
#[derive(Default)]
struct Expected {
    latest: HashMap<RecordId, (i64, i64)>,
    stored: u64,
}

impl Expected {
    fn take(&mut self, calls: &[Call]) -> Committed {
        let before = self.stored;
        let mut committed = Committed { accepted: calls.len() as u64, ..Committed::default() };
        for call in calls {
            match self.latest.get_mut(&call.id()) {
                Some((seconds, _)) if *seconds == call.seconds => {
                    committed.duplicates += 1;
                    continue;
                }
                Some((seconds, revision)) => {
                    committed.revisions += 1;
                    (*seconds, *revision) = (call.seconds, *revision + 1);
                }
                None => {
                    self.latest.insert(call.id(), (call.seconds, 0));
                }
            }
            self.stored += 1;
        }
        committed.sequences = (self.stored > before).then_some((before + 1, self.stored));
        committed
    }

    fn check(&self, seen: &Seen) {
        assert_eq!(seen.latest.len(), self.latest.len());
        for (id, (seconds, _)) in &self.latest {
            assert_eq!(seen.latest[id].seconds, *seconds);
        }
        assert!(seen.sequences.windows(2).all(|pair| pair[0] < pair[1]), "a sequence twice");
        assert!(seen.sequences.last().is_none_or(|last| *last <= seen.watermark));
    }
}

async fn together(world: &World, expected: &mut Expected, submissions: Vec<Vec<Call>>) {
    let committing: Vec<_> = submissions
        .iter()
        .map(|calls| {
            let (intake, calls) = (world.intake.clone(), calls.clone());
            let mut sink = intake.open(&tenant(), Dataset::Cdr);
            calls.iter().for_each(|call| sink.push(&call.record()));
            sink.commit()
        })
        .collect();
    let mut tasks = tokio::task::JoinSet::new();
    for (at, commit) in committing.into_iter().enumerate() {
        tasks.spawn(async move { (at, commit.await.unwrap()) });
    }
    let mut answers: Vec<(usize, Committed)> = tasks.join_all().await;
    // They went in in the order of their sequences; those that stored nothing changed nothing, whenever it was.
    answers.sort_by_key(|(_, committed)| committed.sequences);
    for (at, committed) in answers {
        assert_eq!(committed.accepted, submissions[at].len() as u64);
        if committed.sequences.is_some() {
            expected.take(&submissions[at]);
        }
        assert_eq!(
            committed.sequences.map(|(first, last)| last - first + 1).unwrap_or(0) + committed.duplicates,
            committed.accepted
        );
    }
}

fn small_config() -> StoreConfig {
    StoreConfig {
        reserve_bytes: 1,
        object_from_bytes: 3000,
        gather: Duration::from_micros(200),
        compact_rows: 40,
        run_bytes: 20_000,
        ..StoreConfig::default()
    }
}

fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
}

fn many(keys: std::ops::Range<u16>, seconds: i64) -> Vec<Call> {
    keys.map(|key| Call { key, seconds }).collect()
}

/// Waits, with a bound, until `holds`.
async fn wait_until(holds: impl Fn() -> bool) {
    for _ in 0..5000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("waited in vain");
}
