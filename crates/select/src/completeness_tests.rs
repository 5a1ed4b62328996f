//! A completeness report is what somebody else makes of an export, and the same wherever the records lie.

use crate::given_tests::{Then, Watched, engine, pages, request};
use crate::{Engine, EngineConfig};
use futures::{StreamExt, TryStreamExt};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;
use tokio::sync::Notify;
use tollbook_kit::clock::ManualClock;
use tollbook_kit::fault::Code;
use tollbook_kit::ids::{IdSource, SeededRandomness};
use tollbook_kit::supervise::Supervisor;
use tollbook_model::call::{Admission, CallField, CallRecord};
use tollbook_model::completeness::HourDigest;
use tollbook_model::dataset::Dataset;
use tollbook_model::export::ExportRequest;
use tollbook_model::format::ExportFormat;
use tollbook_model::ports::{CompletenessStream, DataPlane, ExportRows, GivenRow, Intake};
use tollbook_model::privacy::PseudonymKey;
use tollbook_model::schema::Schema;
use tollbook_model::selection::{Filter, FilterField};
use tollbook_model::tenant::{CallerNumbers, Tenant, TenantName};
use tollbook_model::time_range::{TimeRange, parse_instant};
use tollbook_model::value::Value;
use tollbook_store::artifacts::PartStore;
use tollbook_store::blob::{Blobs, MemoryBlobs};
use tollbook_store::config::StoreConfig;
use tollbook_store::journal::{JournalIntake, JournalParts};
use tollbook_store::lake::compaction::{Compaction, CompactionParts};
use tollbook_store::lake::snapshots::{Pins, SnapshotReader};
use tollbook_store::testing::MemoryCatalog;
use uuid::Uuid;

const START_MS: i64 = 1_767_571_200_000; // 2026-01-05T00:00:00Z
const HOUR_MS: i64 = 3_600_000;
const KEYS: u64 = 1200;

/// The moment of a call: every 50 s or so, so that most hours hold some 70 of them.
fn start_ms(key: u64) -> i64 {
    START_MS + key.cast_signed() * 50_021
}

fn trunk(key: u64) -> &'static str {
    ["trunk-a", "trunk-b"][key as usize % 2]
}

/// Journal and lake in memory, and what they must hold, kept by the simplest means.
pub(crate) struct World {
    intake: JournalIntake,
    pub(crate) compaction: Compaction,
    pub(crate) engine: Engine,
    _supervisor: Supervisor,
    /// Key to duration and sequence number of the latest revision.
    latest: BTreeMap<u64, (i64, u64)>,
}

impl World {
    pub(crate) fn new() -> Self {
        let config = Arc::new(StoreConfig { reserve_bytes: 1, part_rows: 400, ..StoreConfig::default() });
        let clock = Arc::new(ManualClock::at(START_MS + 40 * HOUR_MS));
        let blobs: Arc<dyn Blobs> = Arc::new(MemoryBlobs::new(clock.clone()));
        let catalog = Arc::new(MemoryCatalog::new());
        let ids = IdSource::new(clock.clone(), Arc::new(SeededRandomness::new(1)));
        let snapshots = SnapshotReader::new(catalog.clone(), catalog.clone(), blobs.clone(), Pins::default());
        let supervisor = Supervisor::new();
        let parts = JournalParts {
            config: config.clone(),
            journal: catalog.clone(),
            blobs: blobs.clone(),
            snapshots: snapshots.clone(),
            ids: ids.clone(),
            clock: clock.clone(),
            bell: Arc::new(Notify::new()),
        };
        let intake = JournalIntake::start(parts, &supervisor);
        let part_store = PartStore::new(blobs.clone(), ids.clone(), 0);
        let compaction = Compaction::new(CompactionParts {
            config,
            manifest: catalog.clone(),
            blobs,
            snapshots: snapshots.clone(),
            ids,
            clock: clock.clone(),
        });
        let config = EngineConfig { workers: 3, ..EngineConfig::default() };
        let engine = Engine::new(snapshots, catalog, part_store, clock, config);
        Self { intake, compaction, engine, _supervisor: supervisor, latest: BTreeMap::new() }
    }

