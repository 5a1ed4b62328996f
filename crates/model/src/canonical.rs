//! RFC 8785 (JSON Canonicalization Scheme) for what Tollbook writes: strings, objects of strings, and any JSON whose
//! numbers are integers.
//!
//! Other numbers are written by who has them, in ECMAScript's shortest form.

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// Integers beyond this are not told apart by readers that hold numbers as doubles (RFC 8785 section 3.2.2.3).
const GREATEST_INTEGER: u64 = (1 << 53) - 1;

/// Appends `text` as a JSON string in RFC 8785 form: only `"`, `\` and control characters are escaped.
pub fn push_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    push_string_body(out, text);
    out.push(b'"');
}

/// Like [`push_string`], without the quotes.
pub fn push_string_body(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    let mut clean_from = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            0x08 => b'b',
            0x09 => b't',
            0x0A => b'n',
            0x0C => b'f',
            0x0D => b'r',
            0x00..=0x1F => 0,
            _ => continue,
        };
        out.extend_from_slice(&bytes[clean_from..at]);
        clean_from = at + 1;
        if short == 0 {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
    }
    out.extend_from_slice(&bytes[clean_from..]);
}

/// The RFC 8785 text of an object of strings. Keys are sorted by UTF-16 code units; a later equal key wins.
pub fn object_of_strings<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let sorted: BTreeMap<Vec<u16>, (&str, &str)> =
        pairs.into_iter().map(|(key, value)| (key.encode_utf16().collect(), (key, value))).collect();
    let mut out = Vec::with_capacity(64);
    out.push(b'{');
    for (at, (key, value)) in sorted.values().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push_string(&mut out, key);
        out.push(b':');
        push_string(&mut out, value);
    }
    out.push(b'}');
    String::from_utf8(out).expect("made of strings and ASCII")
}

/// The RFC 8785 text of an object; none when it holds a number that is no integer of at most 53 bits.
pub fn object(members: &Map<String, Value>) -> Option<String> {
    let mut out = Vec::with_capacity(256);
    push_object(&mut out, members)?;
    Some(String::from_utf8(out).expect("made of strings and ASCII"))
}

fn push_object(out: &mut Vec<u8>, members: &Map<String, Value>) -> Option<()> {
    let sorted: BTreeMap<Vec<u16>, (&String, &Value)> =
        members.iter().map(|(key, value)| (key.encode_utf16().collect(), (key, value))).collect();
    out.push(b'{');
    for (at, (key, value)) in sorted.values().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push_string(out, key);
        out.push(b':');
        push_value(out, value)?;
    }
    out.push(b'}');
    Some(())
}

fn push_value(out: &mut Vec<u8>, value: &Value) -> Option<()> {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::String(text) => push_string(out, text),
        Value::Number(number) => {
            let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs))?;
            (size <= GREATEST_INTEGER).then_some(())?;
            out.extend_from_slice(number.to_string().as_bytes());
        }
        Value::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                push_value(out, item)?;
            }
            out.push(b']');
        }
        Value::Object(members) => push_object(out, members)?,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn any_json_of_integers_is_written_in_one_way() {
        let given = json!({"b": [1, -2, true, null], "a": {"z": "1", "y": 0}});
        let text = object(given.as_object().unwrap()).unwrap();
        assert_eq!(text, r#"{"a":{"y":0,"z":"1"},"b":[1,-2,true,null]}"#);
        for number in [json!(1.5), json!(1e300), json!(1u64 << 53)] {
            assert_eq!(object(json!({"n": number}).as_object().unwrap()), None, "{number}");
        }
    }

    #[test]
    fn keys_sort_by_utf16_and_only_needed_characters_are_escaped() {
        // RFC 8785 section 3.2.3: U+1F600 (surrogates D83D…) sorts before U+FB33.
        let text = object_of_strings([("\u{fb33}", "1"), ("\u{1f600}", "2"), ("a", "\u{7f}/\"\\\n\u{1}ö")]);
        assert_eq!(text, "{\"a\":\"\u{7f}/\\\"\\\\\\n\\u0001ö\",\"\u{1f600}\":\"2\",\"\u{fb33}\":\"1\"}");
    }
}
