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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::any_records::records;
    use crate::layout::{CONTENT_DIGEST, SEALED_CALLING_PARTY, SEQUENCE, STORED_COLUMNS};
    use crate::rows::CallRows;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
    use proptest::prelude::*;
    use tollbook_model::call::{CALL_FIELDS, CallField, CallRecord};
    use tollbook_model::money::Money;
    use tollbook_model::schema::FieldKind;
    use tollbook_model::value::Value;

    fn cell(column: &ArrayRef, row: usize, kind: FieldKind) -> Value<'static> {
        if column.is_null(row) {
            return Value::Null;
        }
        match kind {
            FieldKind::Uuid => Value::Uuid(column.as_fixed_size_binary().value(row).try_into().unwrap()),
            FieldKind::Integer { .. } => Value::Integer(column.as_primitive::<Int64Type>().value(row)),
            FieldKind::Instant => {
                Value::Instant(column.as_primitive::<TimestampMicrosecondType>().value(row) / 1000)
            }
            FieldKind::Number => Value::Number(column.as_primitive::<Float64Type>().value(row)),
            FieldKind::Money => {
                let millionths = column.as_primitive::<Decimal128Type>().value(row);
                Value::Money(Money::from_millionths(millionths.try_into().unwrap()).unwrap())
            }
            FieldKind::Boolean => Value::Boolean(column.as_boolean().value(row)),
            _ => Value::Text(column.as_string::<i32>().value(row).to_owned().into()),
        }
    }

    fn batch_of(records: &[CallRecord<'_>]) -> RecordBatch {
        let mut rows = CallRows::new(records.len());
        records.iter().for_each(|record| rows.push(record));
        rows.finish().unwrap()
    }

    fn plain_record(key: String) -> CallRecord<'static> {
        let mut record = CallRecord::new();
        record.set(CallField::Id, Value::Uuid([3; 16])).unwrap();
        record.set(CallField::StartAt, Value::Instant(1_767_603_600_000)).unwrap();
        record.set(CallField::DurationS, Value::Integer(61)).unwrap();
        record.set_text(CallField::PbxAlias, "paris-1").unwrap();
        record.set_text(CallField::Direction, "internal").unwrap();
        record.set_text(CallField::SourceKey, key).unwrap();
        record
    }

    fn all_columns() -> Vec<usize> {
        (0..STORED_COLUMNS).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn records_come_back_as_they_were(
            records in records(),
            columns in proptest::sample::subsequence(all_columns(), 0..=STORED_COLUMNS).prop_shuffle(),
        ) {
            let bytes = encode_batch(&batch_of(&records)).unwrap();
            let decoded = decode_batch(&bytes, &all_columns()).unwrap();
            prop_assert_eq!(decoded.num_rows(), records.len());
            let mut scratch = Vec::new();
            for (row, record) in records.iter().enumerate() {
                for field in CallField::ALL {
                    let extra = record.extra_text().map_or(Value::Null, |text| Value::Text(text.into()));
                    let given = if field == CallField::Extra { &extra } else { record.get(field) };
                    let kept = cell(decoded.column(field as usize), row, CALL_FIELDS[field as usize].kind);
                    prop_assert_eq!(&kept, given, "{}", field.name());
                }
                let digest = record.content_digest(record.extra_text().as_deref(), &mut scratch);
                let kept = decoded.column(CONTENT_DIGEST).as_primitive::<Int64Type>().value(row);
                prop_assert_eq!(kept.cast_unsigned(), digest);
                let sealed = decoded.column(SEALED_CALLING_PARTY).as_binary::<i32>();
                prop_assert_eq!(sealed.is_valid(row).then(|| sealed.value(row)), record.sealed_calling_party());
            }
            let some = decode_batch(&bytes, &columns).unwrap();
            prop_assert_eq!(some, decoded.project(&columns).unwrap());
        }
    }

    #[test]
    fn a_lone_record_is_small_and_a_large_batch_is_compressed() {
        let lone = encode_batch(&batch_of(&[plain_record("k".into())])).unwrap();
        assert!(lone.len() < 2500, "{} bytes", lone.len());
        let records: Vec<_> = (0..5000).map(|at| plain_record(format!("key-{at}"))).collect();
        let batch = batch_of(&records);
        let bytes = encode_batch(&batch).unwrap();
        assert!(bytes.len() < 5000 * 40, "{} bytes", bytes.len());
        assert_eq!(decode_batch(&bytes, &all_columns()).unwrap(), batch);
    }

    #[test]
    fn damaged_bytes_are_a_fault() {
        let bytes = encode_batch(&batch_of(&[plain_record("k".into())])).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.to_vec();
            changed[at] ^= 0x10;
            assert!(decode_batch(&Bytes::from(changed), &all_columns()).is_err(), "byte {at}");
            assert!(decode_batch(&bytes.slice(..at), &all_columns()).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn the_trailer_counts_the_records() {
        let bytes = encode_batch(&batch_of(&[plain_record("k".into())])).unwrap();
        let mut forged = bytes[..bytes.len() - TRAILER_BYTES].to_vec();
        forged.extend_from_slice(&2u32.to_le_bytes());
        let checksum = crc32fast::hash(&forged);
        forged.extend_from_slice(&checksum.to_le_bytes());
        forged.extend_from_slice(MAGIC);
        let fault = decode_batch(&Bytes::from(forged), &[0]).unwrap_err();
        assert!(fault.log_text().contains("another number of records"), "{fault:?}");
    }

    #[test]
    fn batches_of_an_older_schema_read_on() {
        // An older version did not know the digest, had another order, and had a column that is gone.
        let batch = batch_of(&[plain_record("k".into())]);
        let older: Vec<usize> = all_columns().into_iter().filter(|&at| at != CONTENT_DIGEST).rev().collect();
        let (schema, mut columns, _) = batch.project(&older).unwrap().into_parts();
        let mut fields = schema.fields().to_vec();
        fields.push(Arc::new(arrow_schema::Field::new("gone", arrow_schema::DataType::Int64, true)));
        columns.push(Arc::new(Int64Array::from(vec![1])));
        let older = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        let bytes = encode_batch(&older).unwrap();
        let decoded = decode_batch(&bytes, &all_columns()).unwrap();
        assert!(decoded.column(CONTENT_DIGEST).is_null(0));
        assert_eq!(decoded.column(0), batch.column(0));
    }

    #[test]
    fn sequences_are_numbered_from_the_first() {
        let batch = batch_of(&[plain_record("a".into()), plain_record("b".into())]);
        let numbered = with_sequences(batch.clone(), 41).unwrap();
        assert_eq!(numbered.column(SEQUENCE).as_primitive::<Int64Type>().values().as_ref(), [41, 42]);
        let projected = batch.project(&[SEQUENCE, 0]).unwrap();
        let numbered = with_sequences(projected, 7).unwrap();
        assert_eq!(numbered.column(0).as_primitive::<Int64Type>().values().as_ref(), [7, 8]);
        let without = batch.project(&[0]).unwrap();
        assert_eq!(with_sequences(without.clone(), 7).unwrap(), without);
        assert!(with_sequences(batch, u64::MAX).is_err());
    }
}
