//! Estimates: rows from the manifest, share of filtered rows and bytes per row from a sample.
//!
//! An estimate decides between a download and a job; it is no promise.

use crate::contents::Contents;
use crate::encoded::Encoded;
use crate::output::{Job, Output};
use crate::plan::{Task, plan};
use crate::predicate::Predicate;
use crate::rows::{HandOver, Next, Rows};
use arrow_array::RecordBatch;
use std::sync::Arc;
use tollbook_columns::rows::batch_from_rows;
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_model::call::CallField;
use tollbook_model::export::{Estimate, ExportRequest};
use tollbook_model::ports::{GivenRow, Snapshot};
use tollbook_model::schema::Schema;

/// Row groups or merges looked into, spread over the plan.
const SAMPLED_TASKS: usize = 3;
/// Rows encoded to learn their size.
const SAMPLED_ROWS: usize = 2_000;
/// Bytes of a value where no row is at hand to learn it from.
const VALUE_BYTES: u64 = 16;

/// Estimates an export from journal and lake. Blocking.
pub(crate) fn stored(
    contents: &Arc<dyn Contents>,
    snapshot: &Snapshot,
    request: &ExportRequest,
) -> Result<Estimate, Fault> {
    let selection = &request.selection;
    let tasks = plan(snapshot, selection.range);
    let planned: u64 = tasks.iter().map(|task| task_rows(task, snapshot)).sum();
    let read = |task: &Task, columns: Vec<usize>| {
        let predicate = Predicate::new(selection.range, &selection.filters).with_trunks_of(&request.tenant);
        Rows::new(Arc::clone(contents), snapshot, vec![task.clone()], predicate, columns, HandOver::Nothing)
    };
    let (mut seen, mut passed) = (0u64, 0u64);
    let mut sample: Vec<RecordBatch> = Vec::new();
    let mut sampled = 0;
    for task in chosen(&tasks) {
        let mut rows = read(task, vec![CallField::StartAt as usize]);
        seen += task_rows(task, snapshot);
        while let Some(next) = rows.advance()? {
            if let Next::Batch(batch) = next {
                passed += batch.num_rows() as u64;
            }
        }
        let mut rows = read(task, selection.columns.clone());
        while sampled < SAMPLED_ROWS {
            let Some(next) = rows.advance()? else { break };
            if let Next::Batch(batch) = next {
                sample.push(batch.slice(0, batch.num_rows().min(SAMPLED_ROWS - sampled)));
                sampled += batch.num_rows();
            }
        }
    }
    let rows = if seen == 0 { 0 } else { (planned as f64 * passed as f64 / seen as f64).round() as u64 };
    with_sample(request, rows, &sample)
}

/// The tasks that are looked into: row groups that stand alone if there are any, else merges, spread over the plan.
fn chosen(tasks: &[Task]) -> Vec<&Task> {
    let alone: Vec<&Task> = tasks.iter().filter(|task| matches!(task, Task::Straight(_))).collect();
    let candidates = if alone.is_empty() { tasks.iter().collect() } else { alone };
    let step = candidates.len().div_ceil(SAMPLED_TASKS).max(1);
    candidates.into_iter().step_by(step).collect()
}

/// Estimates an export of about `rows` rows that are handed over, of which these are the first. A first page may be
/// empty although others are not.
pub(crate) fn given(request: &ExportRequest, rows: u64, first: &[GivenRow]) -> Result<Estimate, Fault> {
    if first.is_empty() {
        let row_bytes = VALUE_BYTES * request.selection.columns.len() as u64;
        return Ok(Estimate { rows, bytes: rows.saturating_mul(row_bytes) });
    }
    let schema = Schema::of(request.selection.dataset);
    let some = &first[..first.len().min(SAMPLED_ROWS)];
    let batch =
        batch_from_rows(&schema, some)?.project(&request.selection.columns).fault("choosing columns")?;
    with_sample(request, rows, &[batch])
}

fn task_rows(task: &Task, snapshot: &Snapshot) -> u64 {
    match task {
        Task::Straight(row_group) => row_group.rows,
        Task::Merge { row_groups, batches } => {
            let journal =
                snapshot.batches.iter().filter(|batch| batches.contains(&batch.id)).map(|batch| batch.rows);
            row_groups.iter().map(|row_group| row_group.rows).chain(journal).sum()
        }
    }
}

fn with_sample(request: &ExportRequest, rows: u64, sample: &[RecordBatch]) -> Result<Estimate, Fault> {
    let sampled: usize = sample.iter().map(RecordBatch::num_rows).sum();
    if sampled == 0 {
        return Ok(Estimate { rows: 0, bytes: 0 });
    }
    let encoded =
        Output::new(request)?.worker().encode(Job::Records { batches: sample.to_vec(), first: true })?;
    let bytes = match encoded {
        Encoded::Text { text, .. } => text.len() as u64,
        Encoded::Block { block, .. } => block.bytes.len() as u64,
        Encoded::RowGroup(group) => group.bytes(),
        Encoded::StretchEnd => 0,
    };
    Ok(Estimate { rows, bytes: (bytes as f64 / sampled as f64 * rows as f64).round() as u64 })
}
