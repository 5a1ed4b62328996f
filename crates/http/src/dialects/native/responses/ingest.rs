//! What became of a body of records.

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use tollbook_app::ingest::IngestOutcome;

#[derive(Serialize)]
struct IngestView<'a> {
    accepted: u64,
    duplicates: u64,
    revisions: u64,
    rejected: u64,
    first_sequence: Option<u64>,
    last_sequence: Option<u64>,
    errors: Vec<RowView<'a>>,
}

#[derive(Serialize)]
struct RowView<'a> {
    line: u64,
    reason: &'a str,
}

/// The counts, and the first bad rows.
pub(crate) fn ingested(outcome: &IngestOutcome) -> Response {
    let errors = outcome.reasons.iter().map(|row| RowView { line: row.line, reason: &row.reason }).collect();
    let view = IngestView {
        accepted: outcome.accepted,
        duplicates: outcome.duplicates,
        revisions: outcome.revisions,
        rejected: outcome.rejected,
        first_sequence: outcome.first_sequence,
        last_sequence: outcome.last_sequence,
        errors,
    };
    super::json(StatusCode::OK, &view)
}
