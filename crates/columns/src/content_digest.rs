//! Content digests of records in columns: the same that `CallRecord::content_digest` gives for the same content.
//!
//! The journal keeps digests, the lake does not; who needs one of the lake, and when, is the store's business.

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, FixedSizeBinaryArray, Float64Array, Int32Array,
    Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_model::call::{CallField, digest_of_content, is_content, push_content_field};
use tollbook_model::money::Money;
use tollbook_model::value::Value;

/// Digests of a batch that holds every catalogue column which is content, found by name, its text plain or as
/// dictionaries with 32-bit keys. One per row.
///
/// # Errors
/// `internal` when a column is missing or of another type than stored.
pub fn content_digests(batch: &RecordBatch) -> Result<Vec<u64>, Fault> {
    let mut columns = Vec::with_capacity(CallField::COUNT);
    for field in CallField::ALL.into_iter().filter(|&field| is_content(field)) {
        let column = batch.column_by_name(field.name());
        let column = column.ok_or_else(|| wrong(field, "is missing"))?;
        if column.null_count() < column.len() {
            columns.push((field, Cells::of(column).ok_or_else(|| wrong(field, "is of another type"))?));
        }
    }
    let mut bytes = Vec::new();
    let mut digests = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        bytes.clear();
        for (field, cells) in &columns {
            push_content_field(*field, &cells.value(row)?, &mut bytes);
        }
        digests.push(digest_of_content(&bytes));
    }
    Ok(digests)
}

fn wrong(field: CallField, how: &str) -> Fault {
    Fault::internal(format!("digesting records whose column {} {how}", field.name()))
}

