//! Answers that are not JSON, or are for everybody.

use serde_json::{Map, Value, json};

/// An answer for everybody, that may be kept, with a body of these media types.
pub(crate) fn shared(description: &str, content: Value) -> Value {
    json!({
        "description": description,
        "headers": {
            "Cache-Control": kept_for_a_while(),
            "Access-Control-Allow-Origin": {"schema": {"type": "string", "const": "*"}},
        },
        "content": content,
    })
}

/// The same, with a tag that tells whether it has changed.
pub(crate) fn tagged(description: &str, content: Value) -> Value {
    let mut response = shared(description, content);
    response["headers"]["ETag"] = etag();
    response
}

/// What was tagged has not changed.
pub(crate) fn unchanged() -> Value {
    let mut response = tagged("Nothing has changed since `If-None-Match`.", json!({}));
    response.as_object_mut().map(|response| response.remove("content"));
    response
}

/// A body of each of these media types, which say more than a schema could.
pub(crate) fn opaque<'m>(media_types: impl IntoIterator<Item = &'m str>) -> Map<String, Value> {
    media_types.into_iter().map(|media_type| (media_type.to_owned(), json!({}))).collect()
}

/// What may be kept for five minutes.
pub(crate) fn kept_for_a_while() -> Value {
    json!({"schema": {"type": "string", "const": "public, max-age=300"}})
}

/// Something signed, that nobody else may keep.
pub(crate) fn compact_jws() -> Value {
    let jws = json!({"type": "string", "pattern": "^[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+\\.[A-Za-z0-9_-]+$"});
    json!({"description": "A compact JWS.", "content": {"application/jose": {"schema": jws}}})
}

/// A JWK Set of Ed25519 keys.
pub(crate) fn key_set() -> Value {
    let key = json!({
        "type": "object",
        "properties": {
            "kty": {"const": "OKP"}, "crv": {"const": "Ed25519"}, "kid": {"type": "string"}, "x": {"type": "string"},
        },
        "required": ["kty", "crv", "kid", "x"],
    });
    json!({
        "type": "object", "properties": {"keys": {"type": "array", "items": key}}, "required": ["keys"],
    })
}

fn etag() -> Value {
    json!({"description": "Changes with the text.", "schema": {"type": "string", "pattern": "^\"[0-9a-f]{32}\"$"}})
}
