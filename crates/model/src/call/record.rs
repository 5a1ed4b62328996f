//! One call record in memory, on its way from a source to the journal.

use super::CallField;
use super::content::{digest_of_content, is_content, push_content_field};
use crate::canonical;
use crate::money::Money;
use crate::schema::FieldKind;
use crate::value::Value;
use std::borrow::Cow;

/// Bound of `extra` in bytes of names and values.
pub const EXTRA_BYTES: usize = 32 * 1024;
/// Bound of any other text in bytes.
pub const TEXT_BYTES: usize = 4 * 1024;
/// Latest moment taken: the end of the year 9998, so that every zone's local time still has a four-digit year.
pub const LATEST_MS: i64 = 253_370_764_799_999;

/// Why a value does not fit a field. The text never repeats the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldProblem {
    /// The field.
    pub field: &'static str,
    /// What is wrong, and what would be right.
    pub reason: String,
}

impl FieldProblem {
    /// A problem with `field`.
    pub fn new(field: CallField, reason: impl Into<String>) -> Self {
        Self { field: field.name(), reason: reason.into() }
    }
}

impl std::fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}

/// A record: one value per field of the catalogue. Values are checked as they are set.
#[derive(Debug, Clone)]
pub struct CallRecord<'a> {
    values: [Value<'a>; CallField::COUNT],
    extra: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    sealed_calling_party: Option<Vec<u8>>,
}

impl Default for CallRecord<'_> {
    fn default() -> Self {
        Self {
            values: [const { Value::Null }; CallField::COUNT],
            extra: Vec::new(),
            sealed_calling_party: None,
        }
    }
}

impl<'a> CallRecord<'a> {
    /// A record without values.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a field; `extra` is read through [`CallRecord::extra_text`].
    pub fn get(&self, field: CallField) -> &Value<'a> {
        &self.values[field as usize]
    }

    /// The text of a field; none when it has no value or is not text.
    pub fn text(&self, field: CallField) -> Option<&str> {
        self.get(field).as_text()
    }

    /// The moment of a field in milliseconds.
    pub fn instant(&self, field: CallField) -> Option<i64> {
        match self.get(field) {
            Value::Instant(ms) => Some(*ms),
            _ => None,
        }
    }

    /// The whole number of a field.
    pub fn integer(&self, field: CallField) -> Option<i64> {
        match self.get(field) {
            Value::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// Sets a value of the right kind and within the field's bounds.
    ///
    /// # Errors
    /// The value is of another kind, or out of bounds.
    pub fn set(&mut self, field: CallField, value: Value<'a>) -> Result<(), FieldProblem> {
        check(field, &value)?;
        self.values[field as usize] = value;
        Ok(())
    }

    /// Sets a text field.
    ///
    /// # Errors
    /// As [`CallRecord::set`].
    pub fn set_text(&mut self, field: CallField, text: impl Into<Cow<'a, str>>) -> Result<(), FieldProblem> {
        self.set(field, Value::Text(text.into()))
    }

    /// Takes a value away.
    pub fn clear(&mut self, field: CallField) {
        self.values[field as usize] = Value::Null;
    }

    /// Keeps a source's field that has no place in the catalogue.
    pub fn push_extra(&mut self, name: impl Into<Cow<'a, str>>, value: impl Into<Cow<'a, str>>) {
        self.extra.push((name.into(), value.into()));
    }

    /// The source's fields without a place in the catalogue.
    pub fn extra(&self) -> &[(Cow<'a, str>, Cow<'a, str>)] {
        &self.extra
    }

    /// Keeps only the extra fields for which `keep` says so.
    pub fn retain_extra(&mut self, mut keep: impl FnMut(&str, &str) -> bool) {
        self.extra.retain(|(name, value)| keep(name, value));
    }

    /// `extra` as RFC 8785 text; none when empty. Over [`EXTRA_BYTES`] the fields that no longer fit are
    /// counted under `_left_out` instead of kept.
    pub fn extra_text(&self) -> Option<String> {
        if self.extra.is_empty() {
            return None;
        }
        let mut room = EXTRA_BYTES;
        let mut left_out = 0usize;
        let mut kept: Vec<(&str, &str)> = Vec::with_capacity(self.extra.len() + 1);
        for (name, value) in &self.extra {
            match room.checked_sub(name.len() + value.len()) {
                Some(rest) => {
                    room = rest;
                    kept.push((name, value));
                }
                None => left_out += 1,
            }
        }
        let left_out = left_out.to_string();
        if left_out != "0" {
            kept.push(("_left_out", &left_out));
        }
        Some(canonical::object_of_strings(kept))
    }

    /// The caller's original number, sealed; see `privacy`.
    pub fn sealed_calling_party(&self) -> Option<&[u8]> {
        self.sealed_calling_party.as_deref()
    }

    /// Keeps the sealed original of the caller's number.
    pub fn set_sealed_calling_party(&mut self, sealed: Vec<u8>) {
        self.sealed_calling_party = Some(sealed);
    }

    /// Digest of the content: equal for a duplicate, different for a revision. `received_at` and `revision`,
    /// which are ours, do not count. `scratch` and `extra_text` save work that the caller has done already.
    pub fn content_digest(&self, extra_text: Option<&str>, scratch: &mut Vec<u8>) -> u64 {
        scratch.clear();
        self.push_content(extra_text, scratch);
        digest_of_content(scratch)
    }

    /// Appends the bytes over which [`CallRecord::content_digest`] goes: every field that has a value, without
    /// `received_at` and `revision`, and `extra_text`.
    pub fn push_content(&self, extra_text: Option<&str>, into: &mut Vec<u8>) {
        for field in CallField::ALL {
            if field != CallField::Extra && is_content(field) {
                push_content_field(field, self.get(field), into);
            }
        }
        if let Some(text) = extra_text {
            push_content_field(CallField::Extra, &Value::Text(text.into()), into);
        }
    }
}

fn check(field: CallField, value: &Value<'_>) -> Result<(), FieldProblem> {
    let definition = field.definition();
    match (definition.kind, value) {
        (_, Value::Null) | (FieldKind::Uuid, Value::Uuid(_)) | (FieldKind::Money, Value::Money(_)) => Ok(()),
        (FieldKind::Text, Value::Text(text)) if text.len() <= TEXT_BYTES => Ok(()),
        (FieldKind::Text, Value::Text(_)) => {
            Err(FieldProblem::new(field, format!("longer than {TEXT_BYTES} bytes")))
        }
        (FieldKind::LastFour, Value::Text(text))
            if text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit()) =>
        {
            Ok(())
        }
        (FieldKind::Word(words), Value::Text(text)) if words.contains(&text.as_ref()) => Ok(()),
        (FieldKind::Word(words), Value::Text(_)) => {
            Err(FieldProblem::new(field, format!("must be one of {}", words.join(", "))))
        }
        (FieldKind::Integer { min, max }, Value::Integer(v)) if (min..=max).contains(v) => Ok(()),
        (FieldKind::Integer { min, max: i64::MAX }, Value::Integer(_)) => {
            Err(FieldProblem::new(field, format!("must be {min} or more")))
        }
        (FieldKind::Integer { min, max }, Value::Integer(_)) => {
            Err(FieldProblem::new(field, format!("must be between {min} and {max}")))
        }
        (FieldKind::Instant, Value::Instant(ms)) if (0..=LATEST_MS).contains(ms) => Ok(()),
        (FieldKind::Instant, Value::Instant(_)) => {
            Err(FieldProblem::new(field, "must lie between the years 1970 and 9998"))
        }
        (FieldKind::Number, Value::Number(v)) if v.is_finite() => Ok(()),
        (kind, _) => Err(FieldProblem::new(field, format!("must be {}", wanted(kind)))),
    }
}

