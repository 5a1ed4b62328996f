//! Sheets as CSV: UTF-8 without a byte-order mark, a header row, commas, LF, quotes only where they are needed.
//!
//! What stands in a cell is the sheet's business; an empty cell is just empty, as a sheet does not tell empty text from no
//! value.

use super::csv;
use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::DataType;
use std::borrow::Cow;
use std::sync::Arc;
use tollbook_kit::fault::Fault;
use tollbook_model::money::Money;
use tollbook_model::sheet::Sheet;
use tollbook_model::value::Value;

/// Renders batches of the fields of a sheet. Shared by all workers of an export.
#[derive(Debug, Clone)]
pub struct SheetEncoder {
    sheet: Arc<dyn Sheet>,
}

impl SheetEncoder {
    /// An encoder for batches that have exactly the sheet's fields, in its order.
    pub fn new(sheet: Arc<dyn Sheet>) -> Self {
        Self { sheet }
    }

    /// What a file begins with.
    pub fn header(&self) -> Vec<u8> {
        let mut line = Vec::new();
        push_row(&mut line, self.sheet.headers());
        line
    }

    /// Appends the rows of `batch` to `out`.
    ///
    /// # Errors
    /// An internal fault when columns are not the sheet's, or the sheet does not fill its row.
    pub fn encode(&self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), Fault> {
        let (fields, headers) = (self.sheet.fields().len(), self.sheet.headers().len());
        if batch.num_columns() != fields {
            return Err(Fault::internal("a batch has other columns than its sheet"));
        }
        let columns = batch.columns().iter().map(Column::of).collect::<Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            let values: Vec<Value<'_>> = columns.iter().map(|column| column.value(row)).collect();
            let mut cells = Vec::with_capacity(headers);
            self.sheet.row(&values, &mut cells);
            if cells.len() != headers {
                return Err(Fault::internal("a sheet has another number of cells than of headers"));
            }
            push_row(out, &cells);
        }
        Ok(())
    }
}

fn push_row<T: AsRef<str>>(out: &mut Vec<u8>, cells: &[T]) {
    for (at, cell) in cells.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        let text = cell.as_ref();
        if !text.is_empty() {
            csv::push_cell(out, text, false);
        }
    }
    out.push(b'\n');
}

/// A column, ready to be read row by row.
enum Column<'a> {
    Text(&'a arrow_array::StringArray),
    Dictionary(&'a arrow_array::DictionaryArray<Int32Type>, &'a arrow_array::StringArray),
    Integer(&'a arrow_array::Int64Array),
    Instant(&'a arrow_array::TimestampMicrosecondArray),
    Number(&'a arrow_array::Float64Array),
    Money(&'a arrow_array::Decimal128Array),
    Uuid(&'a arrow_array::FixedSizeBinaryArray),
}

impl<'a> Column<'a> {
    fn of(array: &'a ArrayRef) -> Result<Self, Fault> {
        Ok(match array.data_type() {
            DataType::Utf8 => Self::Text(array.as_string()),
            DataType::Dictionary(..) => {
                let dictionary = array.as_dictionary();
                Self::Dictionary(dictionary, dictionary.values().as_string())
            }
            DataType::Int64 => Self::Integer(array.as_primitive::<Int64Type>()),
            DataType::Timestamp(..) => Self::Instant(array.as_primitive::<TimestampMicrosecondType>()),
            DataType::Float64 => Self::Number(array.as_primitive::<Float64Type>()),
            DataType::Decimal128(..) => Self::Money(array.as_primitive::<Decimal128Type>()),
            DataType::FixedSizeBinary(16) => Self::Uuid(array.as_fixed_size_binary()),
            other => return Err(Fault::internal(format!("a sheet cannot show a column of type {other}"))),
        })
    }

    fn value(&self, row: usize) -> Value<'a> {
        let text = |text: &'a str| Value::Text(Cow::Borrowed(text));
        let is_null = match self {
            Self::Text(array) => array.is_null(row),
            Self::Dictionary(array, _) => array.is_null(row),
            Self::Integer(array) => array.is_null(row),
            Self::Instant(array) => array.is_null(row),
            Self::Number(array) => array.is_null(row),
            Self::Money(array) => array.is_null(row),
            Self::Uuid(array) => array.is_null(row),
        };
        if is_null {
            return Value::Null;
        }
        match self {
            Self::Text(array) => text(array.value(row)),
            Self::Dictionary(array, values) => {
                usize::try_from(array.keys().value(row)).map_or(Value::Null, |key| text(values.value(key)))
            }
            Self::Integer(array) => Value::Integer(array.value(row)),
            Self::Instant(array) => Value::Instant(array.value(row).div_euclid(1000)),
            Self::Number(array) => Value::Number(array.value(row)),
            Self::Money(array) => {
                let amount = i64::try_from(array.value(row)).ok().and_then(Money::from_millionths);
                amount.map_or(Value::Null, Value::Money)
            }
            Self::Uuid(array) => array.value(row).try_into().map_or(Value::Null, Value::Uuid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::batch_from_rows;
    use tollbook_model::call::CallField;
    use tollbook_model::dataset::Dataset;
    use tollbook_model::schema::Schema;

    #[derive(Debug)]
    struct Three;

    impl Sheet for Three {
        fn name(&self) -> &'static str {
            "three"
        }
        fn headers(&self) -> &[&'static str] {
            &["Start, local", "Seconds", "Trunk"]
        }
        fn fields(&self) -> &[CallField] {
            &[CallField::Trunk, CallField::StartAt, CallField::DurationS]
        }
        fn row<'record>(&self, values: &'record [Value<'record>], cells: &mut Vec<Cow<'record, str>>) {
            let [trunk, Value::Instant(start), Value::Integer(seconds)] = values else { return };
            cells.push(start.to_string().into());
            cells.push(seconds.to_string().into());
            cells.push(trunk.as_text().unwrap_or_default().into());
        }
    }

    fn row(trunk: Option<&'static str>) -> Vec<Value<'static>> {
        let mut row = vec![Value::Null; CallField::COUNT];
        row[CallField::Id as usize] = Value::Uuid([1; 16]);
        row[CallField::PbxAlias as usize] = Value::Text("paris".into());
        row[CallField::StartAt as usize] = Value::Instant(1_767_603_600_123);
        row[CallField::DurationS as usize] = Value::Integer(61);
        row[CallField::Direction as usize] = Value::Text("inbound".into());
        row[CallField::Trunk as usize] = trunk.map_or(Value::Null, |trunk| Value::Text(trunk.into()));
        row
    }

    #[test]
    fn cells_are_quoted_where_needed_and_empty_without_a_value() {
        let encoder = SheetEncoder::new(Arc::new(Three));
        let schema = Schema::of(Dataset::Cdr);
        let rows = [row(Some("a \"b\", c")), row(None), row(Some("")), row(Some("=1+1"))];
        let batch = batch_from_rows(&schema, &rows).unwrap();
        let fields: Vec<usize> = Three.fields().iter().map(|&field| field as usize).collect();
        let mut out = encoder.header();
        encoder.encode(&batch.project(&fields).unwrap(), &mut out).unwrap();
        let lines = [
            "\"Start, local\",Seconds,Trunk",
            "1767603600123,61,\"a \"\"b\"\", c\"",
            "1767603600123,61,",
            "1767603600123,61,",
            "1767603600123,61,=1+1",
        ];
        assert_eq!(String::from_utf8(out).unwrap(), format!("{}\n", lines.join("\n")));
        assert!(encoder.encode(&batch, &mut Vec::new()).is_err(), "other columns");
    }
}
