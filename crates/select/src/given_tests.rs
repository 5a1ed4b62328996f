//! Rows that are handed over page by page come out whole and in order, however many there are, and no more of them are
//! held than a few pieces of work.

use crate::{Engine, EngineConfig};
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use jiff::tz::TimeZone;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::RowAccessor;
use serde_json::Value as Json;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;
use tollbook_kit::clock::ManualClock;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::ids::{IdSource, SeededRandomness};
use tollbook_model::access::{Actor, Role};
use tollbook_model::audit::{AuditEntry, AuditObject, AuditRecord, FIRST_PREVIOUS, Outcome, hash_of};
use tollbook_model::dataset::Dataset;
use tollbook_model::export::{Estimate, ExportRequest, Proof};
use tollbook_model::format::ExportFormat;
use tollbook_model::ports::{DataPlane, ExportRows, ExportStream, GivenRow};
use tollbook_model::selection::{Interval, Selection};
use tollbook_model::tenant::TenantName;
use tollbook_model::time_range::TimeRange;
use tollbook_model::value::Value;
use tollbook_store::artifacts::PartStore;
use tollbook_store::blob::{Blobs, MemoryBlobs};
use tollbook_store::lake::snapshots::{Pins, SnapshotReader};
use tollbook_store::testing::MemoryCatalog;
use uuid::Uuid;

const NOW_MS: i64 = 1_767_603_600_000; // 2026-01-05T09:00:00Z
const PAGE_ROWS: u64 = 1000;

pub(crate) fn engine() -> Engine {
    engine_writing_to(Arc::new(MemoryBlobs::new(Arc::new(ManualClock::at(NOW_MS)))))
}

/// An engine over an empty store.
pub(crate) fn engine_writing_to(blobs: Arc<dyn Blobs>) -> Engine {
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let catalog = Arc::new(MemoryCatalog::new());
    let ids = IdSource::new(clock.clone(), Arc::new(SeededRandomness::new(3)));
    let parts = PartStore::new(blobs.clone(), ids, 0);
    let snapshots = SnapshotReader::new(catalog.clone(), catalog.clone(), blobs, Pins::default());
    Engine::new(snapshots, catalog, parts, clock, EngineConfig { workers: 2, ..EngineConfig::default() })
}

pub(crate) fn request(format: ExportFormat) -> ExportRequest {
    ExportRequest {
        id: Uuid::from_u128(7),
        tenant: TenantName::default_tenant(),
        selection: Selection {
            dataset: Dataset::AuditLog,
            range: TimeRange::all(),
            filters: Vec::new(),
            columns: (0..12).collect(),
            timezone: TimeZone::UTC,
            interval: Interval::Day,
        },
        format,
        formula_guard: false,
        sheet: None,
        schema_id: "urn:schema".into(),
        proof: Proof::None,
    }
}

/// A row with hashes of its own, some values missing now and then.
fn row(seq: u64) -> GivenRow {
    let text = |text: String| Value::Text(text.into());
    let now_and_then = |every: u64, said: &str| {
        if seq.is_multiple_of(every) { text(said.to_owned()) } else { Value::Null }
    };
    // Multiplied by an odd number: 64 digits that no two rows share.
    let hash = |seq: u64| format!("{:016x}", seq.wrapping_mul(0x9E37_79B9_7F4A_7C15)).repeat(4);
    vec![
        Value::Integer(seq.cast_signed()),
        Value::Instant(NOW_MS + seq.cast_signed()),
        text(format!("token:{}", seq % 7)),
        now_and_then(2, "admin"),
        now_and_then(3, "127.0.0.1"),
        text("token.create".into()),
        now_and_then(5, "token"),
        text(seq.to_string()),
        text(["success", "denied", "error"][(seq % 3) as usize].into()),
        now_and_then(11, "told, and \"quoted\""),
        text(hash(seq - 1)),
        text(hash(seq)),
    ]
}

/// What has been asked for, and whether anybody may still ask.
#[derive(Debug, Clone, Default)]
pub(crate) struct Watched {
    rows: Arc<AtomicU64>,
    pub(crate) dropped: Arc<AtomicU64>,
}

impl Watched {
    /// Rows asked for so far.
    pub(crate) fn asked(&self) -> u64 {
        self.rows.load(SeqCst)
    }
}

struct CountsItsDrop(Arc<AtomicU64>);

