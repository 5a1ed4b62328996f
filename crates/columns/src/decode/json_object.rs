//! One JSON object into a call record: known keys into their fields, the rest into `extra`.
//!
//! The caller has bounded the object's depth and size. Whether a record is complete is for admission to say.

use super::RECORD_KEYS;
use super::field_text::{holds_nul, text_value};
use super::json_nesting::is_too_deep;
use serde::de::{DeserializeSeed, Deserializer as _, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use sonic_rs::{Deserializer, LazyValue};
use std::borrow::Cow;
use std::fmt;
use tollbook_model::call::{CallField, CallRecord, FieldProblem, wanted};
use tollbook_model::schema::FieldKind;
use tollbook_model::value::Value;

/// Longest key whose place is remembered from object to object.
const REMEMBERED_KEY_BYTES: usize = 64;
/// Fields without a place up to which repeated names are found by comparing all.
const FEW_FIELDS: usize = 8;
/// Which fields an object has named is kept in a word, one bit a field.
const _: () = assert!(CallField::COUNT <= u64::BITS as usize);

/// Why an object could not be read.
pub(super) enum ObjectProblem {
    /// It is not JSON from about this byte on.
    Syntax {
        /// Offset in the object's text.
        offset: usize,
    },
    /// It is JSON, but not a record. Holds the reason.
    Content(String),
}

/// A field that the catalogue has no place for; its value is none when JSON said null.
type Unplaced<'b> = (Cow<'b, str>, Option<Cow<'b, str>>);

/// Reads the objects of one body, one after the other.
#[derive(Default)]
pub(super) struct ObjectReader {
    /// Keys of the object before, in order: most often the next object has the same ones.
    remembered: Vec<(String, Option<CallField>)>,
}

impl ObjectReader {
    /// Reads the object that `json` is into `record`. Of several problems with its content the first is told.
    pub(super) fn read<'b>(
        &mut self,
        json: &'b str,
        record: &mut CallRecord<'b>,
    ) -> Result<(), ObjectProblem> {
        let mut parser = Deserializer::from_str(json);
        if !json.trim_ascii_start().starts_with('{') {
            (&mut parser).deserialize_ignored_any(IgnoredAny).and_then(|_| parser.end()).map_err(syntax)?;
            return Err(ObjectProblem::Content(String::from("must be a JSON object")));
        }
        let mut object = ObjectVisitor { reader: self, record, seen: 0, unplaced: Vec::new(), problem: None };
        (&mut parser).deserialize_map(&mut object).map_err(syntax)?;
        let (unplaced, problem) = (std::mem::take(&mut object.unplaced), object.problem.take());
        parser.end().map_err(syntax)?;
        if let Some(problem) = problem {
            return Err(ObjectProblem::Content(problem));
        }
        keep_unplaced(unplaced, record).map_err(ObjectProblem::Content)
    }

    fn place_of(&mut self, position: usize, key: &str) -> Option<CallField> {
        if let Some((remembered, place)) = self.remembered.get(position)
            && remembered == key
        {
            return *place;
        }
        let place = CallField::from_name(key);
        if key.len() <= REMEMBERED_KEY_BYTES {
            let entry = (key.to_owned(), place);
            if position < self.remembered.len() {
                self.remembered[position] = entry;
            } else if position == self.remembered.len() {
                self.remembered.push(entry);
            }
        }
        place
    }
}

fn syntax(error: sonic_rs::Error) -> ObjectProblem {
    // The error's own text shows a piece of the input.
    ObjectProblem::Syntax { offset: error.offset() }
}

fn keep_unplaced<'b>(unplaced: Vec<Unplaced<'b>>, record: &mut CallRecord<'b>) -> Result<(), String> {
    if has_repeated_names(&unplaced) {
        return Err(String::from("a field without a place in the catalogue is named twice"));
    }
    for (name, value) in unplaced {
        if let Some(value) = value {
            push_extra(record, name, value)?;
        }
    }
    Ok(())
}

/// Keeps a field in `extra`, which bounds its own size.
pub(super) fn push_extra<'b>(
    record: &mut CallRecord<'b>,
    name: Cow<'b, str>,
    value: Cow<'b, str>,
) -> Result<(), String> {
    if holds_nul(&name) || holds_nul(&value) {
        return Err(String::from("extra: must not hold NUL characters"));
    }
    record.push_extra(name, value);
    Ok(())
}

