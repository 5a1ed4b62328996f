//! The parameters of an export (`natalia.md` section 6). Everything that is wrong is found in one pass.

use crate::query::Parameters;
use jiff::tz::TimeZone;
use tollbook_app::exports::ExportQuery;
use tollbook_kit::fault::Fault;
use tollbook_model::call::RESULTS;
use tollbook_model::dataset::Dataset;
use tollbook_model::export::Signing;
use tollbook_model::format::ExportFormat;
use tollbook_model::schema::{DIRECTIONS, INTERVALS, Schema};
use tollbook_model::selection::{Filter, FilterField, Interval, Selection};
use tollbook_model::time_range::{Bound, TimeRange};

const SINGLE: [&str; 8] = ["from", "to", "format", "columns", "tz", "formula_guard", "sign", "schema"];

/// Reads the parameters of an export of `dataset`; `now_ms` is where a range without `to` ends.
///
/// # Errors
/// `invalid`, with every fault.
pub(crate) fn decode(dataset: Dataset, mut given: Parameters, now_ms: i64) -> Result<ExportQuery, Fault> {
    given.refuse_unknown(|name| is_known(name, dataset));
    let query = query(&mut given, dataset, now_ms);
    given.finish()?;
    // Everything that could be absent was a fault above.
    query.ok_or_else(|| Fault::internal("parameters passed without a range or a zone"))
}

/// The same without judging whether there are other parameters; `None` when something is wrong, which is noted.
pub(super) fn query(given: &mut Parameters, dataset: Dataset, now_ms: i64) -> Option<ExportQuery> {
    let timezone = timezone(given);
    let from_required = dataset != Dataset::AgentConfiguration;
    let range = range(given, from_required, timezone.as_ref(), now_ms);
    let format = word(given, "format", &ExportFormat::ALL.map(ExportFormat::name))
        .map_or(Some(ExportFormat::Csv), |name| ExportFormat::from_name(&name));
    let format = format.unwrap_or(ExportFormat::Csv);
    let filters = filters(given, dataset);
    let columns = columns(given, dataset);
    let formula_guard = formula_guard(given, format);
    let interval = if dataset == Dataset::Kpis { word(given, "interval", &INTERVALS) } else { None };
    let signing = signing(given, format);
    let columns_named = given.has("columns");
    word(given, "schema", &["v1"]);
    let (range, timezone) = range.zip(timezone)?;
    let interval = interval.as_deref().and_then(Interval::from_name).unwrap_or_default();
    let selection = Selection { dataset, range, filters, columns, timezone, interval };
    Some(ExportQuery { selection, format, formula_guard, signing, columns_named, sheet: None })
}

/// Is this the name of a parameter of an export of that dataset?
pub(super) fn is_known(name: &str, dataset: Dataset) -> bool {
    SINGLE.contains(&name)
        || (name == "interval" && dataset == Dataset::Kpis)
        || FilterField::PARAMETERS.into_iter().any(|field| field.name() == name && field.applies_to(dataset))
}

/// A parameter that must be one of `words`; none when it is absent or wrong.
pub(super) fn word(given: &mut Parameters, name: &str, words: &[&str]) -> Option<String> {
    let value = given.single(name)?;
    if words.contains(&value.as_str()) {
        return Some(value);
    }
    given.invalid(name, format!("must be one of {}", words.join(", ")));
    None
}

/// The zone that dates are of; UTC when none is named, `None` when it is wrong.
pub(super) fn timezone(given: &mut Parameters) -> Option<TimeZone> {
    if !given.has("tz") {
        return Some(TimeZone::UTC);
    }
    let name = given.single("tz")?;
    // The database is the bundled one, so that every machine knows the same zones.
    let zone = if name == "UTC" { Ok(TimeZone::UTC) } else { TimeZone::get(&name) };
    match zone {
        Ok(zone) if zone.iana_name().is_some() => Some(zone),
        _ => {
            given.invalid("tz", "must be an IANA time zone such as Europe/Paris");
            None
        }
    }
}

/// The range; `None` when it is wrong. With an unknown zone the bounds are still checked for their form.
pub(super) fn range(
    given: &mut Parameters,
    from_required: bool,
    timezone: Option<&TimeZone>,
    now_ms: i64,
) -> Option<TimeRange> {
    let utc = TimeZone::UTC;
    let zone = timezone.unwrap_or(&utc);
    if !given.has("from") && from_required {
        given.missing("from");
    }
    let (has_from, has_to) = (given.has("from"), given.has("to"));
    let from = bound(given, "from", |bound| bound.as_from(zone), zone);
    let to = bound(given, "to", |bound| bound.as_to(zone), zone);
    if !has_from && !has_to && !from_required {
        return Some(TimeRange::all());
    }
    let from_ms = if has_from {
        from?
    } else if from_required {
        return None;
    } else {
        i64::MIN
    };
    let to_ms = if has_to { to? } else { now_ms };
    let range = TimeRange::new(from_ms, to_ms);
    if range.is_none() && timezone.is_some() {
        let (name, reason) =
            if has_to { ("to", "must be after from") } else { ("from", "must be in the past") };
        given.invalid(name, reason);
    }
    range
}

