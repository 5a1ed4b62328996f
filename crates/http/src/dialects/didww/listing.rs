//! Lists of exports (`didww.md` section 4.2): which are wanted, and in which order. Pure: who looks them up is elsewhere.

use super::errors::{self, Broken};
use super::fields::{Fields, Query, parts};
use super::filters::{self, COUNTRY, ENDS, ExportType};
use super::moment::Moment;
use super::paging::Page;
use super::resource::Export;
use super::schema::Status;
use crate::refusal::Refusal;
use std::cmp::Ordering;
use uuid::Uuid;

/// Words that are no types of exports here, but known ones all the same: nothing is of them.
const EMPTY_TYPES: [&str; 2] = ["sms_in", "sms_out"];

/// What a list is asked for.
#[derive(Debug)]
pub(super) struct Listing {
    conditions: Vec<Condition>,
    order: Vec<(SortKey, bool)>,
    /// The attributes that are shown.
    pub(super) fields: Fields,
    /// The page that is shown.
    pub(super) page: Page,
}

/// What an export must be like.
#[derive(Debug)]
enum Condition {
    Id(Vec<Uuid>),
    Reference(String),
    Kind(Vec<String>),
    Status(Vec<Status>),
    CreatedFrom(Moment),
    CreatedTo(Moment),
    /// It has the filter with this value, or does not have it at all.
    Filter(String, Option<String>),
}

#[derive(Debug, Clone, Copy)]
enum SortKey {
    CreatedAt,
    Status,
    Reference,
}

impl Listing {
    /// What a query asks for.
    ///
    /// # Errors
    /// 400, naming everything that is wrong.
    pub(super) fn read(query: Option<&str>) -> Result<Self, Refusal> {
        let query = Query::read(query)?;
        let mut broken = Vec::new();
        let mut conditions = Vec::new();
        for (name, value) in query.family("filter") {
            match Condition::read(name, value) {
                Ok(condition) => conditions.push(condition),
                Err(wrong) => broken.extend(wrong),
            }
        }
        let order = order(query.get("sort").unwrap_or(""), &mut broken);
        let fields = Fields::of(&query, &mut broken);
        let page = Page::of(&query, &mut broken);
        errors::all_right(&broken)?;
        Ok(Self { conditions, order, fields, page })
    }

    /// The exports that are wanted, in their order.
    pub(super) fn sorted(&self, mut exports: Vec<Export>) -> Vec<Export> {
        exports.retain(|export| self.conditions.iter().all(|condition| condition.holds(export)));
        exports.sort_by(|one, other| self.compare(one, other));
        exports
    }

    fn compare(&self, one: &Export, other: &Export) -> Ordering {
        let keys = self.order.iter().map(|(key, descends)| {
            let order = key.compare(one, other);
            if *descends { order.reverse() } else { order }
        });
        keys.fold(Ordering::Equal, Ordering::then).then(one.id.cmp(&other.id))
    }
}

impl Condition {
    /// The condition that a filter sets.
    fn read(name: &str, value: &str) -> Result<Self, Vec<Broken>> {
        let wrong = |value: &str| Broken::invalid_filter_value(value, name);
        let moment = || Moment::parse(value).ok_or_else(|| vec![wrong(value)]);
        match name {
            "id" => {
                let ids = listed(value, filters::hyphenated);
                ids.map(Self::Id).map_err(|others| others.into_iter().map(wrong).collect())
            }
            "external_reference_id" if value.is_empty() => Err(vec![wrong(value)]),
            "external_reference_id" => Ok(Self::Reference(value.to_owned())),
            "export_type" => {
                let is_known =
                    |word: &str| ExportType::from_name(word).is_some() || EMPTY_TYPES.contains(&word);
                let words = listed(value, |word| is_known(word).then(|| word.to_owned()));
                words.map(Self::Kind).map_err(|others| others.into_iter().map(wrong).collect())
            }
            "status" => {
                let known = |word: &str| Status::ALL.into_iter().find(|status| status.name() == word);
                let statuses = listed(value, known);
                statuses.map(Self::Status).map_err(|others| others.into_iter().map(wrong).collect())
            }
            "created_at_gteq" => moment().map(Self::CreatedFrom),
            "created_at_lteq" => moment().map(Self::CreatedTo),
            _ if ENDS.contains(&name) => {
                let shown = moment()?.shown().ok_or_else(|| vec![wrong(value)])?;
                Ok(Self::Filter(name.to_owned(), Some(shown)))
            }
            _ => {
                let kept = filters::kept_names().find(|kept| *kept == filters::kept_name(name));
                let kept = kept.ok_or_else(|| vec![Broken::filter_not_allowed(name)])?;
                // As it is kept, too.
                let value = if kept == COUNTRY { value.to_ascii_uppercase() } else { value.to_owned() };
                Ok(Self::Filter(kept.to_owned(), (!value.is_empty()).then_some(value)))
            }
        }
    }

