//! The k-way merge: sorted inputs in, one sorted stream out, each id once. Memory is one batch per input at a time.
//!
//! Where the inputs do not overlap, whole stretches pass through unsorted and uncopied.

use super::fresh_rows::FreshRows;
use super::part_rows::PartBatches;
use super::plan::id_span;
use super::settle::{SettledCounts, Version, settle};
use crate::blob::Blobs;
use crate::journal::number_revisions;
use crate::record_keys::{RecordId, RecordKeys};
use arrow_array::RecordBatch;
use arrow_select::interleave::interleave_record_batch;
use std::sync::Arc;
use tollbook_columns::layout::STORED_COLUMNS;
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_model::ports::ManifestPart;

/// Records read from an input at a time.
const BATCH_ROWS: usize = 4096;
/// A stretch of one input from this length on is passed through as it is.
const STRETCH_ROWS: usize = 512;

/// Merges new records and parts of one day.
pub(super) struct Merge {
    inputs: Vec<Input>,
    counts: SettledCounts,
}

enum Source {
    Fresh(FreshRows),
    /// A part is opened when its first record's turn comes.
    Part {
        blobs: Arc<dyn Blobs>,
        path: String,
    },
    Opened(PartBatches),
}

struct Input {
    source: Source,
    /// First id that was not given out; none when the input is at its end.
    head: Option<RecordId>,
    loaded: Option<Loaded>,
}

struct Loaded {
    batch: RecordBatch,
    keys: RecordKeys,
    row: usize,
}

/// A stretch of the least input, or records picked one by one.
#[derive(Default)]
struct Picked {
    rows: Vec<(usize, usize)>,
    numbers: Vec<(usize, i64)>,
}

impl Merge {
    /// A merge of these inputs. `fresh` may be absent.
    pub(super) fn new(blobs: &Arc<dyn Blobs>, fresh: Option<FreshRows>, parts: &[ManifestPart]) -> Self {
        let mut inputs = Vec::with_capacity(parts.len() + 1);
        for part in parts {
            let source = Source::Part { blobs: Arc::clone(blobs), path: part.path.clone() };
            inputs.push(Input { source, head: id_span(part).map(|span| span.0), loaded: None });
        }
        if let Some(fresh) = fresh {
            let head = fresh.id_span().map(|span| span.0);
            inputs.push(Input { source: Source::Fresh(fresh), head, loaded: None });
        }
        Self { inputs, counts: SettledCounts::default() }
    }

    /// Repetitions settled so far.
    pub(super) fn counts(&self) -> SettledCounts {
        self.counts
    }

    /// The next records by rising id; none at the end.
    ///
    /// # Errors
    /// `internal` when an input cannot be read.
    pub(super) fn next_piece(&mut self) -> Result<Option<RecordBatch>, Fault> {
        let mut picked = Picked::default();
        while let Some((least, id, bound)) = self.least() {
            if bound == Some(id) {
                if !self.load_all_at(id, &picked)? {
                    break;
                }
                self.pick_settled(id, &mut picked)?;
            } else {
                if !self.inputs[least].is_loaded() && !self.load(least, &picked)? {
                    break;
                }
                let stretch = self.inputs[least].stretch_before(bound);
                if stretch >= STRETCH_ROWS {
                    if !picked.rows.is_empty() {
                        break;
                    }
                    return Ok(self.inputs[least].take_slice(stretch));
                }
                let from = self.inputs[least].row();
                picked.rows.extend((from..from + stretch).map(|row| (least, row)));
                self.inputs[least].advance(stretch);
            }
            if picked.rows.len() >= BATCH_ROWS {
                break;
            }
        }
        if picked.rows.is_empty() { Ok(None) } else { self.put_together(&picked).map(Some) }
    }

    /// The input with the least head, that head, and the least head of the others.
    fn least(&self) -> Option<(usize, RecordId, Option<RecordId>)> {
        let mut least: Option<(usize, RecordId)> = None;
        let mut bound = None;
        for (at, input) in self.inputs.iter().enumerate() {
            let Some(head) = input.head else { continue };
            match least {
                Some((_, id)) if id <= head => bound = Some(bound.map_or(head, |b: RecordId| b.min(head))),
                before => {
                    bound = before.map(|(_, id)| id).or(bound);
                    least = Some((at, head));
                }
            }
        }
        least.map(|(at, id)| (at, id, bound))
    }

    /// Loads an input's next batch; false when picked records still point into its present one.
    fn load(&mut self, at: usize, picked: &Picked) -> Result<bool, Fault> {
        if picked.rows.iter().any(|&(input, _)| input == at) {
            return Ok(false);
        }
        self.inputs[at].load_next()?;
        Ok(true)
    }

