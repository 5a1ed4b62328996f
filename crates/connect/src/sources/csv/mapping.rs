//! One row to one record, after the profile: mapped columns to fields, the others to `extra`, and what the profile does
//! not map (direction, outcome, connected seconds) derived from what it does.

use super::profile::{MappedField, Origin, Profile};
use crate::delimited::Fields;
use crate::normalise::direction::{Direction, Side, is_forwarded};
use crate::normalise::local_time::TimeQuality;
use crate::normalise::numbers;
use crate::normalise::outcome::{self, Outcome};
use crate::rows::RowProblem;
use std::borrow::Cow;
use tollbook_kit::fault::{Detail, Fault, InvalidKind};
use tollbook_model::call::{CallField, CallRecord, value_from_text};
use tollbook_model::schema::FieldKind;
use tollbook_model::value::Value;

/// The columns of a file and which of them the profile uses.
#[derive(Debug)]
pub(super) struct Columns {
    names: Vec<String>,
    /// For each mapped field its column; none for constants.
    mapped: Vec<Option<usize>>,
    key: Vec<usize>,
    /// For each column: does the profile use it?
    used: Vec<bool>,
}

impl Columns {
    /// Finds the profile's columns among the names of a file.
    ///
    /// # Errors
    /// `invalid`, naming every column of the profile that the file lacks.
    pub(super) fn named(profile: &Profile, names: Vec<String>) -> Result<Self, Fault> {
        let mut missing: Vec<Detail> = Vec::new();
        let mut find = |wanted: &str| {
            let found = names.iter().position(|name| name == wanted);
            if found.is_none() {
                let reason = format!("the file has no column {wanted:?}: correct the profile or the file");
                missing.push(Detail { name: "body".to_owned(), reason, kind: InvalidKind::MalformedBody });
            }
            found
        };
        let mapped: Vec<Option<usize>> = profile
            .fields
            .iter()
            .map(|field| match &field.origin {
                Origin::Column(name) => find(name),
                Origin::Constant(_) => None,
            })
            .collect();
        let key: Vec<usize> = profile.key.iter().filter_map(|name| find(name)).collect();
        if !missing.is_empty() {
            return Err(Fault::from_details(missing));
        }
        let used = (0..names.len()).map(|at| mapped.contains(&Some(at))).collect();
        Ok(Self { names, mapped, key, used })
    }

    /// Has the row as many columns as the file? One empty cell more (a separator at the end of the line) is let pass.
    pub(super) fn fits(&self, fields: &Fields) -> bool {
        let width = self.names.len();
        fields.len() == width || (fields.len() == width + 1 && !fields.is_present(width))
    }

    /// Is this row the header once more?
    pub(super) fn is_header(&self, fields: &Fields) -> bool {
        self.fits(fields)
            && self.names.iter().enumerate().all(|(at, name)| fields.get(at).trim_ascii() == name.as_bytes())
    }
}

/// The record of a row; `keyless` makes the key when the profile names no key columns.
pub(super) fn record(
    profile: &Profile,
    columns: &Columns,
    fields: &Fields,
    keyless: impl FnOnce() -> String,
) -> Result<CallRecord<'static>, RowProblem> {
    if !columns.fits(fields) {
        return Err(RowProblem::new(format!(
            "has {} columns; the file has {}",
            fields.len(),
            columns.names.len()
        )));
    }
    let mut record = CallRecord::new();
    let mut quality = TimeQuality::Exact;
    // The start comes first, because it decides the other times in the repeated hour.
    let (starts, others): (Vec<_>, Vec<_>) = profile
        .fields
        .iter()
        .zip(&columns.mapped)
        .partition(|(mapped, _)| mapped.field == CallField::StartAt);
    for (mapped, column) in starts.into_iter().chain(others) {
        let cell = match (&mapped.origin, column) {
            (Origin::Constant(text), _) => Some(Cow::Borrowed(text.as_str())),
            (_, Some(at)) => cell(mapped, fields, *at),
            _ => None,
        };
        if let Some(cell) = cell.and_then(|cell| translate(mapped, cell)) {
            put(&mut record, mapped, &cell, profile, &mut quality)?;
        }
    }
    put_duration(&mut record)?;
    let forwarded = put_direction(&mut record, profile)?;
    put_outcome(&mut record, profile, forwarded)?;
    if record.get(CallField::TimeQuality).is_null() {
        record.set_text(CallField::TimeQuality, quality.word())?;
    }
    record.set_text(CallField::SourceKey, key(columns, fields).unwrap_or_else(keyless))?;
    for (at, name) in columns.names.iter().enumerate() {
        if !columns.used[at] && fields.is_present(at) {
            record.push_extra(name.clone(), String::from_utf8_lossy(fields.get(at)).into_owned());
        }
        if std::str::from_utf8(fields.get(at)).is_err() {
            let encoded = percent_encoding::percent_encode(fields.get(at), percent_encoding::CONTROLS);
            record.push_extra(format!("{name}_bytes"), encoded.to_string());
        }
    }
    Ok(record)
}

/// A cell's text; none when the profile says that it means no value.
fn cell<'f>(mapped: &MappedField, fields: &'f Fields, at: usize) -> Option<Cow<'f, str>> {
    let text = String::from_utf8_lossy(fields.get(at));
    (!mapped.null.iter().any(|null| *null == text)).then_some(text)
}

