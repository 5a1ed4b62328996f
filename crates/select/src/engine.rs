//! The data plane: pins a snapshot, plans, and streams an export's bytes.

use crate::completeness::Digester;
use crate::contents::{Contents, Footers, StoredContents};
use crate::output::{Job, Output};
use crate::pipeline::{self, Source, Width};
use crate::plan::plan;
use crate::predicate::Predicate;
use crate::rows::{Next, Rows};
use crate::{estimate, given, kpis};
use arrow_array::RecordBatch;
use async_trait::async_trait;
use futures::channel::oneshot;
use futures::stream::StreamExt;
use std::sync::Arc;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_kit::supervise::StopToken;
use tollbook_model::dataset::Dataset;
use tollbook_model::export::{Estimate, ExportRequest};
use tollbook_model::ports::{
    CompletenessStream, DataPlane, ExportRows, ExportStream, Manifest, Rollup, Snapshot, SnapshotScope,
};
use tollbook_store::lake::snapshots::SnapshotReader;

/// How exports use the machine.
#[derive(Debug, Clone, Copy)]
pub struct EngineConfig {
    /// Threads that encode one export; at least 1.
    pub workers: usize,
}

impl Default for EngineConfig {
    /// As many as the machine has processors, at most 8.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        Self { workers: processors.min(8) }
    }
}

/// Exports from journal and lake.
pub struct Engine {
    snapshots: SnapshotReader,
    manifest: Arc<dyn Manifest>,
    footers: Arc<Footers>,
    clock: Arc<dyn Clock>,
    config: EngineConfig,
}

impl Engine {
    /// An engine over a store.
    pub fn new(
        snapshots: SnapshotReader,
        manifest: Arc<dyn Manifest>,
        clock: Arc<dyn Clock>,
        config: EngineConfig,
    ) -> Self {
        Self { snapshots, manifest, footers: Arc::new(Footers::default()), clock, config }
    }

    fn width(&self, output: &Output) -> Width {
        let workers = self.config.workers.max(1);
        Width { workers, window: workers + output.results_ahead() }
    }

    async fn pin(&self, request: &ExportRequest) -> Result<(Arc<dyn Contents>, Snapshot), Fault> {
        let scope = SnapshotScope { tenant: request.tenant.clone(), dataset: Dataset::Cdr };
        let pinned = self.snapshots.pin(&scope, request.selection.range).await?;
        let snapshot = Snapshot::clone(&pinned);
        let runtime = tokio::runtime::Handle::current();
        let contents = StoredContents { snapshot: pinned, footers: Arc::clone(&self.footers), runtime };
        Ok((Arc::new(contents), snapshot))
    }

    async fn settled_rollups(&self, snapshot: &Snapshot) -> Result<Vec<Rollup>, Fault> {
        let parts = kpis::settled_parts(snapshot);
        Ok(self.manifest.rollups(&parts).await?.into_iter().map(|(_, rollup)| rollup).collect())
    }

    /// The pieces of work of a request, and the watermark of the snapshot that they are of. The output says how large
    /// pieces are and what is handed over undecoded.
    async fn source(
        &self,
        request: &ExportRequest,
        rows: ExportRows,
        output: &Output,
        stop: &StopToken,
    ) -> Result<(u64, Source<Job>), Fault> {
        let at_once = output.rows_at_once();
        Ok(match (request.selection.dataset, rows) {
            (Dataset::Cdr, ExportRows::Stored) => {
                let (contents, snapshot) = self.pin(request).await?;
                (snapshot.watermark, stored_jobs(contents, &snapshot, request, output))
            }
            (Dataset::Kpis, ExportRows::Stored) => {
                let (contents, snapshot) = self.pin(request).await?;
                let rollups = self.settled_rollups(&snapshot).await?;
                let selection = request.selection.clone();
                let watermark = snapshot.watermark;
                let compute = move || kpis::rows(&contents, &snapshot, &rollups, &selection);
                (watermark, given::jobs(request, at_once, given::at_once(compute)))
            }
            (_, ExportRows::Given(rows)) => {
                (0, given::jobs(request, at_once, given::at_once(move || Ok(rows))))
            }
            (_, ExportRows::Paged { pages, .. }) => {
                let pages = given::paged(tokio::runtime::Handle::current(), pages, stop.clone());
                (0, given::jobs(request, at_once, pages))
            }
            (dataset, ExportRows::Stored | ExportRows::Pinned(_)) => {
                return Err(Fault::internal(format!("the dataset {dataset} is not in journal and lake")));
            }
        })
    }
}

