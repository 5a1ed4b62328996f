//! What became of a body of records.

use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use tollbook_app::ingest::IngestOutcome;
use utoipa::ToSchema;

/// What became of a body of records.
#[derive(Serialize, ToSchema)]
#[schema(as = Ingested)]
pub(crate) struct IngestView<'a> {
    /// Records taken, duplicates and revisions among them.
    accepted: u64,
    /// Of these: known already with the same content.
    duplicates: u64,
    /// Of these: known already with other content.
    revisions: u64,
    /// Rows refused.
    rejected: u64,
    /// First sequence number of what was stored; null when nothing was.
    #[schema(required)]
    first_sequence: Option<u64>,
    /// Last sequence number of what was stored.
    #[schema(required)]
    last_sequence: Option<u64>,
    /// The first refused rows, at most 1000.
    errors: Vec<RowView<'a>>,
}

/// A refused row.
#[derive(Serialize, ToSchema)]
#[schema(as = RefusedRow)]
struct RowView<'a> {
    /// Its place in the body, from 1.
    line: u64,
    /// Why.
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
