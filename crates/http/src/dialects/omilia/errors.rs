//! Refusals as this dialect writes them (`omilia.md` section 8).

use crate::refusal::Refusal;
use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::{Map, Value};
use tollbook_model::time_range::instant_text;

/// The document of a refusal.
pub(crate) fn render(refusal: &Refusal, path: &str, now_ms: i64) -> Response {
    let status = refusal.status();
    let mut document = Map::new();
    document.insert("timestamp".into(), instant_text(now_ms).into());
    document.insert("status".into(), status.as_u16().into());
    document.insert("error".into(), status.canonical_reason().unwrap_or("Error").into());
    document.insert("message".into(), message(refusal).into());
    document.insert("path".into(), path.into());
    let mut response = Response::new(Body::from(Value::Object(document).to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    refusal.advise(headers);
    response
}

/// There is one message for all faults, so it names each.
fn message(refusal: &Refusal) -> String {
    match refusal.details() {
        [] => refusal.message().to_owned(),
        details => {
            let told: Vec<String> =
                details.iter().map(|detail| format!("{} {}", detail.name, detail.reason)).collect();
            told.join("; ")
        }
    }
}
