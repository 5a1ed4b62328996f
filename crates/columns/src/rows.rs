//! Rows into columns: call records on their way to the journal, and rows of other datasets handed over as values.
//!
//! Values were checked when they were set (`model::call`); here they are only laid out. A column costs nothing until
//! its first value: missing values are counted, and filled in when a value or the end comes.

use crate::layout::{self, CONTENT_DIGEST, SEALED_CALLING_PARTY, STORED_COLUMNS};
use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Decimal128Builder, FixedSizeBinaryBuilder, Float64Builder, Int64Builder,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, new_null_array};
use arrow_schema::{DataType, SchemaRef};
use std::sync::Arc;
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_model::call::{CallField, CallRecord};
use tollbook_model::ports::GivenRow;
use tollbook_model::schema::Schema;
use tollbook_model::value::Value;

/// Rows for which a column makes room at its first value; beyond them it grows as it is filled.
const MOST_ROWS_AT_ONCE: usize = 64 * 1024;
/// Bytes of text for which a column makes room per row.
const TEXT_BYTES_AT_ONCE: usize = 12;

/// Admitted call records, gathered into the columns of [`layout::stored_schema`].
#[derive(Debug)]
pub struct CallRows {
    schema: SchemaRef,
    columns: Vec<Column>,
    expected_rows: usize,
    rows: usize,
    bytes: usize,
    digest_scratch: Vec<u8>,
}

impl CallRows {
    /// No rows yet, and room for `expected_rows` once they come.
    pub fn new(expected_rows: usize) -> Self {
        Self {
            schema: layout::stored_schema(),
            columns: (0..STORED_COLUMNS).map(|_| Column::default()).collect(),
            expected_rows: expected_rows.min(MOST_ROWS_AT_ONCE),
            rows: 0,
            bytes: 0,
            digest_scratch: Vec::new(),
        }
    }

    /// Adds an admitted record: the values of the catalogue, its content digest and its sealed caller. The sequence
    /// stays empty.
    pub fn push(&mut self, record: &CallRecord<'_>) {
        let extra = record.extra_text();
        let digest = record.content_digest(extra.as_deref(), &mut self.digest_scratch);
        for field in CallField::ALL {
            let value = record.get(field);
            if !value.is_null() {
                self.put(field as usize, value);
            }
        }
        if let Some(text) = extra {
            self.put(CallField::Extra as usize, &Value::Text(text.into()));
        }
        self.put(CONTENT_DIGEST, &Value::Integer(digest.cast_signed()));
        if let Some(sealed) = record.sealed_calling_party() {
            self.put(SEALED_CALLING_PARTY, &Value::Bytes(sealed.to_vec()));
        }
        self.rows += 1;
    }

    fn put(&mut self, at: usize, value: &Value<'_>) {
        let held =
            self.columns[at].put(self.rows, value, self.schema.field(at).data_type(), self.expected_rows);
        debug_assert!(held.is_some(), "a call record only takes values that fit its fields");
        self.bytes += held.unwrap_or(0);
    }

    /// Rows so far.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// Is there no row yet?
    pub fn is_empty(&self) -> bool {
        self.rows == 0
    }

    /// Bytes of the values so far; about the memory that they hold.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Hands out the rows as one batch of [`layout::stored_schema`] and starts again without rows.
    ///
    /// # Errors
    /// `internal` when a record without a required value was pushed, which admission does not let through.
    pub fn finish(&mut self) -> Result<RecordBatch, Fault> {
        let rows = std::mem::take(&mut self.rows);
        self.bytes = 0;
        let columns = std::mem::take(&mut self.columns);
        self.columns = (0..STORED_COLUMNS).map(|_| Column::default()).collect();
        batch_of(Arc::clone(&self.schema), columns, rows)
    }
}

