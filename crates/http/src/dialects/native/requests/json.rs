//! JSON bodies: which types they may have, and how they are read. A name that an object has twice is refused as a query's
//! is (`natalia.md` section 6): of two values one would be overlooked.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::de::DeserializeSeed;
use serde_json::{Map, Value};
use tollbook_kit::fault::{Code, Detail, Fault, InvalidKind};
use tollbook_model::strict_json::Noted;

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
/// `invalid` when it is not JSON, or not an object, or has a name twice, at any depth; all such names are told.
pub(crate) fn json_object(body: &[u8]) -> Result<Map<String, Value>, Fault> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    match Noted.deserialize(&mut reader).and_then(|read| reader.end().map(|()| read)) {
        Ok((Value::Object(object), repeated)) if repeated.is_empty() => Ok(object),
        Ok((Value::Object(_), repeated)) => {
            Err(Fault::from_details(repeated.into_iter().map(given_twice).collect()))
        }
        Ok(_) => Err(Fault::malformed("must be a JSON object")),
        Err(error) => {
            let place = format!("is not JSON, see line {}, column {}", error.line(), error.column());
            Err(Fault::malformed(place))
        }
    }
}

fn given_twice(name: String) -> Detail {
    Detail { name, reason: "is given twice".into(), kind: InvalidKind::InvalidParameter }
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

    #[test]
    fn a_name_stands_once_in_each_object() {
        let whole = r#"{"a":[1,-2,1.5,null,true,"x",{"b":{}}],"b":"\u0061"}"#;
        let wanted: Value = serde_json::from_str(whole).unwrap();
        assert_eq!(json_object(whole.as_bytes()).ok().map(Value::Object), Some(wanted));
        for (body, names) in [
            (r#"{"from":"1","to":"2","from":"1"}"#, vec!["from"]),
            (r#"{"a":1,"\u0061":1,"b":1,"a":2,"b":2}"#, vec!["a", "b"]),
            (r#"{"a":{"x":{"c":1,"d":1,"c":2}},"c":1}"#, vec!["a.x.c"]),
            (r#"{"a":[{"c":1},{"c":1,"c":2}]}"#, vec!["a.c"]),
        ] {
            let fault = json_object(body.as_bytes()).unwrap_err();
            let told: Vec<_> = fault.details().iter().map(|detail| detail.name.as_str()).collect();
            assert_eq!(told, names, "{body}");
            let rules: Vec<_> = fault.details().iter().map(|detail| (detail.kind, &*detail.reason)).collect();
            assert!(rules.iter().all(|rule| *rule == (InvalidKind::InvalidParameter, "is given twice")));
        }
        for body in ["{} {}", "{", "[]", "", "{\"a\":1e999}"] {
            let fault = json_object(body.as_bytes()).unwrap_err();
            assert!(fault.details().iter().all(|detail| detail.reason != "is given twice"), "{body}");
        }
    }
}
