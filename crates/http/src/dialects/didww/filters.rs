//! What an export is restricted to (`didww.md` section 5.2): which keys there are, what they may hold, and what they mean.

use super::errors::Broken;
use super::moment::{Moment, window_begins};
use super::sheets;
use super::versions::ApiVersion;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tollbook_model::selection::{Filter, FilterField};
use tollbook_model::time_range::TimeRange;
use uuid::Uuid;

/// The key of a trunk, as it is kept and shown.
pub(super) const TRUNK: &str = "voice_out_trunk.id";
/// Its other spelling.
pub(super) const TRUNK_TOO: &str = "voice_out_trunk_id";
/// The key of a caller's country.
pub(super) const COUNTRY: &str = "source_country_iso";
/// The ends of the range.
pub(super) const ENDS: [&str; 2] = ["from", "to"];

/// What an export holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ExportType {
    /// Calls from outside.
    #[serde(rename = "cdr_in")]
    CdrIn,
    /// Calls to outside.
    #[serde(rename = "cdr_out")]
    CdrOut,
}

impl ExportType {
    /// The word for it, which is also that of its sheet.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::CdrIn => "cdr_in",
            Self::CdrOut => "cdr_out",
        }
    }

    /// The type of that word.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::CdrIn, Self::CdrOut].into_iter().find(|kind| kind.name() == name)
    }

    fn direction(self) -> &'static str {
        match self {
            Self::CdrIn => "inbound",
            Self::CdrOut => "outbound",
        }
    }
}

/// A key that may be there.
struct Key {
    name: &'static str,
    of: ExportType,
    since: ApiVersion,
    field: FilterField,
}

const fn key(name: &'static str, of: ExportType, since: ApiVersion, field: FilterField) -> Key {
    Key { name, of, since, field }
}

/// Every optional key, under the names that are kept.
const KEYS: [Key; 8] = {
    use ApiVersion::{V20260416, V20261119};
    use ExportType::{CdrIn, CdrOut};
    [
        key("did_number", CdrIn, V20260416, FilterField::DidNumber),
        key(TRUNK, CdrOut, V20260416, FilterField::TrunkId),
        key("source_number", CdrIn, V20261119, FilterField::CallingParty),
        key("source_number_out", CdrIn, V20261119, FilterField::NumberSent),
        key(COUNTRY, CdrIn, V20261119, FilterField::Country),
        key("source", CdrOut, V20261119, FilterField::CallingParty),
        key("cli", CdrOut, V20261119, FilterField::NumberPresented),
        key("destination", CdrOut, V20261119, FilterField::CalledParty),
    ]
};

/// The names under which lists can be filtered by optional keys.
pub(super) fn kept_names() -> impl Iterator<Item = &'static str> {
    KEYS.iter().map(|key| key.name)
}

/// The name under which a key is kept.
pub(super) fn kept_name(given: &str) -> &str {
    if given == TRUNK_TOO { TRUNK } else { given }
}

/// Good filters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filters {
    /// As they are kept and shown, in the order in which they were given.
    pub(super) shown: Vec<(String, String)>,
    /// The range.
    pub(super) range: TimeRange,
}