/// A moment; `None` when it is absent or wrong.
pub(super) fn bound(
    given: &mut Parameters,
    name: &str,
    moment: impl Fn(Bound) -> Option<i64>,
    zone: &TimeZone,
) -> Option<i64> {
    let text = given.single(name)?;
    let Some(bound) = Bound::parse(&text, zone) else {
        given.invalid(
            name,
            "must be a date such as 2026-01-31, or a date-time such as 2026-01-31T09:00:00Z (write + as %2B)",
        );
        return None;
    };
    let ms = moment(bound);
    if ms.is_none() {
        given.invalid(name, "must lie between the years 0001 and 9998");
    }
    ms
}

fn filters(given: &mut Parameters, dataset: Dataset) -> Vec<Filter> {
    let mut filters = Vec::new();
    for field in FilterField::PARAMETERS.into_iter().filter(|field| field.applies_to(dataset)) {
        let values = given.repeated(field.name());
        if values.is_empty() {
            continue;
        }
        let words: &[&str] = match field {
            FilterField::Direction => &DIRECTIONS,
            FilterField::Result => &RESULTS,
            _ => &[],
        };
        let is_wrong =
            |value: &String| !value.is_empty() && !words.is_empty() && !words.contains(&value.as_str());
        if values.iter().any(is_wrong) {
            given.invalid(field.name(), format!("must be one of {}", words.join(", ")));
        }
        filters.push(Filter { field, values });
    }
    filters
}

fn columns(given: &mut Parameters, dataset: Dataset) -> Vec<usize> {
    let schema = Schema::of(dataset);
    let Some(list) = given.single("columns") else { return schema.default_columns() };
    let mut columns = Vec::new();
    for (at, name) in list.split(',').enumerate() {
        match schema.position(name.trim()) {
            None => given.invalid("columns", format!("entry {} is not a column of {dataset}", at + 1)),
            Some(position) if columns.contains(&position) => {
                given.invalid("columns", format!("entry {} repeats a column", at + 1));
            }
            Some(position) => columns.push(position),
        }
    }
    columns
}

fn formula_guard(given: &mut Parameters, format: ExportFormat) -> bool {
    let guard = word(given, "formula_guard", &["0", "1"]).is_some_and(|value| value == "1");
    if guard && !format.is_csv() {
        given.invalid("formula_guard", "works with csv and csv.gz only");
    }
    guard
}

