//! Rows that are handed over, not read from journal and lake: at hand, computed when asked for, or page by page.
//!
//! They come sorted and filtered by whoever hands them over; here they are only cut into pieces of work, and no more of
//! them is taken than the next piece needs.

use crate::BATCH_ROWS;
use crate::output::Job;
use crate::pipeline::Source;
use arrow_array::RecordBatch;
use futures::stream::{BoxStream, StreamExt};
use tollbook_columns::rows::batch_from_rows;
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_kit::supervise::StopToken;
use tollbook_model::export::ExportRequest;
use tollbook_model::ports::GivenRow;
use tollbook_model::schema::Schema;

/// Yields the next rows, blocking until they are there; none at the end.
pub(crate) type NextRows = Box<dyn FnMut() -> Result<Option<Vec<GivenRow>>, Fault> + Send>;

/// All rows in one go, computed when the first are asked for.
pub(crate) fn at_once(compute: impl FnOnce() -> Result<Vec<GivenRow>, Fault> + Send + 'static) -> NextRows {
    let mut compute = Some(compute);
    Box::new(move || compute.take().map(|compute| compute()).transpose())
}

/// Page after page, each asked for when the one before is worked on. Must be called from worker threads, which may
/// block; once `stop` is cancelled nobody waits for a page any more.
pub(crate) fn paged(
    runtime: tokio::runtime::Handle,
    pages: BoxStream<'static, Result<Vec<GivenRow>, Fault>>,
    stop: StopToken,
) -> NextRows {
    // The last piece of work may see the end twice.
    let mut pages = pages.fuse();
    Box::new(move || match runtime.block_on(stop.run_until_cancelled(pages.next())) {
        Some(page) => page.transpose(),
        None => Err(Fault::internal("the reader of an export went away")),
    })
}

/// Pieces of work of about `rows_at_once` rows, or of a batch if that is more.
pub(crate) fn jobs(request: &ExportRequest, rows_at_once: usize, next_rows: NextRows) -> Source<Job> {
    let mut batches = Batches {
        schema: Schema::of(request.selection.dataset),
        columns: request.selection.columns.clone(),
        next_rows,
        rows: Vec::new(),
        taken: 0,
    };
    let mut first = true;
    Box::new(move || {
        let (mut gathered, mut rows) = (Vec::new(), 0);
        while rows < rows_at_once {
            let Some(batch) = batches.next()? else { break };
            rows += batch.num_rows();
            gathered.push(batch);
        }
        if gathered.is_empty() {
            return Ok(None);
        }
        let job = Job::Records { batches: gathered, first };
        first = false;
        Ok(Some(job))
    })
}

/// Rows as batches of the output's columns.
struct Batches {
    schema: Schema,
    columns: Vec<usize>,
    next_rows: NextRows,
    rows: Vec<GivenRow>,
    taken: usize,
}

impl Batches {
    /// The next batch, never an empty one; none at the end.
    fn next(&mut self) -> Result<Option<RecordBatch>, Fault> {
        while self.taken == self.rows.len() {
            match (self.next_rows)()? {
                Some(rows) => (self.rows, self.taken) = (rows, 0),
                None => return Ok(None),
            }
        }
        let end = self.rows.len().min(self.taken + BATCH_ROWS);
        let batch = batch_from_rows(&self.schema, &self.rows[self.taken..end])?;
        self.taken = end;
        if end == self.rows.len() {
            (self.rows, self.taken) = (Vec::new(), 0);
        }
        batch.project(&self.columns).fault("choosing columns").map(Some)
    }
}