/// The profile's word for a cell's word, in any case of letters where the exact one is not listed; a word that the table
/// lacks stays, or becomes what `*` says.
fn translate<'c>(mapped: &'c MappedField, cell: Cow<'c, str>) -> Option<Cow<'c, str>> {
    if mapped.words.is_empty() {
        return Some(cell);
    }
    let exact = mapped.words.get(cell.as_ref());
    let in_any_case =
        || mapped.words.iter().find(|(word, _)| word.eq_ignore_ascii_case(cell.trim())).map(|(_, to)| to);
    match exact.or_else(in_any_case).or_else(|| mapped.words.get("*")) {
        Some(word) if word.is_empty() => None,
        Some(word) => Some(Cow::Borrowed(word.as_str())),
        None => Some(cell),
    }
}

fn put(
    record: &mut CallRecord<'static>,
    mapped: &MappedField,
    text: &str,
    profile: &Profile,
    quality: &mut TimeQuality,
) -> Result<(), RowProblem> {
    let field = mapped.field;
    match field.definition().kind {
        FieldKind::Instant => {
            let near = record.instant(CallField::StartAt);
            let moments =
                mapped.time_formats.iter().find_map(|form| form.moment(text.trim(), &profile.zone, near));
            let moment = moments.ok_or_else(|| {
                RowProblem::new(format!("{}: is no time in the profile's format", field.name()))
            })?;
            *quality = (*quality).max(moment.quality);
            record.set(field, Value::Instant(moment.ms))?;
        }
        FieldKind::Integer { .. } if is_length(field) => {
            let wrong =
                || RowProblem::new(format!("{}: is no length of time in the profile's unit", field.name()));
            let length = mapped.unit.seconds(text.trim()).ok_or_else(wrong)?;
            record.set(field, Value::Integer(length))?;
        }
        FieldKind::Text if matches!(field, CallField::CallingParty | CallField::CalledParty) => {
            record.set_text(field, numbers::party(text).into_owned())?;
        }
        _ => {
            record.set(field, value_from_text(field, text.to_owned())?)?;
        }
    }
    Ok(())
}

fn is_length(field: CallField) -> bool {
    matches!(
        field,
        CallField::DurationS
            | CallField::RingS
            | CallField::TotalS
            | CallField::HoldS
            | CallField::DurationMs
            | CallField::RingMs
    )
}

/// Connected seconds from what is mapped: whole seconds of the milliseconds, or the time from answer to end.
fn put_duration(record: &mut CallRecord<'_>) -> Result<(), RowProblem> {
    if record.integer(CallField::DurationS).is_some() {
        return Ok(());
    }
    let answered_for = || {
        let (answer, end) = (record.instant(CallField::AnswerAt)?, record.instant(CallField::EndAt)?);
        Some((end - answer).max(0))
    };
    let ms = record.integer(CallField::DurationMs).or_else(answered_for).unwrap_or(0);
    Ok(record.set(CallField::DurationS, Value::Integer(ms / 1000))?)
}

/// The direction, where it is not mapped: by the trunk's name and the two numbers. Answers whether the call left again
/// to where it came from.
fn put_direction(record: &mut CallRecord<'_>, profile: &Profile) -> Result<bool, RowProblem> {
    if !record.get(CallField::Direction).is_null() {
        return Ok(false);
    }
    let side =
        |field| record.text(field).map_or(Side::Unknown, |number| profile.lines.side_of_number(number));
    let on_trunk = record.text(CallField::Trunk).is_some_and(|trunk| profile.lines.is_trunk(trunk));
    let (caller, mut called) = (side(CallField::CallingParty), side(CallField::CalledParty));
    let extension = record.text(CallField::Extension).is_some_and(|name| !name.is_empty());
    // A number reached from outside over one trunk, or at an extension, is one of our own.
    if caller == Side::Outside && (on_trunk || extension) {
        called = Side::Inside;
    }
    let direction = match (caller, called) {
        (Side::Inside | Side::Unknown, Side::Unknown) if on_trunk => Direction::Outbound,
        (caller, called) => Direction::between(caller, called),
    };
    record.set_text(CallField::Direction, direction.word())?;
    Ok(is_forwarded(caller, called))
}

/// Result and disposition, where they are not mapped: from each other, else from answer, talk and codes.
fn put_outcome(record: &mut CallRecord<'_>, profile: &Profile, forwarded: bool) -> Result<(), RowProblem> {
    let given = [CallField::Disposition, CallField::Result].into_iter().find_map(|field| record.text(field));
    let mut outcome = match given.and_then(Outcome::of_disposition) {
        Some(outcome) => outcome,
        None => outcome_of_signals(record),
    };
    if forwarded {
        outcome = outcome.forwarded();
    }
    if record.get(CallField::Disposition).is_null() {
        record.set_text(CallField::Disposition, outcome.disposition)?;
    }
    // A result that is mapped and empty in this row is the source's word: no result.
    let is_mapped = profile.fields.iter().any(|mapped| mapped.field == CallField::Result);
    if !is_mapped && let Some(result) = outcome.result {
        record.set_text(CallField::Result, result)?;
    }
    Ok(())
}

fn outcome_of_signals(record: &CallRecord<'_>) -> Outcome {
    let talked = record.integer(CallField::DurationS).unwrap_or(0) > 0;
    if talked || record.instant(CallField::AnswerAt).is_some() {
        return outcome::ANSWERED;
    }
    let (sip, q850) = (record.integer(CallField::SipCode), record.integer(CallField::Q850Cause));
    outcome::of_unanswered(sip, q850, false).unwrap_or(outcome::UNKNOWN)
}

/// The key of the profile's key columns, whose parts cannot run into each other; none when there are no such columns, or
/// all are empty.
fn key(columns: &Columns, fields: &Fields) -> Option<String> {
    let mut parts = columns.key.iter().map(|&at| String::from_utf8_lossy(fields.get(at)));
    if parts.clone().all(|part| part.is_empty()) {
        return None;
    }
    let first = parts.next()?.into_owned();
    Some(parts.fold(first, |key, part| format!("{key}\u{1f}{part}")))
}
