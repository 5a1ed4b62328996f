//! Refusals as this dialect writes them (`omilia.md` section 8).

use crate::refusal::Refusal;
use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use tollbook_model::time_range::instant_text;
use utoipa::ToSchema;

/// Why a request was refused.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportsError)]
pub(crate) struct ErrorView<'r> {
    /// When.
    #[schema(format = DateTime)]
    timestamp: String,
    /// The status of the answer.
    status: u16,
    /// The same in words.
    error: &'static str,
    /// What to do about it.
    message: String,
    /// The path that was asked for.
    path: &'r str,
}

/// The document of a refusal.
pub(crate) fn render(refusal: &Refusal, path: &str, now_ms: i64) -> Response {
    let status = refusal.status();
    let document = ErrorView {
        timestamp: instant_text(now_ms),
        status: status.as_u16(),
        error: status.canonical_reason().unwrap_or("Error"),
        message: message(refusal),
        path,
    };
    // Made of texts and one number: it can be written.
    let mut response = Response::new(Body::from(serde_json::to_string(&document).unwrap_or_default()));
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
