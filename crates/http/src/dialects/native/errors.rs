//! Refusals as problem documents (RFC 9457, `natalia.md` section 13).

use crate::refusal::Refusal;
use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::{Map, Value, json};
use tollbook_kit::fault::{Code, Detail, Fault, InvalidKind};
use uuid::Uuid;

/// The vendor's code for a bad or revoked key.
const BAD_KEY: &str = "NAT-API-001";

/// A kind of problem: suffix of the type, title.
type Kind = (&'static str, &'static str);

/// The problem document of a refusal.
pub(crate) fn render(refusal: &Refusal, request: Uuid) -> Response {
    let status = refusal.status();
    let (suffix, title) = refusal.fault().map_or(("method-not-allowed", "Method not allowed"), kind_of);
    let mut document = Map::new();
    document.insert("type".into(), format!("urn:tollbook:problem:{suffix}").into());
    document.insert("title".into(), title.into());
    document.insert("status".into(), status.as_u16().into());
    document.insert("detail".into(), refusal.message().into());
    document.insert("instance".into(), request.to_string().into());
    if status == StatusCode::UNAUTHORIZED {
        document.insert("code".into(), BAD_KEY.into());
    }
    if !refusal.details().is_empty() {
        let details = refusal.details().iter();
        let errors = details.map(|Detail { name, reason, .. }| json!({"name": name, "reason": reason}));
        document.insert("errors".into(), errors.collect());
    }
    let mut text = Value::Object(document).to_string();
    text.push('\n');
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        if refusal.challenge_basic {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"tollbook\""));
        }
    }
    refusal.advise(headers);
    response
}

fn kind_of(fault: &Fault) -> Kind {
    match fault.code() {
        Code::Invalid => invalid_kind(fault.details()),
        Code::Unauthenticated => ("unauthorized", "Unauthorized"),
        Code::Forbidden => ("forbidden", "Forbidden"),
        Code::NotFound => ("not-found", "Not found"),
        Code::Conflict => ("conflict", "Conflict"),
        Code::Gone => ("gone", "Gone"),
        Code::TooLarge => ("body-too-large", "Body too large"),
        Code::UnsupportedMedia => ("unsupported-media-type", "Unsupported media type"),
        Code::TooMany => ("too-many-jobs", "Too many jobs"),
        Code::RateLimited => ("rate-limited", "Rate limited"),
        Code::NotReady | Code::Timeout | Code::Unavailable => ("unavailable", "Unavailable"),
        Code::StorageFull => ("storage-full", "Storage full"),
        Code::Internal => ("internal", "Internal error"),
    }
}

/// The kind of an answer with several faults is that of the first, which its text speaks of too.
fn invalid_kind(details: &[Detail]) -> Kind {
    match details.first().map(|detail| detail.kind) {
        Some(InvalidKind::MalformedBody) => ("malformed-body", "Malformed body"),
        Some(InvalidKind::UnknownParameter) => ("unknown-parameter", "Unknown parameter"),
        Some(InvalidKind::MissingParameter) => ("missing-parameter", "Missing parameter"),
        Some(InvalidKind::InvalidParameter) | None => ("invalid-parameter", "Invalid parameter"),
    }
}
