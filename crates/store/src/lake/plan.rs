//! What compaction does next, decided from a snapshot alone: which batches to take, which parts to merge.
//!
//! Reading and writing records happens elsewhere; everything here is pure.

use crate::config::{STEP_DAYS, StoreConfig, millis};
use crate::record_keys::{DAY_MS, RecordId, id_ms};
use rustc_hash::FxHashSet;
use tollbook_model::ports::{ManifestBatch, ManifestPart};
use tollbook_model::time_range::utc_day;

/// Parts of one tier that are merged into one. Tiers grow by this factor, so each record is rewritten about once per
/// tier while its day grows: write amplification is the logarithm of the day's size, and a day has at most three
/// parts per tier.
const FAN_IN: u64 = 4;
/// Records below which a part is of the lowest tier.
const LOWEST_TIER_ROWS: u64 = 4096;
/// A merge rewrites much for little when the largest part is this many times all the others.
const LATE_FACTOR: u64 = 16;

/// The batches to take now, in their order; none while they are few, small and young. `force` takes any.
pub(super) fn due_batches<'s>(
    batches: &'s [ManifestBatch],
    config: &StoreConfig,
    now_ms: i64,
    force: bool,
) -> &'s [ManifestBatch] {
    let Some(oldest) = batches.iter().map(|batch| batch.received_at_ms).min() else { return &[] };
    let rows: u64 = batches.iter().map(|batch| batch.rows).sum();
    let bytes: u64 = batches.iter().map(|batch| batch.bytes).sum();
    let old = now_ms.saturating_sub(oldest) >= millis(config.compact_age);
    let few =
        rows < config.compact_rows && bytes < config.compact_bytes && batches.len() < config.compact_batches;
    if few && !old && !force {
        return &[];
    }
    let (mut held, mut days) = (0, FxHashSet::default());
    let fitting = batches.iter().take(2 * config.compact_batches).take_while(|batch| {
        held += batch.bytes;
        // Batches hold one day each.
        days.insert(utc_day(batch.time_ms.0));
        held <= config.run_bytes && days.len() <= STEP_DAYS
    });
    let count = fitting.count().max(1);
    &batches[..count]
}

/// Which of a day's parts are merged with `fresh_rows` new records, by position.
pub(super) fn tier_merge(parts: &[&ManifestPart], fresh_rows: u64, config: &StoreConfig) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::new();
    let mut rows = fresh_rows;
    loop {
        let tier = tier_of(rows);
        let members: Vec<usize> = (0..parts.len())
            .filter(|&at| parts[at].rows < config.part_rows as u64 / 2 && tier_of(parts[at].rows) <= tier)
            .collect();
        // Those chosen before count as one, for they become one with the new records.
        if ((members.len() - chosen.len()) as u64) < FAN_IN - 1 || members.len() == chosen.len() {
            return chosen;
        }
        rows = fresh_rows + members.iter().map(|&at| parts[at].rows).sum::<u64>();
        chosen = members;
    }
}

fn tier_of(rows: u64) -> u32 {
    match rows / LOWEST_TIER_ROWS {
        0 => 0,
        quotient => 1 + quotient.ilog(FAN_IN),
    }
}

/// Ids between which all records of a part lie.
pub(super) fn id_span(part: &ManifestPart) -> Option<(RecordId, RecordId)> {
    Some((part.row_groups.first()?.ids.0, part.row_groups.last()?.ids.1))
}

/// May a new part of `day` whose ids lie in `span`, made of unsettled records, repeat or supersede records that are
/// not in it: those of `other_parts` of the day or of `other_batches`? Repetitions have equal ids, so only what
/// overlaps can hold any.
pub(super) fn stays_unsettled<'a>(
    span: (RecordId, RecordId),
    other_parts: impl IntoIterator<Item = &'a ManifestPart>,
    other_batches: impl IntoIterator<Item = &'a ManifestBatch>,
) -> bool {
    let in_parts = other_parts.into_iter().any(|part| id_span(part).is_none_or(|other| overlap(span, other)));
    let times = (id_ms(&span.0), id_ms(&span.1));
    in_parts
        || other_batches.into_iter().any(|batch| batch.time_ms.0 <= times.1 && times.0 <= batch.time_ms.1)
}

fn overlap(one: (RecordId, RecordId), other: (RecordId, RecordId)) -> bool {
    one.0 <= other.1 && other.0 <= one.1
}

/// Does a batch hold records of the day, as far as its times tell?
pub(super) fn touches_day(batch: &ManifestBatch, day: i32) -> bool {
    utc_day(batch.time_ms.0) <= day && day <= utc_day(batch.time_ms.1)
}

