//! The plan of an export: an ordered list of independent tasks, made from the manifest alone.
//!
//! Records are sorted by id and ids begin with the time, so ranges of ids say both what a range of time touches and
//! what may hold the same record twice. Whatever overlaps is merged; whatever stands alone is read straight.

use serde::{Deserialize, Serialize};
use tollbook_model::call::id_time_ms;
use tollbook_model::ports::Snapshot;
use tollbook_model::time_range::TimeRange;
use uuid::Uuid;

/// One row group of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RowGroupRef {
    /// The part.
    pub(crate) part: Uuid,
    /// Its position in the file.
    pub(crate) row_group: usize,
    /// Records inside.
    pub(crate) rows: u64,
    /// Id of the first.
    pub(crate) first_id: [u8; 16],
    /// Does every record lie in the range?
    pub(crate) inside: bool,
}

/// A task: pure, independent of the others, and in the order of the output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Task {
    /// A row group whose records are nowhere else.
    Straight(RowGroupRef),
    /// Row groups and batches that may hold the same records, or records between each other's.
    Merge {
        /// Row groups, by first id.
        row_groups: Vec<RowGroupRef>,
        /// Journal batches, by first time.
        batches: Vec<Uuid>,
    },
}

struct Span {
    ids: ([u8; 16], [u8; 16]),
    content: Content,
}

enum Content {
    RowGroup(RowGroupRef),
    Batch(Uuid),
}

/// The tasks that yield all records of `snapshot` in `range`, each once, ordered by id.
pub(crate) fn plan(snapshot: &Snapshot, range: TimeRange) -> Vec<Task> {
    let mut spans = spans(snapshot, range);
    spans.sort_by_key(|span| span.ids.0);
    let mut tasks = Vec::new();
    let mut cluster: Vec<Span> = Vec::new();
    let mut reach = [0u8; 16];
    for span in spans {
        if !cluster.is_empty() && span.ids.0 > reach {
            tasks.push(task(std::mem::take(&mut cluster)));
        }
        reach = if cluster.is_empty() { span.ids.1 } else { reach.max(span.ids.1) };
        cluster.push(span);
    }
    if !cluster.is_empty() {
        tasks.push(task(cluster));
    }
    tasks
}

fn spans(snapshot: &Snapshot, range: TimeRange) -> Vec<Span> {
    let mut spans = Vec::new();
    for part in &snapshot.parts {
        for (at, group) in part.row_groups.iter().enumerate() {
            let (first, last) = (time_of(&group.ids.0), time_of(&group.ids.1));
            if range.touches(first, last) {
                let inside = range.covers(first, last);
                let (rows, first_id) = (group.rows, group.ids.0);
                let row_group = RowGroupRef { part: part.id, row_group: at, rows, first_id, inside };
                spans.push(Span { ids: group.ids, content: Content::RowGroup(row_group) });
            }
        }
    }
    for batch in &snapshot.batches {
        let (first, last) = batch.time_ms;
        if range.touches(first, last) {
            spans.push(Span {
                ids: (id_at(first, 0x00), id_at(last, 0xFF)),
                content: Content::Batch(batch.id),
            });
        }
    }
    spans
}

fn task(cluster: Vec<Span>) -> Task {
    if let [Span { content: Content::RowGroup(only), .. }] = cluster[..] {
        return Task::Straight(only);
    }
    let (mut row_groups, mut batches) = (Vec::new(), Vec::new());
    for span in cluster {
        match span.content {
            Content::RowGroup(row_group) => row_groups.push(row_group),
            Content::Batch(batch) => batches.push(batch),
        }
    }
    Task::Merge { row_groups, batches }
}

/// Time of a stored record, in milliseconds.
pub(crate) fn time_of(id: &[u8; 16]) -> i64 {
    // Every stored id is of version 7 or 8; admission saw to that.
    id_time_ms(id).unwrap_or(0)
}

/// The least (`fill` 0x00) or greatest (0xFF) id of a millisecond.
fn id_at(ms: i64, fill: u8) -> [u8; 16] {
    let mut id = [fill; 16];
    id[..6].copy_from_slice(&ms.max(0).to_be_bytes()[2..]);
    id
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollbook_model::ports::{ManifestBatch, ManifestPart, RowGroup};

    fn id(ms: i64) -> [u8; 16] {
        let mut id = id_at(ms, 0x11);
        id[6] = 0x80;
        id
    }

    fn part(number: u128, groups: &[(i64, i64)]) -> ManifestPart {
        ManifestPart {
            id: Uuid::from_u128(number),
            path: String::new(),
            day: 0,
            rows: 0,
            bytes: 0,
            sequences: (1, 1),
            unsettled: false,
            layout: 1,
            row_groups: groups
                .iter()
                .map(|&(from, to)| RowGroup { rows: 10, bytes: 1, ids: (id(from), id(to)) })
                .collect(),
        }
    }

    fn batch(number: u128, from: i64, to: i64) -> ManifestBatch {
        ManifestBatch {
            id: Uuid::from_u128(number),
            first_sequence: 1,
            rows: 1,
            time_ms: (from, to),
            bytes: 1,
            unsettled: false,
            received_at_ms: 0,
        }
    }

    #[test]
    fn what_stands_alone_is_straight_and_what_overlaps_is_merged() {
        let snapshot = Snapshot {
            watermark: 9,
            parts: vec![part(1, &[(0, 99), (100, 199), (200, 299)]), part(2, &[(150, 160)])],
            batches: vec![batch(7, 290, 500), batch(8, 900, 900)],
        };
        let tasks = plan(&snapshot, TimeRange::new(50, 901).unwrap());
        let shape: Vec<(usize, usize)> = tasks
            .iter()
            .map(|task| match task {
                Task::Straight(group) => {
                    assert!(!group.inside, "the first row group is cut by the range");
                    (1, 0)
                }
                Task::Merge { row_groups, batches } => (row_groups.len(), batches.len()),
            })
            .collect();
        assert_eq!(shape, [(1, 0), (2, 0), (1, 1), (0, 1)]);
        assert!(plan(&snapshot, TimeRange::new(600, 700).unwrap()).is_empty());
    }

    #[test]
    fn a_plan_can_be_handed_to_another_node() {
        let tasks =
            plan(&Snapshot { parts: vec![part(1, &[(0, 9)])], ..Snapshot::default() }, TimeRange::all());
        let text = serde_json::to_string(&tasks).unwrap();
        assert_eq!(serde_json::from_str::<Vec<Task>>(&text).unwrap(), tasks);
    }
}
