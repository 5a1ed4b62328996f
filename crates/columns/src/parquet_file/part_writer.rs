//! Writes one part of the lake: records sorted by id, as one Parquet file.

use super::{broken, profile};
use crate::layout;
use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::LogicalType;
use parquet::schema::types::{SchemaDescriptor, Type};
use std::io::Write;
use std::sync::Arc;
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_model::call::CallField;
use tollbook_model::ports::RowGroup;

/// Rows of a row group, but for the last one of a part.
pub const ROW_GROUP_ROWS: usize = 128 * 1024;

/// A part as written, for the manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenPart {
    /// Records.
    pub rows: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Row groups in file order.
    pub row_groups: Vec<RowGroup>,
    /// Least and greatest sequence inside.
    pub sequences: (u64, u64),
}

/// Writes a part. Nothing is durable or visible before the sink makes it so.
pub struct PartWriter<W: Write + Send> {
    state: State<W>,
    current: Option<([u8; 16], [u8; 16], u64)>,
    groups: Vec<([u8; 16], [u8; 16], u64)>,
    sequences: Option<(u64, u64)>,
}

enum State<W: Write + Send> {
    /// The encoding is chosen when the first rows are seen.
    Waiting(W),
    Writing(Box<ArrowWriter<Counted<W>>>),
    Poisoned,
}

/// Counts what goes through, since the writer gives either its sink back or its count.
struct Counted<W> {
    sink: W,
    bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.sink.write(bytes)?;
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.sink.flush()
    }
}

impl<W: Write + Send> PartWriter<W> {
    /// A writer into `sink`.
    pub fn new(sink: W) -> Self {
        Self { state: State::Waiting(sink), current: None, groups: Vec::new(), sequences: None }
    }

    /// Appends records of the stored schema with sequences, whose ids rise from record to record and call to call.
    /// Their content digests are left out.
    ///
    /// # Errors
    /// `internal` when the sink fails or the ids do not rise. The part must be given up then.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Fault> {
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.note_sequences(batch)?;
        let columns: Vec<usize> = layout::part_columns().collect();
        let batch = batch.project(&columns).fault("leaving out what parts do not hold")?;
        self.start_with(&batch)?;
        let mut offset = 0;
        while offset < batch.num_rows() {
            let filled = self.current.map_or(0, |(_, _, rows)| rows as usize);
            let take = (ROW_GROUP_ROWS - filled).min(batch.num_rows() - offset);
            let slice = batch.slice(offset, take);
            self.note_ids(&slice)?;
            match &mut self.state {
                State::Writing(writer) => writer.write(&slice).map_err(broken("writing a part"))?,
                _ => return Err(Fault::internal("a part writer was used after it failed")),
            }
            offset += take;
        }
        Ok(())
    }

    /// Writes the footer and gives the sink back.
    ///
    /// # Errors
    /// `internal` when the sink fails or nothing was written.
    pub fn finish(mut self) -> Result<(WrittenPart, W), Fault> {
        let State::Writing(mut writer) = std::mem::replace(&mut self.state, State::Poisoned) else {
            return Err(Fault::internal("a part without records was finished"));
        };
        self.groups.extend(self.current.take());
        writer.flush().map_err(broken("finishing a part"))?;
        let flushed = writer.flushed_row_groups();
        assert_eq!(flushed.len(), self.groups.len(), "row groups are cut where the writer cuts them");
        let row_groups: Vec<RowGroup> = self
            .groups
            .iter()
            .zip(flushed)
            .map(|(&(first, last, rows), group)| {
                assert_eq!(group.num_rows() as u64, rows, "row groups hold what was counted");
                RowGroup { rows, bytes: group.compressed_size() as u64, ids: (first, last) }
            })
            .collect();
        let Counted { sink, bytes } = writer.into_inner().map_err(broken("finishing a part"))?;
        let rows = row_groups.iter().map(|group| group.rows).sum();
        Ok((WrittenPart { rows, bytes, row_groups, sequences: self.sequences.unwrap_or((0, 0)) }, sink))
    }

    fn start_with(&mut self, batch: &RecordBatch) -> Result<(), Fault> {
        if !matches!(self.state, State::Waiting(_)) {
            return Ok(());
        }
        if let State::Waiting(sink) = std::mem::replace(&mut self.state, State::Poisoned) {
            let options = ArrowWriterOptions::new()
                .with_properties(profile::properties(batch, ROW_GROUP_ROWS))
                .with_skip_arrow_metadata(true)
                .with_parquet_schema(parquet_schema()?);
            let writer =
                ArrowWriter::try_new_with_options(Counted { sink, bytes: 0 }, layout::part_schema(), options)
                    .map_err(broken("starting a part"))?;
            self.state = State::Writing(Box::new(writer));
        }
        Ok(())
    }

    fn note_ids(&mut self, slice: &RecordBatch) -> Result<(), Fault> {
        let ids = slice.column(CallField::Id as usize).as_fixed_size_binary();
        let at = |row: usize| -> [u8; 16] { ids.value(row).try_into().unwrap_or([0; 16]) };
        let (first, last) = (at(0), at(slice.num_rows() - 1));
        let before = self.current.map(|(_, last, _)| last).or(self.groups.last().map(|group| group.1));
        if before.is_some_and(|before| before >= first) || first > last {
            return Err(Fault::internal("records of a part are not sorted by id"));
        }
        let rows = slice.num_rows() as u64;
        let group = match self.current {
            Some((start, _, filled)) => (start, last, filled + rows),
            None => (first, last, rows),
        };
        if group.2 as usize == ROW_GROUP_ROWS {
            self.groups.push(group);
            self.current = None;
        } else {
            self.current = Some(group);
        }
        Ok(())
    }

    fn note_sequences(&mut self, batch: &RecordBatch) -> Result<(), Fault> {
        let column = batch.column(layout::SEQUENCE).as_primitive::<Int64Type>();
        if column.null_count() > 0 {
            return Err(Fault::internal("records of a part have sequence numbers"));
        }
        let range = least_and_greatest(column.values());
        self.sequences = match (self.sequences, range) {
            (Some((low, high)), (first, last)) => Some((low.min(first), high.max(last))),
            (None, range) => Some(range),
        };
        Ok(())
    }
}

fn least_and_greatest(values: &[i64]) -> (u64, u64) {
    let low = values.iter().copied().min().unwrap_or(0);
    let high = values.iter().copied().max().unwrap_or(0);
    (u64::try_from(low).unwrap_or(0), u64::try_from(high).unwrap_or(0))
}

/// The Parquet schema of a part: what Arrow converts to, with ids marked as UUIDs for other readers of the lake.
fn parquet_schema() -> Result<SchemaDescriptor, Fault> {
    let converted = ArrowSchemaConverter::new()
        .convert(&layout::part_schema())
        .map_err(broken("converting a part's schema"))?;
    let mut fields = converted.root_schema().get_fields().to_vec();
    let id = &fields[CallField::Id as usize];
    let marked = Type::primitive_type_builder(id.name(), parquet::basic::Type::FIXED_LEN_BYTE_ARRAY)
        .with_length(16)
        .with_repetition(parquet::basic::Repetition::REQUIRED)
        .with_logical_type(Some(LogicalType::Uuid))
        .build()
        .map_err(broken("marking ids as UUIDs"))?;
    fields[CallField::Id as usize] = Arc::new(marked);
    let root = Type::group_type_builder("call")
        .with_fields(fields)
        .build()
        .map_err(broken("building the schema"))?;
    Ok(SchemaDescriptor::new(Arc::new(root)))
}
