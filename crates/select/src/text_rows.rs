//! Records as text: the fields of the dataset, or the cells of a sheet.

use arrow_array::RecordBatch;
use tollbook_columns::encode::{SheetEncoder, TextEncoder, TextFormat};
use tollbook_kit::fault::{Code, Fault};
use tollbook_model::export::ExportRequest;
use tollbook_model::format::ExportFormat;
use tollbook_model::schema::Schema;

/// The encoder of one export in text, shared by its workers.
pub(crate) enum TextRows {
    /// Fields of the dataset.
    Fields(TextEncoder),
    /// Cells that a sheet computes.
    Sheet(SheetEncoder),
}

impl TextRows {
    /// Of that request, in its format or, if that is packed, in what is inside; none for Parquet.
    ///
    /// # Errors
    /// `invalid` for a sheet in a format that is not CSV.
    pub(crate) fn of(request: &ExportRequest) -> Result<Option<Self>, Fault> {
        let selection = &request.selection;
        if let Some(sheet) = &request.sheet {
            if !request.format.is_csv() {
                return Err(Fault::new(Code::Invalid, "a sheet is exported as CSV only"));
            }
            return Ok(Some(Self::Sheet(SheetEncoder::new(sheet.clone()))));
        }
        let format = match request.format {
            ExportFormat::Csv | ExportFormat::CsvGz => {
                TextFormat::Csv { formula_guard: request.formula_guard }
            }
            ExportFormat::Ndjson => TextFormat::Ndjson,
            ExportFormat::Json => TextFormat::Json,
            ExportFormat::Parquet => return Ok(None),
        };
        let schema = Schema::of(selection.dataset);
        let encoder = TextEncoder::new(format, schema, &selection.columns, selection.timezone.clone());
        Ok(Some(Self::Fields(encoder)))
    }

    /// What a file begins with.
    pub(crate) fn header(&self) -> Vec<u8> {
        match self {
            Self::Fields(encoder) => encoder.header(),
            Self::Sheet(encoder) => encoder.header(),
        }
    }

    /// Appends records; `first` says that none stands before them in the file.
    ///
    /// # Errors
    /// `internal` when the batch has other columns than the export.
    pub(crate) fn encode(&self, batch: &RecordBatch, first: bool, out: &mut Vec<u8>) -> Result<(), Fault> {
        match self {
            Self::Fields(encoder) => encoder.encode(batch, first, out),
            Self::Sheet(encoder) => encoder.encode(batch, out),
        }
    }

    /// What a file ends with. `empty`: there was no record.
    pub(crate) fn footer(&self, empty: bool) -> Vec<u8> {
        match self {
            Self::Fields(encoder) => encoder.footer(empty),
            Self::Sheet(_) => Vec::new(),
        }
    }
}
