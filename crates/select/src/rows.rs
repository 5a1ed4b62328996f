//! The records of a plan, as a sequence of batches: task after task, in order.
//!
//! Filters are evaluated on their own columns first; the others are decoded only for the rows that passed.

use crate::BATCH_ROWS;
use crate::contents::Contents;
use crate::merge::Merge;
use crate::plan::{RowGroupRef, Task};
use crate::predicate::Predicate;
use arrow_array::RecordBatch;
use arrow_buffer::{BooleanBuffer, BooleanBufferBuilder};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tollbook_columns::parquet_file::{PartFile, PartRows, RowChoice};
use tollbook_kit::fault::Fault;
use tollbook_model::ports::{ManifestPart, Snapshot};
use uuid::Uuid;

/// Rows of a batch of filter columns only.
const FILTER_BATCH_ROWS: usize = 32 * 1024;

/// What comes next in the order of the output.
pub(crate) enum Next {
    /// Records of the wanted columns.
    Batch(RecordBatch),
    /// A row group all of whose records are wanted, handed over undecoded because the reader asked for it.
    Whole(PartFile, usize),
    /// A row group few of whose records are wanted, at most a batch, handed over with their mask likewise.
    Few(PartFile, usize, BooleanBuffer),
}

/// What the reader of [`Rows`] takes undecoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandOver {
    /// Nothing: everything comes as batches.
    Nothing,
    /// Row groups that are wanted whole.
    Whole,
    /// Row groups of which little is wanted, so that several threads can look for it.
    Few,
}

/// Reads the records of a plan.
pub(crate) struct Rows {
    contents: Arc<dyn Contents>,
    parts: HashMap<Uuid, ManifestPart>,
    first_sequences: HashMap<Uuid, u64>,
    tasks: VecDeque<Task>,
    predicate: Predicate,
    columns: Vec<usize>,
    hand_over: HandOver,
    current: Option<Current>,
}

enum Current {
    Straight(PartRows),
    Merge(Merge),
}

impl Rows {
    /// Reads `tasks` of `snapshot`: stored columns `columns`, in order, of records that pass `predicate`; what
    /// `hand_over` names is not decoded.
    pub(crate) fn new(
        contents: Arc<dyn Contents>,
        snapshot: &Snapshot,
        tasks: Vec<Task>,
        predicate: Predicate,
        columns: Vec<usize>,
        hand_over: HandOver,
    ) -> Self {
        Self {
            contents,
            parts: snapshot.parts.iter().map(|part| (part.id, part.clone())).collect(),
            first_sequences: snapshot.batches.iter().map(|batch| (batch.id, batch.first_sequence)).collect(),
            tasks: tasks.into(),
            predicate,
            columns,
            hand_over,
            current: None,
        }
    }

    /// The next records; none at the end. Never an empty batch.
    ///
    /// # Errors
    /// `internal` when something stored cannot be read. Nothing follows.
    pub(crate) fn advance(&mut self) -> Result<Option<Next>, Fault> {
        loop {
            let batch = match &mut self.current {
                Some(Current::Straight(rows)) => rows.next().transpose()?,
                Some(Current::Merge(merge)) => merge.advance()?,
                None => None,
            };
            match batch {
                Some(batch) if batch.num_rows() > 0 => return Ok(Some(Next::Batch(batch))),
                Some(_) => continue,
                None => {}
            }
            let Some(task) = self.tasks.pop_front() else { return Ok(None) };
            match task {
                Task::Straight(row_group) => {
                    if let Some(next) = self.start_straight(row_group)? {
                        return Ok(Some(next));
                    }
                }
                Task::Merge { row_groups, batches } => self.start_merge(&row_groups, &batches)?,
            }
        }
    }

    fn start_straight(&mut self, row_group: RowGroupRef) -> Result<Option<Next>, Fault> {
        self.current = None;
        let part = self.open(row_group.part)?;
        if self.predicate.rules_out(&part, row_group.row_group) {
            return Ok(None);
        }
        let whole = row_group.inside && !self.predicate.has_filters();
        if whole && self.hand_over == HandOver::Whole {
            return Ok(Some(Next::Whole(part, row_group.row_group)));
        }
        let choice = if whole { RowChoice::All } else { self.choose(&part, row_group)? };
        if let RowChoice::Mask(mask) = &choice {
            let chosen = mask.count_set_bits();
            if chosen == 0 {
                return Ok(None);
            }
            if chosen <= BATCH_ROWS && self.hand_over == HandOver::Few {
                return Ok(Some(Next::Few(part, row_group.row_group, mask.clone())));
            }
        }
        self.current =
            Some(Current::Straight(part.read(row_group.row_group, &self.columns, BATCH_ROWS, choice)?));
        Ok(None)
    }

    fn choose(&self, part: &PartFile, row_group: RowGroupRef) -> Result<RowChoice, Fault> {
        let with_range = !row_group.inside;
        let columns = self.predicate.columns(with_range);
        let mut mask = BooleanBufferBuilder::new(usize::try_from(row_group.rows).unwrap_or(0));
        for batch in part.read(row_group.row_group, &columns, FILTER_BATCH_ROWS, RowChoice::All)? {
            mask.append_buffer(&self.predicate.evaluate(&batch?, &columns, with_range));
        }
        let mask: BooleanBuffer = mask.finish();
        Ok(if mask.count_set_bits() == mask.len() { RowChoice::All } else { RowChoice::Mask(mask) })
    }

    fn start_merge(&mut self, row_groups: &[RowGroupRef], batches: &[Uuid]) -> Result<(), Fault> {
        let mut merge = Merge::new(&self.columns, self.predicate.clone());
        for row_group in row_groups {
            merge.add_row_group(self.open(row_group.part)?, row_group.row_group, row_group.first_id);
        }
        let numbered = self
            .contents
            .batches(batches)?
            .into_iter()
            .zip(batches)
            .map(|(bytes, id)| match self.first_sequences.get(id) {
                Some(&first_sequence) => Ok((bytes, first_sequence)),
                None => Err(Fault::internal("a planned batch is not in the snapshot")),
            })
            .collect::<Result<Vec<_>, _>>()?;
        merge.add_batches(&numbered)?;
        self.current = Some(Current::Merge(merge));
        Ok(())
    }

    fn open(&self, part: Uuid) -> Result<PartFile, Fault> {
        let part =
            self.parts.get(&part).ok_or_else(|| Fault::internal("a planned part is not in the snapshot"))?;
        self.contents.part(part)
    }
}
