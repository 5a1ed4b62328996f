//! How a journal batch is written: one Arrow IPC stream without the columns that hold nothing, then a short trailer.
//!
//! Where the bytes are kept, and what the batches' sequences are, is not known here.
//!
//! ```text
//! Arrow IPC stream | rows: u32 le | CRC-32 of all before: u32 le | "TBJ1"
//! ```
//!
//! What follows an IPC stream's end does not disturb other Arrow readers. Columns are found again by name, so batches
//! written before a field was added read on, with nothing in it.

use crate::layout;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_ipc::reader::StreamReader;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_ipc::{CompressionType, MetadataVersion};
use arrow_schema::{Schema, SchemaRef};
use bytes::Bytes;
use std::sync::Arc;
use tollbook_kit::fault::{Fault, ResultExt};

const MAGIC: &[u8; 4] = b"TBJ1";
const TRAILER_BYTES: usize = 12;
/// Bytes of values from which on buffers are compressed; below, the frames would cost more than they save.
const COMPRESS_FROM_BYTES: usize = 16 * 1024;
/// Padding of buffers; the format's least, because a batch may hold one record.
const ALIGNMENT: usize = 8;
/// Name of the sequence column, by which a projected batch is searched for it.
const SEQUENCE_NAME: &str = "sequence";

/// Encodes a batch of any columns of [`layout::stored_schema`].
///
/// # Errors
/// `internal` when the batch cannot be written.
pub fn encode_batch(batch: &RecordBatch) -> Result<Bytes, Fault> {
    let rows = u32::try_from(batch.num_rows()).fault("encoding a batch of more than 2^32 records")?;
    let used: Vec<usize> =
        (0..batch.num_columns()).filter(|&at| batch.column(at).null_count() < batch.num_rows()).collect();
    let kept = batch.project(&used).fault("leaving out the empty columns of a batch")?;
    let value_bytes = kept
        .columns()
        .iter()
        .map(|column| column.to_data().get_slice_memory_size())
        .sum::<Result<usize, _>>()
        .fault("measuring a batch")?;
    let compression = (value_bytes >= COMPRESS_FROM_BYTES).then_some(CompressionType::LZ4_FRAME);
    let options = IpcWriteOptions::try_new(ALIGNMENT, false, MetadataVersion::V5)
        .and_then(|options| options.try_with_compression(compression))
        .fault("choosing how a batch is written")?;
    let mut bytes = write_stream(&kept, options).fault("encoding a batch")?;
    bytes.extend_from_slice(&rows.to_le_bytes());
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes.extend_from_slice(MAGIC);
    Ok(Bytes::from(bytes))
}

fn write_stream(batch: &RecordBatch, options: IpcWriteOptions) -> Result<Vec<u8>, arrow_schema::ArrowError> {
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), batch.schema_ref(), options)?;
    writer.write(batch)?;
    writer.finish()?;
    writer.into_inner()
}

/// Decodes the columns at these positions of [`layout::stored_schema`], in that order. Columns that the batch left
/// out come back without values.
///
/// # Errors
/// `internal` when the bytes are not what [`encode_batch`] made of records of this schema.
pub fn decode_batch(bytes: &Bytes, columns: &[usize]) -> Result<RecordBatch, Fault> {
    let (stream, rows) = checked_stream(bytes)?;
    let schema = Arc::new(layout::stored_schema().project(columns).fault("choosing columns of a batch")?);
    let decoded = read_stream(stream, &schema).fault("decoding a batch")?;
    if decoded.num_rows() != rows {
        return Err(Fault::internal("a journal batch holds another number of records than its trailer says"));
    }
    let arrays: Vec<ArrayRef> = schema
        .fields()
        .iter()
        .map(|field| match decoded.column_by_name(field.name()) {
            Some(column) => Arc::clone(column),
            None => new_null_array(field.data_type(), rows),
        })
        .collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, arrays, &options).fault("putting a decoded batch together")
}

/// The IPC stream and the number of rows, once trailer and checksum hold.
fn checked_stream(bytes: &[u8]) -> Result<(&[u8], usize), Fault> {
    let damaged = |what: &str| Fault::internal(format!("a journal batch is damaged: {what}"));
    let Some((content, trailer)) = bytes.split_last_chunk::<TRAILER_BYTES>() else {
        return Err(damaged("it is too short"));
    };
    if !trailer.ends_with(MAGIC) {
        return Err(damaged("its end is not that of a batch"));
    }
    let word = |from: usize| {
        u32::from_le_bytes([trailer[from], trailer[from + 1], trailer[from + 2], trailer[from + 3]])
    };
    let (rows, checksum) = (word(0), word(4));
    if crc32fast::hash(&bytes[..content.len() + 4]) != checksum {
        return Err(damaged("its checksum does not fit"));
    }
    Ok((content, usize::try_from(rows).fault("counting the records of a batch")?))
}

/// Reads the columns of the stream that `wanted` names; the others are not even decompressed.
fn read_stream(stream: &[u8], wanted: &SchemaRef) -> Result<RecordBatch, arrow_schema::ArrowError> {
    let written = StreamReader::try_new(stream, None)?.schema();
    let there: Vec<usize> =
        (0..written.fields().len()).filter(|&at| is_wanted(&written, at, wanted)).collect();
    let mut batches = StreamReader::try_new(stream, Some(there))?;
    batches.next().unwrap_or_else(|| Ok(RecordBatch::new_empty(Arc::new(Schema::empty()))))
}

fn is_wanted(written: &Schema, at: usize, wanted: &Schema) -> bool {
    wanted.column_with_name(written.field(at).name()).is_some()
}

/// The batch with its sequence column filled: row `i` gets `first_sequence + i`. A batch without that column stays
/// as it is.
///
/// # Errors
/// `internal` when the numbers leave the range of a sequence, or the batch's sequence column is not one.
pub fn with_sequences(batch: RecordBatch, first_sequence: u64) -> Result<RecordBatch, Fault> {
    let Some((at, _)) = batch.schema_ref().column_with_name(SEQUENCE_NAME) else {
        return Ok(batch);
    };
    let first = i64::try_from(first_sequence).fault("numbering records")?;
    let rows = i64::try_from(batch.num_rows()).fault("numbering records")?;
    let end = first.checked_add(rows).ok_or_else(|| Fault::internal("the sequence has no numbers left"))?;
    let (schema, mut columns, rows) = batch.into_parts();
    columns[at] = Arc::new(Int64Array::from_iter_values(first..end));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, columns, &options).fault("numbering records")
}