/// The parts of one day to merge for good, by id; none when nothing is left to do. `parts` and `batches` are all live
/// ones of the scope. Normally only days that are over and quiet are merged; `force` merges any.
pub(super) fn seal<'s>(
    parts: &'s [ManifestPart],
    batches: &[ManifestBatch],
    config: &StoreConfig,
    now_ms: i64,
    force: bool,
) -> Option<Vec<&'s ManifestPart>> {
    let mut days: Vec<i32> = parts.iter().map(|part| part.day).collect();
    days.sort_unstable();
    days.dedup();
    let over = |day: i32| (i64::from(day) + 1) * DAY_MS + millis(config.seal_after) <= now_ms;
    let ready = |day: &i32| force || (over(*day) && !batches.iter().any(|batch| touches_day(batch, *day)));
    days.into_iter().filter(ready).find_map(|day| {
        let of_day: Vec<&ManifestPart> = parts.iter().filter(|part| part.day == day).collect();
        bins(of_day, config.part_rows as u64)
            .into_iter()
            .filter(|bin| bin.len() > 1 || can_be_settled(bin, batches))
            .find(|bin| force || is_quiet(bin, config, now_ms))
    })
}

/// Parts that overlap, and neighbours that fit into one part together.
fn bins(mut parts: Vec<&ManifestPart>, part_rows: u64) -> Vec<Vec<&ManifestPart>> {
    parts.sort_by_key(|part| id_span(part));
    let mut components: Vec<(Vec<&ManifestPart>, RecordId)> = Vec::new();
    for part in parts {
        let Some((first, last)) = id_span(part) else { continue };
        match components.last_mut() {
            Some((members, end)) if first <= *end => {
                members.push(part);
                *end = last.max(*end);
            }
            _ => components.push((vec![part], last)),
        }
    }
    let rows = |members: &[&ManifestPart]| members.iter().map(|part| part.rows).sum::<u64>();
    let mut bins: Vec<Vec<&ManifestPart>> = Vec::new();
    for (members, _) in components {
        match bins.last_mut() {
            Some(bin) if rows(bin) + rows(&members) <= part_rows => bin.extend(members),
            _ => bins.push(members),
        }
    }
    bins
}

/// Is there a part whose mark would go if it were written again? Other parts do not overlap with those of a bin.
fn can_be_settled(bin: &[&ManifestPart], batches: &[ManifestBatch]) -> bool {
    let settles = |part: &ManifestPart| id_span(part).is_some_and(|span| !stays_unsettled(span, [], batches));
    bin.iter().any(|part| part.unsettled && settles(part))
}

