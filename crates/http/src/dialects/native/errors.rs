//! Refusals as problem documents (RFC 9457, `natalia.md` section 13).

use crate::refusal::{Cause, Refusal};
use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use tollbook_kit::fault::{Code, Detail, Fault, InvalidKind};
use utoipa::ToSchema;
use uuid::Uuid;

/// The vendor's code for a bad or revoked key.
const BAD_KEY: &str = "NAT-API-001";

/// A kind of problem: suffix of the type, title.
type Kind = (&'static str, &'static str);

/// A problem document (RFC 9457): why a request was refused.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemView<'r> {
    /// What kind of problem it is.
    #[serde(rename = "type")]
    kind: String,
    /// The same in words.
    title: &'static str,
    /// The status of the answer.
    status: u16,
    /// What to do about it.
    detail: &'r str,
    /// Id of the request.
    instance: Uuid,
    /// The vendor's code for a bad or revoked key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    code: Option<&'static str>,
    /// Everything that is wrong, where several things can be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<ErrorView<'r>>,
}

/// One wrong parameter, member or row.
#[derive(Serialize, ToSchema)]
#[schema(as = ProblemError)]
struct ErrorView<'r> {
    /// Its name.
    name: &'r str,
    /// What is wrong with it.
    reason: &'r str,
}

/// The types of problems with this status, for documents.
pub(crate) fn types_of(status: StatusCode) -> Vec<String> {
    let suffixes: &[&str] = match status.as_u16() {
        400 => &["malformed-body", "unknown-parameter", "missing-parameter", "invalid-parameter"],
        429 => &["rate-limited", "too-many-jobs"],
        401 => &["unauthorized"],
        403 => &["forbidden"],
        404 => &["not-found"],
        405 => &["method-not-allowed"],
        409 => &["conflict"],
        410 => &["gone"],
        412 => &["precondition-failed"],
        413 => &["body-too-large"],
        415 => &["unsupported-media-type"],
        416 => &["range-not-satisfiable"],
        422 => &["idempotency-key-reused"],
        500 => &["internal"],
        503 => &["unavailable"],
        507 => &["storage-full"],
        _ => &[],
    };
    suffixes.iter().map(|suffix| type_of(suffix)).collect()
}

fn type_of(suffix: &str) -> String {
    format!("urn:tollbook:problem:{suffix}")
}

/// The problem document of a refusal.
pub(crate) fn render(refusal: &Refusal, request: Uuid) -> Response {
    let status = refusal.status();
    let (suffix, title) = kind_of(refusal);
    let details = refusal.details().iter();
    let document = ProblemView {
        kind: type_of(suffix),
        title,
        status: status.as_u16(),
        detail: refusal.message(),
        instance: request,
        code: (status == StatusCode::UNAUTHORIZED).then_some(BAD_KEY),
        errors: details.map(|Detail { name, reason, .. }| ErrorView { name, reason }).collect(),
    };
    // Made of texts and one number: it can be written.
    let mut text = serde_json::to_string(&document).unwrap_or_default();
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

fn kind_of(refusal: &Refusal) -> Kind {
    match &refusal.cause {
        Cause::Fault(fault) => kind_of_fault(fault),
        Cause::MethodNotAllowed(_) => ("method-not-allowed", "Method not allowed"),
        Cause::PreconditionFailed => ("precondition-failed", "Precondition failed"),
        Cause::RangeNotSatisfiable(_) => ("range-not-satisfiable", "Range not satisfiable"),
        // Words of other dialects are not said here.
        Cause::InWords(_) => ("invalid-parameter", "Invalid request"),
    }
}

fn kind_of_fault(fault: &Fault) -> Kind {
    match fault.code() {
        Code::Invalid => invalid_kind(fault.details()),
        Code::Unauthenticated => ("unauthorized", "Unauthorized"),
        Code::Forbidden => ("forbidden", "Forbidden"),
        Code::NotFound => ("not-found", "Not found"),
        Code::Conflict => ("conflict", "Conflict"),
        Code::KeyReused => ("idempotency-key-reused", "Idempotency key reused"),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_know_every_type() {
        let of_code = |code| Refusal::from(Fault::new(code, "x"));
        let mut refusals: Vec<Refusal> = [
            Code::Invalid,
            Code::Unauthenticated,
            Code::Forbidden,
            Code::NotFound,
            Code::Conflict,
            Code::KeyReused,
            Code::Gone,
            Code::TooLarge,
            Code::UnsupportedMedia,
            Code::TooMany,
            Code::RateLimited,
            Code::NotReady,
            Code::Timeout,
            Code::Unavailable,
            Code::StorageFull,
            Code::Internal,
        ]
        .map(of_code)
        .to_vec();
        refusals.extend([
            Refusal::method_not_allowed(),
            Refusal::precondition_failed(),
            Refusal::unsatisfiable(7),
        ]);
        let kinds =
            [InvalidKind::MalformedBody, InvalidKind::UnknownParameter, InvalidKind::MissingParameter];
        refusals.extend(kinds.map(|kind| {
            Fault::from_details(vec![Detail { name: "x".into(), reason: "y".into(), kind }]).into()
        }));
        for refusal in refusals {
            let (suffix, _) = kind_of(&refusal);
            assert!(types_of(refusal.status()).contains(&type_of(suffix)), "{refusal:?}");
        }
    }
}
