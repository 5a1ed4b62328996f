//! Merges what overlaps: row groups and journal batches that may hold records between each other's, or the same ones.
//!
//! Of records with one id only the one with the highest sequence comes out: the latest revision.

use crate::BATCH_ROWS;
use crate::predicate::Predicate;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch, UInt32Array};
use arrow_cast::cast;
use arrow_schema::{DataType, Field, Schema};
use arrow_select::concat::concat_batches;
use arrow_select::filter::filter_record_batch;
use arrow_select::interleave::interleave_record_batch;
use arrow_select::take::take_record_batch;
use bytes::Bytes;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use tollbook_columns::batch_codec::decode_batch;
use tollbook_columns::layout::SEQUENCE;
use tollbook_columns::parquet_file::{PartFile, PartRows, RowChoice};
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_model::call::CallField;

/// A merge of sorted inputs. Holds one decoded batch per row group whose turn has come, and the wanted columns of
/// every journal batch.
pub(crate) struct Merge {
    /// Stored columns read: wanted ones, the predicate's, id, sequence.
    read: Vec<usize>,
    /// How many of them are wanted.
    wanted: usize,
    predicate: Predicate,
    inputs: Vec<Input>,
    heap: BinaryHeap<Reverse<Head>>,
    last_id: Option<u128>,
}

/// Order of the merge: least id first, and of one id the highest sequence.
#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
struct Head {
    id: u128,
    newest_first: Reverse<i64>,
    input: usize,
}

struct Input {
    source: Source,
    batch: Option<RecordBatch>,
    row: usize,
}

enum Source {
    /// A row group, opened when its first record's turn comes: a merge may be of very many.
    Unopened(PartFile, usize),
    /// The rest of a row group. Its ids are unique.
    Opened(PartRows),
    /// Journal batches, all in `batch`. An id may come several times.
    Journal,
}

impl Merge {
    pub(crate) fn new(wanted: &[usize], predicate: Predicate) -> Self {
        let mut read = wanted.to_vec();
        let needed = predicate.columns(true);
        for column in needed.into_iter().chain([CallField::Id as usize, SEQUENCE]) {
            if !read.contains(&column) {
                read.push(column);
            }
        }
        Self {
            read,
            wanted: wanted.len(),
            predicate,
            inputs: Vec::new(),
            heap: BinaryHeap::new(),
            last_id: None,
        }
    }

    /// Adds a row group whose first id is `first_id`.
    pub(crate) fn add_row_group(&mut self, part: PartFile, row_group: usize, first_id: [u8; 16]) {
        // It comes before any record of that id, so that it is opened in time.
        let newest_first = Reverse(i64::MAX);
        let input = self.inputs.len();
        self.heap.push(Reverse(Head { id: u128::from_be_bytes(first_id), newest_first, input }));
        self.inputs.push(Input { source: Source::Unopened(part, row_group), batch: None, row: 0 });
    }

