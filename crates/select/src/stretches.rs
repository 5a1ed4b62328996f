//! Cuts the range of an export into stretches of time that are written one behind the other, so that it can be gone on
//! with behind each of them.
//!
//! Where the cuts are follows from the snapshot alone: every attempt cuts alike, and so writes the same bytes. They lie
//! where row groups and batches begin, and where little lies across: what does is read for both sides.

use crate::plan::time_of;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use tollbook_model::ports::Snapshot;
use tollbook_model::time_range::TimeRange;

/// Of the weight of a stretch at most one part in so many may be of row groups and batches that reach beyond its end.
const ONE_ACROSS_IN: u64 = 4;
/// Stored bytes that weigh as much as a record. Usual records have well under a third of it, so only bulky ones count for
/// more than one.
const BYTES_OF_A_RECORD: u64 = 256;

/// A stretch of the range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// From its start to its end.
    pub(crate) range: TimeRange,
    /// Stored records that are looked at for it.
    pub(crate) records: u64,
}

impl Stretch {
    /// What of it is not before this moment; none when all is.
    pub(crate) fn behind(self, from_ms: i64) -> Option<Self> {
        let range = TimeRange::new(self.range.from_ms().max(from_ms), self.range.to_ms())?;
        Some(Self { range, ..self })
    }
}

/// Where some records lie: a row group or a batch.
struct Span {
    first_ms: i64,
    last_ms: i64,
    size: Size,
}

/// How much there is: records, and what they weigh, which is more than one each if they are bulky.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Size {
    records: u64,
    weight: u64,
}

impl Size {
    fn of(records: u64, bytes: u64) -> Self {
        Self { records, weight: records.max(bytes / BYTES_OF_A_RECORD) }
    }

    fn add(&mut self, other: Self) {
        self.records += other.records;
        self.weight += other.weight;
    }

    fn subtract(&mut self, other: Self) {
        self.records -= other.records;
        self.weight -= other.weight;
    }
}

/// The stretches of `range`, in order and without gaps, each of about so many stored records or more, or of fewer bulky
/// ones.
pub(crate) fn stretches(snapshot: &Snapshot, range: TimeRange, about: u64) -> Vec<Stretch> {
    let mut stretches = Vec::new();
    let mut from_ms = range.from_ms();
    // Spans that began, by their ends; and their sizes, which are of this stretch, and perhaps of later ones.
    let mut open: BinaryHeap<Reverse<(i64, Size)>> = BinaryHeap::new();
    let (mut across, mut ended) = (Size::default(), Size::default());
    for span in spans(snapshot, range) {
        while let Some(&Reverse((last_ms, size))) = open.peek()
            && last_ms < span.first_ms
        {
            open.pop();
            across.subtract(size);
            ended.add(size);
        }
        if ended.weight >= about.max(1)
            && across.weight <= ended.weight / ONE_ACROSS_IN
            && let Some(range) = TimeRange::new(from_ms, span.first_ms)
        {
            stretches.push(Stretch { range, records: ended.records + across.records });
            (from_ms, ended) = (span.first_ms, Size::default());
        }
        open.push(Reverse((span.last_ms, span.size)));
        across.add(span.size);
    }
    // Spans begin inside the range, so that something is always left.
    let rest = TimeRange::new(from_ms, range.to_ms()).unwrap_or(range);
    stretches.push(Stretch { range: rest, records: ended.records + across.records });
    stretches
}

/// What of the snapshot touches the range, by its start in the range.
fn spans(snapshot: &Snapshot, range: TimeRange) -> Vec<Span> {
    let groups = snapshot.parts.iter().flat_map(|part| &part.row_groups).map(|group| Span {
        first_ms: time_of(&group.ids.0),
        last_ms: time_of(&group.ids.1),
        size: Size::of(group.rows, group.bytes),
    });
    let batches = snapshot.batches.iter().map(|batch| Span {
        first_ms: batch.time_ms.0,
        last_ms: batch.time_ms.1,
        size: Size::of(batch.rows, batch.bytes),
    });
    let touching = groups.chain(batches).filter(|span| range.touches(span.first_ms, span.last_ms));
    let mut spans: Vec<Span> =
        touching.map(|span| Span { first_ms: span.first_ms.max(range.from_ms()), ..span }).collect();
    spans.sort_by_key(|span| span.first_ms);
    spans
}

