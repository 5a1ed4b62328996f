//! CSV with a header that names fields of the record; columns of other names go into `extra`.

use super::csv_records::{CsvRecords, RecordProblem};
use super::field_text::text_value;
use super::json_object::{merge_extra_text, push_extra};
use super::row_intake::RowIntake;
use super::{RECORD_BYTES, RECORD_KEYS};
use std::borrow::Cow;
use std::collections::HashMap;
use tollbook_kit::fault::Fault;
use tollbook_model::call::{CallField, CallRecord};
use tollbook_model::schema::FieldKind;

/// Separators that a header may use.
const SEPARATORS: [u8; 3] = [b',', b';', b'\t'];

/// Why a last row without a line end is refused.
const NO_LINE_END: &str = "the last line has no line end: it may be cut off; send it again complete";

/// A column: its name, and the field of that name.
type Column = (String, Option<CallField>);

pub(super) fn read(body: &[u8], rows: &mut RowIntake<'_>) -> Result<(), Fault> {
    let mut records = CsvRecords::new(body, separator(body));
    let Some((_, header)) = records.advance(None) else {
        return Ok(());
    };
    header.map_err(|problem| Fault::malformed(format!("the header is {}", problem_text(problem))))?;
    let columns = read_header(&records)?;
    while let Some((line, outcome)) = records.advance(Some(columns.len())) {
        if let Err(problem) = outcome {
            rows.reject(line, problem_text(problem));
            continue;
        }
        if records.may_be_cut_off() {
            rows.reject(line, NO_LINE_END);
            continue;
        }
        match read_record(&columns, &records) {
            Ok(record) => rows.take(line, record),
            Err(reason) => rows.reject(line, reason),
        }
    }
    Ok(())
}

/// The separator that stands most often in the header, outside of quotes; a comma when there is none.
fn separator(body: &[u8]) -> u8 {
    let mut counts = [0usize; SEPARATORS.len()];
    let mut quoted = false;
    let first_line = body.iter().skip_while(|byte| matches!(byte, b'\r' | b'\n'));
    for &byte in first_line.take(RECORD_BYTES) {
        match byte {
            b'"' => quoted = !quoted,
            b'\r' | b'\n' if !quoted => break,
            _ if quoted => {}
            _ => {
                if let Some(at) = SEPARATORS.iter().position(|&separator| separator == byte) {
                    counts[at] += 1;
                }
            }
        }
    }
    // Of equal counts the first wins.
    let best = (0..counts.len()).rev().max_by_key(|&at| counts[at]).unwrap_or(0);
    SEPARATORS[best]
}

fn read_header(records: &CsvRecords<'_>) -> Result<Vec<Column>, Fault> {
    if records.len() > RECORD_KEYS {
        return Err(Fault::malformed(format!("the header has more than {RECORD_KEYS} columns")));
    }
    let mut columns: Vec<Column> = Vec::with_capacity(records.len());
    let mut positions = HashMap::new();
    for (at, (name, _)) in records.cells().enumerate() {
        let position = at + 1;
        let name = std::str::from_utf8(name)
            .map_err(|_| Fault::malformed(format!("the header is not UTF-8 in column {position}")))?;
        if let Some(earlier) = positions.insert(name, position) {
            return Err(Fault::malformed(format!(
                "columns {earlier} and {position} of the header have the same name; give each its own"
            )));
        }
        columns.push((name.to_owned(), CallField::from_name(name)));
    }
    if columns.iter().all(|(_, field)| field.is_none()) {
        return Err(Fault::malformed(
            "no column of the first line is named like a field of the record; start with a header line",
        ));
    }
    Ok(columns)
}

fn read_record<'r>(columns: &'r [Column], records: &'r CsvRecords<'_>) -> Result<CallRecord<'r>, String> {
    if records.len() != columns.len() {
        return Err(format!("has {} cells where the header has {}", records.len(), columns.len()));
    }
    let mut record = CallRecord::new();
    for (at, ((name, field), (bytes, quoted))) in columns.iter().zip(records.cells()).enumerate() {
        if bytes.is_empty() && !quoted {
            continue;
        }
        let text = std::str::from_utf8(bytes).map_err(|_| format!("not UTF-8 in column {}", at + 1))?;
        match field {
            Some(field) => set_field(&mut record, *field, text)?,
            None => push_extra(&mut record, Cow::Borrowed(name), Cow::Borrowed(text))?,
        }
    }
    if let Some(name) = repeated_extra(columns, &record) {
        return Err(format!("extra: names the column {} again", name + 1));
    }
    Ok(record)
}

/// Position of a column outside the catalogue that `extra` names as well.
fn repeated_extra(columns: &[Column], record: &CallRecord<'_>) -> Option<usize> {
    let has_extra_column = columns.iter().any(|(_, field)| *field == Some(CallField::Extra));
    if !has_extra_column {
        return None;
    }
    columns.iter().position(|(name, field)| {
        field.is_none() && record.extra().iter().filter(|(kept, _)| kept == name).count() > 1
    })
}

fn set_field<'r>(record: &mut CallRecord<'r>, field: CallField, text: &'r str) -> Result<(), String> {
    match field {
        // Ours to say.
        CallField::ReceivedAt | CallField::Revision => Ok(()),
        _ if field.definition().kind == FieldKind::StringMap => match text {
            "" => Ok(()),
            _ => merge_extra_text(text, record),
        },
        _ => text_value(field, Cow::Borrowed(text))
            .and_then(|value| record.set(field, value))
            .map_err(|problem| problem.to_string()),
    }
}

fn problem_text(problem: RecordProblem) -> String {
    match problem {
        RecordProblem::TooLong => format!("longer than {RECORD_BYTES} bytes"),
        RecordProblem::OpenQuotes => String::from("cut off within a quoted cell"),
    }
}