/// Reads the filters of an export of this type, or of none that there is; then only the ends are looked at. Names what is
/// wrong with them.
pub(super) fn read(
    given: &Map<String, Value>,
    kind: Option<ExportType>,
    version: ApiVersion,
    now_ms: i64,
) -> Result<Filters, Vec<Broken>> {
    let mut broken = Vec::new();
    let ends = ENDS.map(|name| match end(name, given.get(name), now_ms) {
        Ok(moment) => Some(moment),
        Err(title) => {
            broken.push(title);
            None
        }
    });
    let range = match ends {
        [Some(from), Some(to)] => {
            let range = TimeRange::new(from.second.saturating_mul(1000), to.second.saturating_mul(1000));
            if range.is_none() {
                broken.push("from must be earlier than to".to_owned());
            }
            range
        }
        _ => None,
    };
    let mut shown: Vec<(String, String)> = Vec::new();
    for (name, value) in given {
        if let Some(at) = ENDS.iter().position(|end| end == name) {
            shown.extend(ends[at].and_then(Moment::shown).map(|text| (name.clone(), text)));
        } else if let Some(kind) = kind {
            match optional(name, value, kind, version) {
                Ok(None) => {}
                Ok(Some(text)) => match shown.iter().find(|(known, _)| known == kept_name(name)) {
                    None => shown.push((kept_name(name).to_owned(), text)),
                    Some((_, known)) if *known == text => {}
                    Some(_) => broken.push(format!("{TRUNK} not valid")),
                },
                Err(title) => broken.push(title),
            }
        }
    }
    match range {
        Some(range) if broken.is_empty() => Ok(Filters { shown, range }),
        _ => Err(broken.into_iter().map(|title| Broken::attribute("filters", title)).collect()),
    }
}

/// An end of the range, or the first thing that is wrong with it.
fn end(name: &str, given: Option<&Value>, now_ms: i64) -> Result<Moment, String> {
    let moment = given.and_then(Value::as_str).and_then(Moment::parse);
    let moment = moment.ok_or_else(|| format!("{name} not valid"))?;
    let moment = Moment::of_ms(moment.second.saturating_mul(1000));
    if moment.second < window_begins(now_ms) {
        return Err(format!("{name} must be within the current and 2 previous months"));
    }
    if moment > Moment::of_ms(now_ms) {
        return Err(format!("{name} must not be in the future"));
    }
    Ok(moment)
}

/// The value of an optional key as it is kept; none when it is as if it were not there.
fn optional(
    name: &str,
    value: &Value,
    kind: ExportType,
    version: ApiVersion,
) -> Result<Option<String>, String> {
    let known = KEYS.iter().find(|key| key.name == kept_name(name));
    if known.is_some() && value.is_null() {
        return Ok(None);
    }
    let allowed = known.filter(|key| key.of == kind && key.since <= version);
    let key = allowed.ok_or_else(|| format!("{name} not allowed"))?;
    let text = value.as_str().and_then(|text| good(key, text));
    text.map(Some).ok_or_else(|| format!("{name} not valid"))
}

/// A value of this key as it is kept; none when the key does not take it.
fn good(key: &Key, text: &str) -> Option<String> {
    match key.name {
        TRUNK => hyphenated(text).map(|_| text.to_owned()),
        COUNTRY => {
            let is_code = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
            is_code.then(|| text.to_ascii_uppercase())
        }
        _ => (!text.trim().is_empty()).then(|| text.to_owned()),
    }
}

/// The UUID of a text in the usual form.
pub(super) fn hyphenated(text: &str) -> Option<Uuid> {
    const CHARACTERS: usize = 36;
    Uuid::parse_str(text).ok().filter(|_| text.len() == CHARACTERS)
}

/// What records must be like to be in an export of this type with these filters.
pub(super) fn selected(kind: ExportType, shown: &[(String, String)]) -> Vec<Filter> {
    let direction = Filter { field: FilterField::Direction, values: vec![kind.direction().to_owned()] };
    let others = shown.iter().filter_map(|(name, value)| {
        let key = KEYS.iter().find(|key| key.name == name)?;
        Some(Filter { field: key.field, values: values(key, value) })
    });
    std::iter::once(direction).chain(others).collect()
}

/// What a record may hold to be meant by this value.
fn values(key: &Key, value: &str) -> Vec<String> {
    let mut values = vec![value.to_owned()];
    match key.name {
        // Ids made here are in lower case; those of sources as they gave them.
        TRUNK => values.push(value.to_ascii_lowercase()),
        // Sources may give names.
        COUNTRY => values.extend(sheets::country_name(value).map(str::to_owned)),
        _ => {}
    }
    values.dedup();
    values
}
