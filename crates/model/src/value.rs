//! One value of one field.

use crate::money::Money;
use std::borrow::Cow;

/// A value, borrowed from the body it was parsed from where that is possible.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Value<'a> {
    /// No value. Never shown as 0, empty text or JSON null.
    #[default]
    Null,
    /// Text; may be empty, which is not the same as no value.
    Text(Cow<'a, str>),
    /// A whole number.
    Integer(i64),
    /// A moment in milliseconds since 1970-01-01T00:00:00Z.
    Instant(i64),
    /// A measured number.
    Number(f64),
    /// An amount.
    Money(Money),
    /// A UUID in network order.
    Uuid([u8; 16]),
    /// Opaque bytes that never leave the store.
    Bytes(Vec<u8>),
    /// Yes or no.
    Boolean(bool),
}

impl Value<'_> {
    /// Is there no value?
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The same value, holding its own bytes.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Self::Null => Value::Null,
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Self::Integer(v) => Value::Integer(v),
            Self::Instant(v) => Value::Instant(v),
            Self::Number(v) => Value::Number(v),
            Self::Money(v) => Value::Money(v),
            Self::Uuid(v) => Value::Uuid(v),
            Self::Bytes(v) => Value::Bytes(v),
            Self::Boolean(v) => Value::Boolean(v),
        }
    }
}
