//! From outcomes to the words of answers, one file per noun.

pub(super) mod completeness;
pub(super) mod export;
pub(super) mod ingest;
pub(super) mod job;
pub(super) mod link_key;
pub(super) mod settings;
pub(super) mod source;
mod streamed;
pub(super) mod tenant;
pub(super) mod token;
pub(super) mod trunk;
pub(super) mod user;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use serde::Serialize;

/// An answer that nobody may keep.
pub(super) fn unkept(status: StatusCode, media_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A JSON answer that nobody may keep.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let Ok(mut text) = serde_json::to_vec(value) else {
        // Answers are made of texts and numbers only.
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    text.push(b'\n');
    unkept(status, "application/json", text)
}

/// A list that fits into one answer.
pub(super) fn list<'t, T: 't, V: Serialize>(
    items: impl IntoIterator<Item = &'t T>,
    view: impl Fn(&T) -> V,
) -> Response {
    json(StatusCode::OK, &Items { items: items.into_iter().map(view).collect() })
}

#[derive(Serialize)]
struct Items<V> {
    items: Vec<V>,
}

/// It was done, and there is nothing to say of it.
pub(super) fn done() -> Response {
    (StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response()
}
