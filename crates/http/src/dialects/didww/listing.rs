//! Lists of exports (`didww.md` section 4.2): which are wanted, and in which order. Pure: who looks them up is elsewhere.

use super::errors::{self, Broken};
use super::fields::{Fields, Query, parts};
use super::filters::{self, COUNTRY, ENDS, ExportType};
use super::moment::Moment;
use super::paging::Page;
use super::resource::{Export, Status};
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
