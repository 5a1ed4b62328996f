//! The data plane: pins a snapshot, plans, and streams an export's bytes.

use crate::completeness::Digester;
use crate::contents::{Contents, Footers, StoredContents};
use crate::file_writer::StreamedFile;
use crate::output::{Job, Output};
use crate::part_state::{Kept, damaged};
use crate::part_writer::{PartSize, PartWriter, PartsOf};
use crate::pipeline::{self, Source, Width};
use crate::stretches::{Stretch, stretches};
use crate::trunks::{self, Trunks};
use crate::{estimate, given, kpis, stored};
use async_trait::async_trait;
use futures::channel::oneshot;
use futures::stream::{StreamExt, TryStreamExt};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_kit::supervise::StopToken;
use tollbook_model::call::{Trunk, TrunkIds};
use tollbook_model::dataset::Dataset;
use tollbook_model::export::{Estimate, ExportCounters, ExportRequest};
use tollbook_model::export_job::ExportPart;
use tollbook_model::format::ExportFormat;
use tollbook_model::ports::{
    CompletenessStream, DataPlane, ExportParts, ExportRows, ExportStream, Manifest, Rollup, Snapshot,
    SnapshotScope,
};
use tollbook_model::tenant::TenantName;
use tollbook_store::artifacts::PartStore;
use tollbook_store::lake::snapshots::{PinnedSnapshot, SnapshotReader};

/// Of Parquet with filters a stretch is so many times longer: each ends a row group, and most of its records do not pass.
const FILTERED_PARQUET: u64 = 8;

/// How exports use the machine.
#[derive(Debug, Clone, Copy)]
pub struct EngineConfig {
    /// Threads that encode one export; at least 1.
    pub workers: usize,
    /// Stored records of a stretch of time, about, behind which an export that is written in parts can be gone on with.
    /// 250,000: a second's work.
    pub stretch_records: u64,
    /// A part ends with the stretch in which it has this size. 8 MiB.
    pub part_bytes: u64,
    /// Or is of this age. 5 s.
    pub part_time: Duration,
}

impl Default for EngineConfig {
    /// As many as the machine has processors, at most 8.
    fn default() -> Self {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            workers: processors.min(8),
            stretch_records: 250_000,
            part_bytes: 8 << 20,
            part_time: Duration::from_secs(5),
        }
    }
}

/// Exports from journal and lake.
pub struct Engine {
    snapshots: SnapshotReader,
    manifest: Arc<dyn Manifest>,
    footers: Arc<Footers>,
    parts: PartStore,
    clock: Arc<dyn Clock>,
    config: EngineConfig,
}

impl Engine {
    /// An engine over a store, which writes parts of exports to `parts`.
    pub fn new(
        snapshots: SnapshotReader,
        manifest: Arc<dyn Manifest>,
        parts: PartStore,
        clock: Arc<dyn Clock>,
        config: EngineConfig,
    ) -> Self {
        Self { snapshots, manifest, footers: Arc::new(Footers::default()), parts, clock, config }
    }

    fn width(&self, output: &Output) -> Width {
        let workers = self.config.workers.max(1);
        Width { workers, window: workers + output.results_ahead() }
    }

    /// What journal and lake hold of the request: now, or as it was pinned for a job.
    async fn pin(
        &self,
        request: &ExportRequest,
        rows: ExportRows,
    ) -> Result<(Arc<dyn Contents>, Snapshot), Fault> {
        let scope = SnapshotScope { tenant: request.tenant.clone(), dataset: Dataset::Cdr };
        let pinned = match rows {
            ExportRows::Pinned(snapshot) => self.snapshots.held(&scope, *snapshot),
            _ => self.snapshots.pin(&scope, request.selection.range).await?,
        };
        Ok(self.opened(pinned))
    }

