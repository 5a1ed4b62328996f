//! encode: record batches as the bytes of an export. CSV, NDJSON and JSON, and gzip around them.
//!
//! The encoder is immutable and knows nothing of files: which batches are rendered by whom, and in which order their
//! bytes come out, is the caller's business. Parquet is written elsewhere.

mod cell;
mod csv;
mod digits;
pub mod gzip;
mod instants;
mod json;
mod prepare;
mod proof;
mod rendered;
mod sheet;
#[cfg(test)]
mod tests;

use arrow_array::{Array, RecordBatch};
use cell::{Around, Cell, Frame, Values};
use instants::InstantWriter;
use jiff::tz::TimeZone;
use prepare::TextStyle;
pub use proof::{ProvedRecords, RecordProof};
use rendered::Fixed;
pub use sheet::SheetEncoder;
use tollbook_kit::fault::Fault;
use tollbook_model::schema::{Field, FieldKind, Schema};

/// The text formats of exports (`natalia.md` section 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    /// Comma-separated values.
    Csv {
        /// Are cells kept from being read as formulas?
        formula_guard: bool,
    },
    /// One JSON object a line.
    Ndjson,
    /// One JSON array.
    Json,
}

/// One column of the output.
struct Column {
    /// Its position in the batches.
    position: usize,
    field: Field,
    style: TextStyle,
    around: Around,
}

/// Renders batches of one dataset with certain columns in one format. Shared by all workers of an export.
pub struct TextEncoder {
    format: TextFormat,
    timezone: TimeZone,
    /// In the order in which values are written: as selected for CSV, by name for JSON.
    columns: Vec<Column>,
    frame: Frame,
}

impl TextEncoder {
    /// An encoder for batches that have exactly the fields at the positions `columns` of `schema`, in that order.
    /// Date-times are shown in `timezone`.
    ///
    /// # Panics
    /// When a position is outside the schema; selections are checked before.
    pub fn new(format: TextFormat, schema: Schema, columns: &[usize], timezone: TimeZone) -> Self {
        let fields: Vec<Field> = columns.iter().map(|&at| schema.fields[at]).collect();
        let columns = match format {
            TextFormat::Csv { formula_guard } => csv_columns(&fields, formula_guard),
            TextFormat::Ndjson | TextFormat::Json => json_columns(&fields),
        };
        let (open, close, braced): (&[u8], &[u8], bool) = match format {
            TextFormat::Csv { .. } => (b"", b"", false),
            TextFormat::Ndjson => (b"", b"}\n", true),
            // The first record of a file has `[` instead of the comma.
            TextFormat::Json => (b",\n", b"}", true),
        };
        let frame = Frame { open: Fixed::new(open), close: Fixed::new(close), braced };
        Self { format, timezone, columns, frame }
    }

    /// What a file begins with: byte-order mark and header row of CSV, nothing of JSON.
    pub fn header(&self) -> Vec<u8> {
        let TextFormat::Csv { .. } = self.format else { return Vec::new() };
        let names: Vec<&str> = self.columns.iter().map(|column| column.field.name).collect();
        format!("{}{}\n", csv::BYTE_ORDER_MARK, names.join(",")).into_bytes()
    }

    /// Appends the records of `batch` to `out`. `first` says that no record stands before them in the file, which
    /// must be true for exactly the first batch that has rows.
    ///
    /// A CSV row of a single column without a value is an empty line.
    ///
    /// # Errors
    /// An internal fault when columns do not have the types of their fields, or when a stored moment or amount is
    /// beyond what can be stored. What was appended until then is not to be used.
    pub fn encode(&self, batch: &RecordBatch, first: bool, out: &mut Vec<u8>) -> Result<(), Fault> {
        if batch.num_columns() != self.columns.len() {
            return Err(Fault::internal(format!(
                "a batch has {} columns instead of {}",
                batch.num_columns(),
                self.columns.len()
            )));
        }
        if batch.num_rows() == 0 {
            return Ok(());
        }
        let start = out.len();
        let cells = self.cells(batch)?;
        let mut instants = InstantWriter::new(&self.timezone);
        cell::write_records(&self.frame, &cells, batch.num_rows(), &mut instants, out)?;
        if first && self.format == TextFormat::Json {
            out[start] = b'[';
        }
        Ok(())
    }

    /// What a file ends with. `empty`: there was no record.
    pub fn footer(&self, empty: bool) -> Vec<u8> {
        match (self.format, empty) {
            (TextFormat::Json, false) => b"\n]\n".to_vec(),
            (TextFormat::Json, true) => b"[]\n".to_vec(),
            (TextFormat::Csv { .. } | TextFormat::Ndjson, _) => Vec::new(),
        }
    }

    /// The cells of a batch. Neighbouring columns without any value become one, or in JSON none.
    fn cells<'a>(&'a self, batch: &'a RecordBatch) -> Result<Vec<Cell<'a>>, Fault> {
        let mut cells = Vec::with_capacity(self.columns.len());
        let mut absent = Vec::new();
        let mut around = None;
        for column in &self.columns {
            let array: &dyn Array = batch.column(column.position);
            if array.logical_null_count() == array.len() {
                column.around.push_absent(&mut absent);
                around = Some(&column.around);
                continue;
            }
            cells.extend(literal(around, &mut absent));
            cells.push(prepare::cell(&column.field, &column.around, column.style, array)?);
        }
        cells.extend(literal(around, &mut absent));
        Ok(cells)
    }
}

/// The cell that stands for columns without any value, if they leave anything.
fn literal<'a>(around: Option<&'a Around>, text: &mut Vec<u8>) -> Option<Cell<'a>> {
    if text.is_empty() {
        return None;
    }
    let text = Fixed::new(&std::mem::take(text));
    around.map(|around| Cell::new(around, None, Values::Literal(text)))
}

fn csv_columns(fields: &[Field], guard: bool) -> Vec<Column> {
    let last = fields.len().saturating_sub(1);
    let column = |(position, field): (usize, &Field)| {
        let after = Some(if position == last { b'\n' } else { b',' });
        let around = Around { before: Fixed::new(b""), after, empty: b"\"\"", keeps_place: true };
        Column { position, field: *field, style: TextStyle::Cell { guard }, around }
    };
    fields.iter().enumerate().map(column).collect()
}

fn json_columns(fields: &[Field]) -> Vec<Column> {
    let mut positions: Vec<usize> = (0..fields.len()).collect();
    json::sort_by_name(&mut positions, |position| fields[position].name);
    let column = |position: usize| {
        let field = fields[position];
        let bare = matches!(
            field.kind,
            FieldKind::Integer { .. } | FieldKind::Number | FieldKind::Boolean | FieldKind::StringMap
        );
        let style =
            if field.kind == FieldKind::StringMap { TextStyle::JsonText } else { TextStyle::JsonString };
        let before = Fixed::new(&json::before_value(field.name, !bare));
        let around = Around { before, after: (!bare).then_some(b'"'), empty: b"", keeps_place: false };
        Column { position, field, style, around }
    };
    positions.into_iter().map(column).collect()
}