    /// Takes calls of rising keys in; those that are known with the same duration are duplicates.
    pub(crate) async fn submit(&mut self, calls: impl Iterator<Item = (u64, i64)>) {
        let tenant = Tenant::new(TenantName::default_tenant(), vec![PseudonymKey::new(1, [7; 32])], 0)
            .with_caller_numbers(CallerNumbers::Plain);
        let admission = Admission::new(&tenant, START_MS);
        let mut sink = self.intake.open(&tenant, Dataset::Cdr);
        let mut stored = Vec::new();
        for (key, seconds) in calls {
            let mut record = CallRecord::new();
            record.set_text(CallField::PbxAlias, "paris-1").unwrap();
            record.set(CallField::StartAt, Value::Instant(start_ms(key))).unwrap();
            record.set(CallField::DurationS, Value::Integer(seconds)).unwrap();
            record.set_text(CallField::Direction, "outbound").unwrap();
            record.set_text(CallField::Trunk, trunk(key)).unwrap();
            record.set_text(CallField::CalledParty, format!("+4420{key:08}")).unwrap();
            if key.is_multiple_of(3) {
                record.push_extra("trunk_id", format!("id-{}", key % 5));
            }
            record.set_text(CallField::SourceKey, key.to_string()).unwrap();
            admission.admit(&mut record).unwrap();
            sink.push(&record);
            if self.latest.get(&key).is_none_or(|&(known, _)| known != seconds) {
                stored.push((key, seconds));
            }
        }
        let committed = sink.commit().await.unwrap();
        let Some((first, last)) = committed.sequences else { return assert!(stored.is_empty()) };
        assert_eq!(last - first + 1, stored.len() as u64, "duplicates have no sequence number");
        for ((key, seconds), sequence) in stored.into_iter().zip(first..) {
            self.latest.insert(key, (seconds, sequence));
        }
    }

    pub(crate) fn request(range: TimeRange, filters: Vec<Filter>) -> ExportRequest {
        let mut request = request(ExportFormat::Ndjson);
        request.selection.dataset = Dataset::Cdr;
        request.selection.columns = Schema::of(Dataset::Cdr).default_columns();
        (request.selection.range, request.selection.filters) = (range, filters);
        request
    }

    async fn report(&self, range: TimeRange, filters: Vec<Filter>) -> Vec<HourDigest> {
        let report = self.engine.completeness(Self::request(range, filters), ExportRows::Stored).await;
        report.unwrap().hours.try_collect().await.unwrap()
    }

    /// What an export of the same says, and the sequence numbers of what there must be.
    async fn expected(&self, range: TimeRange, filters: Vec<Filter>) -> Vec<HourDigest> {
        let by_trunk =
            |key: u64| filters.is_empty() || filters[0].values.iter().any(|name| name == trunk(key));
        let mut sequences: BTreeMap<i64, (u64, u64)> = BTreeMap::new();
        for (&key, &(_, sequence)) in &self.latest {
            if range.contains(start_ms(key)) && by_trunk(key) {
                let ends = sequences.entry(start_ms(key) / HOUR_MS).or_insert((sequence, sequence));
                *ends = (ends.0.min(sequence), ends.1.max(sequence));
            }
        }
        let stream = self.engine.export(Self::request(range, filters), ExportRows::Stored).await.unwrap();
        let chunks: Vec<_> = stream.chunks.try_collect().await.unwrap();
        let mut hours = recomputed(&chunks.concat(), "start_at");
        assert_eq!(hours.len(), sequences.len());
        hours.iter_mut().for_each(|hour| hour.sequences = sequences.get(&hour.hour).copied());
        hours
    }

    /// Checks reports of several ranges, and answers the one of all.
    async fn check(&self) -> Vec<HourDigest> {
        for (range, trunk) in [
            (TimeRange::all(), None),
            (TimeRange::new(start_ms(100) + 1, start_ms(500)).unwrap(), None),
            (TimeRange::new(start_ms(100), start_ms(101)).unwrap(), None),
            (TimeRange::new(START_MS - HOUR_MS, START_MS).unwrap(), None),
            (TimeRange::all(), Some("trunk-b")),
            (TimeRange::new(start_ms(3), start_ms(900)).unwrap(), Some("nothing")),
        ] {
            let filters: Vec<Filter> = trunk
                .map(|name: &str| Filter { field: FilterField::Trunk, values: vec![name.into()] })
                .into_iter()
                .collect();
            let told = self.report(range, filters.clone()).await;
            assert_eq!(told, self.expected(range, filters).await, "{range:?}, {trunk:?}");
        }
        let whole = self.report(TimeRange::all(), Vec::new()).await;
        let records: u64 = whole.iter().map(|hour| hour.records).sum();
        assert_eq!(records, self.latest.len() as u64);
        whole
    }
}

/// RFC 6962 section 2.1, written as it stands there.
fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    let hash = |parts: &[&[u8]]| -> [u8; 32] {
        let mut digest = Sha256::new();
        parts.iter().for_each(|part| digest.update(part));
        digest.finalize().into()
    };
    match leaves {
        [] => hash(&[]),
        [only] => *only,
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            hash(&[&[1], &root(&leaves[..split]), &root(&leaves[split..])])
        }
    }
}

