//! Values of fields read from text: CSV cells and JSON strings.

use std::borrow::Cow;
use tollbook_model::call::{CallField, FieldProblem, value_from_text};
use tollbook_model::schema::FieldKind;
use tollbook_model::value::Value;

/// Reads a field's value from text that was sent for it. Empty text is a value of text fields only.
pub(super) fn text_value(field: CallField, text: Cow<'_, str>) -> Result<Value<'_>, FieldProblem> {
    let kind = field.definition().kind;
    if text.is_empty() && kind != FieldKind::Text {
        return Ok(Value::Null);
    }
    if holds_nul(&text) {
        return Err(FieldProblem::new(field, "must not hold NUL characters"));
    }
    if kind == FieldKind::Instant && lacks_offset(&text) {
        return Err(FieldProblem::new(
            field,
            "lacks the offset from UTC; write one, such as Z or +01:00, at the end",
        ));
    }
    value_from_text(field, text)
}

/// NUL parts the texts from which ids are made, and many readers of exports stop at one.
pub(super) fn holds_nul(text: &str) -> bool {
    memchr::memchr(0, text.as_bytes()).is_some()
}

/// Is it a date and a time without anything behind that says where?
fn lacks_offset(text: &str) -> bool {
    let bytes = text.as_bytes();
    let last_is_digit = bytes.last().is_some_and(u8::is_ascii_digit);
    let time = bytes.get(11..).unwrap_or_default();
    last_is_digit
        && time.len() >= 5
        && !time.iter().any(|b| matches!(b, b'+' | b'-' | b'Z' | b'z'))
        && text.parse::<jiff::civil::DateTime>().is_ok()
}