/// Rows of any dataset, handed over as values, as one batch of [`layout::record_schema`].
///
/// # Errors
/// `internal` when a row has another number of values than the schema has fields, a value of another kind than its
/// field, or no value where one is required.
pub fn batch_from_rows(schema: &Schema, rows: &[GivenRow]) -> Result<RecordBatch, Fault> {
    let arrow_schema = layout::record_schema(schema);
    let mut columns: Vec<Column> = schema.fields.iter().map(|_| Column::default()).collect();
    for (row, values) in rows.iter().enumerate() {
        if values.len() != columns.len() {
            return Err(Fault::internal(format!(
                "a row handed over for {} has another width",
                schema.dataset
            )));
        }
        for (at, value) in values.iter().enumerate() {
            let data_type = arrow_schema.field(at).data_type();
            if !value.is_null() && columns[at].put(row, value, data_type, rows.len()).is_none() {
                let name = schema.fields[at].name;
                return Err(Fault::internal(format!("a value handed over for {name} is of another kind")));
            }
        }
    }
    batch_of(arrow_schema, columns, rows.len())
}

fn batch_of(schema: SchemaRef, columns: Vec<Column>, rows: usize) -> Result<RecordBatch, Fault> {
    let arrays =
        schema.fields().iter().zip(columns).map(|(field, column)| column.finish(rows, field.data_type()));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(&schema), arrays.collect(), &options)
        .fault("laying out rows in columns")
}

/// A column that is being filled: its values up to the last one that was there.
#[derive(Debug, Default)]
struct Column {
    filled: usize,
    values: Option<Values>,
}

impl Column {
    /// Puts the value of row `row`, which is beyond every row put before. Answers the bytes that the value holds, or
    /// none when it is of another kind than `data_type`.
    #[inline]
    fn put(
        &mut self,
        row: usize,
        value: &Value<'_>,
        data_type: &DataType,
        expected_rows: usize,
    ) -> Option<usize> {
        let values = self.values.get_or_insert_with(|| Values::new(data_type, expected_rows.max(row + 1)));
        if self.filled < row {
            values.append_missing(row - self.filled);
            self.filled = row;
        }
        let held = values.append(value)?;
        self.filled += 1;
        Some(held)
    }

    fn finish(self, rows: usize, data_type: &DataType) -> ArrayRef {
        match self.values {
            Some(mut values) => {
                values.append_missing(rows - self.filled);
                values.finish()
            }
            None => new_null_array(data_type, rows),
        }
    }
}

/// Builders of the stored types (`layout::stored_type`).
#[derive(Debug)]
enum Values {
    Text(StringBuilder),
    Integer(Int64Builder),
    Instant(TimestampMicrosecondBuilder),
    Number(Float64Builder),
    Money(Decimal128Builder),
    Uuid(FixedSizeBinaryBuilder),
    Bytes(BinaryBuilder),
    Boolean(BooleanBuilder),
}

