//! Which export jobs are listed, and where the next page of a list begins.

use super::export::bound;
use crate::dialect::Dialect;
use crate::query::Parameters;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::tz::TimeZone;
use std::ops::RangeInclusive;
use tollbook_app::jobs::JobListing;
use tollbook_kit::fault::Fault;
use tollbook_model::dataset::Dataset;
use tollbook_model::export_job::JobState;
use uuid::Uuid;

/// The dialects that order jobs.
pub(crate) const DIALECTS: [&str; 3] =
    [Dialect::Native.name(), Dialect::Didww.name(), Dialect::Omilia.name()];
/// How many jobs a page has.
pub(crate) const PAGE: RangeInclusive<u64> = 1..=200;
/// How many unless it is said.
pub(crate) const USUAL_PAGE: usize = 50;

const KNOWN: [&str; 7] = ["status", "dataset", "dialect", "created_from", "created_to", "limit", "cursor"];

/// A place in the list: when the last job of a page was ordered, and its id.
type Behind = (i64, Uuid);

/// Reads which jobs are meant: of `path_dataset`, if the path names one. None when there can be none.
///
/// # Errors
/// `invalid`, with every fault.
pub(crate) fn listing(
    path_dataset: Option<Dataset>,
    mut given: Parameters,
) -> Result<Option<JobListing>, Fault> {
    given.refuse_unknown(|name| KNOWN.contains(&name));
    let states = words(&mut given, "status", &JobState::ALL.map(JobState::name), JobState::from_name);
    let named = words(&mut given, "dataset", &Dataset::ALL.map(Dataset::name), Dataset::from_name);
    let dialects = words(&mut given, "dialect", &DIALECTS, |word| Some(word.to_owned()));
    let utc = TimeZone::UTC;
    let from = bound(&mut given, "created_from", |bound| bound.as_from(&utc), &utc);
    let to = bound(&mut given, "created_to", |bound| bound.as_to(&utc), &utc);
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        given.invalid("created_to", "must be after created_from");
    }
    let limit = limit(&mut given);
    let behind = given.single("cursor").and_then(|text| {
        let behind = behind_of(&text);
        if behind.is_none() {
            given.invalid("cursor", "must be the next_cursor of an answer");
        }
        behind
    });
    given.finish()?;
    let datasets = match path_dataset {
        Some(dataset) if named.is_empty() || named.contains(&dataset) => vec![dataset],
        Some(_) => return Ok(None),
        None => named,
    };
    Ok(Some(JobListing {
        datasets,
        states,
        dialects,
        created_from_ms: from.unwrap_or(i64::MIN),
        created_to_ms: to.unwrap_or(i64::MAX),
        limit,
        behind,
    }))
}

/// The text of a place.
pub(crate) fn cursor((created_at_ms, id): Behind) -> String {
    let mut bytes = created_at_ms.to_be_bytes().to_vec();
    bytes.extend_from_slice(id.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn behind_of(text: &str) -> Option<Behind> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (created_at_ms, id) = bytes.split_first_chunk()?;
    Some((i64::from_be_bytes(*created_at_ms), Uuid::from_slice(id).ok()?))
}

/// The values of a parameter that may be repeated, each of which is one of `words`.
fn words<T>(
    given: &mut Parameters,
    name: &str,
    words: &[&str],
    meaning: impl Fn(&str) -> Option<T>,
) -> Vec<T> {
    let values = given.repeated(name);
    if values.iter().any(|value| !value.is_empty() && !words.contains(&value.as_str())) {
        given.invalid(name, format!("must be one of {}", words.join(", ")));
    }
    values.iter().filter_map(|value| meaning(value)).collect()
}

fn limit(given: &mut Parameters) -> usize {
    let Some(text) = given.single("limit") else { return USUAL_PAGE };
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse::<u64>().ok().filter(|number| is_number && PAGE.contains(number));
    if number.is_none() {
        given.invalid("limit", format!("must be a whole number from {} to {}", PAGE.start(), PAGE.end()));
    }
    number.and_then(|number| usize::try_from(number).ok()).unwrap_or(USUAL_PAGE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollbook_model::time_range::parse_instant;

    fn read(path_dataset: Option<Dataset>, query: &str) -> Result<Option<JobListing>, Fault> {
        listing(path_dataset, Parameters::parse(Some(query)))
    }

    #[test]
    fn nothing_said_means_all() {
        let all = read(None, "").unwrap().unwrap();
        assert!(all.datasets.is_empty() && all.states.is_empty() && all.dialects.is_empty());
        assert_eq!((all.created_from_ms, all.created_to_ms), (i64::MIN, i64::MAX));
        assert_eq!((all.limit, all.behind), (50, None));
    }

    #[test]
    fn what_is_said_is_kept() {
        let place = (-5, Uuid::from_u128(7));
        let query = format!(
            "status=ready&status=failed&dataset=kpis&dialect=native&created_from=2026-01-05&created_to=2026-01-05\
             &limit=200&cursor={}",
            cursor(place)
        );
        let listing = read(None, &query).unwrap().unwrap();
        assert_eq!(listing.states, [JobState::Ready, JobState::Failed]);
        assert_eq!((listing.datasets, listing.dialects), (vec![Dataset::Kpis], vec!["native".to_owned()]));
        let ms = |text| parse_instant(text).unwrap();
        let range = (ms("2026-01-05T00:00:00Z"), ms("2026-01-06T00:00:00Z"));
        assert_eq!((listing.created_from_ms, listing.created_to_ms), range);
        assert_eq!((listing.limit, listing.behind), (200, Some(place)));
    }

    #[test]
    fn the_path_narrows_the_list() {
        let datasets = |query| read(Some(Dataset::Cdr), query).unwrap().map(|listing| listing.datasets);
        assert_eq!(datasets(""), Some(vec![Dataset::Cdr]));
        assert_eq!(datasets("dataset=kpis&dataset=cdr"), Some(vec![Dataset::Cdr]));
        assert_eq!(datasets("dataset=kpis"), None);
    }

    #[test]
    fn bad_values_are_named_all_at_once() {
        for (query, names) in [
            ("status=done", vec!["status"]),
            ("status=", vec!["status"]),
            ("dataset=cdrs&dialect=french", vec!["dataset", "dialect"]),
            ("created_from=yesterday", vec!["created_from"]),
            ("created_from=2026-01-06&created_to=2026-01-05", vec!["created_to"]),
            ("limit=0", vec!["limit"]),
            ("limit=201", vec!["limit"]),
            ("limit=%2B5", vec!["limit"]),
            ("limit=5&limit=5", vec!["limit"]),
            ("limit=99999999999999999999", vec!["limit"]),
            ("cursor=x", vec!["cursor"]),
            ("cursor=", vec!["cursor"]),
            ("cursor=AAAA", vec!["cursor"]),
            ("page=2&limit=x", vec!["page", "limit"]),
        ] {
            let fault = read(None, query).expect_err(query);
            let told: Vec<_> = fault.details().iter().map(|detail| detail.name.as_str()).collect();
            assert_eq!(told, names, "{query}");
        }
        let mut longer = cursor((1, Uuid::from_u128(1)));
        longer.push_str("AAAA");
        assert!(read(None, &format!("cursor={longer}")).is_err());
    }
}
