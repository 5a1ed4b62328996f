//! JSON bodies: which types they may have, and how they are read. A name that an object has twice is refused as a query's
//! is (`natalia.md` section 6): of two values one would be overlooked.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;
use tollbook_kit::fault::{Code, Detail, Fault, InvalidKind};

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
    let mut repeated = Vec::new();
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = Reading { path: "", repeated: &mut repeated }.deserialize(&mut reader);
    match read.and_then(|value| reader.end().map(|()| value)) {
        Ok(Value::Object(object)) if repeated.is_empty() => Ok(object),
        Ok(Value::Object(_)) => Err(Fault::from_details(repeated.into_iter().map(given_twice).collect())),
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

/// Reads a value, and notes the names that its objects have twice; those of objects in it as `name.member`.
struct Reading<'a> {
    /// Where the value stands; empty for the whole body.
    path: &'a str,
    repeated: &'a mut Vec<String>,
}

impl<'de> DeserializeSeed<'de> for Reading<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, yes: bool) -> Result<Value, E> {
        Ok(Value::Bool(yes))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(number.into()))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        Number::from_f64(number).map(Value::Number).ok_or_else(|| E::custom("a number beyond all bounds"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) =
            items.next_element_seed(Reading { path: self.path, repeated: &mut *self.repeated })?
        {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let path = if self.path.is_empty() { name.clone() } else { format!("{}.{name}", self.path) };
            let value = members.next_value_seed(Reading { path: &path, repeated: &mut *self.repeated })?;
            if object.insert(name, value).is_some() && !self.repeated.contains(&path) {
                self.repeated.push(path);
            }
        }
        Ok(Value::Object(object))
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
