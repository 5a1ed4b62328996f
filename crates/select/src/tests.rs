//! Whatever lies where, and however often: the records of a plan are the latest revision of each, once, in order.

use crate::contents::Contents;
use crate::kpis;
use crate::plan::{Task, plan};
use crate::predicate::Predicate;
use crate::rows::{HandOver, Next, Rows};
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, Int64Array, RecordBatch, UInt32Array};
use arrow_cast::cast;
use arrow_schema::DataType;
use arrow_select::take::take_record_batch;
use bytes::Bytes;
use jiff::tz::TimeZone;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tollbook_columns::batch_codec::encode_batch;
use tollbook_columns::layout::{self, SEQUENCE};
use tollbook_columns::parquet_file::{PartFile, PartSource, PartWriter};
use tollbook_columns::rows::CallRows;
use tollbook_kit::fault::Fault;
use tollbook_kit::ids::SeededRandomness;
use tollbook_model::call::{Admission, CallField, CallRecord};
use tollbook_model::dataset::Dataset;
use tollbook_model::ports::{ManifestBatch, ManifestPart, Snapshot};
use tollbook_model::privacy::PseudonymKey;
use tollbook_model::selection::{Filter, FilterField, Interval, Selection};
use tollbook_model::tenant::{CallerNumbers, Tenant, TenantName};
use tollbook_model::time_range::{TimeRange, utc_day};
use tollbook_model::value::Value;
use uuid::Uuid;

const START_MS: i64 = 1_767_571_200_000; // 2026-01-05T00:00:00Z

/// Key of a record, its content, and its sequence.
#[derive(Debug, Clone, Copy)]
struct Stored {
    key: u64,
    duration_s: i64,
    sequence: u64,
}

impl Stored {
    fn start_ms(&self) -> i64 {
        START_MS + self.key as i64 * 977
    }
    fn trunk(&self) -> &'static str {
        ["trunk-a", "trunk-b", "trunk-c"][self.key as usize % 3]
    }
}

fn columns_of(records: &[Stored]) -> RecordBatch {
    let tenant = Tenant::new(TenantName::default_tenant(), vec![PseudonymKey::new(1, [7; 32])], 0)
        .with_caller_numbers(CallerNumbers::Plain);
    let admission = Admission::new(&tenant, START_MS);
    let mut rows = CallRows::new(records.len());
    for stored in records {
        let mut record = CallRecord::new();
        record.set_text(CallField::PbxAlias, "paris-1").unwrap();
        record.set(CallField::StartAt, Value::Instant(stored.start_ms())).unwrap();
        record.set(CallField::DurationS, Value::Integer(stored.duration_s)).unwrap();
        record.set_text(CallField::Direction, "outbound").unwrap();
        record.set_text(CallField::Result, "answered").unwrap();
        record.set_text(CallField::Trunk, stored.trunk()).unwrap();
        record.set_text(CallField::SourceKey, stored.key.to_string()).unwrap();
        admission.admit(&mut record).unwrap();
        rows.push(&record);
    }
    let batch = rows.finish().unwrap();
    let mut columns = batch.columns().to_vec();
    columns[SEQUENCE] =
        Arc::new(Int64Array::from_iter_values(records.iter().map(|r| r.sequence as i64))) as ArrayRef;
    RecordBatch::try_new(layout::stored_schema(), columns).unwrap()
}

#[derive(Default)]
struct Held {
    snapshot: Snapshot,
    parts: HashMap<Uuid, PartFile>,
    batches: HashMap<Uuid, Bytes>,
}

impl Contents for Held {
    fn part(&self, part: &ManifestPart) -> Result<PartFile, Fault> {
        Ok(self.parts[&part.id].clone())
    }
    fn batches(&self, ids: &[Uuid]) -> Result<Vec<Bytes>, Fault> {
        Ok(ids.iter().map(|id| self.batches[id].clone()).collect())
    }
}

impl Held {
    fn add_part(&mut self, records: &[Stored], unsettled: bool) {
        // Within a part ids are unique: the newest of each.
        let newest: BTreeMap<u64, Stored> = records.iter().map(|record| (record.key, *record)).collect();
        let records: Vec<Stored> = newest.into_values().collect();
        let batch = columns_of(&records);
        let ids = batch.column(0).as_fixed_size_binary();
        let mut order: Vec<u32> = (0..records.len() as u32).collect();
        order.sort_by_key(|&row| ids.value(row as usize).to_vec());
        let sorted = take_record_batch(&batch, &UInt32Array::from(order)).unwrap();
        let mut writer = PartWriter::new(Vec::new());
        writer.write(&sorted).unwrap();
        let (written, bytes) = writer.finish().unwrap();
        let id = Uuid::from_u128(self.parts.len() as u128 + 1);
        self.parts.insert(id, PartFile::open(PartSource::new(Arc::new(Bytes::from(bytes)))).unwrap());
        self.snapshot.parts.push(ManifestPart {
            id,
            path: String::new(),
            day: utc_day(START_MS),
            rows: written.rows,
            bytes: written.bytes,
            sequences: written.sequences,
            unsettled,
            layout: 1,
            row_groups: written.row_groups,
        });
    }

    fn add_batch(&mut self, records: &[Stored]) {
        let id = Uuid::from_u128(self.batches.len() as u128 + 1_000_000);
        self.batches.insert(id, encode_batch(&columns_of(records)).unwrap());
        let starts = records.iter().map(Stored::start_ms);
        self.snapshot.batches.push(ManifestBatch {
            id,
            first_sequence: records[0].sequence,
            rows: records.len() as u64,
            time_ms: (starts.clone().min().unwrap(), starts.max().unwrap()),
            bytes: 1,
            unsettled: true,
            received_at_ms: 0,
        });
    }
}