fn is_quiet(bin: &[&ManifestPart], config: &StoreConfig, now_ms: i64) -> bool {
    // Ids of parts carry the time at which they were written.
    let newest = bin.iter().map(|part| id_ms(part.id.as_bytes())).max().unwrap_or(0);
    let largest = bin.iter().map(|part| part.rows).max().unwrap_or(0);
    let others = bin.iter().map(|part| part.rows).sum::<u64>() - largest;
    let little = largest > LOWEST_TIER_ROWS && others.saturating_mul(LATE_FACTOR) <= largest;
    let quiet = if little { config.seal_quiet_late } else { config.seal_quiet };
    now_ms.saturating_sub(newest) >= millis(quiet)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tollbook_model::ports::RowGroup;
    use uuid::Uuid;

    const DAY: i32 = 20_000;

    fn id_at(ms: i64) -> RecordId {
        let mut id = [0; 16];
        id[..6].copy_from_slice(&ms.to_be_bytes()[2..]);
        id[6] = 0x70;
        id
    }

    /// A part of [`DAY`] between two minutes, written at `written_ms`.
    fn part(rows: u64, minutes: (i64, i64), written_ms: i64) -> ManifestPart {
        let at = |minute: i64| id_at(i64::from(DAY) * DAY_MS + minute * 60_000);
        ManifestPart {
            id: Uuid::from_bytes(id_at(written_ms)),
            path: String::new(),
            day: DAY,
            rows,
            bytes: rows,
            sequences: (1, 1),
            unsettled: false,
            layout: 1,
            row_groups: vec![RowGroup { rows, bytes: rows, ids: (at(minutes.0), at(minutes.1)) }],
        }
    }

    fn batch(rows: u64, bytes: u64, received_at_ms: i64) -> ManifestBatch {
        let noon = i64::from(DAY) * DAY_MS + DAY_MS / 2;
        ManifestBatch {
            id: Uuid::nil(),
            first_sequence: 1,
            rows,
            time_ms: (noon, noon),
            bytes,
            unsettled: false,
            received_at_ms,
        }
    }

    #[test]
    fn batches_wait_until_they_are_many_large_or_old() {
        let config = StoreConfig::default();
        let few = vec![batch(10, 1000, 0), batch(10, 1000, 5000)];
        assert_eq!(due_batches(&few, &config, 59_999, false).len(), 0);
        assert_eq!(due_batches(&few, &config, 60_000, false).len(), 2);
        assert_eq!(due_batches(&few, &config, 0, true).len(), 2);
        assert_eq!(due_batches(&[batch(65_536, 1, 0)], &config, 0, false).len(), 1);
        let tiny = vec![batch(1, 1, 0); 10_000];
        assert_eq!(due_batches(&tiny[..4095], &config, 0, false).len(), 0);
        assert_eq!(due_batches(&tiny, &config, 0, false).len(), 8192);
        assert_eq!(due_batches(&[batch(1, 8 << 20, 0)], &config, 0, false).len(), 1);
        let large = vec![batch(1, 10 << 20, 0), batch(1, 10 << 20, 0)];
        assert_eq!(due_batches(&large, &config, 0, false).len(), 1, "one run's memory is bounded");
        assert_eq!(
            due_batches(&[batch(1, 99 << 20, 0)], &config, 0, false).len(),
            1,
            "but one is always taken"
        );
        assert_eq!(due_batches(&[], &config, i64::MAX, true).len(), 0);
        let of_day = |day: i64| ManifestBatch { time_ms: (day * DAY_MS, day * DAY_MS), ..batch(1, 1, 0) };
        let days: Vec<ManifestBatch> = (0..1000).map(|at| of_day(at / 2)).collect();
        assert_eq!(due_batches(&days, &config, 0, true).len(), 2 * STEP_DAYS, "one run's parts are bounded");
    }

    #[test]
    fn a_growing_day_has_few_parts_and_rewrites_each_record_a_few_times() {
        let config = StoreConfig::default();
        let (mut parts, mut written, mut most) = (Vec::<ManifestPart>::new(), 0, 0);
        let runs = 1000;
        for _ in 0..runs {
            let refs: Vec<&ManifestPart> = parts.iter().collect();
            let merged = tier_merge(&refs, 500, &config);
            let rows = 500 + merged.iter().map(|&at| parts[at].rows).sum::<u64>();
            written += rows;
            let mut at = 0;
            parts.retain(|_| {
                at += 1;
                !merged.contains(&(at - 1))
            });
            parts.push(part(rows, (0, 1), 0));
            most = most.max(parts.len());
        }
        assert_eq!(parts.iter().map(|part| part.rows).sum::<u64>(), runs * 500);
        assert!(most <= 18, "{most} parts at once");
        assert!(written <= runs * 500 * 12, "each record was written {} times", written / (runs * 500));
    }

    #[test]
    fn a_quiet_day_ends_as_one_part_and_then_rests() {
        let config = StoreConfig::default();
        let end = (i64::from(DAY) + 1) * DAY_MS;
        let parts = vec![part(10, (0, 5), end - 1000), part(10, (5, 9), end - 500), part(10, (20, 30), end)];
        assert!(seal(&parts, &[], &config, end + 3_599_999, false).is_none(), "not over yet");
        assert_eq!(seal(&parts, &[], &config, end + 3_600_000, false).unwrap().len(), 3);
        let touching = [batch(1, 1, end)];
        assert!(
            seal(&parts, &touching, &config, end + 3_600_000, false).is_none(),
            "something arrives still"
        );
        assert_eq!(seal(&parts, &touching, &config, end, true).unwrap().len(), 3, "unless forced");
        assert!(seal(&[part(30, (0, 30), end)], &[], &config, i64::MAX, true).is_none());
    }

    #[test]
    fn a_lone_unsettled_part_is_written_again_only_if_that_settles_it() {
        let config = StoreConfig::default();
        let unsettled = [ManifestPart { unsettled: true, ..part(30, (0, 1439), 0) }];
        assert!(seal(&unsettled, &[], &config, i64::MAX, true).is_some());
        assert!(seal(&unsettled, &[batch(1, 1, 0)], &config, i64::MAX, true).is_none());
    }

    #[test]
    fn large_parts_side_by_side_are_left_alone_and_late_trifles_wait() {
        let config = StoreConfig { part_rows: 100_000, ..StoreConfig::default() };
        let end = (i64::from(DAY) + 1) * DAY_MS;
        let side_by_side =
            vec![part(100_000, (0, 9), end), part(100_000, (10, 19), end), part(7, (20, 21), end)];
        assert!(seal(&side_by_side, &[], &config, i64::MAX, true).is_none());
        let late = vec![part(90_000, (0, 9), end), part(1, (5, 5), end)];
        assert!(seal(&late, &[], &config, end + 3_600_000, false).is_none());
        let six_hours = millis(Duration::from_secs(6 * 3600));
        assert_eq!(seal(&late, &[], &config, end + six_hours, false).unwrap().len(), 2);
    }

    #[test]
    fn only_what_overlaps_can_be_repeated() {
        let new = id_span(&part(1, (10, 20), 0)).unwrap();
        assert!(!stays_unsettled(new, &[part(1, (0, 9), 0), part(1, (21, 30), 0)], &[]));
        assert!(stays_unsettled(new, &[part(1, (20, 30), 0)], &[]));
        assert!(!stays_unsettled(new, &[], &[batch(1, 1, 0)]));
        let noon = id_span(&part(1, (0, 1439), 0)).unwrap();
        assert!(stays_unsettled(noon, &[], &[batch(1, 1, 0)]));
    }
}
