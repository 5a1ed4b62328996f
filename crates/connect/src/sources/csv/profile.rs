//! The profile of a delimited file, as settings.
//!
//! ```toml
//! separator = ";"              # one character; "tab" also; default ","
//! quote = "\""                 # one character, or "" when quotes mean nothing
//! skip_blanks = false          # leave out blanks before a field
//! header = true                # the first row names the columns; else `columns` does
//! columns = ["Start", "From"]  # names without a header
//! skip_rows = 0                # rows after the header that are no records (such as a row of types)
//! zone = "Europe/Berlin"       # of times without an offset; UTC is assumed when absent
//! time_format = "%d.%m.%Y %H:%M:%S"   # or a list; or "local", "rfc3339", "epoch_s", "epoch_ms", "epoch_us"
//! duration_unit = "s"          # or "ms", "min", "hms" (01:02:03)
//! null = ["", "-"]             # cells that mean "no value"
//! key = ["Call ID"]            # columns that name a record; without, the row itself and its repetition do
//! trunks = ["trunk-a"]         # with extension_pattern: how ends are told apart where `direction` is not mapped
//! extension_pattern = "^1[0-9]{2}$"
//!
//! [fields]                     # field of the record = column
//! start_at = "Start"
//! calling_party = "From"
//! # words are compared in any case; "*" is every other word, and "" means no value
//! disposition = { column = "State", words = { OK = "answered", "*" = "failed" } }
//! currency = { value = "EUR" }
//! answer_at = { column = "Answered", time_format = "epoch_s", null = ["0"] }
//! duration_s = { column = "Billed", unit = "hms" }
//! ```

use super::cell::{TimeFormat, Unit};
use crate::delimited::Dialect;
use crate::normalise::direction::Lines;
use crate::normalise::local_time::LocalZone;
use crate::settings::{SettingsReader, texts_of};
use serde_json::{Map, Value};
use std::collections::HashMap;
use tollbook_kit::fault::Fault;
use tollbook_model::call::CallField;
use tollbook_model::schema::FieldKind;

/// Fields that are ours or the connector's, and cannot be mapped.
const NOT_MAPPABLE: [CallField; 9] = [
    CallField::Id,
    CallField::PbxAlias,
    CallField::SourceType,
    CallField::SourceId,
    CallField::SourceKey,
    CallField::ReceivedAt,
    CallField::Revision,
    CallField::Extra,
    CallField::CallingLast4,
];

/// A profile, read.
#[derive(Debug)]
pub(super) struct Profile {
    pub(super) dialect: Dialect,
    pub(super) header: bool,
    pub(super) columns: Vec<String>,
    pub(super) skip_rows: u64,
    pub(super) zone: LocalZone,
    pub(super) key: Vec<String>,
    pub(super) lines: Lines,
    pub(super) fields: Vec<MappedField>,
}

/// Where a field's value comes from.
#[derive(Debug)]
pub(super) struct MappedField {
    pub(super) field: CallField,
    pub(super) origin: Origin,
    /// Translation of words; `*` stands for every other word.
    pub(super) words: HashMap<String, String>,
    pub(super) time_formats: Vec<TimeFormat>,
    pub(super) unit: Unit,
    /// Cells that mean "no value".
    pub(super) null: Vec<String>,
}

/// A column, or a constant.
#[derive(Debug)]
pub(super) enum Origin {
    Column(String),
    Constant(String),
}

impl Profile {
    /// Reads and completes settings.
    pub(super) fn read(given: &Map<String, Value>) -> Result<(Self, Map<String, Value>), Fault> {
        let mut reader = SettingsReader::new(given);
        let dialect = dialect(&mut reader);
        let header = reader.flag("header", true);
        let columns = reader.texts("columns", &[]);
        if !header && columns.is_empty() {
            reader.fault("columns", "must name the columns of a file without header");
        }
        let skip_rows = skip_rows(&mut reader);
        let zone = reader.zone();
        let time_formats = time_formats(&mut reader);
        let unit = Unit::of_word(reader.word("duration_unit", &Unit::WORDS));
        let null = reader.texts("null", &[""]);
        let key = reader.texts("key", &[]);
        let lines = reader.lines(&[]);
        let fields = fields(&mut reader, &Defaults { time_formats, unit, null });
        let mapped = |field| fields.iter().any(|mapped| mapped.field == field);
        if !mapped(CallField::StartAt) {
            reader.fault("fields.start_at", "must be mapped");
        }
        let countable = mapped(CallField::DurationS)
            || mapped(CallField::DurationMs)
            || (mapped(CallField::AnswerAt) && mapped(CallField::EndAt));
        if !countable {
            reader.fault("fields.duration_s", "must be mapped, or duration_ms, or answer_at and end_at");
        }
        let profile = Self { dialect, header, columns, skip_rows, zone, key, lines, fields };
        Ok((profile, reader.finish()?))
    }
}

fn dialect(reader: &mut SettingsReader<'_>) -> Dialect {
    let separator = reader.text("separator", Some(","));
    let separator = match separator.as_deref() {
        Some("tab") => b'\t',
        Some(text) if is_mark(text) => text.as_bytes()[0],
        _ => {
            reader.fault(
                "separator",
                "must be one ASCII character that is no letter, digit or line end, or \"tab\"",
            );
            b','
        }
    };
    let quote = reader.text("quote", Some("\""));
    let quote = match quote.as_deref() {
        None | Some("") => None,
        Some(text) if is_mark(text) && text.as_bytes()[0] != separator => Some(text.as_bytes()[0]),
        Some(_) => {
            reader.fault("quote", "must be one ASCII character other than the separator, or empty");
            None
        }
    };
    Dialect { separator, quote, skip_blanks: reader.flag("skip_blanks", false) }
}

