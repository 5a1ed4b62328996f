//! The vocabulary of schemas: the kinds of values that parameters and bodies have.

use serde_json::{Value, json};
use std::ops::RangeInclusive;
use tollbook_model::access::Role;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

/// No control characters.
pub(crate) const PRINTABLE: &str = "^[^\\x00-\\x1f\\x7f-\\x9f]*$";

/// A text of so many characters that matches this pattern.
pub(crate) fn text(length: RangeInclusive<usize>, pattern: &str) -> Value {
    json!({"type": "string", "minLength": length.start(), "maxLength": length.end(), "pattern": pattern})
}

/// One of these words.
pub(crate) fn word(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

/// A whole number.
pub(crate) fn number(bounds: RangeInclusive<u64>) -> Value {
    json!({"type": "integer", "minimum": bounds.start(), "maximum": bounds.end()})
}

/// The same, or `null`.
pub(crate) fn or_null(mut schema: Value) -> Value {
    let kind = schema["type"].take();
    schema["type"] = json!([kind, "null"]);
    schema
}

/// The same, with words on what it means.
pub(crate) fn meaning(mut schema: Value, description: &str) -> Value {
    schema["description"] = description.into();
    schema
}

/// An object that takes these members and no others.
pub(crate) fn object(members: Value, required: &[&str]) -> Value {
    let mut schema = json!({"type": "object", "properties": members, "additionalProperties": false});
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    schema
}

/// The name of a role.
pub(crate) fn role() -> Value {
    word(&Role::ALL.map(Role::name))
}

/// The name of a role, in answers.
pub(crate) fn role_object() -> RefOr<Schema> {
    words_object("What its holder may do.", Role::ALL.map(Role::name))
}

/// One of these words, in answers.
pub(crate) fn words_object<const N: usize>(meaning: &str, words: [&'static str; N]) -> RefOr<Schema> {
    let word = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words));
    word.description(Some(meaning)).into()
}

/// The schemas that a type of answers consists of, by name; its own is the last.
pub(crate) fn derived<T: ToSchema>() -> impl Iterator<Item = (String, Value)> {
    let mut schemas: Vec<(String, RefOr<Schema>)> = Vec::new();
    T::schemas(&mut schemas);
    schemas.push((T::name().into_owned(), T::schema()));
    let written = |schema| serde_json::to_value(schema).expect("schemas are texts, numbers and flags");
    schemas.into_iter().map(move |(name, schema)| (name, written(schema)))
}
