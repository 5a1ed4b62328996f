//! Refusals as problem documents (RFC 9457, `natalia.md` section 13): the one table from codes to HTTP.

use crate::refusal::{Cause, Refusal};
use axum::body::Body;
use axum::response::Response;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::{Map, Value, json};
use std::time::Duration;
use tollbook_kit::fault::{Code, Detail, Fault, InvalidKind};
use uuid::Uuid;

/// The vendor's code for a bad or revoked key.
const BAD_KEY: &str = "NAT-API-001";
/// For codes that always say when to come back.
const RETRY_LATER: Duration = Duration::from_secs(5);

/// A kind of problem: status, suffix of the type, title.
type Kind = (StatusCode, &'static str, &'static str);

/// The problem document of a refusal.
pub(crate) fn render(refusal: &Refusal, request: Uuid) -> Response {
    let (kind, detail, details) = match &refusal.cause {
        Cause::MethodNotAllowed(_) => {
            let kind = (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed");
            (kind, "this path does not take this method; see Allow", &[][..])
        }
        Cause::Fault(fault) => (kind_of(fault), fault.message(), fault.details()),
    };
    let (status, suffix, title) = kind;
    let mut document = Map::new();
    document.insert("type".into(), format!("urn:tollbook:problem:{suffix}").into());
    document.insert("title".into(), title.into());
    document.insert("status".into(), status.as_u16().into());
    document.insert("detail".into(), detail.into());
    document.insert("instance".into(), request.to_string().into());
    if status == StatusCode::UNAUTHORIZED {
        document.insert("code".into(), BAD_KEY.into());
    }
    if !details.is_empty() {
        let errors =
            details.iter().map(|Detail { name, reason, .. }| json!({"name": name, "reason": reason}));
        document.insert("errors".into(), errors.collect());
    }
    let mut text = Value::Object(document).to_string();
    text.push('\n');
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    add_headers(&mut response, refusal);
    response
}

fn add_headers(response: &mut Response, refusal: &Refusal) {
    let status = response.status();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        if refusal.challenge_basic {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"tollbook\""));
        }
    }
    let known = match &refusal.cause {
        Cause::Fault(fault) => fault.retry_after(),
        Cause::MethodNotAllowed(methods) => {
            if let Some(methods) = methods {
                headers.insert(ALLOW, HeaderValue::from_static(methods));
            }
            None
        }
    };
    let expected = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    if let Some(wait) = known.or(expected.then_some(RETRY_LATER)) {
        // Whole seconds, rounded up: coming back too early would be refused again.
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        headers.insert(RETRY_AFTER, seconds.into());
    }
}

fn kind_of(fault: &Fault) -> Kind {
    match fault.code() {
        Code::Invalid => invalid_kind(fault.details()),
        Code::Unauthenticated => (StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized"),
        Code::Forbidden => (StatusCode::FORBIDDEN, "forbidden", "Forbidden"),
        Code::NotFound => (StatusCode::NOT_FOUND, "not-found", "Not found"),
        Code::Conflict => (StatusCode::CONFLICT, "conflict", "Conflict"),
        Code::Gone => (StatusCode::GONE, "gone", "Gone"),
        Code::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", "Body too large"),
        Code::UnsupportedMedia => {
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Unsupported media type")
        }
        Code::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too-many-jobs", "Too many jobs"),
        Code::NotReady | Code::Timeout | Code::Unavailable => {
            (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Unavailable")
        }
        Code::StorageFull => (StatusCode::INSUFFICIENT_STORAGE, "storage-full", "Storage full"),
        Code::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "internal", "Internal error"),
    }
}

/// The kind of an answer with several faults is that of the first, which its text speaks of too.
fn invalid_kind(details: &[Detail]) -> Kind {
    let (suffix, title) = match details.first().map(|detail| detail.kind) {
        Some(InvalidKind::MalformedBody) => ("malformed-body", "Malformed body"),
        Some(InvalidKind::UnknownParameter) => ("unknown-parameter", "Unknown parameter"),
        Some(InvalidKind::MissingParameter) => ("missing-parameter", "Missing parameter"),
        Some(InvalidKind::InvalidParameter) | None => ("invalid-parameter", "Invalid parameter"),
    };
    (StatusCode::BAD_REQUEST, suffix, title)
}
