//! Exports under way, and estimates.

use super::streamed;
use crate::breaker::Breaker;
use crate::openapi::schemas::words_object;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};
use tollbook_app::exports::{DirectExport, ExportHead};
use tollbook_model::export::Estimate;
use tollbook_model::format::ExportFormat;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

/// Exports below this size are better streamed than made in the background (`natalia.md` section 8).
const DIRECT_BELOW_BYTES: u64 = 10_000_000;

const EXPORT_ID: HeaderName = HeaderName::from_static("tollbook-export-id");
const FORMULA_GUARD: HeaderName = HeaderName::from_static("tollbook-formula-guard");

/// What documents say of these headers.
pub(crate) fn described_headers() -> Value {
    json!({
        "Content-Disposition": {
            "description": "Name of the file: dataset, first and last day, format.", "required": true,
            "schema": {"type": "string", "pattern": "^attachment; filename=\"[a-z0-9_.-]+\"$"},
        },
        "Tollbook-Export-Id": {
            "description": "Id of the export, in the audit log too.", "required": true,
            "schema": {"type": "string", "format": "uuid"},
        },
        "Tollbook-Formula-Guard": {
            "description": "With csv and csv.gz: are cells guarded?", "schema": {"type": "string", "enum": ["on", "off"]},
        },
    })
}

/// What an export would yield, and what is advised.
#[derive(Serialize, ToSchema)]
#[schema(as = Estimate)]
pub(crate) struct EstimateView {
    /// Records, about.
    rows: u64,
    /// Bytes in the format asked for, about.
    bytes: u64,
    /// `direct`: small enough to be streamed.
    #[schema(schema_with = mode)]
    mode: &'static str,
}

fn mode() -> RefOr<Schema> {
    words_object("`direct`: small enough to be streamed.", [DIRECT, JOB])
}

const DIRECT: &str = "direct";
const JOB: &str = "job";

/// An estimate, and what it advises.
pub(crate) fn estimate(estimate: Estimate) -> Response {
    let Estimate { rows, bytes } = estimate;
    let mode = if bytes < DIRECT_BELOW_BYTES { DIRECT } else { JOB };
    super::json(StatusCode::OK, &EstimateView { rows, bytes, mode })
}

/// The head of an export: what `HEAD` answers, and what `GET` begins with.
pub(crate) fn head(known: &ExportHead, format: ExportFormat, formula_guard: bool) -> Response {
    // A body of unknown length, so that no Content-Length is made up.
    let mut response =
        Response::new(Body::from_stream(futures::stream::empty::<Result<Bytes, std::io::Error>>()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Names of datasets, dates and extensions need no escapes.
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{}\"", known.file_name)) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    if let Ok(value) = HeaderValue::from_str(&known.id.to_string()) {
        headers.insert(EXPORT_ID, value);
    }
    if format.is_csv() {
        headers.insert(FORMULA_GUARD, HeaderValue::from_static(if formula_guard { "on" } else { "off" }));
    }
    response
}

/// A running export. Whatever breaks it off before its end breaks the connection too, so that a short file never ends
/// cleanly.
pub(crate) fn export(
    export: DirectExport,
    format: ExportFormat,
    formula_guard: bool,
    breaker: Option<Breaker>,
) -> Response {
    let DirectExport { head: known, stream } = export;
    let response = head(&known, format, formula_guard);
    let body = streamed::body(stream.chunks, breaker, format!("export {}", known.id));
    response.map(|_| body)
}
