//! The floors that figures are held against. Moving one is a decision, so all stand here.

use tollbook_model::format::ExportFormat;

/// How many times as fast as the best peer an export of the month must be.
pub(crate) fn least_ratio(format: ExportFormat) -> Option<f64> {
    match format {
        ExportFormat::Csv | ExportFormat::CsvGz | ExportFormat::Ndjson => Some(1.5),
        ExportFormat::Parquet => Some(7.0),
        ExportFormat::Json => None,
    }
}

/// Memory that an export may take above idle, in bytes.
pub(crate) const MOST_EXPORT_MEMORY: u64 = 96 << 20;
/// Time to an export's first byte, in seconds.
pub(crate) const MOST_FIRST_BYTE_SECONDS: f64 = 0.050;
/// Bytes a record may cost on disk, as a share of what it costs in CSV.
pub(crate) const MOST_STORED_SHARE: f64 = 1.0 / 3.0;
/// The share that is aimed at.
pub(crate) const AIMED_STORED_SHARE: f64 = 1.0 / 5.0;
/// Records a second from one client that sends batches.
pub(crate) const LEAST_INGEST_RATE: f64 = 200_000.0;
/// 99th percentile of the time until a single record is acknowledged, with 64 clients, in seconds.
pub(crate) const MOST_ACKNOWLEDGE_SECONDS: f64 = 0.050;

/// How a figure did.
pub(crate) fn verdict(holds: bool) -> &'static str {
    if holds { "PASS" } else { "FAIL" }
}
