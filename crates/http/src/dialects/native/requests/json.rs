//! JSON bodies: which types they may have, and how they are read.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value};
use tollbook_kit::fault::{Code, Fault};

/// Is the body's type one in which JSON is taken (`natalia.md` section 2)? What `curl -d` sends is among them.
///
/// # Errors
/// `unsupported_media` for others.
pub(crate) fn check_json_type(headers: &HeaderMap) -> Result<(), Fault> {
    let media_type = match headers.get(CONTENT_TYPE) {
        None => return Ok(()),
        Some(value) => {
            value.to_str().unwrap_or("?").split(';').next().unwrap_or("").trim().to_ascii_lowercase()
        }
    };
    match media_type.as_str() {
        "" | "application/json" | "text/plain" | "application/x-www-form-urlencoded" => Ok(()),
        _ => Err(Fault::new(Code::UnsupportedMedia, "send the body as application/json")),
    }
}

/// The JSON object of a body.
///
/// # Errors
/// `invalid` when it is not JSON, or not an object.
pub(crate) fn json_object(body: &[u8]) -> Result<Map<String, Value>, Fault> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Fault::malformed("must be a JSON object")),
        Err(error) => {
            let place = format!("is not JSON, see line {}, column {}", error.line(), error.column());
            Err(Fault::malformed(place))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn depth_is_bounded() {
        let deep = "[".repeat(10_000);
        assert!(json_object(format!("{{\"a\":{deep}").as_bytes()).is_err());
        assert!(json_object(b"{\"kind\":\"csv\"}").is_ok());
    }
}