/// The hours of a file of NDJSON, by nothing but its lines.
fn recomputed(file: &[u8], time: &str) -> Vec<HourDigest> {
    let mut hours: BTreeMap<i64, Vec<[u8; 32]>> = BTreeMap::new();
    for line in file.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
        let record: Json = serde_json::from_slice(line).unwrap();
        let ms = parse_instant(record[time].as_str().unwrap()).unwrap();
        let leaf = Sha256::digest([b"\0", line].concat()).into();
        hours.entry(ms.div_euclid(HOUR_MS)).or_default().push(leaf);
    }
    let digest = |(hour, leaves): (i64, Vec<[u8; 32]>)| HourDigest {
        hour,
        records: leaves.len() as u64,
        sequences: None,
        root: root(&leaves),
    };
    hours.into_iter().map(digest).collect()
}

#[tokio::test]
async fn journal_and_lake_and_both_tell_the_same_as_an_export() {
    for seed in 0..3 {
        let random = SeededRandomness::new(seed);
        let mut world = World::new();
        assert_eq!(world.check().await, [], "nothing is no hour");
        for step in 0..6 {
            // Some of the keys, of which later ones meet those that are there: as duplicates, or with another duration.
            let (every, shift) = (1 + random.next_u64() % 4, random.next_u64() % 3);
            let from = random.next_u64() % (KEYS / 2);
            let longer = random.next_u64() % 2 * 1000;
            let keys = (from..KEYS).filter(|key| key % every == shift % every);
            let calls = keys.map(|key| (key, (key % 100 + longer).cast_signed()));
            world.submit(calls).await;
            let in_journal = world.check().await;
            if step % 2 == 1 {
                world.compaction.compact_now().await.unwrap();
                assert_eq!(world.check().await, in_journal, "seed {seed}, step {step}");
            }
        }
    }
}

#[tokio::test]
async fn a_watermark_tells_what_was_seen() {
    let mut world = World::new();
    world.submit((0..10).map(|key| (key, 1))).await;
    let request = World::request(TimeRange::all(), Vec::new());
    let report = world.engine.completeness(request, ExportRows::Stored).await.unwrap();
    assert_eq!((report.watermark, report.snapshot_at_ms), (10, START_MS + 40 * HOUR_MS));
    let hours: Vec<HourDigest> = report.hours.try_collect().await.unwrap();
    assert_eq!((hours.len(), hours[0].sequences), (1, Some((1, 10))));
}

/// A report of rows that are handed over page by page.
async fn report_of_log(rows: u64, then: Then, watched: &Watched) -> CompletenessStream {
    let given = ExportRows::Paged { about: rows, pages: pages(rows, then, watched) };
    engine().completeness(request(ExportFormat::Csv), given).await.unwrap()
}

#[tokio::test]
async fn what_is_asked_of_an_export_besides_its_records_changes_nothing() {
    let watched = Watched::default();
    let rows = 9001;
    let told: Vec<HourDigest> =
        report_of_log(rows, Then::Ends, &watched).await.hours.try_collect().await.unwrap();
    let given = ExportRows::Paged { about: rows, pages: pages(rows, Then::Ends, &watched) };
    let stream = engine().export(request(ExportFormat::Ndjson), given).await.unwrap();
    let chunks: Vec<_> = stream.chunks.try_collect().await.unwrap();
    let mut expected = recomputed(&chunks.concat(), "at");
    expected[0].sequences = Some((1, rows));
    assert_eq!(told, expected);

    let mut narrow = request(ExportFormat::Json);
    narrow.selection.columns = vec![2, 0];
    narrow.selection.timezone = jiff::tz::TimeZone::get("Asia/Kolkata").unwrap();
    let given = ExportRows::Paged { about: rows, pages: pages(rows, Then::Ends, &watched) };
    let again: Vec<HourDigest> =
        engine().completeness(narrow, given).await.unwrap().hours.try_collect().await.unwrap();
    assert_eq!(again, told);
}