    fn holds(&self, export: &Export) -> bool {
        let created_at = Moment::of_ms(export.created_at_ms);
        match self {
            Self::Id(ids) => ids.contains(&export.id),
            Self::Reference(reference) => export.reference.as_ref() == Some(reference),
            Self::Kind(words) => words.iter().any(|word| word == export.kind().name()),
            Self::Status(statuses) => statuses.contains(&export.status),
            Self::CreatedFrom(moment) => created_at >= *moment,
            Self::CreatedTo(moment) => created_at <= *moment,
            Self::Filter(name, value) => export.filter(name) == value.as_deref(),
        }
    }
}

impl SortKey {
    fn compare(self, one: &Export, other: &Export) -> Ordering {
        match self {
            Self::CreatedAt => one.created_at_ms.cmp(&other.created_at_ms),
            Self::Status => one.status.name().cmp(other.status.name()),
            Self::Reference => match (&one.reference, &other.reference) {
                (None, None) => Ordering::Equal,
                (None, Some(_)) => Ordering::Greater,
                (Some(_), None) => Ordering::Less,
                (Some(one), Some(other)) => one.cmp(other),
            },
        }
    }
}

/// The keys of an order, and whether each descends. What is wrong is added to `broken`.
fn order(list: &str, broken: &mut Vec<Broken>) -> Vec<(SortKey, bool)> {
    let mut order = Vec::new();
    for part in parts(list) {
        let (key, descends) = part.strip_prefix('-').map_or((part, false), |key| (key, true));
        match key {
            "created_at" => order.push((SortKey::CreatedAt, descends)),
            "status" => order.push((SortKey::Status, descends)),
            "external_reference_id" => order.push((SortKey::Reference, descends)),
            _ => broken.push(Broken::invalid_sort(key)),
        }
    }
    order
}