fn has_repeated_names(unplaced: &[Unplaced<'_>]) -> bool {
    if unplaced.len() <= FEW_FIELDS {
        return unplaced
            .iter()
            .enumerate()
            .any(|(at, (name, _))| unplaced[..at].iter().any(|(n, _)| n == name));
    }
    let mut names: Vec<&str> = unplaced.iter().map(|(name, _)| name.as_ref()).collect();
    names.sort_unstable();
    names.windows(2).any(|pair| pair[0] == pair[1])
}

/// Merges the text of an object of strings, as exports show `extra`, into a record's extra fields.
///
/// # Errors
/// It is no such object, or names a field twice.
pub(super) fn merge_extra_text<'b>(json: &'b str, record: &mut CallRecord<'b>) -> Result<(), String> {
    let mut unplaced = Vec::new();
    push_members(json, &mut unplaced)?;
    keep_unplaced(unplaced, record)
}

fn push_members<'b>(json: &'b str, unplaced: &mut Vec<Unplaced<'b>>) -> Result<(), String> {
    let wrong = || format!("extra: must be {}", wanted(FieldKind::StringMap));
    if is_too_deep(json.as_bytes()) {
        return Err(wrong());
    }
    let mut parser = Deserializer::from_str(json);
    (&mut parser).deserialize_map(MembersVisitor { unplaced }).map_err(|_| wrong())?;
    parser.end().map_err(|_| wrong())
}

struct ObjectVisitor<'r, 'b> {
    reader: &'r mut ObjectReader,
    record: &'r mut CallRecord<'b>,
    /// A bit for each field that was named.
    seen: u64,
    unplaced: Vec<Unplaced<'b>>,
    problem: Option<String>,
}

const _: () = assert!(CallField::COUNT <= 64, "a bit for each field");

impl<'b> ObjectVisitor<'_, 'b> {
    fn note(&mut self, outcome: Result<(), impl fmt::Display>) {
        if let Err(problem) = outcome {
            self.problem.get_or_insert_with(|| problem.to_string());
        }
    }

    fn read_field<A: MapAccess<'b>>(&mut self, field: CallField, map: &mut A) -> Result<(), A::Error> {
        match (field, field.definition().kind) {
            // Ours to say.
            (CallField::ReceivedAt | CallField::Revision, _) => {
                map.next_value::<IgnoredAny>()?;
            }
            (CallField::Extra, _) => {
                let value = map.next_value::<LazyValue<'b>>()?;
                let outcome = match value.as_raw_cow() {
                    Cow::Borrowed("null") => Ok(()),
                    Cow::Borrowed(object) if object.starts_with('{') => {
                        push_members(object, &mut self.unplaced)
                    }
                    _ => Err(format!("extra: must be {}", wanted(FieldKind::StringMap))),
                };
                self.note(outcome);
            }
            // From their decimal text: an amount loses digits as a float, and a number may be beyond one.
            (_, FieldKind::Money | FieldKind::Number) => {
                let text = plain_text(&map.next_value::<LazyValue<'b>>()?)?;
                let value = text.map_or(Ok(Value::Null), |text| text_value(field, text));
                let outcome = value.and_then(|value| self.record.set(field, value));
                self.note(outcome);
            }
            _ => {
                let scalar = map.next_value_seed(Scalars)?;
                let outcome = field_value(field, scalar).and_then(|value| self.record.set(field, value));
                self.note(outcome);
            }
        }
        Ok(())
    }
}