fn read(held: Arc<Held>, range: TimeRange, filters: &[Filter]) -> Vec<(String, i64)> {
    let snapshot = held.snapshot.clone();
    let columns =
        vec![CallField::SourceKey as usize, CallField::DurationS as usize, CallField::Trunk as usize];
    let predicate = Predicate::new(range, filters);
    let mut rows = Rows::new(held, &snapshot, plan(&snapshot, range), predicate, columns, HandOver::Nothing);
    let mut found = Vec::new();
    while let Some(next) = rows.advance().unwrap() {
        let Next::Batch(batch) = next else { panic!("nothing is handed over whole") };
        assert!(batch.num_rows() > 0);
        let keys = cast(batch.column(0), &DataType::Utf8).unwrap();
        let durations = batch.column(1).as_primitive::<Int64Type>();
        for (row, key) in keys.as_string::<i32>().iter().enumerate() {
            found.push((key.unwrap().to_owned(), durations.value(row)));
        }
    }
    found
}

/// Random records in random places, some of them several times with other contents.
fn scattered(seed: u64) -> (Held, BTreeMap<u64, Stored>) {
    let random = SeededRandomness::new(seed);
    let mut held = Held::default();
    let mut latest = BTreeMap::new();
    let mut sequence = 0;
    for place in 0..8 {
        let (from, span) = (random.next_u64() % 3000, 1 + random.next_u64() % 2000);
        let records: Vec<Stored> = (0..1 + random.next_u64() % 700)
            .map(|_| {
                sequence += 1;
                let stored =
                    Stored { key: from + random.next_u64() % span, duration_s: sequence as i64, sequence };
                latest.insert(stored.key, stored);
                stored
            })
            .collect();
        if place % 2 == 0 { held.add_part(&records, true) } else { held.add_batch(&records) }
    }
    (held, latest)
}

#[test]
fn every_record_comes_once_in_its_latest_revision_and_in_order() {
    for seed in 0..25 {
        let (held, latest) = scattered(seed);
        let held = Arc::new(held);
        let whole: Vec<(String, i64)> =
            latest.values().map(|stored| (stored.key.to_string(), stored.duration_s)).collect();
        assert!(read(Arc::clone(&held), TimeRange::all(), &[]) == whole, "all, seed {seed}");

        let range = TimeRange::new(START_MS + 700 * 977 + 1, START_MS + 2100 * 977).unwrap();
        let filters = [Filter { field: FilterField::Trunk, values: vec!["trunk-b".into(), "none".into()] }];
        let some: Vec<(String, i64)> = latest
            .values()
            .filter(|stored| range.contains(stored.start_ms()) && stored.trunk() == "trunk-b")
            .map(|stored| (stored.key.to_string(), stored.duration_s))
            .collect();
        assert!(read(held, range, &filters) == some, "some, seed {seed}");
    }
}

#[test]
fn a_part_alone_is_handed_over_whole_unless_it_is_cut_or_filtered() {
    let mut held = Held::default();
    let records: Vec<Stored> = (0..500).map(|key| Stored { key, duration_s: 1, sequence: key + 1 }).collect();
    held.add_part(&records, false);
    let snapshot = held.snapshot.clone();
    let held: Arc<dyn Contents> = Arc::new(held);
    let first = |range: TimeRange, filters: &[Filter], hand_over: HandOver| {
        let tasks: Vec<Task> = plan(&snapshot, range);
        let predicate = Predicate::new(range, filters);
        Rows::new(Arc::clone(&held), &snapshot, tasks, predicate, vec![0], hand_over).advance().unwrap()
    };
    assert!(matches!(first(TimeRange::all(), &[], HandOver::Whole), Some(Next::Whole(..))));
    let cut = TimeRange::new(START_MS + 1, i64::MAX).unwrap();
    assert!(matches!(first(cut, &[], HandOver::Whole), Some(Next::Batch(batch)) if batch.num_rows() == 499));
    let filters = [Filter { field: FilterField::Trunk, values: vec!["zzz".into()] }];
    assert!(first(TimeRange::all(), &filters, HandOver::Whole).is_none());
    assert!(matches!(first(TimeRange::all(), &[], HandOver::Few), Some(Next::Batch(..))));
    let filters = [Filter { field: FilterField::Trunk, values: vec!["trunk-b".into()] }];
    let few = first(TimeRange::all(), &filters, HandOver::Few);
    assert!(matches!(few, Some(Next::Few(_, 0, mask)) if mask.count_set_bits() == 167));
}

#[test]
fn kpis_count_every_record_once_in_any_zone() {
    let (held, latest) = scattered(3);
    let snapshot = held.snapshot.clone();
    let contents: Arc<dyn Contents> = Arc::new(held);
    for interval in [Interval::Hour, Interval::Day] {
        let selection = Selection {
            dataset: Dataset::Kpis,
            range: TimeRange::all(),
            filters: Vec::new(),
            columns: (0..12).collect(),
            timezone: TimeZone::get("Asia/Kolkata").unwrap(),
            interval,
        };
        let rows = kpis::rows(&contents, &snapshot, &[], &selection).unwrap();
        let counted: i64 =
            rows.iter().map(|row| if let Value::Integer(calls) = row[4] { calls } else { 0 }).sum();
        assert_eq!(counted, latest.len() as i64);
        let seconds: i64 =
            rows.iter().map(|row| if let Value::Integer(sum) = row[10] { sum } else { 0 }).sum();
        assert_eq!(seconds, latest.values().map(|stored| stored.duration_s).sum::<i64>());
    }
}