impl Drop for CountsItsDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// What comes after the rows.
#[derive(Clone, Copy)]
pub(crate) enum Then {
    Ends,
    Fails,
    NeverComes,
}

/// Rows 1 to `rows` in pages.
pub(crate) fn pages(
    rows: u64,
    then: Then,
    watched: &Watched,
) -> BoxStream<'static, Result<Vec<GivenRow>, Fault>> {
    let alive = CountsItsDrop(watched.dropped.clone());
    let asked = watched.rows.clone();
    futures::stream::unfold((0, alive), move |(before, alive)| {
        let asked = asked.clone();
        async move {
            if before < rows {
                let last = rows.min(before + PAGE_ROWS);
                asked.store(last, SeqCst);
                // Pages come from elsewhere, as from a database.
                tokio::task::yield_now().await;
                return Some((Ok((before + 1..=last).map(row).collect()), (last, alive)));
            }
            match then {
                Then::Ends => None,
                Then::Fails => {
                    Some((Err(Fault::new(Code::Unavailable, "the catalog is gone")), (before, alive)))
                }
                Then::NeverComes => std::future::pending().await,
            }
        }
    })
    .boxed()
}

async fn export(format: ExportFormat, rows: u64, then: Then, watched: &Watched) -> ExportStream {
    let given = ExportRows::Paged { about: rows, pages: pages(rows, then, watched) };
    engine().export(request(format), given).await.unwrap()
}

pub(crate) async fn whole(mut stream: ExportStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.chunks.next().await {
        bytes.extend_from_slice(&chunk.unwrap());
    }
    bytes
}

async fn wait_until(holds: impl Fn() -> bool) {
    for _ in 0..5000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("waited in vain");
}

#[tokio::test]
async fn a_long_log_arrives_whole_in_order_and_in_constant_memory() {
    const ROWS: u64 = 300_000;
    let watched = Watched::default();
    let mut stream = export(ExportFormat::Ndjson, ROWS, Then::Ends, &watched).await;
    let (mut rest, mut arrived) = (Vec::new(), 0);
    while let Some(chunk) = stream.chunks.next().await {
        rest.extend_from_slice(&chunk.unwrap());
        let mut lines = rest.split_inclusive(|&byte| byte == b'\n').peekable();
        let mut kept = Vec::new();
        while let Some(line) = lines.next() {
            if lines.peek().is_none() && line.last() != Some(&b'\n') {
                kept = line.to_vec();
                break;
            }
            arrived += 1;
            let end = format!(",\"seq\":{arrived}}}\n");
            assert!(line.ends_with(end.as_bytes()), "row {arrived}");
        }
        rest = kept;
        // Two workers, two results ahead, a chunk in the channel and one here: a page or two each.
        let alive = watched.rows.load(SeqCst) - arrived;
        assert!(alive <= 10 * PAGE_ROWS, "{alive} rows are held after {arrived}");
    }
    assert_eq!((arrived, rest.len()), (ROWS, 0));
}

#[tokio::test]
async fn every_format_holds_every_row() {
    const ROWS: u64 = 70_000;
    for format in ExportFormat::ALL {
        let watched = Watched::default();
        let mut bytes = whole(export(format, ROWS, Then::Ends, &watched).await).await;
        if format == ExportFormat::CsvGz {
            let mut unpacked = Vec::new();
            flate2::read::GzDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked).unwrap();
            bytes = unpacked;
        }
        match format {
            ExportFormat::Parquet => check_parquet(bytes, ROWS),
            ExportFormat::Csv | ExportFormat::CsvGz => check_csv(&bytes, ROWS),
            ExportFormat::Json => {
                let records: Vec<Json> = serde_json::from_slice(&bytes).unwrap();
                records.iter().zip(1..).for_each(|(record, seq)| check_json(record, seq));
                assert_eq!(records.len() as u64, ROWS);
            }
            ExportFormat::Ndjson => {
                let lines = bytes.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
                let checked = lines.zip(1..).map(|(line, seq)| {
                    check_json(&serde_json::from_slice(line).unwrap(), seq);
                });
                assert_eq!(checked.count() as u64, ROWS);
            }
        }
    }
}

