//! From outcomes to the words of answers.

use crate::breaker::Breaker;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::task::Poll;
use tollbook_app::datasets::SchemaView;
use tollbook_app::exports::{DirectExport, ExportHead};
use tollbook_app::ingest::IngestOutcome;
use tollbook_model::export::Estimate;
use tollbook_model::format::ExportFormat;
use tollbook_model::source::Source;
use uuid::Uuid;

/// Exports below this size are better streamed than made in the background (`natalia.md` section 8).
const DIRECT_BELOW_BYTES: u64 = 10_000_000;

const EXPORT_ID: HeaderName = HeaderName::from_static("tollbook-export-id");
const FORMULA_GUARD: HeaderName = HeaderName::from_static("tollbook-formula-guard");

/// A JSON answer that is not to be cached.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let Ok(mut text) = serde_json::to_vec(value) else {
        // Answers are made of texts and numbers only.
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    text.push(b'\n');
    (status, [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], text).into_response()
}

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

/// What became of a body of records.
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
    json(StatusCode::OK, &view)
}

/// A source: its settings beside what the product knows of it.
pub(crate) fn source(source: &Source) -> Value {
    let mut view = Map::new();
    view.insert("id".into(), source.id.to_string().into());
    view.insert("pbx_alias".into(), source.pbx_alias.clone().into());
    view.insert("kind".into(), source.kind.clone().into());
    view.insert("enabled".into(), source.enabled.into());
    for (name, value) in &source.settings {
        view.entry(name.clone()).or_insert_with(|| value.clone());
    }
    view.insert("version".into(), source.version.into());
    view.insert("last_seen_at".into(), source.last_seen_at_ms.map(instant).into());
    view.insert("updated_at".into(), instant(source.updated_at_ms).into());
    Value::Object(view)
}

/// A list that fits into one answer.
pub(crate) fn list(items: Vec<Value>) -> Response {
    json(StatusCode::OK, &json!({ "items": items }))
}

/// An estimate, and what it advises.
pub(crate) fn estimate(estimate: Estimate) -> Response {
    let mode = if estimate.bytes < DIRECT_BELOW_BYTES { "direct" } else { "job" };
    json(StatusCode::OK, &json!({"rows": estimate.rows, "bytes": estimate.bytes, "mode": mode}))
}

/// The head of an export: what `HEAD` answers, and what `GET` begins with.
pub(crate) fn export_head(head: &ExportHead, format: ExportFormat, formula_guard: bool) -> Response {
    // A body of unknown length, so that no Content-Length is made up.
    let mut response =
        Response::new(Body::from_stream(futures::stream::empty::<Result<Bytes, std::io::Error>>()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // Names of datasets, dates and extensions need no escapes.
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{}\"", head.file_name)) {
        headers.insert(CONTENT_DISPOSITION, value);
    }
    if let Ok(value) = HeaderValue::from_str(&head.id.to_string()) {
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
    let DirectExport { head, stream } = export;
    let response = export_head(&head, format, formula_guard);
    let id: Uuid = head.id;
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

/// A published schema, or nothing new.
pub(crate) fn schema(view: &SchemaView, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", view.digest);
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|list| {
        list.split(',')
            .map(str::trim)
            .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
    });
    let shared = [
        (ETAG, tag),
        (CACHE_CONTROL, "public, max-age=300".to_owned()),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*".to_owned()),
    ];
    if known {
        return (StatusCode::NOT_MODIFIED, shared).into_response();
    }
    (shared, [(CONTENT_TYPE, view.media_type)], view.text.clone()).into_response()
}

/// A moment as RFC 3339 in UTC with three decimals.
fn instant(ms: i64) -> String {
    Timestamp::from_millisecond(ms).map_or_else(|_| String::new(), |timestamp| format!("{timestamp:.3}"))
}