fn signing(given: &mut Parameters, format: ExportFormat) -> Signing {
    let asked = word(given, "sign", &Signing::ALL.map(Signing::name));
    let asked = asked.and_then(|name| Signing::from_name(&name));
    let signing = asked.unwrap_or(Signing::default_of(format));
    if !signing.applies_to(format) {
        given.invalid("sign", "records works with json and ndjson only");
    }
    signing
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollbook_model::time_range::parse_instant;

    fn query(dataset: Dataset, text: &str) -> Result<ExportQuery, Fault> {
        let now_ms = parse_instant("2026-06-01T00:00:00Z").unwrap();
        decode(dataset, Parameters::parse(Some(text)), now_ms)
    }

    fn wrong(dataset: Dataset, text: &str) -> Vec<String> {
        match query(dataset, text) {
            Ok(_) => Vec::new(),
            Err(fault) => fault.details().iter().map(|detail| detail.name.clone()).collect(),
        }
    }

    #[test]
    fn faults_are_named_all_at_once() {
        use Dataset::{AgentConfiguration, Cdr, Kpis};
        for (dataset, text, names) in [
            (Cdr, "", vec!["from"]),
            (Cdr, "from=", vec!["from"]),
            (Cdr, "from=2026-01-01&format=xlsx&tz=Mars/Base", vec!["tz", "format"]),
            (Cdr, "from=2026-01-06&to=2026-01-05", vec!["to"]),
            (Cdr, "from=2026-01-06T00:00:00Z&to=2026-01-06T00:00:00Z", vec!["to"]),
            (Cdr, "from=2026-06-02", vec!["from"]),
            (Cdr, "from=2026-02-30", vec!["from"]),
            (Cdr, "from=2026-01-01&to=9999-12-31", vec!["to"]),
            (Cdr, "from=2026-01-01&from=2026-01-02", vec!["from"]),
            (Cdr, "from=2026-01-01&directon=inbound", vec!["directon"]),
            (Cdr, "from=2026-01-01&direction=sideways", vec!["direction"]),
            (Cdr, "from=2026-01-01&direction=", vec!["direction"]),
            (Cdr, "from=2026-01-01&columns=id,foo,id", vec!["columns", "columns"]),
            (Cdr, "from=2026-01-01&columns=id,", vec!["columns"]),
            (Cdr, "from=2026-01-01&interval=day", vec!["interval"]),
            (Cdr, "from=2026-01-01&callback_url=x", vec!["callback_url"]),
            (Cdr, "from=2026-01-01&formula_guard=true", vec!["formula_guard"]),
            (Cdr, "from=2026-01-01&format=json&formula_guard=1", vec!["formula_guard"]),
            (Cdr, "from=2026-01-01&sign=all", vec!["sign"]),
            (Cdr, "from=2026-01-01&sign=", vec!["sign"]),
            (Cdr, "from=2026-01-01&sign=none&sign=none", vec!["sign"]),
            (Cdr, "from=2026-01-01&sign=records", vec!["sign"]),
            (Cdr, "from=2026-01-01&sign=records&format=parquet", vec!["sign"]),
            (Cdr, "from=2026-01-01&schema=v2", vec!["schema"]),
            (Cdr, "from=2026-01-01&tz=%2B01:00", vec!["tz"]),
            (Kpis, "from=2026-01-01&trunk=a", vec!["trunk"]),
            (Kpis, "from=2026-01-01&interval=year", vec!["interval"]),
            (AgentConfiguration, "direction=inbound", vec!["direction"]),
            (AgentConfiguration, "from=2026-01-02&to=2026-01-01", vec!["to"]),
        ] {
            assert_eq!(wrong(dataset, text), names, "{dataset}: {text}");
        }
    }

    #[test]
    fn ranges_follow_the_zone_and_end_now() {
        let ms = |text| parse_instant(text).unwrap();
        let range = |dataset, text| query(dataset, text).unwrap().selection.range;
        let day = range(Dataset::Cdr, "tz=Europe/Paris&from=2026-01-05&to=2026-01-05");
        assert_eq!((day.from_ms(), day.to_ms()), (ms("2026-01-04T23:00:00Z"), ms("2026-01-05T23:00:00Z")));
        let open = range(Dataset::Cdr, "from=2026-01-05");
        assert_eq!(open.to_ms(), ms("2026-06-01T00:00:00Z"));
        assert_eq!(range(Dataset::AgentConfiguration, ""), TimeRange::all());
        let until = range(Dataset::AgentConfiguration, "to=2026-01-05T00:00:00Z");
        assert_eq!((until.from_ms(), until.to_ms()), (i64::MIN, ms("2026-01-05T00:00:00Z")));
    }

    #[test]
    fn good_parameters_are_kept() {
        let text = "from=2026-01-05&direction=inbound&direction=internal&pbx_alias=lyon&columns=result,id&sign=none\
                    &format=csv.gz&formula_guard=1&calling_party=%2B442071234567&schema=v1";
        let query = query(Dataset::Cdr, text).unwrap();
        let filters: Vec<_> = query.selection.filters.iter().map(|f| (f.field, f.values.join("|"))).collect();
        assert_eq!(
            filters,
            [
                (FilterField::PbxAlias, "lyon".to_owned()),
                (FilterField::Direction, "inbound|internal".to_owned()),
                (FilterField::CallingParty, "+442071234567".to_owned()),
            ]
        );
        assert_eq!(query.selection.columns, [9, 0]);
        assert_eq!((query.format, query.formula_guard), (ExportFormat::CsvGz, true));
        assert_eq!((query.signing, query.columns_named), (Signing::None, true));
        assert_eq!(query.selection.timezone, TimeZone::UTC);
    }

    #[test]
    fn json_is_signed_unless_asked_otherwise() {
        for (format, sign, wanted) in [
            ("csv", "", Signing::None),
            ("csv.gz", "&sign=manifest", Signing::Manifest),
            ("parquet", "", Signing::None),
            ("parquet", "&sign=manifest", Signing::Manifest),
            ("json", "", Signing::Manifest),
            ("json", "&sign=records", Signing::Records),
            ("ndjson", "", Signing::Manifest),
            ("ndjson", "&sign=none", Signing::None),
        ] {
            let text = format!("from=2026-01-05&format={format}{sign}");
            let query = query(Dataset::Cdr, &text).unwrap();
            assert_eq!((query.signing, query.columns_named), (wanted, false), "{text}");
        }
    }
}