/// What a field of this kind wants, for messages.
pub fn wanted(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Uuid => "a UUID",
        FieldKind::Text | FieldKind::Word(_) => "text",
        FieldKind::LastFour => "text of four digits",
        FieldKind::Integer { .. } => "a whole number",
        FieldKind::Instant => "a date-time after RFC 3339 such as 2026-01-05T09:00:00.000Z",
        FieldKind::Number => "a number",
        FieldKind::Money => {
            "an amount as text such as \"0.015\", with at most 12 digits before and 6 after the point"
        }
        FieldKind::StringMap => "an object of strings",
        FieldKind::Boolean => "true or false",
    }
}

/// Reads a value of `field` from plain text, as CSV cells and mapped columns give it. Empty text is no value
/// except for text fields, whose caller decides.
///
/// # Errors
/// The text does not read as the field's kind.
pub fn value_from_text<'a>(
    field: CallField,
    text: impl Into<Cow<'a, str>>,
) -> Result<Value<'a>, FieldProblem> {
    let text = text.into();
    let kind = field.definition().kind;
    let wrong = || FieldProblem::new(field, format!("must be {}", wanted(kind)));
    match kind {
        FieldKind::Text | FieldKind::Word(_) | FieldKind::LastFour => Ok(Value::Text(text)),
        FieldKind::Uuid => {
            uuid::Uuid::try_parse(&text).map(|id| Value::Uuid(id.into_bytes())).map_err(|_| wrong())
        }
        FieldKind::Integer { .. } => text.parse().map(Value::Integer).map_err(|_| wrong()),
        FieldKind::Instant => crate::time_range::parse_instant(&text).map(Value::Instant).ok_or_else(wrong),
        FieldKind::Number => text.parse().map(Value::Number).map_err(|_| wrong()),
        FieldKind::Money => Money::parse(&text).map(Value::Money).ok_or_else(wrong),
        FieldKind::StringMap | FieldKind::Boolean => Err(wrong()),
    }
}