#[async_trait]
impl DataPlane for Engine {
    async fn export(&self, request: ExportRequest, rows: ExportRows) -> Result<ExportStream, Fault> {
        let snapshot_at_ms = self.clock.now_ms();
        let output = Output::new(&request)?;
        let stop = StopToken::new();
        let (watermark, source) = self.source(&request, rows, &output, &stop).await?;
        let width = self.width(&output);
        let (told, file) = oneshot::channel();
        let (worker, writer) = (output.worker(), output.writer(told));
        let runtime = tokio::runtime::Handle::current();
        let chunks = pipeline::run(&runtime, width, source, move |job| worker.encode(job), writer);
        let chunks = pipeline::stopping(chunks, stop);
        Ok(ExportStream { snapshot_at_ms, watermark, chunks, file })
    }

    async fn completeness(
        &self,
        request: ExportRequest,
        rows: ExportRows,
    ) -> Result<CompletenessStream, Fault> {
        let snapshot_at_ms = self.clock.now_ms();
        let digester = Digester::of(request.selection.dataset)?;
        let export = digester.export(request);
        let output = Output::new(&export)?;
        let stop = StopToken::new();
        let (watermark, source) = self.source(&digester.reading(export), rows, &output, &stop).await?;
        let (width, report) = (self.width(&output), digester.report());
        let runtime = tokio::runtime::Handle::current();
        let hours = pipeline::run(&runtime, width, source, move |job| digester.digest(job), report);
        Ok(CompletenessStream { snapshot_at_ms, watermark, hours: pipeline::stopping(hours, stop) })
    }

    async fn estimate(&self, request: &ExportRequest, rows: ExportRows) -> Result<Estimate, Fault> {
        let given = match (request.selection.dataset, rows) {
            (Dataset::Cdr, _) => {
                let (contents, snapshot) = self.pin(request).await?;
                let request = request.clone();
                return tokio::task::spawn_blocking(move || estimate::stored(&contents, &snapshot, &request))
                    .await
                    .fault("estimating an export")?;
            }
            (Dataset::Kpis, _) => {
                let (contents, snapshot) = self.pin(request).await?;
                let rollups = self.settled_rollups(&snapshot).await?;
                let selection = request.selection.clone();
                tokio::task::spawn_blocking(move || kpis::rows(&contents, &snapshot, &rollups, &selection))
                    .await
                    .fault("estimating an export")??
            }
            (_, ExportRows::Given(rows)) => rows,
            (_, ExportRows::Paged { about, mut pages }) => {
                return match pages.next().await.transpose()? {
                    Some(page) => estimate::given(request, about, &page),
                    None => Ok(Estimate { rows: 0, bytes: 0 }),
                };
            }
            (dataset, ExportRows::Stored | ExportRows::Pinned(_)) => {
                return Err(Fault::internal(format!("the dataset {dataset} is not in journal and lake")));
            }
        };
        estimate::given(request, given.len() as u64, &given)
    }
}

/// Pieces of work for records of journal and lake.
fn stored_jobs(
    contents: Arc<dyn Contents>,
    snapshot: &Snapshot,
    request: &ExportRequest,
    output: &Output,
) -> Source<Job> {
    let selection = &request.selection;
    let predicate = Predicate::new(selection.range, &selection.filters).with_trunks_of(&request.tenant);
    let tasks = plan(snapshot, selection.range);
    let columns: Arc<[usize]> = selection.columns.clone().into();
    let mut rows = Rows::new(contents, snapshot, tasks, predicate, columns.to_vec(), output.takes_over());
    let rows_at_once = output.rows_at_once();
    let mut undecoded: Option<Next> = None;
    let mut first = true;
    Box::new(move || {
        let mut batches: Vec<RecordBatch> = Vec::new();
        let mut gathered = 0;
        while gathered < rows_at_once && undecoded.is_none() {
            match rows.advance()? {
                Some(Next::Batch(batch)) => {
                    gathered += batch.num_rows();
                    batches.push(batch);
                }
                Some(other) => undecoded = Some(other),
                None => break,
            }
        }
        let job = match (batches.is_empty(), undecoded.take()) {
            // What was gathered goes first; the other comes with the next piece.
            (false, later) => {
                undecoded = later;
                Job::Records { batches, first }
            }
            (true, Some(Next::Whole(part, row_group))) => Job::Whole(part, row_group),
            (true, Some(Next::Few(part, row_group, mask))) => {
                Job::Few { part, row_group, mask, columns: Arc::clone(&columns), first }
            }
            (true, _) => return Ok(None),
        };
        first = false;
        Ok(Some(job))
    })
}