fn check_json(record: &Json, seq: u64) {
    let members = record.as_object().unwrap();
    for (at, value) in row(seq).into_iter().enumerate() {
        let name = tollbook_model::schema::AUDIT_LOG_FIELDS[at].name;
        match value {
            Value::Null => assert!(!members.contains_key(name), "{name} of {seq}"),
            Value::Text(text) => assert_eq!(members[name], *text, "{name} of {seq}"),
            Value::Integer(number) => assert_eq!(members[name], number, "{name} of {seq}"),
            Value::Instant(ms) => {
                assert_eq!(members[name], tollbook_model::time_range::instant_text(ms), "{name} of {seq}");
            }
            other => panic!("{other:?}"),
        }
    }
}

fn check_csv(bytes: &[u8], rows: u64) {
    let text = std::str::from_utf8(bytes).unwrap();
    let mut lines = text.lines();
    let names: Vec<&str> = tollbook_model::schema::AUDIT_LOG_FIELDS.iter().map(|field| field.name).collect();
    assert_eq!(lines.next().unwrap(), format!("\u{feff}{}", names.join(",")));
    let mut seq = 0;
    for line in lines {
        seq += 1;
        let cells = row(seq).into_iter().map(|value| match value {
            Value::Null => String::new(),
            Value::Text(text) if text.contains('"') => format!("\"{}\"", text.replace('"', "\"\"")),
            Value::Text(text) => text.into_owned(),
            Value::Integer(number) => number.to_string(),
            Value::Instant(ms) => tollbook_model::time_range::instant_text(ms),
            other => panic!("{other:?}"),
        });
        assert_eq!(line, cells.collect::<Vec<_>>().join(","));
    }
    assert_eq!(seq, rows);
}