/// What of a snapshot touches a stretch of it.
pub(crate) fn within(snapshot: &Snapshot, range: TimeRange) -> Snapshot {
    let parts = snapshot.parts.iter().filter(|part| {
        part.row_groups.iter().any(|group| range.touches(time_of(&group.ids.0), time_of(&group.ids.1)))
    });
    let batches = snapshot.batches.iter().filter(|batch| range.touches(batch.time_ms.0, batch.time_ms.1));
    Snapshot {
        watermark: snapshot.watermark,
        parts: parts.cloned().collect(),
        batches: batches.cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollbook_model::ports::{ManifestBatch, ManifestPart, RowGroup};
    use uuid::Uuid;

    fn id(ms: i64) -> [u8; 16] {
        let mut id = [0x80; 16];
        id[..6].copy_from_slice(&ms.to_be_bytes()[2..]);
        id
    }

    /// Row groups of a part, and batches, each by first and last time and records.
    fn snapshot(groups: &[(i64, i64, u64)], batches: &[(i64, i64, u64)]) -> Snapshot {
        let row_groups = groups.iter();
        let row_groups =
            row_groups.map(|&(from, to, rows)| RowGroup { rows, bytes: 1, ids: (id(from), id(to)) });
        let part = ManifestPart {
            id: Uuid::from_u128(1),
            path: String::new(),
            day: 0,
            rows: 0,
            bytes: 0,
            sequences: (1, 1),
            unsettled: false,
            layout: 1,
            row_groups: row_groups.collect(),
        };
        let batches = batches.iter().map(|&(from, to, rows)| ManifestBatch {
            id: Uuid::from_u128(from.unsigned_abs().into()),
            first_sequence: 1,
            rows,
            time_ms: (from, to),
            bytes: 1,
            unsettled: false,
            received_at_ms: 0,
        });
        Snapshot { watermark: 9, parts: vec![part], batches: batches.collect() }
    }

    fn cut(snapshot: &Snapshot, range: TimeRange, about: u64) -> Vec<(i64, i64, u64)> {
        let stretches = stretches(snapshot, range, about);
        let ends = stretches.iter().map(|stretch| stretch.range.to_ms());
        let starts = stretches.iter().skip(1).map(|stretch| stretch.range.from_ms());
        assert!(starts.eq(ends.take(stretches.len() - 1)), "without gaps");
        let told = stretches.iter();
        told.map(|stretch| (stretch.range.from_ms(), stretch.range.to_ms(), stretch.records)).collect()
    }

    #[test]
    fn cuts_lie_where_row_groups_and_batches_begin() {
        let range = TimeRange::new(10, 900).unwrap();
        let groups = [(0, 99, 60), (100, 199, 60), (200, 299, 60), (400, 450, 10)];
        let journal = [(500, 520, 70), (530, 540, 20), (990, 999, 50)];
        for (about, wanted) in [
            (100, vec![(10, 200, 120), (200, 530, 140), (530, 900, 20)]),
            (60, vec![(10, 100, 60), (100, 200, 60), (200, 400, 60), (400, 530, 80), (530, 900, 20)]),
            (1_000_000, vec![(10, 900, 280)]),
        ] {
            assert_eq!(cut(&snapshot(&groups, &journal), range, about), wanted, "{about}");
        }
        assert_eq!(cut(&snapshot(&[], &[]), range, 5), [(10, 900, 0)]);
    }

    #[test]
    fn little_may_lie_across_a_cut_but_not_much() {
        // A late part over the whole day; then two row groups that share a millisecond.
        let range = TimeRange::new(0, 1000).unwrap();
        for (late, wanted) in [
            (10, vec![(0, 100, 50), (100, 200, 50), (200, 1000, 50)]),
            (11, vec![(0, 200, 91), (200, 1000, 51)]),
            (21, vec![(0, 1000, 141)]),
        ] {
            let day = snapshot(&[(0, 99, 40), (100, 199, 40), (200, 299, 40)], &[(0, 299, late)]);
            assert_eq!(cut(&day, range, 40), wanted, "{late} late records");
        }
        let touching = snapshot(&[(0, 100, 40), (100, 199, 40), (200, 299, 40)], &[]);
        assert_eq!(cut(&touching, range, 40), [(0, 200, 80), (200, 1000, 40)]);
    }

    #[test]
    fn bulky_records_weigh_more() {
        let range = TimeRange::new(0, 1000).unwrap();
        let mut day = snapshot(&[(0, 99, 40), (100, 199, 40), (200, 299, 40)], &[]);
        assert_eq!(cut(&day, range, 1000), [(0, 1000, 120)]);
        for group in &mut day.parts[0].row_groups {
            group.bytes = 500 * BYTES_OF_A_RECORD;
        }
        assert_eq!(cut(&day, range, 1000), [(0, 200, 80), (200, 1000, 40)]);
    }

    #[test]
    fn a_stretch_holds_what_touches_it() {
        let day = snapshot(&[(0, 100, 1), (101, 200, 1)], &[(50, 150, 1), (300, 400, 1)]);
        let some = within(&day, TimeRange::new(201, 301).unwrap());
        assert_eq!((some.parts.len(), some.batches.len(), some.watermark), (0, 1, 9));
        assert_eq!(within(&day, TimeRange::new(0, 500).unwrap()), day);
    }
}