/// A column in one of the types of `layout::stored_type` or `layout::read_type`.
enum Cells<'b> {
    Text(&'b StringArray),
    Dictionary(&'b Int32Array, &'b StringArray),
    Integer(&'b Int64Array),
    Instant(&'b TimestampMicrosecondArray),
    Number(&'b Float64Array),
    Money(&'b Decimal128Array),
    Uuid(&'b FixedSizeBinaryArray),
    Boolean(&'b BooleanArray),
}

impl<'b> Cells<'b> {
    fn of(column: &'b ArrayRef) -> Option<Self> {
        column
            .as_string_opt()
            .map(Self::Text)
            .or_else(|| {
                let dictionary = column.as_dictionary_opt::<Int32Type>()?;
                Some(Self::Dictionary(dictionary.keys(), dictionary.values().as_string_opt()?))
            })
            .or_else(|| column.as_primitive_opt::<Int64Type>().map(Self::Integer))
            .or_else(|| column.as_primitive_opt::<TimestampMicrosecondType>().map(Self::Instant))
            .or_else(|| column.as_primitive_opt::<Float64Type>().map(Self::Number))
            .or_else(|| column.as_primitive_opt::<Decimal128Type>().map(Self::Money))
            .or_else(|| column.as_fixed_size_binary_opt().map(Self::Uuid))
            .or_else(|| column.as_boolean_opt().map(Self::Boolean))
    }

    /// The value as it was set in a call record.
    fn value(&self, row: usize) -> Result<Value<'b>, Fault> {
        let has_value = match self {
            Self::Text(column) => column.is_valid(row),
            Self::Dictionary(keys, _) => keys.is_valid(row),
            Self::Integer(column) => column.is_valid(row),
            Self::Instant(column) => column.is_valid(row),
            Self::Number(column) => column.is_valid(row),
            Self::Money(column) => column.is_valid(row),
            Self::Uuid(column) => column.is_valid(row),
            Self::Boolean(column) => column.is_valid(row),
        };
        if !has_value {
            return Ok(Value::Null);
        }
        Ok(match self {
            Self::Text(column) => Value::Text(column.value(row).into()),
            Self::Dictionary(keys, values) => {
                let key = usize::try_from(keys.value(row)).fault("reading a dictionary of text")?;
                Value::Text(values.value(key).into())
            }
            Self::Integer(column) => Value::Integer(column.value(row)),
            Self::Instant(column) => Value::Instant(column.value(row) / 1000),
            Self::Number(column) => Value::Number(column.value(row)),
            Self::Money(column) => {
                let amount = i64::try_from(column.value(row)).ok().and_then(Money::from_millionths);
                Value::Money(amount.ok_or_else(|| Fault::internal("a stored amount of over 18 digits"))?)
            }
            Self::Uuid(column) => Value::Uuid(column.value(row).try_into().fault("reading a stored id")?),
            Self::Boolean(column) => Value::Boolean(column.value(row)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::any_records::records;
    use crate::layout::{self, CONTENT_DIGEST, SEALED_CALLING_PARTY, SEQUENCE, STORED_COLUMNS};
    use crate::parquet_file::{PartFile, PartSource, PartWriter, RowChoice};
    use crate::rows::CallRows;
    use arrow_select::concat::concat_batches;
    use bytes::Bytes;
    use proptest::prelude::*;
    use std::sync::Arc;
    use tollbook_model::call::CallRecord;

    fn laid_out(records: &[CallRecord<'_>]) -> RecordBatch {
        let mut rows = CallRows::new(records.len());
        records.iter().for_each(|record| rows.push(record));
        let (schema, mut columns, _) = rows.finish().unwrap().into_parts();
        columns[SEQUENCE] = Arc::new(Int64Array::from_iter_values(1..=records.len() as i64));
        RecordBatch::try_new(schema, columns).unwrap()
    }

    fn expected(records: &[CallRecord<'_>]) -> Vec<u64> {
        let mut scratch = Vec::new();
        let digest =
            |record: &CallRecord<'_>| record.content_digest(record.extra_text().as_deref(), &mut scratch);
        records.iter().map(digest).collect()
    }

    /// The records written as a part and read again, text of little variety as dictionaries.
    fn through_a_part(batch: &RecordBatch) -> RecordBatch {
        let mut writer = PartWriter::new(Vec::new());
        writer.write(batch).unwrap();
        let (_, bytes) = writer.finish().unwrap();
        let part = PartFile::open(PartSource::new(Arc::new(Bytes::from(bytes)))).unwrap();
        assert_eq!(part.file_column(CONTENT_DIGEST), None);
        let all: Vec<usize> = (0..STORED_COLUMNS).collect();
        let read: Vec<_> = part.read(0, &all, 7, RowChoice::All).unwrap().collect::<Result<_, _>>().unwrap();
        concat_batches(&read[0].schema(), &read).unwrap()
    }

    fn id(record: &CallRecord<'_>) -> [u8; 16] {
        match record.get(CallField::Id) {
            Value::Uuid(id) => *id,
            other => panic!("an id that is {other:?}"),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn columns_give_the_digests_of_their_records(mut records in records()) {
            records.sort_by_key(id);
            records.dedup_by_key(|record| id(record));
            prop_assume!(!records.is_empty());
            let (batch, expected) = (laid_out(&records), expected(&records));
            prop_assert_eq!(&content_digests(&batch).unwrap(), &expected);
            let kept = batch.column(CONTENT_DIGEST).as_primitive::<Int64Type>();
            prop_assert!(kept.values().iter().zip(&expected).all(|(kept, due)| kept.cast_unsigned() == *due));

            let read = through_a_part(&batch);
            let pbx = read.column(CallField::PbxAlias as usize);
            prop_assert_eq!(pbx.data_type(), &layout::dictionary_type());
            prop_assert_eq!(read.column(CONTENT_DIGEST).null_count(), records.len());
            prop_assert_eq!(
                read.column(SEALED_CALLING_PARTY).as_binary::<i32>(),
                batch.column(SEALED_CALLING_PARTY).as_binary::<i32>()
            );
            prop_assert_eq!(&content_digests(&read).unwrap(), &expected);
        }
    }

    #[test]
    fn no_text_empty_text_and_our_own_fields_are_told_apart() {
        let mut plain = CallRecord::new();
        for (field, value) in [
            (CallField::Id, Value::Uuid([7; 16])),
            (CallField::PbxAlias, Value::Text("paris".into())),
            (CallField::StartAt, Value::Instant(1_767_603_600_123)),
            (CallField::DurationS, Value::Integer(61)),
            (CallField::Direction, Value::Text("inbound".into())),
        ] {
            plain.set(field, value).unwrap();
        }
        let with = |field: CallField, value: Value<'static>| {
            let mut record = plain.clone();
            record.set(field, value).unwrap();
            record
        };
        let mut extra = plain.clone();
        extra.push_extra("a", "");
        let records = [
            plain.clone(),
            with(CallField::Trunk, Value::Text("".into())),
            with(CallField::Extension, Value::Text("".into())),
            with(CallField::RingS, Value::Integer(0)),
            with(CallField::Mos, Value::Number(0.0)),
            with(CallField::Mos, Value::Number(-0.0)),
            with(CallField::Rate, Value::Money(Money::from_millionths(0).unwrap())),
            extra,
            with(CallField::ReceivedAt, Value::Instant(1)),
            with(CallField::Revision, Value::Integer(3)),
        ];
        let digests = content_digests(&laid_out(&records)).unwrap();
        assert_eq!(digests, expected(&records));
        assert_eq!(digests[8..], [digests[0]; 2], "when it arrived and how often it changed is not content");
        let mut distinct = digests[..8].to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), 8);
    }

    #[test]
    fn columns_that_are_missing_are_a_fault() {
        let batch = laid_out(&[]);
        assert!(content_digests(&batch).unwrap().is_empty());
        let fault = content_digests(&batch.project(&[0, 1, 2]).unwrap()).unwrap_err();
        assert!(fault.log_text().contains("is missing"), "{fault:?}");
    }
}