/// Read by the plain record reader, which knows nothing of Arrow. 32 Ki rows to a row group: more different hashes than
/// the writer's dictionary takes.
fn check_parquet(bytes: Vec<u8>, rows: u64) {
    let file = SerializedFileReader::new(Bytes::from(bytes)).unwrap();
    assert_eq!(file.num_row_groups() as u64, rows.div_ceil(33_000));
    let mut seq = 0;
    for read in file.get_row_iter(None).unwrap() {
        let read = read.unwrap();
        seq += 1;
        for (at, value) in row(seq).into_iter().enumerate() {
            match value {
                Value::Null => assert!(read.get_string(at).is_err(), "column {at} of {seq}"),
                Value::Text(text) => assert_eq!(*read.get_string(at).unwrap(), *text, "column {at} of {seq}"),
                Value::Integer(number) => assert_eq!(read.get_long(at).unwrap(), number),
                Value::Instant(ms) => assert_eq!(read.get_timestamp_micros(at).unwrap(), ms * 1000),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(seq, rows);
}

#[tokio::test]
async fn a_log_without_entries_is_an_empty_file() {
    for (format, text) in [(ExportFormat::Json, "[]\n"), (ExportFormat::Ndjson, "")] {
        let stream = export(format, 0, Then::Ends, &Watched::default()).await;
        assert_eq!(whole(stream).await, text.as_bytes());
    }
    let parquet = whole(export(ExportFormat::Parquet, 0, Then::Ends, &Watched::default()).await).await;
    let file = SerializedFileReader::new(Bytes::from(parquet)).unwrap();
    assert_eq!((file.metadata().file_metadata().num_rows(), file.num_row_groups()), (0, 0));
}

#[tokio::test]
async fn a_page_that_fails_breaks_the_export() {
    for format in ExportFormat::ALL {
        let mut stream = export(format, 50_000, Then::Fails, &Watched::default()).await;
        let fault = loop {
            match stream.chunks.next().await.expect("it does not end cleanly") {
                Ok(_) => {}
                Err(fault) => break fault,
            }
        };
        assert_eq!(fault.code(), Code::Unavailable, "{format:?}");
        assert!(stream.chunks.next().await.is_none(), "nothing follows");
    }
}

#[tokio::test]
async fn dropping_the_export_ends_the_paging() {
    // While pages come, and while one is waited for that never comes.
    for (rows, then) in [(u64::MAX, Then::Ends), (50_000, Then::NeverComes)] {
        for format in [ExportFormat::Csv, ExportFormat::Parquet] {
            let watched = Watched::default();
            let mut stream = export(format, rows, then, &watched).await;
            stream.chunks.next().await.unwrap().unwrap();
            if rows == 50_000 && format == ExportFormat::Parquet {
                wait_until(|| watched.rows.load(SeqCst) == rows).await;
            }
            drop(stream);
            wait_until(|| watched.dropped.load(SeqCst) == 1).await;
            let asked = watched.rows.load(SeqCst);
            tokio::time::sleep(Duration::from_millis(5)).await;
            assert_eq!(watched.rows.load(SeqCst), asked);
        }
    }
}

#[tokio::test]
async fn an_estimate_looks_at_the_first_page_only() {
    let watched = Watched::default();
    for format in ExportFormat::ALL {
        let given = ExportRows::Paged { about: 90_000, pages: pages(90_000, Then::Ends, &watched) };
        let estimate = engine().estimate(&request(format), given).await.unwrap();
        assert_eq!((estimate.rows, watched.rows.load(SeqCst)), (90_000, PAGE_ROWS));
        let bytes = whole(export(format, 90_000, Then::Ends, &Watched::default()).await).await.len() as f64;
        let off = estimate.bytes as f64 / bytes;
        assert!((0.5..2.0).contains(&off), "{format:?}: {} for {bytes}", estimate.bytes);
    }
    let none: BoxStream<'static, Result<Vec<GivenRow>, Fault>> = futures::stream::empty().boxed();
    let given = ExportRows::Paged { about: 0, pages: none };
    let nothing = engine().estimate(&request(ExportFormat::Csv), given).await.unwrap();
    assert_eq!(nothing, Estimate { rows: 0, bytes: 0 });
    let sparse = futures::stream::iter([Ok(Vec::new())]).boxed();
    let given = ExportRows::Paged { about: 1000, pages: sparse };
    let guessed = engine().estimate(&request(ExportFormat::Csv), given).await.unwrap();
    assert_eq!((guessed.rows, guessed.bytes > 1000), (1000, true));
}

#[tokio::test]
async fn an_exported_chain_can_be_computed_again() {
    let mut previous = FIRST_PREVIOUS;
    let records: Vec<AuditRecord> = (1..=2000_u64)
        .map(|seq| {
            let entry = AuditEntry {
                tenant: TenantName::default_tenant(),
                home: None,
                at_ms: NOW_MS + seq.cast_signed() * 61,
                actor: Actor::System,
                actor_role: (seq % 2 == 0).then_some(Role::Admin),
                ip: (seq % 3 == 0).then_some([192, 0, 2, 1].into()),
                action: "token.create",
                object: (seq % 5 == 0).then(|| AuditObject::new("token", seq)),
                outcome: Outcome::ALL[(seq % 3) as usize],
                reason: (seq % 7 == 0).then(|| format!("tab\t, \"quote\", \\ and é 😀 {seq}")),
            };
            let record = entry.chained(seq, previous);
            previous = record.hash;
            record
        })
        .collect();
    let rows: Vec<GivenRow> = records.iter().map(given_row).collect();
    let stream = futures::stream::iter(rows.chunks(300).map(|page| Ok(page.to_vec())).collect::<Vec<_>>());
    let given = ExportRows::Paged { about: 2000, pages: stream.boxed() };
    let bytes = whole(engine().export(request(ExportFormat::Ndjson), given).await.unwrap()).await;
    let mut checked = 0;
    for (line, record) in bytes.split(|&byte| byte == b'\n').zip(&records) {
        let mut members: serde_json::Map<String, Json> = serde_json::from_slice(line).unwrap();
        let said = members.remove("hash").unwrap();
        assert_eq!(said, hex::encode(hash_of(&members).unwrap()));
        assert_eq!(said, hex::encode(record.hash));
        checked += 1;
    }
    assert_eq!(checked, 2000);
}

fn given_row(record: &AuditRecord) -> GivenRow {
    let text = |text: &str| Value::Text(text.to_owned().into());
    let perhaps = |value: &Option<String>| value.as_deref().map_or(Value::Null, text);
    vec![
        Value::Integer(record.seq.cast_signed()),
        Value::Instant(record.at_ms),
        text(&record.actor),
        perhaps(&record.actor_role),
        perhaps(&record.ip),
        text(&record.action),
        perhaps(&record.object_type),
        perhaps(&record.object_id),
        text(record.outcome.name()),
        perhaps(&record.reason),
        text(&hex::encode(record.previous)),
        text(&hex::encode(record.hash)),
    ]
}
