//! Exports under way, and estimates.

use crate::breaker::Breaker;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::StreamExt;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::json;
use std::task::Poll;
use tollbook_app::exports::{DirectExport, ExportHead};
use tollbook_model::export::Estimate;
use tollbook_model::format::ExportFormat;
use uuid::Uuid;

/// Exports below this size are better streamed than made in the background (`natalia.md` section 8).
const DIRECT_BELOW_BYTES: u64 = 10_000_000;

const EXPORT_ID: HeaderName = HeaderName::from_static("tollbook-export-id");
const FORMULA_GUARD: HeaderName = HeaderName::from_static("tollbook-formula-guard");

/// An estimate, and what it advises.
pub(crate) fn estimate(estimate: Estimate) -> Response {
    let mode = if estimate.bytes < DIRECT_BELOW_BYTES { "direct" } else { "job" };
    super::json(StatusCode::OK, &json!({"rows": estimate.rows, "bytes": estimate.bytes, "mode": mode}))
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
    let id: Uuid = known.id;
    if let Some(breaker) = &breaker {
        breaker.begin_answer();
    }
    let chunks = stream.chunks.map(move |chunk| {
        chunk.map_err(|fault| {
            tracing::error!(export = %id, fault = fault.log_text(), "an export failed midway; its connection is broken");
            std::io::Error::other("the export failed")
        })
    });
    let end = futures::stream::poll_fn(move |_| {
        if let Some(breaker) = &breaker {
            breaker.end_answer();
        }
        Poll::Ready(None)
    });
    response.map(|_| Body::from_stream(chunks.chain(end)))
}