    /// Adds journal batches with their first sequences, as one sorted input.
    pub(crate) fn add_batches(&mut self, batches: &[(Bytes, u64)]) -> Result<(), Fault> {
        let decoded = batches
            .iter()
            .map(|(bytes, first_sequence)| {
                plain(&self.numbered(&decode_batch(bytes, &self.read)?, *first_sequence)?)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let Some(first) = decoded.first() else { return Ok(()) };
        let all = concat_batches(&first.schema(), &decoded).fault("joining journal batches")?;
        drop(decoded);
        let batch = sorted(&all, self.place(CallField::Id as usize), self.place(SEQUENCE))?;
        self.inputs.push(Input { source: Source::Journal, batch: Some(batch), row: 0 });
        self.refill(self.inputs.len() - 1)
    }

    /// The next records; none at the end. A batch may be empty when none of its records passed the predicate.
    pub(crate) fn advance(&mut self) -> Result<Option<RecordBatch>, Fault> {
        // Batches that rows were chosen from, kept until the chosen rows are gathered.
        let mut used: Vec<RecordBatch> = Vec::new();
        let mut slot: Vec<Option<usize>> = vec![None; self.inputs.len()];
        let mut chosen: Vec<(usize, usize)> = Vec::with_capacity(BATCH_ROWS);
        while chosen.len() < BATCH_ROWS {
            let Some(Reverse(head)) = self.heap.pop() else { break };
            if matches!(self.inputs[head.input].source, Source::Unopened(..)) {
                self.open(head.input)?;
                continue;
            }
            if chosen.is_empty()
                && let Some(stretch) = self.stretch(head)?
            {
                return self.pass(&stretch).map(Some);
            }
            let input = &mut self.inputs[head.input];
            if self.last_id != Some(head.id) {
                self.last_id = Some(head.id);
                if let Some(batch) = &input.batch {
                    let place = *slot[head.input].get_or_insert_with(|| {
                        used.push(batch.clone());
                        used.len() - 1
                    });
                    chosen.push((place, input.row));
                }
            }
            input.row += 1;
            if input.batch.as_ref().is_some_and(|batch| input.row >= batch.num_rows()) {
                input.batch = None;
                slot[head.input] = None;
            }
            self.refill(head.input)?;
        }
        if chosen.is_empty() {
            return Ok(None);
        }
        let batches: Vec<&RecordBatch> = used.iter().collect();
        let merged = interleave_record_batch(&batches, &chosen).fault("merging records")?;
        self.pass(&merged).map(Some)
    }

    fn open(&mut self, at: usize) -> Result<(), Fault> {
        let input = &mut self.inputs[at];
        if let Source::Unopened(part, row_group) = &input.source {
            let rows = part.read(*row_group, &self.read, BATCH_ROWS, RowChoice::All)?;
            input.source = Source::Opened(rows);
        }
        self.refill(at)
    }

    /// The rest of the head's batch, if nothing else has a record between: most of what is merged lies side by side.
    fn stretch(&mut self, head: Head) -> Result<Option<RecordBatch>, Fault> {
        let place_of_id = self.place(CallField::Id as usize);
        let input = &mut self.inputs[head.input];
        let Some(batch) = &input.batch else { return Ok(None) };
        let last = id_at(batch, place_of_id, batch.num_rows() - 1);
        let others_later = self.heap.peek().is_none_or(|Reverse(next)| next.id > last);
        if !matches!(input.source, Source::Opened(_)) || !others_later || self.last_id == Some(head.id) {
            return Ok(None);
        }
        let stretch = batch.slice(input.row, batch.num_rows() - input.row);
        self.last_id = Some(last);
        input.batch = None;
        self.refill(head.input)?;
        Ok(Some(stretch))
    }

    /// Makes sure that the input has a row, and puts its head on the heap.
    fn refill(&mut self, at: usize) -> Result<(), Fault> {
        let place_of_id = self.place(CallField::Id as usize);
        let place_of_sequence = self.place(SEQUENCE);
        let input = &mut self.inputs[at];
        while input.batch.as_ref().is_none_or(|batch| batch.num_rows() == 0) {
            let Source::Opened(rows) = &mut input.source else { return Ok(()) };
            let Some(batch) = rows.next().transpose()? else { return Ok(()) };
            input.batch = Some(plain(&batch)?);
            input.row = 0;
        }
        if let Some(batch) = &input.batch {
            let id = id_at(batch, place_of_id, input.row);
            let sequence = batch.column(place_of_sequence).as_primitive::<Int64Type>().value(input.row);
            self.heap.push(Reverse(Head { id, newest_first: Reverse(sequence), input: at }));
        }
        Ok(())
    }

    fn pass(&self, merged: &RecordBatch) -> Result<RecordBatch, Fault> {
        let mask = self.predicate.evaluate(merged, &self.read, true);
        let wanted: Vec<usize> = (0..self.wanted).collect();
        let merged = merged.project(&wanted).fault("narrowing merged records")?;
        if mask.count_set_bits() == mask.len() {
            return Ok(merged);
        }
        filter_record_batch(&merged, &mask.into()).fault("filtering merged records")
    }

    fn place(&self, column: usize) -> usize {
        self.read.iter().position(|&read| read == column).expect("id and sequence are always read")
    }

    fn numbered(&self, batch: &RecordBatch, first_sequence: u64) -> Result<RecordBatch, Fault> {
        let place = self.place(SEQUENCE);
        let first = i64::try_from(first_sequence).fault("a sequence beyond 63 bits")?;
        let numbers =
            arrow_array::Int64Array::from_iter_values((0..batch.num_rows() as i64).map(|row| first + row));
        let mut columns = batch.columns().to_vec();
        columns[place] = Arc::new(numbers);
        RecordBatch::try_new(batch.schema(), columns).fault("numbering a journal batch")
    }
}

fn id_at(batch: &RecordBatch, place: usize, row: usize) -> u128 {
    let bytes: [u8; 16] = batch.column(place).as_fixed_size_binary().value(row).try_into().unwrap_or([0; 16]);
    u128::from_be_bytes(bytes)
}

/// Sorted by id, and of one id the highest sequence first.
fn sorted(batch: &RecordBatch, place_of_id: usize, place_of_sequence: usize) -> Result<RecordBatch, Fault> {
    let sequences = batch.column(place_of_sequence).as_primitive::<Int64Type>();
    let mut order: Vec<(u128, Reverse<i64>, u32)> = (0..batch.num_rows())
        .map(|row| (id_at(batch, place_of_id, row), Reverse(sequences.value(row)), row as u32))
        .collect();
    if order.is_sorted() {
        return Ok(batch.clone());
    }
    order.sort_unstable();
    let order = UInt32Array::from_iter_values(order.into_iter().map(|(_, _, row)| row));
    take_record_batch(batch, &order).fault("sorting journal batches")
}

/// Text as plain strings: inputs with different dictionaries cannot be interleaved cheaply.
fn plain(batch: &RecordBatch) -> Result<RecordBatch, Fault> {
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let nullable = Field::clone(field).with_nullable(true);
        if matches!(column.data_type(), DataType::Dictionary(..)) {
            columns.push(cast(column, &DataType::Utf8).fault("unpacking a dictionary")?);
            fields.push(nullable.with_data_type(DataType::Utf8));
        } else {
            columns.push(Arc::clone(column));
            fields.push(nullable);
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).fault("unpacking a batch")
}
