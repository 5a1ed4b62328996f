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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tollbook_model::time_range::parse_instant;

    const TRUNK_ID: &str = "5c0d7c3c-2c0e-4f5b-8d0a-1b1b6a8f3c11";

    fn now_ms() -> i64 {
        parse_instant("2026-04-20T12:00:00.500Z").unwrap()
    }

    /// Reads filters beside a good range: those that are kept, or what is wrong.
    fn read_with(kind: ExportType, version: ApiVersion, others: Value) -> Result<Value, Vec<Broken>> {
        let mut given = json!({"from": "2026-03-01 00:00:00", "to": "2026-04-01 00:00:00"});
        let members = given.as_object_mut().unwrap();
        members.extend(others.as_object().unwrap().clone());
        let filters = read(members, Some(kind), version, now_ms())?;
        let others = filters.shown.into_iter().filter(|(name, _)| !ENDS.contains(&name.as_str()));
        Ok(others.map(|(name, value)| (name, Value::String(value))).collect::<Map<_, _>>().into())
    }

    fn wrong(titles: &[&str]) -> Vec<Broken> {
        titles.iter().map(|title| Broken::attribute("filters", *title)).collect()
    }

    #[test]
    fn each_end_has_its_first_fault() {
        let old = "must be within the current and 2 previous months";
        for (from, to, titles) in [
            (json!("2026-02-01 00:00:00"), json!("2026-04-20 12:00:00"), vec![]),
            (json!("2026-02-01T02:00:00+02:00"), json!("2026-04-20T12:00:00.999Z"), vec![]),
            (json!("2026-01-31 23:59:59"), json!("2026-03-01 00:00:00"), vec![format!("from {old}")]),
            (
                json!("2026-01-01 00:00:00"),
                json!("2026-01-02 00:00:00"),
                vec![format!("from {old}"), format!("to {old}")],
            ),
            (
                json!("2026-03-01 00:00:00"),
                json!("2026-04-20 12:00:01"),
                vec!["to must not be in the future".into()],
            ),
            (
                json!("2026-05-01 00:00:00"),
                json!("2026-04-21 00:00:00"),
                vec!["from must not be in the future".into(), "to must not be in the future".into()],
            ),
            (
                json!("0000-01-01 00:00:00"),
                json!("9999-12-31 23:59:59"),
                vec![format!("from {old}"), "to must not be in the future".into()],
            ),
            (
                json!("2026-03-01 00:00:00"),
                json!("2026-03-01T00:00:00.5Z"),
                vec!["from must be earlier than to".into()],
            ),
            (
                json!("2026-03-02 00:00:00"),
                json!("2026-03-01 00:00:00"),
                vec!["from must be earlier than to".into()],
            ),
            (json!(""), json!("2026-03-01"), vec!["from not valid".into(), "to not valid".into()]),
            (json!(1_772_323_200), Value::Null, vec!["from not valid".into(), "to not valid".into()]),
            (
                json!(["2026-03-01 00:00:00"]),
                json!(" "),
                vec!["from not valid".into(), "to not valid".into()],
            ),
        ] {
            let given = json!({"from": from, "to": to});
            let read =
                read(given.as_object().unwrap(), Some(ExportType::CdrIn), ApiVersion::V20260416, now_ms());
            let titles: Vec<&str> = titles.iter().map(String::as_str).collect();
            assert_eq!(read.err().unwrap_or_default(), wrong(&titles), "{given}");
        }
        let none = read(&Map::new(), Some(ExportType::CdrIn), ApiVersion::V20260416, now_ms());
        assert_eq!(none, Err(wrong(&["from not valid", "to not valid"])));
    }

    #[test]
    fn keys_are_those_of_type_and_version() {
        use ApiVersion::{V20260416, V20261119};
        use ExportType::{CdrIn, CdrOut};
        for (name, kind, since) in [
            ("did_number", CdrIn, V20260416),
            ("source_number", CdrIn, V20261119),
            ("source_number_out", CdrIn, V20261119),
            ("source", CdrOut, V20261119),
            ("cli", CdrOut, V20261119),
            ("destination", CdrOut, V20261119),
        ] {
            for of in [CdrIn, CdrOut] {
                for version in [V20260416, V20261119] {
                    let read = |value| read_with(of, version, json!({ name: value }));
                    assert_eq!(read(Value::Null), Ok(json!({})), "{name}");
                    let not_allowed = Err(wrong(&[&format!("{name} not allowed")]));
                    if of != kind || version < since {
                        assert_eq!(read(json!("+44 1")), not_allowed, "{name} {of:?} {version:?}");
                        assert_eq!(read(json!("")), not_allowed);
                        continue;
                    }
                    assert_eq!(read(json!("+44 1")), Ok(json!({ name: "+44 1" })), "as sent");
                    for bad in [json!(""), json!(" "), json!(441), json!([]), json!(false)] {
                        assert_eq!(read(bad), Err(wrong(&[&format!("{name} not valid")])));
                    }
                }
            }
        }
        let unknown = read_with(CdrIn, V20261119, json!({"foo": null, "DID_NUMBER": "1"}));
        assert_eq!(unknown, Err(wrong(&["foo not allowed", "DID_NUMBER not allowed"])));
    }

    #[test]
    fn a_trunk_has_two_spellings_and_one_key() {
        let read = |others| read_with(ExportType::CdrOut, ApiVersion::V20260416, others);
        let kept = Ok(json!({ TRUNK: TRUNK_ID }));
        assert_eq!(read(json!({ TRUNK: TRUNK_ID })), kept);
        assert_eq!(read(json!({ TRUNK_TOO: TRUNK_ID })), kept);
        assert_eq!(read(json!({ TRUNK_TOO: TRUNK_ID, TRUNK: TRUNK_ID })), kept);
        assert_eq!(read(json!({ TRUNK_TOO: TRUNK_ID, TRUNK: null })), kept);
        let other = TRUNK_ID.replace('5', "6");
        assert_eq!(
            read(json!({ TRUNK_TOO: TRUNK_ID, TRUNK: other })),
            Err(wrong(&["voice_out_trunk.id not valid"]))
        );
        for bad in ["", "x", &TRUNK_ID.replace('-', "")] {
            assert_eq!(read(json!({ TRUNK: bad })), Err(wrong(&["voice_out_trunk.id not valid"])), "{bad}");
        }
        let inbound = read_with(ExportType::CdrIn, ApiVersion::V20261119, json!({ TRUNK_TOO: TRUNK_ID }));
        assert_eq!(inbound, Err(wrong(&["voice_out_trunk_id not allowed"])));
    }

    #[test]
    fn countries_are_two_letters() {
        let read = |value| read_with(ExportType::CdrIn, ApiVersion::V20261119, json!({ COUNTRY: value }));
        assert_eq!(read("gb"), Ok(json!({ COUNTRY: "GB" })));
        for bad in ["", "G", "GBR", "1A", "ß"] {
            assert_eq!(read(bad), Err(wrong(&["source_country_iso not valid"])), "{bad}");
        }
    }

    #[test]
    fn without_a_type_only_the_ends_are_looked_at() {
        let given = json!({"from": "2026-03-01 00:00:00", "to": "x", "did_number": "", "foo": 1});
        let read = read(given.as_object().unwrap(), None, ApiVersion::V20260416, now_ms());
        assert_eq!(read, Err(wrong(&["to not valid"])));
    }

    #[test]
    fn filters_select_records() {
        let shown =
            |name: &str, value: &str| vec![("from".into(), "x".into()), (name.to_owned(), value.to_owned())];
        let inbound = selected(ExportType::CdrIn, &shown(COUNTRY, "GB"));
        let told: Vec<_> = inbound.iter().map(|filter| (filter.field, filter.values.join("|"))).collect();
        let wanted = [
            (FilterField::Direction, "inbound".to_owned()),
            (FilterField::Country, "GB|United Kingdom".to_owned()),
        ];
        assert_eq!(told, wanted);
        let outbound = selected(ExportType::CdrOut, &shown(TRUNK, &TRUNK_ID.to_uppercase()));
        assert_eq!(
            (outbound[0].values.join("|").as_str(), outbound[1].field),
            ("outbound", FilterField::TrunkId)
        );
        assert_eq!(outbound[1].values, [TRUNK_ID.to_uppercase(), TRUNK_ID.to_owned()]);
    }
}