fn is_mark(text: &str) -> bool {
    text.len() == 1
        && text.bytes().all(|b| b.is_ascii() && !b.is_ascii_alphanumeric() && b != b'\n' && b != b'\r')
}

fn skip_rows(reader: &mut SettingsReader<'_>) -> u64 {
    let rows = match reader.given("skip_rows") {
        None => Some(0),
        Some(value) => value.as_u64(),
    };
    if rows.is_none() {
        reader.fault("skip_rows", "must be a whole number");
    }
    reader.complete("skip_rows", Value::from(rows.unwrap_or(0)));
    rows.unwrap_or(0)
}

fn time_formats(reader: &mut SettingsReader<'_>) -> Vec<TimeFormat> {
    let value = reader.given("time_format").cloned().unwrap_or_else(|| Value::from("local"));
    let formats = formats_of(&value);
    if formats.is_none() {
        reader.fault("time_format", TimeFormat::WANTED);
    }
    reader.complete("time_format", value);
    formats.unwrap_or_default()
}

fn formats_of(value: &Value) -> Option<Vec<TimeFormat>> {
    let texts = match value {
        Value::String(text) => vec![text.clone()],
        list => texts_of(list).filter(|texts| !texts.is_empty())?,
    };
    texts.iter().map(|text| TimeFormat::of_text(text)).collect()
}

fn fields(reader: &mut SettingsReader<'_>, defaults: &Defaults) -> Vec<MappedField> {
    let Some(given) = reader.given("fields") else {
        reader.fault("fields", "must map fields of the record to columns");
        return Vec::new();
    };
    reader.complete("fields", given.clone());
    let Some(given) = given.as_object() else {
        reader.fault("fields", "must map fields of the record to columns");
        return Vec::new();
    };
    let mut fields = Vec::new();
    for (name, entry) in given {
        let field = CallField::from_name(name).filter(|field| !NOT_MAPPABLE.contains(field));
        let Some(field) = field else {
            reader.fault(format!("fields.{name}"), "is not a field that can be mapped");
            continue;
        };
        match mapped_field(field, entry, defaults) {
            Ok(mapped) => fields.push(mapped),
            Err(reason) => reader.fault(format!("fields.{name}"), reason),
        }
    }
    fields
}

/// What fields are read with unless their own entry says otherwise.
struct Defaults {
    time_formats: Vec<TimeFormat>,
    unit: Unit,
    null: Vec<String>,
}

fn mapped_field(field: CallField, entry: &Value, defaults: &Defaults) -> Result<MappedField, String> {
    // `duration_ms` and its like are counted as they are, whatever the unit of the seconds is.
    let is_ms = matches!(field, CallField::DurationMs | CallField::RingMs);
    let mut mapped = MappedField {
        field,
        origin: Origin::Constant(String::new()),
        words: HashMap::new(),
        time_formats: defaults.time_formats.clone(),
        unit: if is_ms { Unit::Seconds } else { defaults.unit },
        null: defaults.null.clone(),
    };
    let entry = match entry {
        Value::String(column) => {
            mapped.origin = Origin::Column(column.clone());
            return Ok(mapped);
        }
        Value::Object(entry) => entry,
        _ => return Err("must be the name of a column, or a table with column or value".to_owned()),
    };
    let mut origin = None;
    for (name, value) in entry {
        match (name.as_str(), value) {
            ("column", Value::String(column)) if origin.is_none() => {
                origin = Some(Origin::Column(column.clone()))
            }
            ("value", Value::String(text)) if origin.is_none() => {
                is_possible(field, text)?;
                origin = Some(Origin::Constant(text.clone()));
            }
            ("words", Value::Object(words)) => mapped.words = words_of(field, words)?,
            ("time_format", value) => mapped.time_formats = formats_of(value).ok_or(TimeFormat::WANTED)?,
            ("unit", Value::String(word)) if Unit::WORDS.contains(&word.as_str()) => {
                mapped.unit = Unit::of_word(word)
            }
            ("null", value) => mapped.null = texts_of(value).ok_or("null must be a list of texts")?,
            (other, _) => {
                return Err(format!(
                    "{other}: is unknown or wrong here; known are column or value, words, time_format, unit, null"
                ));
            }
        }
    }
    mapped.origin = origin.ok_or("needs column or value")?;
    Ok(mapped)
}

fn words_of(field: CallField, words: &Map<String, Value>) -> Result<HashMap<String, String>, String> {
    let mut table = HashMap::new();
    for (word, ours) in words {
        let ours = ours.as_str().ok_or("words must be texts")?;
        if !ours.is_empty() {
            is_possible(field, ours)?;
        }
        table.insert(word.clone(), ours.to_owned());
    }
    Ok(table)
}

/// A field with a closed list of words takes no others, which is better said once than for every row.
fn is_possible(field: CallField, word: &str) -> Result<(), String> {
    match field.definition().kind {
        FieldKind::Word(words) if !words.contains(&word) => {
            Err(format!("must be one of {}", words.join(", ")))
        }
        _ => Ok(()),
    }
}
