//! JSON in which no name is given twice: of two equal names a reader would take one and overlook the other.

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// A JSON value without repeated names at any depth; with one it is no JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct StrictJson(pub Value);

impl<'de> Deserialize<'de> for StrictJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (value, repeated) = Noted.deserialize(deserializer)?;
        if repeated.is_empty() {
            Ok(Self(value))
        } else {
            Err(D::Error::custom("a name that is given twice"))
        }
    }
}

/// Reads a JSON value, and tells the names that its objects have twice, each once; those of objects in it as
/// `name.member`. Of repeated members the last is in the value.
#[derive(Debug, Clone, Copy)]
pub struct Noted;

impl<'de> DeserializeSeed<'de> for Noted {
    type Value = (Value, Vec<String>);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let mut repeated = Vec::new();
        let value = Reading { path: "", repeated: &mut repeated }.deserialize(deserializer)?;
        Ok((value, repeated))
    }
}

/// Reads a value that stands somewhere in the whole.
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
    fn a_name_given_twice_is_no_json() {
        let read = |text: &str| serde_json::from_str::<StrictJson>(text).map(|StrictJson(value)| value).ok();
        let whole = r#"{"a":[1,-2,1.5,null,true,"x",{"b":{}}],"b":"\u0061"}"#;
        assert_eq!(read(whole), serde_json::from_str(whole).ok());
        for twice in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"[{"x":{"b":1,"c":1,"b":2}}]"#] {
            assert_eq!(read(twice), None, "{twice}");
        }
    }
}
