//! Pieces of work for records of journal and lake.

use crate::contents::Contents;
use crate::output::{Job, Pieces};
use crate::pipeline::Source;
use crate::plan::plan;
use crate::predicate::Predicate;
use crate::rows::{Next, Rows};
use crate::stretches::within;
use arrow_array::RecordBatch;
use std::collections::VecDeque;
use std::sync::Arc;
use tollbook_kit::fault::Fault;
use tollbook_model::export::ExportRequest;
use tollbook_model::ports::Snapshot;
use tollbook_model::selection::Selection;
use tollbook_model::tenant::TenantName;
use tollbook_model::time_range::TimeRange;

/// All that a request selects.
pub(crate) fn jobs(
    contents: Arc<dyn Contents>,
    snapshot: &Snapshot,
    request: &ExportRequest,
    pieces: Pieces,
) -> Source<Job> {
    selected(contents, snapshot, &request.tenant, &request.selection, pieces)
}

/// All of a selection.
pub(crate) fn selected(
    contents: Arc<dyn Contents>,
    snapshot: &Snapshot,
    tenant: &TenantName,
    selection: &Selection,
    pieces: Pieces,
) -> Source<Job> {
    let mut jobs = StoredJobs::new(contents, snapshot, tenant, selection, selection.range, pieces);
    let mut first = true;
    Box::new(move || jobs.next(&mut first))
}

/// The same, one of these stretches of the range behind the other, with a mark behind each. `first`: there is no record
/// before them in the file.
pub(crate) fn stretched(
    contents: Arc<dyn Contents>,
    snapshot: Snapshot,
    request: &ExportRequest,
    pieces: Pieces,
    mut stretches: VecDeque<TimeRange>,
    mut first: bool,
) -> Source<Job> {
    let (tenant, selection) = (request.tenant.clone(), request.selection.clone());
    let mut current: Option<StoredJobs> = None;
    Box::new(move || {
        if current.is_none() {
            let Some(range) = stretches.pop_front() else { return Ok(None) };
            let snapshot = within(&snapshot, range);
            let contents = Arc::clone(&contents);
            current = Some(StoredJobs::new(contents, &snapshot, &tenant, &selection, range, pieces));
        }
        let job = current.as_mut().map(|jobs| jobs.next(&mut first)).transpose()?.flatten();
        if job.is_none() {
            current = None;
        }
        Ok(Some(job.unwrap_or(Job::StretchEnd)))
    })
}

/// Gathers records to pieces of work.
struct StoredJobs {
    rows: Rows,
    rows_at_once: usize,
    columns: Arc<[usize]>,
    /// Came while batches were gathered; it follows them.
    undecoded: Option<Next>,
}

impl StoredJobs {
    fn new(
        contents: Arc<dyn Contents>,
        snapshot: &Snapshot,
        tenant: &TenantName,
        selection: &Selection,
        range: TimeRange,
        pieces: Pieces,
    ) -> Self {
        let predicate = Predicate::new(range, &selection.filters).with_trunks_of(tenant);
        let tasks = plan(snapshot, range);
        let columns: Arc<[usize]> = selection.columns.clone().into();
        let rows = Rows::new(contents, snapshot, tasks, predicate, columns.to_vec(), pieces.takes_over);
        Self { rows, rows_at_once: pieces.rows_at_once, columns, undecoded: None }
    }

    /// The next piece; none at the end. `first` says that no record was before it, and is not so any more then.
    fn next(&mut self, first: &mut bool) -> Result<Option<Job>, Fault> {
        let mut batches: Vec<RecordBatch> = Vec::new();
        let mut gathered = 0;
        while gathered < self.rows_at_once && self.undecoded.is_none() {
            match self.rows.advance()? {
                Some(Next::Batch(batch)) => {
                    gathered += batch.num_rows();
                    batches.push(batch);
                }
                Some(other) => self.undecoded = Some(other),
                None => break,
            }
        }
        let job = match (batches.is_empty(), self.undecoded.take()) {
            // What was gathered goes first; the other comes with the next piece.
            (false, later) => {
                self.undecoded = later;
                Job::Records { batches, first: *first }
            }
            (true, Some(Next::Whole(part, row_group))) => Job::Whole(part, row_group),
            (true, Some(Next::Few(part, row_group, mask))) => {
                Job::Few { part, row_group, mask, columns: Arc::clone(&self.columns), first: *first }
            }
            (true, _) => return Ok(None),
        };
        *first = false;
        Ok(Some(job))
    }
}
