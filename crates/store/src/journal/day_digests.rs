//! Reads digests of records of the lake, which keeps none: made from all columns of the row groups that may hold
//! repeated ids.
//!
//! Nothing here decides what a repetition is.

use super::recent_ids::Known;
use crate::blob::Blobs;
use crate::lake::part_rows::PartBatches;
use crate::record_keys::{RecordId, RecordKeys};
use rustc_hash::FxHashMap;
use tollbook_columns::layout::{SEALED_CALLING_PARTY, STORED_COLUMNS};
use tollbook_kit::fault::Fault;
use tollbook_model::ports::{ManifestPart, Snapshot};

/// Rows decoded at a time, with nearly all columns.
const BATCH_ROWS: usize = 8 * 1024;

/// The latest content of ids of `day` in the lake: of `repeated`, which are sorted, and of their neighbours, which have
/// to be read anyway and are likely to be asked for next. Blocks.
///
/// # Errors
/// `internal` when a part cannot be read.
pub(super) fn read(
    snapshot: &Snapshot,
    day: i32,
    repeated: &[RecordId],
    blobs: &dyn Blobs,
) -> Result<FxHashMap<RecordId, Known>, Fault> {
    let parts: Vec<&ManifestPart> = snapshot.parts.iter().filter(|part| part.day == day).collect();
    // Where an id may be in several parts, its latest content is known only once all of them are read.
    let unsettled = parts.iter().any(|part| part.unsettled);
    let columns: Vec<usize> = (0..STORED_COLUMNS).filter(|&at| at != SEALED_CALLING_PARTY).collect();
    let mut latest: FxHashMap<RecordId, (u64, Known)> = FxHashMap::default();
    for part in parts {
        let wanted: Vec<usize> = (0..part.row_groups.len())
            .filter(|&at| unsettled || touches(part.row_groups[at].ids, repeated))
            .collect();
        if wanted.is_empty() {
            continue;
        }
        let batches = PartBatches::open(blobs, &part.path, &columns, BATCH_ROWS)?;
        for batch in batches.of_row_groups(wanted) {
            let batch = batch?;
            let mut keys = RecordKeys::of(&batch)?;
            keys.make_digests(&batch)?;
            for row in 0..keys.len() {
                let found = (keys.sequence(row), Known::new(keys.digest(row), keys.revision(row)));
                let entry = latest.entry(keys.id(row)).or_insert(found);
                if entry.0 < found.0 {
                    *entry = found;
                }
            }
        }
    }
    Ok(latest.into_iter().map(|(id, (_, known))| (id, known)).collect())
}

/// Is one of these ids, which are sorted, between the first and the last id of a row group?
fn touches((first, last): (RecordId, RecordId), ids: &[RecordId]) -> bool {
    ids.get(ids.partition_point(|id| *id < first)).is_some_and(|id| *id <= last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_group_is_touched_by_ids_from_its_first_to_its_last() {
        let id = |at: u8| [at; 16];
        let ids = [id(2), id(5), id(9)];
        for (span, touched) in [
            ((0, 1), false),
            ((0, 2), true),
            ((3, 4), false),
            ((5, 5), true),
            ((6, 20), true),
            ((10, 20), false),
        ] {
            assert_eq!(touches((id(span.0), id(span.1)), &ids), touched, "{span:?}");
        }
        assert!(!touches((id(0), id(255)), &[]));
    }
}
