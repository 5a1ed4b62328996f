//! Records in their native form (`record.md`'s field names) read from a body: NDJSON, a JSON array, or CSV.
//!
//! What other systems call their fields, and how bodies are unpacked, is not known here. Bad rows are reported with a
//! reason that never repeats what was sent; only a body without any structure is refused as a whole.

mod csv;
mod csv_records;
mod field_text;
mod json_array;
mod json_nesting;
mod json_object;
mod missing_keys;
mod ndjson;
mod row_intake;

#[cfg(test)]
mod tests;

use row_intake::RowIntake;
use tollbook_kit::fault::Fault;
use tollbook_model::format::RecordForm;
use tollbook_model::ports::{RecordSink, RowReport};
use tollbook_model::tenant::Tenant;

/// Bound of one record in bytes of the body.
pub const RECORD_BYTES: usize = 1024 * 1024;
/// Bound of the keys of one record, and of the columns of a CSV body.
pub const RECORD_KEYS: usize = 1000;

/// Reads a body into `sink`, admitting record by record. Rows that cannot be taken are reported, not failed on; an
/// empty body has no rows.
///
/// # Errors
/// `invalid` when the body as a whole cannot be read: a JSON array with wrong syntax, a CSV body whose header is not
/// UTF-8, names a column twice or names no field. The sink may hold rows by then, and must be dropped.
pub fn read_native(
    form: RecordForm,
    body: &[u8],
    tenant: &Tenant,
    received_at_ms: i64,
    sink: &mut dyn RecordSink,
) -> Result<RowReport, Fault> {
    let body = body.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(body);
    let mut rows = RowIntake::new(tenant, received_at_ms, sink);
    match form {
        RecordForm::Ndjson => ndjson::read(body, &mut rows),
        RecordForm::JsonArray => json_array::read(body, &mut rows)?,
        RecordForm::Csv => csv::read(body, &mut rows)?,
    }
    Ok(rows.into_report())
}