#[tokio::test]
async fn hours_come_in_their_order_though_a_clock_was_set_back() {
    let row = |seq: i64, at_ms: i64| -> GivenRow {
        let text = |text: &str| Value::Text(text.to_owned().into());
        let (mut row, hash) = (vec![Value::Integer(seq), Value::Instant(at_ms)], "0".repeat(64));
        row.extend(
            ["system", "admin", "192.0.2.1", "login", "user", "1", "success", "", &hash, &hash].map(text),
        );
        row
    };
    let times = [2, 3, 3, 1, 2, 5, 3].map(|hour| START_MS + hour * HOUR_MS);
    let rows: Vec<GivenRow> = (1..).zip(times).map(|(seq, at_ms)| row(seq, at_ms)).collect();
    let asked = || request(ExportFormat::Ndjson);
    let stream = engine().export(asked(), ExportRows::Given(rows.clone())).await.unwrap();
    let chunks: Vec<_> = stream.chunks.try_collect().await.unwrap();
    let mut expected = recomputed(&chunks.concat(), "at");
    for (hour, sequences) in expected.iter_mut().zip([(4, 4), (1, 5), (2, 7), (6, 6)]) {
        hour.sequences = Some(sequences);
    }
    let report = engine().completeness(asked(), ExportRows::Given(rows)).await.unwrap();
    assert_eq!(report.hours.try_collect::<Vec<_>>().await.unwrap(), expected);
}

#[tokio::test]
async fn datasets_without_sequence_numbers_have_hours_too() {
    let dataset = Dataset::AgentConfiguration;
    let schema = Schema::of(dataset);
    let time = schema.position("updated_at").unwrap();
    let rows: Vec<GivenRow> = [0, 0, 7]
        .map(|hour| {
            let mut row: GivenRow = vec![Value::Null; schema.fields.len()];
            row[schema.position("id").unwrap()] = Value::Uuid(Uuid::from_u128(hour as u128).into_bytes());
            for (name, text) in [("pbx_alias", "lyon"), ("kind", "csv"), ("version", "1")] {
                if let Some(at) = schema.position(name) {
                    row[at] = Value::Text(text.into());
                }
            }
            row[schema.position("enabled").unwrap()] = Value::Boolean(true);
            row[time] = Value::Instant(START_MS + hour * HOUR_MS + 1);
            row
        })
        .to_vec();
    let asked = || {
        let mut asked = request(ExportFormat::Ndjson);
        asked.selection.dataset = dataset;
        asked.selection.columns = schema.default_columns();
        asked
    };
    let stream = engine().export(asked(), ExportRows::Given(rows.clone())).await.unwrap();
    let chunks: Vec<_> = stream.chunks.try_collect().await.unwrap();
    let report = engine().completeness(asked(), ExportRows::Given(rows)).await.unwrap();
    let hours: Vec<HourDigest> = report.hours.try_collect().await.unwrap();
    assert_eq!(hours, recomputed(&chunks.concat(), "updated_at"));
    assert_eq!(hours.iter().map(|hour| hour.records).collect::<Vec<_>>(), [2, 1]);
}

#[tokio::test]
async fn kpis_are_reported_as_they_are_exported() {
    let mut world = World::new();
    world.submit((0..KEYS).map(|key| (key, 7))).await;
    let asked = || {
        let mut asked =
            World::request(TimeRange::new(START_MS, START_MS + 48 * HOUR_MS).unwrap(), Vec::new());
        asked.selection.dataset = Dataset::Kpis;
        asked.selection.columns = Schema::of(Dataset::Kpis).default_columns();
        asked
    };
    let mut before = None;
    for _ in 0..2 {
        let stream = world.engine.export(asked(), ExportRows::Stored).await.unwrap();
        let chunks: Vec<_> = stream.chunks.try_collect().await.unwrap();
        let report = world.engine.completeness(asked(), ExportRows::Stored).await.unwrap();
        let hours: Vec<HourDigest> = report.hours.try_collect().await.unwrap();
        assert_eq!(hours, recomputed(&chunks.concat(), "bucket_start"));
        assert_eq!(hours[0].hour, START_MS / HOUR_MS);
        assert_eq!(*before.get_or_insert_with(|| hours.clone()), hours, "rollups say the same");
        world.compaction.compact_now().await.unwrap();
    }
}

#[tokio::test]
async fn a_page_that_fails_ends_the_report_with_a_fault() {
    let mut report = report_of_log(50_000, Then::Fails, &Watched::default()).await;
    let fault = report.hours.next().await.unwrap().unwrap_err();
    assert_eq!(fault.code(), Code::Unavailable);
    assert!(report.hours.next().await.is_none(), "nothing follows");
}

#[tokio::test]
async fn dropping_the_report_ends_the_work() {
    let watched = Watched::default();
    let report = report_of_log(u64::MAX, Then::Ends, &watched).await;
    drop(report);
    for _ in 0..5000 {
        if watched.dropped.load(SeqCst) == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("pages are still asked for");
}
