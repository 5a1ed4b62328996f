//! The content of a record as bytes: what tells a duplicate from a revision, however the record is held.
//!
//! A record in memory and the same record in columns must give the same bytes, so both write them here.

use super::CallField;
use crate::value::Value;
use xxhash_rust::xxh3::xxh3_64;

/// Is the field content? `received_at` and `revision` are ours and do not count.
pub fn is_content(field: CallField) -> bool {
    !matches!(field, CallField::ReceivedAt | CallField::Revision)
}

/// Appends the bytes of one field that is content; nothing for no value. Fields come in catalogue order.
pub fn push_content_field(field: CallField, value: &Value<'_>, into: &mut Vec<u8>) {
    if value.is_null() {
        return;
    }
    into.push(field as u8);
    match value {
        Value::Null => {}
        // The length tells where the text ends, whatever follows.
        Value::Text(text) => {
            into.extend_from_slice(&(text.len() as u32).to_le_bytes());
            into.extend_from_slice(text.as_bytes());
        }
        Value::Integer(v) | Value::Instant(v) => into.extend_from_slice(&v.to_le_bytes()),
        Value::Number(v) => into.extend_from_slice(&v.to_le_bytes()),
        Value::Money(v) => into.extend_from_slice(&v.millionths().to_le_bytes()),
        Value::Uuid(v) => into.extend_from_slice(v),
        Value::Bytes(v) => into.extend_from_slice(v),
        Value::Boolean(v) => into.push(u8::from(*v)),
    }
}

/// Digest of the content whose bytes these are.
pub fn digest_of_content(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_says_where_it_ends() {
        let content = |fields: &[(CallField, &str)]| {
            let mut bytes = Vec::new();
            for (field, text) in fields {
                push_content_field(*field, &Value::Text((*text).into()), &mut bytes);
            }
            bytes
        };
        let after = content(&[(CallField::Trunk, "b")]);
        let after = std::str::from_utf8(&after).expect("small numbers are ASCII");
        for field in [CallField::Extra, CallField::CallId] {
            assert_ne!(
                content(&[(field, "a"), (CallField::Trunk, "b")]),
                content(&[(field, &format!("a{after}"))]),
                "{field:?}"
            );
        }
    }
}
