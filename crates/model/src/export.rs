//! An export: what is asked for, and what its file is called.

use crate::format::ExportFormat;
use crate::selection::Selection;
use crate::tenant::TenantName;
use uuid::Uuid;

/// A request for one export, decoded and permitted.
#[derive(Debug, Clone)]
pub struct ExportRequest {
    /// Id of the export, shown to the caller and kept in Parquet metadata.
    pub id: Uuid,
    /// Whose records.
    pub tenant: TenantName,
    /// Which records and columns.
    pub selection: Selection,
    /// In which format.
    pub format: ExportFormat,
    /// Are CSV cells guarded against being read as formulas?
    pub formula_guard: bool,
    /// `$id` of the schema, kept in Parquet metadata.
    pub schema_id: String,
}

/// What an export would yield, from the manifest alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Records, without looking at filters in detail.
    pub rows: u64,
    /// Bytes in the format asked for.
    pub bytes: u64,
}
