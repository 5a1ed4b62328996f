//! KPIs: calls counted and summed per bucket, source and direction.
//!
//! Days that are settled and compacted are summed from the hourly rollups that compaction keeps; everything else
//! (what is still in the journal, unsettled days, hours that a bucket or the range cuts) is counted from records.

use crate::contents::Contents;
use crate::plan::plan;
use crate::predicate::{Predicate, text_mask};
use crate::rows::{HandOver, Next, Rows};
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMicrosecondType};
use arrow_array::{Array, ArrayRef, RecordBatch};
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_model::call::{CallField, RESULTS};
use tollbook_model::ports::{GivenRow, Rollup, Snapshot};
use tollbook_model::schema::DIRECTIONS;
use tollbook_model::selection::{FilterField, Interval, Selection};
use tollbook_model::time_range::TimeRange;
use tollbook_model::value::Value;
use uuid::Uuid;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 86_400_000;

/// Sums of one bucket, source and direction.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Sums {
    calls: u64,
    results: [u64; 4],
    duration_s: u64,
    max_duration_s: u64,
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        for (sum, count) in self.results.iter_mut().zip(other.results) {
            *sum += count;
        }
        self.duration_s += other.duration_s;
        self.max_duration_s = self.max_duration_s.max(other.max_duration_s);
    }
}

/// Bucket start, source, direction.
type Key = (i64, String, String);

/// The parts whose rollups can be used: those of days without journal batches and without unsettled parts.
pub(crate) fn settled_parts(snapshot: &Snapshot) -> Vec<Uuid> {
    let unsettled = unsettled_spans(snapshot);
    let is_settled = |day: i32| {
        let start = i64::from(day) * DAY_MS;
        let at = unsettled.partition_point(|&(_, to)| to <= start);
        unsettled.get(at).is_none_or(|&(from, _)| from > start)
    };
    snapshot.parts.iter().filter(|part| is_settled(part.day)).map(|part| part.id).collect()
}

/// Spans of whole UTC days in which records may stand twice, or are not in any part; sorted and apart.
fn unsettled_spans(snapshot: &Snapshot) -> Vec<(i64, i64)> {
    let days =
        |first: i64, last: i64| (first.div_euclid(DAY_MS) * DAY_MS, (last.div_euclid(DAY_MS) + 1) * DAY_MS);
    let parts = snapshot.parts.iter().filter(|part| part.unsettled).map(|part| {
        let start = i64::from(part.day) * DAY_MS;
        days(start, start)
    });
    let batches = snapshot.batches.iter().map(|batch| days(batch.time_ms.0, batch.time_ms.1));
    joined(parts.chain(batches).collect())
}

/// The rows of a KPI export, sorted by bucket, source, direction. Blocking.
pub(crate) fn rows(
    contents: &Arc<dyn Contents>,
    snapshot: &Snapshot,
    rollups: &[Rollup],
    selection: &Selection,
) -> Result<Vec<GivenRow>, Fault> {
    let buckets = Buckets { interval: selection.interval, timezone: selection.timezone.clone() };
    let mut sums: BTreeMap<Key, Sums> = BTreeMap::new();
    let mut from_records: BTreeSet<i64> = BTreeSet::new();
    for rollup in rollups {
        let start = rollup.hour * HOUR_MS;
        let bucket = buckets.start(start)?;
        let cut = !selection.range.covers(start, start + HOUR_MS - 1)
            || bucket != buckets.start(start + HOUR_MS - 1)?;
        if cut {
            from_records.insert(start);
        } else if passes(selection, &rollup.pbx_alias, &rollup.direction) {
            let key = (bucket, rollup.pbx_alias.clone(), rollup.direction.clone());
            sums.entry(key).or_default().add(&Sums {
                calls: rollup.calls,
                results: rollup.results,
                duration_s: rollup.duration_s,
                max_duration_s: rollup.max_duration_s,
            });
        }
    }
    let mut spans: Vec<(i64, i64)> = from_records.into_iter().map(|start| (start, start + HOUR_MS)).collect();
    spans.extend(unsettled_spans(snapshot));
    for (from, to) in joined(spans) {
        let clipped = TimeRange::new(from.max(selection.range.from_ms()), to.min(selection.range.to_ms()));
        if let Some(range) = clipped {
            count_records(contents, snapshot, selection, range, &buckets, &mut sums)?;
        }
    }
    Ok(sums.into_iter().map(|(key, sums)| row(selection.interval, key, &sums)).collect())
}