    fn load_all_at(&mut self, id: RecordId, picked: &Picked) -> Result<bool, Fault> {
        for at in 0..self.inputs.len() {
            let waits = self.inputs[at].head == Some(id) && !self.inputs[at].is_loaded();
            if waits && !self.load(at, picked)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Picks the record that counts among the heads with this id, and steps over the others.
    fn pick_settled(&mut self, id: RecordId, picked: &mut Picked) -> Result<(), Fault> {
        let mut versions: Vec<(Version, usize, usize)> = Vec::new();
        for (at, input) in self.inputs.iter_mut().enumerate() {
            if input.head != Some(id) {
                continue;
            }
            if let Some(loaded) = &mut input.loaded {
                versions.push((loaded.version()?, at, loaded.row));
            }
            input.advance(1);
        }
        versions.sort_by_key(|(version, _, _)| version.sequence);
        let only: Vec<Version> = versions.iter().map(|(version, _, _)| *version).collect();
        let number = settle(&only, &mut self.counts);
        if let Some(&(version, input, row)) = versions.last() {
            if let Some(number) = number.filter(|&number| number != version.revision) {
                picked.numbers.push((picked.rows.len(), number));
            }
            picked.rows.push((input, row));
        }
        Ok(())
    }

    fn put_together(&self, picked: &Picked) -> Result<RecordBatch, Fault> {
        let mut batches = Vec::with_capacity(self.inputs.len());
        let mut position = vec![0; self.inputs.len()];
        for (at, input) in self.inputs.iter().enumerate() {
            position[at] = batches.len();
            batches.extend(input.loaded.as_ref().map(|loaded| &loaded.batch));
        }
        let rows: Vec<(usize, usize)> =
            picked.rows.iter().map(|&(input, row)| (position[input], row)).collect();
        let merged = interleave_record_batch(&batches, &rows).fault("merging records")?;
        number_revisions(&merged, &picked.numbers)
    }
}

impl Input {
    /// Is the head a row of the loaded batch? Once a batch is used up, the head is that of the next one, which is
    /// loaded for it at once; so this is false only for a part that was not opened yet, or at a batch's end.
    fn is_loaded(&self) -> bool {
        self.loaded.as_ref().is_some_and(|loaded| loaded.row < loaded.keys.len())
    }

    fn row(&self) -> usize {
        self.loaded.as_ref().map_or(0, |loaded| loaded.row)
    }

    fn load_next(&mut self) -> Result<(), Fault> {
        let batch = loop {
            match &mut self.source {
                Source::Part { blobs, path } => {
                    let columns: Vec<usize> = (0..STORED_COLUMNS).collect();
                    self.source =
                        Source::Opened(PartBatches::open(blobs.as_ref(), path, &columns, BATCH_ROWS)?);
                }
                Source::Opened(batches) => break batches.next().transpose()?,
                Source::Fresh(fresh) => break fresh.next_batch(BATCH_ROWS)?,
            }
        };
        self.loaded = match batch {
            Some(batch) => Some(Loaded { keys: RecordKeys::of(&batch)?, batch, row: 0 }),
            None => None,
        };
        self.head = self.loaded.as_ref().map(|loaded| loaded.keys.id(0));
        Ok(())
    }

    /// Rows from the present one on whose ids are below `bound`.
    fn stretch_before(&self, bound: Option<RecordId>) -> usize {
        let Some(loaded) = &self.loaded else { return 0 };
        let (mut low, mut high) = (loaded.row, loaded.keys.len());
        if let Some(bound) = bound {
            while low < high {
                let middle = low + (high - low) / 2;
                if loaded.keys.id(middle) < bound { low = middle + 1 } else { high = middle }
            }
        } else {
            low = high;
        }
        low - loaded.row
    }

    fn take_slice(&mut self, rows: usize) -> Option<RecordBatch> {
        let slice = self.loaded.as_ref().map(|loaded| loaded.batch.slice(loaded.row, rows));
        self.advance(rows);
        slice
    }

    /// Steps on. At the end of a batch the head stays at its last id: the next batch is loaded before anything else.
    fn advance(&mut self, rows: usize) {
        if let Some(loaded) = &mut self.loaded {
            loaded.row += rows;
            if loaded.row < loaded.keys.len() {
                self.head = Some(loaded.keys.id(loaded.row));
            }
        }
    }
}

impl Loaded {
    fn version(&mut self) -> Result<Version, Fault> {
        Ok(Version {
            sequence: self.keys.sequence(self.row),
            digest: self.keys.digest_of(&self.batch, self.row)?,
            revision: self.keys.revision(self.row),
        })
    }
}
