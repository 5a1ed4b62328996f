//! The responses of refusals, one per dialect and status: every operation refers to those that it can meet.

use super::operation::reference;
use crate::dialect::Dialect;
use crate::dialects::native;
use http::StatusCode;
use serde_json::{Map, Value, json};

/// The response of a refusal of this status in the words of this dialect.
pub(super) fn response(dialect: Dialect, status: u16) -> Value {
    let (media_type, schema) = match dialect {
        Dialect::Realms => ("application/json", reference("OAuthError")),
        Dialect::Omilia => ("application/json", reference("ExportsError")),
        Dialect::Native | Dialect::Didww => ("application/problem+json", problem(status)),
    };
    let mut content = Map::new();
    content.insert(media_type.to_owned(), json!({ "schema": schema }));
    json!({"description": description(status), "headers": headers(dialect, status), "content": content})
}

/// Headers of every document.
pub(super) fn header_components() -> Value {
    json!({
        "X-Request-Id": {
            "description": "Id of the request, in the log too.", "required": true,
            "schema": {"type": "string", "format": "uuid"},
        },
        "Content-Range": {
            "description": "How long the file is.", "required": true,
            "schema": {"type": "string", "pattern": "^bytes \\*/[0-9]+$"},
        },
        "RateLimit-Limit": {
            "description": "Requests that a rested credential may send at once.",
            "schema": {"type": "integer", "minimum": 1},
        },
        "RateLimit-Remaining": {
            "description": "How many of these are left.", "schema": {"type": "integer", "minimum": 0},
        },
        "RateLimit-Reset": {
            "description": "Seconds until there is another one.", "schema": {"type": "integer", "minimum": 0},
        },
        "Retry-After": {
            "description": "Seconds after which asking again makes sense.", "required": true,
            "schema": {"type": "integer", "minimum": 1},
        },
        "WWW-Authenticate": {
            "description": "Which credentials are taken.", "required": true, "schema": {"type": "string"},
        },
    })
}

/// What answers to a credential that was counted say of its rate.
pub(super) fn counted() -> Map<String, Value> {
    ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"]
        .into_iter()
        .map(|name| (name.to_owned(), header(name)))
        .collect()
}

fn header(name: &str) -> Value {
    json!({"$ref": format!("#/components/headers/{name}")})
}

fn headers(dialect: Dialect, status: u16) -> Map<String, Value> {
    let mut headers = Map::from_iter([("X-Request-Id".to_owned(), header("X-Request-Id"))]);
    match status {
        401 if dialect == Dialect::Realms => {}
        401 => {
            headers.insert("WWW-Authenticate".into(), header("WWW-Authenticate"));
        }
        416 => {
            headers.insert("Content-Range".into(), header("Content-Range"));
        }
        429 | 503 => {
            headers.insert("Retry-After".into(), header("Retry-After"));
        }
        _ => {}
    }
    if status != 401 && dialect != Dialect::Realms {
        headers.extend(counted());
    }
    headers
}

/// A problem document of this status.
fn problem(status: u16) -> Value {
    let types = StatusCode::from_u16(status).map(native::errors::types_of).unwrap_or_default();
    let mut schema = json!({"properties": {"type": {"enum": types}, "status": {"const": status}}});
    if status == 401 {
        schema["required"] = json!(["code"]);
    }
    json!({"allOf": [reference("Problem"), schema]})
}

fn description(status: u16) -> &'static str {
    match status {
        400 => "The request is wrong; the answer names everything that is.",
        401 => "No credential, or one that does not hold.",
        403 => "A good credential without the right.",
        404 => "There is no such thing, or it is another tenant's.",
        409 => "The state of things does not allow it.",
        410 => {
            "It was there once: the link has ended, its files are removed, or the tenant was closed and its time to export \
             is over."
        }
        412 => "The file is not the one that the request means.",
        413 => "The body is too large.",
        415 => "The body has a media type or coding that is not taken here.",
        416 => "Nothing of the range is inside the file.",
        422 => "The idempotency key came before with another order.",
        429 => "Too many requests, or too many things under way at once.",
        500 => "A mistake of the service; the request id identifies it in the log.",
        503 => "A part that is needed cannot be reached for now.",
        507 => "There is no room: on the disk, or within the tenant's quota.",
        _ => "Refused.",
    }
}