    fn opened(&self, pinned: PinnedSnapshot) -> (Arc<dyn Contents>, Snapshot) {
        let snapshot = Snapshot::clone(&pinned);
        let runtime = tokio::runtime::Handle::current();
        let contents = StoredContents { snapshot: pinned, footers: Arc::clone(&self.footers), runtime };
        (Arc::new(contents), snapshot)
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
        let pieces = output.pieces();
        let at_once = pieces.rows_at_once;
        Ok(match (request.selection.dataset, rows) {
            (Dataset::Cdr, sight @ (ExportRows::Stored | ExportRows::Pinned(_))) => {
                let (contents, snapshot) = self.pin(request, sight).await?;
                (snapshot.watermark, stored::jobs(contents, &snapshot, request, pieces))
            }
            (Dataset::Kpis, sight @ (ExportRows::Stored | ExportRows::Pinned(_))) => {
                let (contents, snapshot) = self.pin(request, sight).await?;
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

    /// The pieces of work that are left behind what is kept, the stretches that they are of, and how many records were
    /// looked at for the stretches before.
    async fn stretched_source(
        &self,
        request: &ExportRequest,
        rows: ExportRows,
        kept: Option<&Kept>,
        output: &Output,
        stop: &StopToken,
    ) -> Result<(u64, VecDeque<Stretch>, Source<Job>), Fault> {
        let range = request.selection.range;
        if request.selection.dataset != Dataset::Cdr {
            if kept.is_some() {
                return Err(damaged(Fault::internal("what is written in one part cannot be gone on with")));
            }
            let whole = Stretch { range, records: about(&rows) };
            let (_, source) = self.source(request, rows, output, stop).await?;
            return Ok((0, VecDeque::from([whole]), source));
        }
        let (contents, snapshot) = self.pin(request, rows).await?;
        let all = stretches(&snapshot, range, self.stretch_records(request));
        let from_ms = kept.and_then(|kept| kept.next_ms).unwrap_or(range.from_ms());
        let (done, left): (Vec<Stretch>, Vec<Stretch>) =
            all.into_iter().partition(|stretch| stretch.range.to_ms() <= from_ms);
        let done = done.iter().map(|stretch| stretch.records).sum();
        let left = left.into_iter().filter_map(|stretch| stretch.behind(from_ms));
        let left: VecDeque<Stretch> = left.collect();
        let ranges = left.iter().map(|stretch| stretch.range).collect();
        let first = kept.is_none_or(|kept| kept.tally.rows() == 0);
        let jobs = stored::stretched(contents, snapshot, request, output.pieces(), ranges, first);
        Ok((done, left, jobs))
    }

    fn stretch_records(&self, request: &ExportRequest) -> u64 {
        let sparse = request.format == ExportFormat::Parquet && !request.selection.filters.is_empty();
        self.config.stretch_records.saturating_mul(if sparse { FILTERED_PARQUET } else { 1 })
    }

    /// What earlier attempts kept of the file, read once more; none when there is nothing.
    async fn read_kept(&self, request: &ExportRequest, kept: Vec<ExportPart>) -> Result<Option<Kept>, Fault> {
        let stop = StopToken::new();
        let (store, request, stopped) = (self.parts.clone(), request.clone(), stop.clone());
        // Whoever does not wait for the end ends it.
        let _reading = stop.drop_guard();
        tokio::task::spawn_blocking(move || Kept::read(&store, &request, &kept, &stopped))
            .await
            .fault("waiting for kept parts to be read")?
    }

    fn parts_of(&self, request: &ExportRequest) -> PartsOf {
        PartsOf {
            tenant: request.tenant.clone(),
            export: request.id,
            format: request.format,
            store: self.parts.clone(),
            clock: Arc::clone(&self.clock),
            size: PartSize { bytes: self.config.part_bytes, time: self.config.part_time },
        }
    }
}

/// How many rows there are about, to be looked at.
fn about(rows: &ExportRows) -> u64 {
    match rows {
        ExportRows::Stored => 0,
        ExportRows::Pinned(snapshot) => {
            let parts = snapshot.parts.iter().map(|part| part.rows);
            parts.chain(snapshot.batches.iter().map(|batch| batch.rows)).sum()
        }
        ExportRows::Given(rows) => rows.len() as u64,
        ExportRows::Paged { about, .. } => *about,
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
        let (worker, writer) = (output.worker(), StreamedFile::new(output.file(), told));
        let runtime = tokio::runtime::Handle::current();
        let chunks = pipeline::run(&runtime, width, source, move |job| worker.encode(job), writer);
        let chunks = pipeline::stopping(chunks, stop);
        Ok(ExportStream { snapshot_at_ms, watermark, chunks, file })
    }

    async fn write(
        &self,
        request: ExportRequest,
        rows: ExportRows,
        kept: Vec<ExportPart>,
        counters: Arc<ExportCounters>,
    ) -> Result<ExportParts, Fault> {
        if !kept.is_empty() && !matches!(rows, ExportRows::Pinned(_)) {
            return Err(damaged(Fault::internal("rows that are handed over cannot be gone on with")));
        }
        let kept = self.read_kept(&request, kept).await?;
        let (told, file) = oneshot::channel();
        if let Some(whole) = kept.as_ref().filter(|kept| kept.next_ms.is_none()) {
            whole.tell(&counters, told)?;
            return Ok(ExportParts { parts: futures::stream::empty().boxed(), file });
        }
        let output = Output::new(&request)?;
        let stop = StopToken::new();
        let (done, stretches, source) =
            self.stretched_source(&request, rows, kept.as_ref(), &output, &stop).await?;
        let (width, worker) = (self.width(&output), output.worker());
        let mut written = output.file().hashed();
        if let Some(kept) = &kept {
            kept.restore(&mut written)?;
        }
        counters.expect(done + stretches.iter().map(|stretch| stretch.records).sum::<u64>());
        counters.add(done, written.tally().rows());
        let before = kept.map_or(0, |kept| kept.parts);
        let writer = PartWriter::new(written, self.parts_of(&request), before, stretches, counters, told);
        let runtime = tokio::runtime::Handle::current();
        let parts = pipeline::run(&runtime, width, source, move |job| worker.encode(job), writer);
        Ok(ExportParts { parts: pipeline::stopping(parts, stop), file })
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

    async fn trunks(&self, tenant: &TenantName) -> Result<Vec<Trunk>, Fault> {
        let (selection, ids) = (trunks::selection(), TrunkIds::of(tenant));
        let scope = SnapshotScope { tenant: tenant.clone(), dataset: Dataset::Cdr };
        let (contents, snapshot) = self.opened(self.snapshots.pin(&scope, selection.range).await?);
        let source = stored::selected(contents, &snapshot, tenant, &selection, trunks::PIECES);
        let workers = self.config.workers.max(1);
        let width = Width { workers, window: workers * 2 };
        let runtime = tokio::runtime::Handle::current();
        let found =
            pipeline::run(&runtime, width, source, move |job| Trunks::of(job, ids), Trunks::default());
        found.try_concat().await
    }

    async fn estimate(&self, request: &ExportRequest, rows: ExportRows) -> Result<Estimate, Fault> {
        let given = match (request.selection.dataset, rows) {
            (Dataset::Cdr, rows) => {
                let (contents, snapshot) = self.pin(request, rows).await?;
                let request = request.clone();
                return tokio::task::spawn_blocking(move || estimate::stored(&contents, &snapshot, &request))
                    .await
                    .fault("estimating an export")?;
            }
            (Dataset::Kpis, rows) => {
                let (contents, snapshot) = self.pin(request, rows).await?;
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
