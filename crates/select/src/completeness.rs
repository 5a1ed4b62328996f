//! Completeness reports: per hour how many records there are, and the root of the tree over them.
//!
//! Records are read as exports read them and rendered as exports in NDJSON show them, so that neither where they lie nor
//! how often changes anything. Which range is looked at is not decided here.

use crate::output::Job;
use crate::pipeline::{Emitter, Outlet};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, RecordBatch};
use jiff::tz::TimeZone;
use std::collections::BTreeMap;
use tollbook_columns::encode::{RecordProof, TextEncoder, TextFormat};
use tollbook_columns::layout::SEQUENCE;
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_model::completeness::{HOUR_MS, HourDigest};
use tollbook_model::dataset::Dataset;
use tollbook_model::export::{ExportRequest, Proof};
use tollbook_model::format::ExportFormat;
use tollbook_model::merkle::{Hash, MerkleTree};
use tollbook_model::schema::Schema;

const HOUR_US: i64 = HOUR_MS * 1000;

/// How records of a dataset are digested. Shared by all workers of a report.
pub(crate) struct Digester {
    encoder: TextEncoder,
    proof: RecordProof,
    /// Columns of the batches: first those that are rendered, then others that are needed.
    columns: Vec<usize>,
    rendered: usize,
    /// Place of the records' time in the batches.
    time: usize,
    /// Place of their sequence numbers, if they have any.
    sequence: Option<usize>,
    hours_ascend: bool,
}

impl Digester {
    /// For records of this dataset.
    ///
    /// # Errors
    /// `internal` when its schema lacks a field that it must have.
    pub(crate) fn of(dataset: Dataset) -> Result<Self, Fault> {
        let schema = Schema::of(dataset);
        let mut columns = schema.default_columns();
        let rendered = columns.len();
        let encoder = TextEncoder::new(TextFormat::Ndjson, schema, &columns, TimeZone::UTC);
        let position = |name: &str| {
            schema.position(name).ok_or_else(|| Fault::internal(format!("{dataset} has no field {name}")))
        };
        let sequence = match dataset.sequence_field() {
            Some(name) => Some(position(name)?),
            None => (dataset == Dataset::Cdr).then_some(SEQUENCE),
        };
        let time = place_of(position(dataset.time_field())?, &mut columns);
        let sequence = sequence.map(|column| place_of(column, &mut columns));
        // The log is in the order of its chain, and a clock may have been set back.
        let hours_ascend = dataset != Dataset::AuditLog;
        Ok(Self { encoder, proof: RecordProof::new(None), columns, rendered, time, sequence, hours_ascend })
    }

    /// The export whose records are digested: of this request only dataset, range and filters are left.
    pub(crate) fn export(&self, mut request: ExportRequest) -> ExportRequest {
        request.selection.columns = self.columns[..self.rendered].to_vec();
        request.selection.timezone = TimeZone::UTC;
        ExportRequest {
            format: ExportFormat::Ndjson,
            formula_guard: false,
            sheet: None,
            proof: Proof::None,
            ..request
        }
    }

    /// The same with all columns that [`Digester::digest`] wants.
    pub(crate) fn reading(&self, mut export: ExportRequest) -> ExportRequest {
        export.selection.columns.clone_from(&self.columns);
        export
    }

    /// The report that is made of what workers digest.
    pub(crate) fn report(&self) -> Report {
        Report { hours_ascend: self.hours_ascend, open: BTreeMap::new(), closed_before: i64::MIN }
    }

    /// What each worker does: the records of a piece of work, hour by hour in their order.
    ///
    /// # Errors
    /// `internal` when something stored cannot be read or rendered.
    pub(crate) fn digest(&self, job: Job) -> Result<Vec<Stretch>, Fault> {
        let Job::Records { batches, .. } = job.read()? else {
            return Err(Fault::internal("a row group was handed over to a completeness report"));
        };
        let mut stretches = Vec::new();
        for batch in &batches {
            self.digest_batch(batch, &mut stretches)?;
        }
        Ok(stretches)
    }