impl Values {
    fn new(data_type: &DataType, rows: usize) -> Self {
        match data_type {
            DataType::Int64 => Self::Integer(Int64Builder::with_capacity(rows)),
            DataType::Timestamp(..) => Self::Instant(
                TimestampMicrosecondBuilder::with_capacity(rows).with_data_type(layout::instant_type()),
            ),
            DataType::Float64 => Self::Number(Float64Builder::with_capacity(rows)),
            DataType::Decimal128(..) => {
                Self::Money(Decimal128Builder::with_capacity(rows).with_data_type(data_type.clone()))
            }
            DataType::FixedSizeBinary(width) => {
                Self::Uuid(FixedSizeBinaryBuilder::with_capacity(rows, *width))
            }
            DataType::Binary => Self::Bytes(BinaryBuilder::with_capacity(rows, rows * TEXT_BYTES_AT_ONCE)),
            DataType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(rows)),
            // Every other stored type is text.
            _ => Self::Text(StringBuilder::with_capacity(rows, rows * TEXT_BYTES_AT_ONCE)),
        }
    }

    /// Appends a value and answers the bytes that it holds; none, and nothing appended, if it is of another kind.
    #[inline]
    fn append(&mut self, value: &Value<'_>) -> Option<usize> {
        match (self, value) {
            (Self::Text(column), Value::Text(text)) => {
                column.append_value(text);
                Some(text.len() + size_of::<i32>())
            }
            (Self::Integer(column), Value::Integer(number)) => {
                column.append_value(*number);
                Some(size_of::<i64>())
            }
            (Self::Instant(column), Value::Instant(ms)) => {
                column.append_value(ms.checked_mul(1000)?);
                Some(size_of::<i64>())
            }
            (Self::Number(column), Value::Number(number)) => {
                column.append_value(*number);
                Some(size_of::<f64>())
            }
            (Self::Money(column), Value::Money(amount)) => {
                column.append_value(i128::from(amount.millionths()));
                Some(size_of::<i128>())
            }
            (Self::Uuid(column), Value::Uuid(id)) => {
                column.append_value(id).ok()?;
                Some(id.len())
            }
            (Self::Bytes(column), Value::Bytes(bytes)) => {
                column.append_value(bytes);
                Some(bytes.len() + size_of::<i32>())
            }
            (Self::Boolean(column), Value::Boolean(yes)) => {
                column.append_value(*yes);
                Some(1)
            }
            _ => None,
        }
    }

    fn append_missing(&mut self, rows: usize) {
        match self {
            Self::Text(column) => column.append_nulls(rows),
            Self::Integer(column) => column.append_nulls(rows),
            Self::Instant(column) => column.append_nulls(rows),
            Self::Number(column) => column.append_nulls(rows),
            Self::Money(column) => column.append_nulls(rows),
            Self::Uuid(column) => column.append_nulls(rows),
            Self::Bytes(column) => column.append_nulls(rows),
            Self::Boolean(column) => column.append_nulls(rows),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Text(column) => Arc::new(column.finish()),
            Self::Integer(column) => Arc::new(column.finish()),
            Self::Instant(column) => Arc::new(column.finish()),
            Self::Number(column) => Arc::new(column.finish()),
            Self::Money(column) => Arc::new(column.finish()),
            Self::Uuid(column) => Arc::new(column.finish()),
            Self::Bytes(column) => Arc::new(column.finish()),
            Self::Boolean(column) => Arc::new(column.finish()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};
    use tollbook_model::dataset::Dataset;
    use tollbook_model::money::Money;

    fn record(key: &str) -> CallRecord<'_> {
        let mut record = CallRecord::new();
        for (field, value) in [
            (CallField::Id, Value::Uuid([7; 16])),
            (CallField::PbxAlias, Value::Text("paris-1".into())),
            (CallField::StartAt, Value::Instant(1_767_603_600_123)),
            (CallField::DurationS, Value::Integer(61)),
            (CallField::Direction, Value::Text("inbound".into())),
            (CallField::SourceKey, Value::Text(key.into())),
        ] {
            record.set(field, value).unwrap();
        }
        record
    }

    fn digest(batch: &RecordBatch, row: usize) -> i64 {
        batch.column(CONTENT_DIGEST).as_primitive::<Int64Type>().value(row)
    }

    #[test]
    fn every_kind_of_value_is_laid_out_exactly() {
        let mut rows = CallRows::new(4);
        rows.push(&record("a"));
        let mut full = record("b");
        full.set(CallField::Rate, Value::Money(Money::parse("-0.015").unwrap())).unwrap();
        full.set(CallField::Mos, Value::Number(4.4)).unwrap();
        full.set_text(CallField::CallingParty, "").unwrap();
        full.push_extra("z", "1");
        full.push_extra("a", "2");
        full.set_sealed_calling_party(vec![1, 2, 3]);
        rows.push(&full);
        rows.push(&record("c"));
        assert_eq!(rows.len(), 3);
        assert!(rows.bytes() > 3 * 40);
        let batch = rows.finish().unwrap();
        assert_eq!(batch.schema(), layout::stored_schema());
        let column = |field: CallField| batch.column(field as usize);
        assert_eq!(
            column(CallField::StartAt).as_primitive::<TimestampMicrosecondType>().value(1),
            1_767_603_600_123_000
        );
        assert_eq!(column(CallField::Rate).as_primitive::<Decimal128Type>().value(1), -15_000);
        assert!(column(CallField::Rate).is_null(0) && column(CallField::Rate).is_null(2));
        assert_eq!(column(CallField::Mos).as_primitive::<Float64Type>().value(1), 4.4);
        assert_eq!(column(CallField::Id).as_fixed_size_binary().value(2), [7; 16]);
        assert!(column(CallField::CallingParty).is_valid(1), "empty text is a value");
        assert!(column(CallField::CallingParty).is_null(0));
        assert_eq!(column(CallField::Extra).as_string::<i32>().value(1), r#"{"a":"2","z":"1"}"#);
        assert_eq!(batch.column(SEALED_CALLING_PARTY).as_binary::<i32>().value(1), [1, 2, 3]);
        assert_eq!(column(CallField::Trunk).null_count(), 3);
        assert_eq!(batch.column(layout::SEQUENCE).null_count(), 3);
        assert!(rows.is_empty() && rows.bytes() == 0, "finishing starts again");
        assert_eq!(rows.finish().unwrap().num_rows(), 0);
    }

    #[test]
    fn equal_content_has_an_equal_digest_and_other_content_another() {
        let mut rows = CallRows::new(8);
        let mut later = record("a");
        later.set(CallField::ReceivedAt, Value::Instant(5)).unwrap();
        let mut longer = record("a");
        longer.set(CallField::DurationS, Value::Integer(62)).unwrap();
        let (mut one_order, mut other_order, mut other_extra) = (record("a"), record("a"), record("a"));
        for (name, value) in [("x", "1"), ("y", "2")] {
            one_order.push_extra(name, value);
        }
        for (name, value) in [("y", "2"), ("x", "1")] {
            other_order.push_extra(name, value);
        }
        other_extra.push_extra("x", "2");
        for record in [&record("a"), &later, &longer, &one_order, &other_order, &other_extra] {
            rows.push(record);
        }
        let batch = rows.finish().unwrap();
        assert_eq!(digest(&batch, 0), digest(&batch, 1), "when it arrived is not content");
        assert_ne!(digest(&batch, 0), digest(&batch, 2));
        assert_ne!(digest(&batch, 0), digest(&batch, 3));
        assert_eq!(digest(&batch, 3), digest(&batch, 4), "the order of extra fields is not content");
        assert_ne!(digest(&batch, 3), digest(&batch, 5));
    }

    #[test]
    fn a_record_that_was_not_admitted_is_refused_at_the_end() {
        let mut rows = CallRows::new(1);
        rows.push(&CallRecord::new());
        assert!(rows.finish().is_err());
    }

    #[test]
    fn rows_handed_over_follow_their_schema() {
        let schema = Schema::of(Dataset::AgentConfiguration);
        let mut row: GivenRow = vec![Value::Null; schema.fields.len()];
        row[0] = Value::Uuid([9; 16]);
        row[1] = Value::Text("paris-1".into());
        row[2] = Value::Text("asterisk-csv".into());
        row[7] = Value::Boolean(true);
        row[10] = Value::Instant(1);
        let batch = batch_from_rows(&schema, std::slice::from_ref(&row)).unwrap();
        assert_eq!(batch.schema(), layout::record_schema(&schema));
        assert!(batch.column(7).as_boolean().value(0));
        assert_eq!(batch.column(3).null_count(), 1);
        assert_eq!(batch_from_rows(&schema, &[]).unwrap().num_rows(), 0);

        let mut wrong_kind = row.clone();
        wrong_kind[7] = Value::Integer(1);
        let mut missing = row.clone();
        missing[1] = Value::Null;
        for wrong in [wrong_kind, missing, row[1..].to_vec()] {
            assert!(batch_from_rows(&schema, &[wrong]).is_err());
        }
    }
}