/// What the parts of a list stand for.
///
/// # Errors
/// Those that stand for nothing.
fn listed<'v, T>(list: &'v str, read: impl Fn(&'v str) -> Option<T>) -> Result<Vec<T>, Vec<&'v str>> {
    let mut values = Vec::new();
    let mut others = Vec::new();
    for part in list.split(',') {
        match read(part) {
            Some(value) => values.push(value),
            None => others.push(part),
        }
    }
    if others.is_empty() { Ok(values) } else { Err(others) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialects::didww::note::Note;

    fn export(id: u128, status: Status, reference: Option<&str>, filters: &[(&str, &str)]) -> Export {
        let filters = filters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let export_type = if id.is_multiple_of(2) { ExportType::CdrOut } else { ExportType::CdrIn };
        Export {
            id: Uuid::from_u128(id),
            status,
            note: Note { export_type, filters, callback_method: None },
            callback_url: None,
            reference: reference.map(str::to_owned),
            // The third one is the oldest.
            created_at_ms: 1_772_323_200_000 + if id == 3 { 0 } else { 5 },
        }
    }

    /// The last digits of the ids that a query finds, in order.
    fn found(query: &str) -> Option<String> {
        let exports = vec![
            export(4, Status::Failed, Some("a,b"), &[(filters::TRUNK, "t")]),
            export(1, Status::Pending, Some("b"), &[("from", "2026-03-01 00:00:00"), ("did_number", "+44")]),
            export(3, Status::Completed, None, &[("to", "2026-03-02 00:00:00"), (COUNTRY, "GB")]),
            export(2, Status::Processing, Some("b"), &[]),
        ];
        let sorted = Listing::read(Some(query)).ok()?.sorted(exports);
        Some(sorted.iter().map(|export| export.id.to_string().pop().unwrap()).collect())
    }

    #[test]
    fn lists_are_filtered() {
        let id = |id: u128| Uuid::from_u128(id).to_string();
        for (query, wanted) in [
            ("", "1234"),
            ("filter[external_reference_id]=b", "12"),
            ("filter%5Bexternal_reference_id%5D=a%2Cb", "4"),
            ("filter[external_reference_id]=B", ""),
            ("filter[status]=completed,failed", "34"),
            ("filter[export_type]=cdr_in", "13"),
            ("filter[export_type]=sms_in,sms_out", ""),
            ("filter[export_type]=sms_in,cdr_out", "24"),
            ("filter[status]=completed,pending&filter[export_type]=cdr_in,cdr_out", "13"),
            ("filter[created_at_gteq]=2026-03-01T00:00:00.001Z", "124"),
            ("filter[created_at_lteq]=2026-03-01+00:00:00", "3"),
            ("filter[created_at_lteq]=2026-03-01%2000:00:00", "3"),
            ("filter[created_at_gteq]=2026-03-01T00:00:00.005", "124"),
            ("filter[created_at_gteq]=2026-03-01T00:00:00.0050001", ""),
            ("filter[from]=2026-03-01T01:00:00%2B01:00", "1"),
            ("filter[to]=2026-03-02+00:00:00", "3"),
            ("filter[did_number]=%2B44", "1"),
            ("filter[did_number]=44", ""),
            ("filter[did_number]=", "234"),
            ("filter[voice_out_trunk.id]=t", "4"),
            ("filter[voice_out_trunk_id]=t", "4"),
            ("filter[source_country_iso]=gb", "3"),
            ("filter[cli]=", "1234"),
            ("other=1&filter=2&Filter[x]=3", "1234"),
        ] {
            assert_eq!(found(query).as_deref(), Some(wanted), "{query}");
        }
        assert_eq!(found(&format!("filter[id]={},{}", id(3), id(1))).as_deref(), Some("13"));
    }

    #[test]
    fn lists_are_sorted_by_keys_of_weight_and_then_by_id() {
        for (query, wanted) in [
            ("sort=", "1234"),
            ("sort=created_at", "3124"),
            ("sort=-created_at", "1243"),
            ("sort=status", "3412"),
            ("sort=-status", "2143"),
            ("sort=external_reference_id", "4123"),
            ("sort=-external_reference_id", "3124"),
            ("sort=external_reference_id,-status", "4213"),
            ("sort=-external_reference_id,created_at,status", "3124"),
        ] {
            assert_eq!(found(query).as_deref(), Some(wanted), "{query}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told() {
        let wrong = |query: &str| -> Vec<String> {
            let refusal = Listing::read(Some(query)).unwrap_err();
            let document: serde_json::Value =
                serde_json::from_str(&refusal.words().unwrap().document).unwrap();
            let entries = document["errors"].as_array().unwrap().iter();
            entries
                .map(|entry| {
                    format!("{} {}", entry["code"].as_str().unwrap(), entry["detail"].as_str().unwrap())
                })
                .collect()
        };
        let value = |value: &str, filter: &str| format!("107 {value} is not a valid value for {filter}.");
        for (query, wanted) in [
            ("filter[bogus]=1", vec!["102 bogus is not allowed.".to_owned()]),
            ("filter[ID]=", vec!["102 ID is not allowed.".to_owned()]),
            ("filter[id]=x,y", vec![value("x", "id"), value("y", "id")]),
            ("filter[id]=", vec![value("", "id")]),
            ("filter[status]=done", vec![value("done", "status")]),
            ("filter[status]=", vec![value("", "status")]),
            ("filter[export_type]=cdr", vec![value("cdr", "export_type")]),
            ("filter[external_reference_id]=", vec![value("", "external_reference_id")]),
            ("filter[created_at_gteq]=2026-03-01", vec![value("2026-03-01", "created_at_gteq")]),
            ("filter[from]=", vec![value("", "from")]),
            ("sort=bogus", vec!["114 bogus is not a valid sort criteria for exports".to_owned()]),
            ("sort=-id", vec!["114 id is not a valid sort criteria for exports".to_owned()]),
            ("page[size]=1001", vec!["118 size exceeds maximum page size of 1000.".to_owned()]),
            ("page[size]=0", vec!["118 0 is not a valid value for size page parameter.".to_owned()]),
            ("page[number]=x", vec!["118 x is not a valid value for number page parameter.".to_owned()]),
            ("page[limit]=1", vec!["105 limit is not an allowed page parameter.".to_owned()]),
            ("include=x", vec!["112 x is not a valid includable relationship of exports".to_owned()]),
            ("fields[exports]=x", vec!["104 x is not a valid field for exports.".to_owned()]),
            ("fields[x]=", vec!["101 x is not a valid resource.".to_owned()]),
        ] {
            assert_eq!(wrong(query), wanted, "{query}");
        }
        let all = "filter[x]=1&filter[id]=y&sort=z&page[size]=0&include=a,b&fields[exports]=c";
        assert_eq!(wrong(all).len(), 7);
    }
}
