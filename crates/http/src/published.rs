//! What is published for everybody, in every dialect: schemas, types, keys, documents.

use axum::response::{IntoResponse, Response};
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tollbook_app::datasets::SchemaView;

const SHARED: &str = "public, max-age=300";

/// A published text, or nothing new.
pub(crate) fn tagged(view: &SchemaView, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", view.digest);
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|list| {
        list.split(',')
            .map(str::trim)
            .any(|known| known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag)
    });
    let shared =
        [(ETAG, tag), (CACHE_CONTROL, SHARED.to_owned()), (ACCESS_CONTROL_ALLOW_ORIGIN, "*".to_owned())];
    if known {
        return (StatusCode::NOT_MODIFIED, shared).into_response();
    }
    (shared, [(CONTENT_TYPE, view.media_type)], view.text.clone()).into_response()
}

/// A JWK Set.
pub(crate) fn keys(set: &Value) -> Response {
    let headers = [
        (CONTENT_TYPE, "application/jwk-set+json"),
        (CACHE_CONTROL, SHARED),
        (ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    ];
    (headers, set.to_string()).into_response()
}
