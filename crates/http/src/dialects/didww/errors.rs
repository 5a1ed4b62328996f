//! Refusals as JSON:API errors (`didww.md` section 6). Every value is a text.

use crate::refusal::Refusal;
use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::{Map, Value, json};
use tollbook_kit::fault::Detail;

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/vnd.api+json");
const REVALIDATE: HeaderValue = HeaderValue::from_static("max-age=0, private, must-revalidate");
/// Exactly this, without a line end: clients compare it.
const TOO_MANY_REQUESTS: &str = r#"{"errors":[{"status":"429","detail":"Too Many Requests"}]}"#;

/// The document of a refusal.
pub(crate) fn render(refusal: &Refusal) -> Response {
    let status = refusal.status();
    let text = if status == StatusCode::TOO_MANY_REQUESTS {
        TOO_MANY_REQUESTS.to_owned()
    } else {
        json!({ "errors": entries(refusal, status) }).to_string()
    };
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, MEDIA_TYPE);
    headers.insert(CACHE_CONTROL, REVALIDATE);
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    refusal.advise(headers);
    response
}

/// One entry per broken rule.
fn entries(refusal: &Refusal, status: StatusCode) -> Vec<Value> {
    let code = status.as_str();
    let (title, detail) = match status {
        StatusCode::UNAUTHORIZED => ("Unauthorized", "Authorization failed"),
        StatusCode::FORBIDDEN => ("Forbidden", "Not allowed"),
        StatusCode::NOT_FOUND => ("Not found", "The requested path does not exist."),
        StatusCode::METHOD_NOT_ALLOWED => ("Method not allowed", "This method is not allowed here."),
        StatusCode::INTERNAL_SERVER_ERROR => ("Internal Server Error", "Internal Server Error"),
        StatusCode::BAD_REQUEST if !refusal.details().is_empty() => {
            return refusal
                .details()
                .iter()
                .map(|Detail { name, reason, .. }| entry("Bad Request", &format!("{name}: {reason}"), code))
                .collect();
        }
        other => (other.canonical_reason().unwrap_or("Error"), refusal.message()),
    };
    vec![entry(title, detail, code)]
}

fn entry(title: &str, detail: &str, code: &str) -> Value {
    let mut entry = Map::new();
    for (name, value) in [("title", title), ("detail", detail), ("code", code), ("status", code)] {
        entry.insert(name.into(), value.into());
    }
    Value::Object(entry)
}