fn passes(selection: &Selection, pbx_alias: &str, direction: &str) -> bool {
    selection.filters.iter().all(|filter| {
        let value = match filter.field {
            FilterField::PbxAlias => pbx_alias,
            FilterField::Direction => direction,
            _ => return true,
        };
        filter.values.iter().any(|wanted| wanted == value)
    })
}

/// Sorts spans and joins those that touch.
fn joined(mut spans: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    spans.sort_unstable();
    let mut joined: Vec<(i64, i64)> = Vec::new();
    for (from, to) in spans {
        match joined.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => joined.push((from, to)),
        }
    }
    joined
}

const COUNTED: [CallField; 5] =
    [CallField::StartAt, CallField::PbxAlias, CallField::Direction, CallField::Result, CallField::DurationS];

fn count_records(
    contents: &Arc<dyn Contents>,
    snapshot: &Snapshot,
    selection: &Selection,
    range: TimeRange,
    buckets: &Buckets,
    sums: &mut BTreeMap<Key, Sums>,
) -> Result<(), Fault> {
    let predicate = Predicate::new(range, &selection.filters);
    let columns = COUNTED.map(|field| field as usize).to_vec();
    let mut rows = Rows::new(
        Arc::clone(contents),
        snapshot,
        plan(snapshot, range),
        predicate,
        columns,
        HandOver::Nothing,
    );
    while let Some(next) = rows.advance()? {
        if let Next::Batch(batch) = next {
            count_batch(&batch, buckets, sums)?;
        }
    }
    Ok(())
}

fn count_batch(batch: &RecordBatch, buckets: &Buckets, sums: &mut BTreeMap<Key, Sums>) -> Result<(), Fault> {
    let starts = batch.column(0).as_primitive::<TimestampMicrosecondType>();
    let durations = batch.column(4).as_primitive::<Int64Type>();
    let results = RESULTS.map(|result| text_mask(batch.column(3), |text| text == result));
    let directions = DIRECTIONS.map(|direction| text_mask(batch.column(2), |text| text == direction));
    let aliases = TextColumn::new(batch.column(1));
    let mut cached: Option<(i64, i64)> = None;
    for row in 0..batch.num_rows() {
        let start_ms = starts.value(row).div_euclid(1000);
        // Zones change on whole minutes; records are sorted, so that nearly every row is in the minute before it.
        let minute = start_ms.div_euclid(60_000);
        let bucket = match cached {
            Some((known, bucket)) if known == minute => bucket,
            _ => buckets.start(start_ms)?,
        };
        cached = Some((minute, bucket));
        let direction = (0..3).find(|&at| directions[at].value(row)).map_or("", |at| DIRECTIONS[at]);
        let mut one = Sums { calls: 1, ..Sums::default() };
        if let Some(at) = (0..4).find(|&at| results[at].value(row)) {
            one.results[at] = 1;
        }
        let duration = u64::try_from(durations.value(row)).unwrap_or(0);
        (one.duration_s, one.max_duration_s) = (duration, duration);
        sums.entry((bucket, aliases.value(row).to_owned(), direction.to_owned())).or_default().add(&one);
    }
    Ok(())
}

/// A text column, plain or dictionary.
struct TextColumn<'a> {
    keys: Option<&'a arrow_array::PrimitiveArray<arrow_array::types::Int32Type>>,
    values: &'a arrow_array::StringArray,
}