impl<'b> Visitor<'b> for &mut ObjectVisitor<'_, 'b> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a call record")
    }

    fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<(), A::Error> {
        let mut position = 0;
        while let Some(key) = map.next_key_seed(Texts)? {
            if position + self.unplaced.len() >= RECORD_KEYS {
                self.note(Err(format!("more than {RECORD_KEYS} fields")));
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            match self.reader.place_of(position, &key) {
                Some(field) => {
                    let bit = 1u64 << (field as u8);
                    if self.seen & bit != 0 {
                        self.note(Err(FieldProblem::new(field, "is named twice")));
                    }
                    self.seen |= bit;
                    self.read_field(field, &mut map)?;
                }
                None => {
                    let value = plain_text(&map.next_value::<LazyValue<'b>>()?)?;
                    self.unplaced.push((key, value));
                }
            }
            position += 1;
        }
        Ok(())
    }
}

fn field_value(field: CallField, scalar: Scalar<'_>) -> Result<Value<'_>, FieldProblem> {
    let kind = field.definition().kind;
    match (kind, scalar) {
        (_, Scalar::Null) => Ok(Value::Null),
        (_, Scalar::Text(text)) => text_value(field, text),
        (FieldKind::Integer { .. }, Scalar::Integer(number)) => Ok(Value::Integer(number)),
        (FieldKind::Text | FieldKind::LastFour, Scalar::Integer(_) | Scalar::OtherNumber) => {
            Err(FieldProblem::new(
                field,
                "must be text in quotes; a number would lose leading zeros and a leading +",
            ))
        }
        (kind, _) => Err(FieldProblem::new(field, format!("must be {}", wanted(kind)))),
    }
}

/// The text that a value is kept as in `extra`: of a string its characters, of anything else its JSON.
fn plain_text<'b, E: Error>(value: &LazyValue<'b>) -> Result<Option<Cow<'b, str>>, E> {
    let json = value.as_raw_cow();
    if json == "null" {
        return Ok(None);
    }
    if !json.starts_with('"') {
        return Ok(Some(json));
    }
    match json {
        Cow::Borrowed(quoted) if !quoted.contains('\\') => {
            Ok(Some(Cow::Borrowed(&quoted[1..quoted.len() - 1])))
        }
        escaped => sonic_rs::from_str(&escaped).map(|text: String| Some(Cow::Owned(text))).map_err(E::custom),
    }
}

/// A JSON value as far as fields need to know it.
enum Scalar<'b> {
    Null,
    Boolean,
    Integer(i64),
    /// A number with a fraction or exponent, or one beyond 64 bits.
    OtherNumber,
    Text(Cow<'b, str>),
    Nested,
}

struct Scalars;

impl<'b> DeserializeSeed<'b> for Scalars {
    type Value = Scalar<'b>;

    #[inline]
    fn deserialize<D: serde::Deserializer<'b>>(self, parser: D) -> Result<Scalar<'b>, D::Error> {
        parser.deserialize_any(self)
    }
}

impl<'b> Visitor<'b> for Scalars {
    type Value = Scalar<'b>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Scalar<'b>, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Scalar<'b>, E> {
        Ok(Scalar::Boolean)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Scalar<'b>, E> {
        Ok(Scalar::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar<'b>, E> {
        Ok(i64::try_from(number).map_or(Scalar::OtherNumber, Scalar::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Scalar<'b>, E> {
        Ok(Scalar::OtherNumber)
    }

    fn visit_borrowed_str<E>(self, text: &'b str) -> Result<Scalar<'b>, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar<'b>, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'b>>(self, mut array: A) -> Result<Scalar<'b>, A::Error> {
        while array.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nested)
    }

    fn visit_map<A: MapAccess<'b>>(self, mut object: A) -> Result<Scalar<'b>, A::Error> {
        while object.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nested)
    }
}

/// Strings, borrowed unless they hold escapes.
struct Texts;

impl<'b> DeserializeSeed<'b> for Texts {
    type Value = Cow<'b, str>;

    #[inline]
    fn deserialize<D: serde::Deserializer<'b>>(self, parser: D) -> Result<Cow<'b, str>, D::Error> {
        parser.deserialize_str(self)
    }
}

impl<'b> Visitor<'b> for Texts {
    type Value = Cow<'b, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'b str) -> Result<Cow<'b, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Cow<'b, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

/// Takes the members of an object of strings.
struct MembersVisitor<'r, 'b> {
    unplaced: &'r mut Vec<Unplaced<'b>>,
}

impl<'b> Visitor<'b> for MembersVisitor<'_, 'b> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(name) = map.next_key_seed(Texts)? {
            let value = match map.next_value_seed(Scalars)? {
                Scalar::Null => None,
                Scalar::Text(text) => Some(text),
                _ => return Err(A::Error::custom("not a string")),
            };
            if self.unplaced.len() == RECORD_KEYS {
                return Err(A::Error::custom("too many members"));
            }
            self.unplaced.push((name, value));
        }
        Ok(())
    }
}