    fn digest_batch(&self, batch: &RecordBatch, stretches: &mut Vec<Stretch>) -> Result<(), Fault> {
        let rendered: Vec<usize> = (0..self.rendered).collect();
        let shown = batch.project(&rendered).fault("choosing the columns of a digest")?;
        let mut text = Vec::new();
        self.encoder.encode(&shown, true, &mut text)?;
        let leaves = self.proof.prove(text).leaves;
        if leaves.len() != batch.num_rows() {
            return Err(Fault::internal("records and leaves of a completeness report differ in number"));
        }
        let times = batch.column(self.time).as_primitive::<TimestampMicrosecondType>().values();
        for (row, leaf) in leaves.into_iter().enumerate() {
            let hour = times[row].div_euclid(HOUR_US);
            let sequence = self.sequence.map(|place| sequence_at(batch, place, row)).transpose()?;
            match stretches.last_mut() {
                Some(last) if last.hour == hour => last.push(leaf, sequence),
                _ => stretches.push(Stretch::new(hour, leaf, sequence)),
            }
        }
        Ok(())
    }
}

/// The place of a column among `columns`, where it is put if it is missing.
fn place_of(column: usize, columns: &mut Vec<usize>) -> usize {
    columns.iter().position(|&known| known == column).unwrap_or_else(|| {
        columns.push(column);
        columns.len() - 1
    })
}

fn sequence_at(batch: &RecordBatch, place: usize, row: usize) -> Result<u64, Fault> {
    let sequences = batch.column(place).as_primitive::<Int64Type>();
    if sequences.is_null(row) {
        return Err(Fault::internal("a stored record has no sequence number"));
    }
    u64::try_from(sequences.value(row)).fault("reading a sequence number")
}

/// Neighbouring records of one hour.
#[derive(Debug)]
pub(crate) struct Stretch {
    hour: i64,
    leaves: Vec<Hash>,
    sequences: Option<(u64, u64)>,
}

impl Stretch {
    fn new(hour: i64, leaf: Hash, sequence: Option<u64>) -> Self {
        Self { hour, leaves: vec![leaf], sequences: sequence.map(|sequence| (sequence, sequence)) }
    }

    fn push(&mut self, leaf: Hash, sequence: Option<u64>) {
        self.leaves.push(leaf);
        self.sequences = joined(self.sequences, sequence.map(|sequence| (sequence, sequence)));
    }
}

/// The least and the greatest of both.
fn joined(one: Option<(u64, u64)>, other: Option<(u64, u64)>) -> Option<(u64, u64)> {
    match (one, other) {
        (Some(one), Some(other)) => Some((one.0.min(other.0), one.1.max(other.1))),
        (one, other) => one.or(other),
    }
}

/// Puts stretches together to hours. Holds a hash per level of the tree of every hour to which records may still come:
/// of one, or, where the order of records is not that of hours, of all.
pub(crate) struct Report {
    hours_ascend: bool,
    open: BTreeMap<i64, OpenHour>,
    closed_before: i64,
}

#[derive(Default)]
struct OpenHour {
    tree: MerkleTree,
    sequences: Option<(u64, u64)>,
}

impl Report {
    /// Hands on what lies before this hour.
    fn close_before(&mut self, hour: i64, outlet: &Outlet<HourDigest>) -> Result<(), Fault> {
        while let Some(first) = self.open.first_entry().filter(|first| *first.key() < hour) {
            let (hour, OpenHour { tree, sequences }) = first.remove_entry();
            outlet.hand_on(HourDigest { hour, records: tree.leaves(), sequences, root: tree.root() })?;
        }
        self.closed_before = hour;
        Ok(())
    }
}

impl Emitter for Report {
    type Result = Vec<Stretch>;
    type Item = HourDigest;

    fn open(&mut self, _: &Outlet<HourDigest>) -> Result<(), Fault> {
        Ok(())
    }

    fn emit(&mut self, stretches: Vec<Stretch>, outlet: &Outlet<HourDigest>) -> Result<(), Fault> {
        for Stretch { hour, leaves, sequences } in stretches {
            if hour < self.closed_before {
                return Err(Fault::internal("records of a completeness report came out of order"));
            }
            if self.hours_ascend {
                self.close_before(hour, outlet)?;
            }
            let open = self.open.entry(hour).or_default();
            leaves.into_iter().for_each(|leaf| open.tree.push(leaf));
            open.sequences = joined(open.sequences, sequences);
        }
        Ok(())
    }

    fn close(mut self, outlet: &Outlet<HourDigest>) -> Result<(), Fault> {
        self.close_before(i64::MAX, outlet)
    }
}