impl<'a> TextColumn<'a> {
    fn new(array: &'a ArrayRef) -> Self {
        match array.as_dictionary_opt::<arrow_array::types::Int32Type>() {
            Some(dictionary) => {
                Self { keys: Some(dictionary.keys()), values: dictionary.values().as_string() }
            }
            None => Self { keys: None, values: array.as_string() },
        }
    }

    fn value(&self, row: usize) -> &'a str {
        let at = self.keys.map_or(row, |keys| usize::try_from(keys.value(row)).unwrap_or(0));
        if at < self.values.len() { self.values.value(at) } else { "" }
    }
}

struct Buckets {
    interval: Interval,
    timezone: TimeZone,
}

impl Buckets {
    /// Start of the bucket that holds the moment.
    fn start(&self, ms: i64) -> Result<i64, Fault> {
        if self.interval == Interval::Hour && self.timezone == TimeZone::UTC {
            return Ok(ms.div_euclid(HOUR_MS) * HOUR_MS);
        }
        let local =
            Timestamp::from_millisecond(ms).fault("a moment out of range")?.to_zoned(self.timezone.clone());
        if self.interval == Interval::Hour {
            // Counted back from the moment, so that a repeated hour stays two hours.
            let into =
                i64::from(local.minute()) * 60_000 + i64::from(local.second()) * 1000 + ms.rem_euclid(1000);
            return Ok(ms - into);
        }
        let date = local.date();
        let first = match self.interval {
            Interval::Hour | Interval::Day => date,
            Interval::Week => {
                let since_monday = i64::from(date.weekday().since(Weekday::Monday));
                date.checked_sub(Span::new().days(since_monday)).fault("a week out of range")?
            }
            Interval::Month => date.first_of_month(),
        };
        let start = self.timezone.to_ambiguous_timestamp(first.at(0, 0, 0, 0)).compatible();
        Ok(start.fault("a bucket out of range")?.as_millisecond())
    }
}

fn row(interval: Interval, (bucket, pbx_alias, direction): Key, sums: &Sums) -> GivenRow {
    let count = |count: u64| Value::Integer(i64::try_from(count).unwrap_or(i64::MAX));
    let other = sums.calls - sums.results.iter().sum::<u64>();
    vec![
        Value::Instant(bucket),
        Value::Text(interval.name().into()),
        Value::Text(pbx_alias.into()),
        Value::Text(direction.into()),
        count(sums.calls),
        count(sums.results[0]),
        count(sums.results[1]),
        count(sums.results[2]),
        count(sums.results[3]),
        count(other),
        count(sums.duration_s),
        count(sums.max_duration_s),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollbook_model::time_range::parse_instant;

    #[test]
    fn buckets_follow_zone_and_calendar() {
        let paris = TimeZone::get("Europe/Paris").unwrap();
        let ms = |text| parse_instant(text).unwrap();
        for (interval, moment, start) in [
            (Interval::Day, "2026-01-05T22:59:59Z", "2026-01-04T23:00:00Z"),
            (Interval::Week, "2026-01-05T10:00:00Z", "2026-01-04T23:00:00Z"),
            (Interval::Month, "2026-01-31T23:30:00Z", "2026-01-31T23:00:00Z"),
            // The hour from 2 to 3 comes twice on 2026-10-25; each is a bucket.
            (Interval::Hour, "2026-10-25T00:10:00Z", "2026-10-25T00:00:00Z"),
            (Interval::Hour, "2026-10-25T01:10:00Z", "2026-10-25T01:00:00Z"),
        ] {
            let buckets = Buckets { interval, timezone: paris.clone() };
            assert_eq!(buckets.start(ms(moment)).unwrap(), ms(start), "{interval:?} {moment}");
        }
    }

    #[test]
    fn spans_that_touch_are_joined() {
        assert_eq!(joined(vec![(5, 9), (0, 3), (3, 4), (8, 12)]), [(0, 4), (5, 12)]);
    }
}
