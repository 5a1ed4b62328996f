//! Where records come out: an export as a stream of bytes, or as parts of a file that are kept one by one.

use crate::call::Trunk;
use crate::completeness::HourDigest;
use crate::export::{Estimate, ExportCounters, ExportRequest, ExportedFile};
use crate::export_job::ExportPart;
use crate::ports::Snapshot;
use crate::tenant::TenantName;
use crate::value::Value;
use async_trait::async_trait;
use bytes::Bytes;
use futures::channel::oneshot;
use futures::stream::BoxStream;
use std::sync::Arc;
use tollbook_kit::fault::Fault;

/// One record of a dataset that the control wing holds: a value per field of its schema, in order.
pub type GivenRow = Vec<Value<'static>>;

/// Where the rows of an export come from.
pub enum ExportRows {
    /// From journal and lake, as they are when the export starts.
    Stored,
    /// From journal and lake, as they were when this snapshot was pinned for a job.
    Pinned(Box<Snapshot>),
    /// Handed over by the use case, sorted (`agent-configuration`).
    Given(Vec<GivenRow>),
    /// Handed over by the use case page by page, sorted: as many as there are, in constant memory (`audit-log`).
    Paged {
        /// How many rows there are about; for estimates.
        about: u64,
        /// The pages. After an error nothing follows.
        pages: BoxStream<'static, Result<Vec<GivenRow>, Fault>>,
    },
}

/// A running export. Dropping the stream ends the work and unpins the snapshot.
pub struct ExportStream {
    /// When the snapshot was taken, in milliseconds.
    pub snapshot_at_ms: i64,
    /// Last sequence number that the snapshot saw; 0 when the dataset has none.
    pub watermark: u64,
    /// The file's bytes. After an error nothing follows, and what came before is not a whole file.
    pub chunks: BoxStream<'static, Result<Bytes, Fault>>,
    /// Tells what the file turned out to be, at the latest when the chunks end; cancelled when it did not become whole.
    pub file: oneshot::Receiver<ExportedFile>,
}

/// A file that is being written in parts. Dropping the stream ends the work.
pub struct ExportParts {
    /// The parts that follow those there were, in order, each durable when it comes. After an error nothing follows;
    /// the parts before it stay good, so that the export can go on behind them.
    pub parts: BoxStream<'static, Result<ExportPart, Fault>>,
    /// Tells what the whole file turned out to be, its SHA-256 always among it, at the latest when the parts end;
    /// cancelled when it did not become whole.
    pub file: oneshot::Receiver<ExportedFile>,
}

/// A completeness report under way. Dropping the stream ends the work.
pub struct CompletenessStream {
    /// When the snapshot was taken, in milliseconds.
    pub snapshot_at_ms: i64,
    /// Last sequence number that the snapshot saw; 0 when the dataset has none.
    pub watermark: u64,
    /// The hours that hold records, in order. After an error nothing follows.
    pub hours: BoxStream<'static, Result<HourDigest, Fault>>,
}

/// The data wing, as use cases see it.
#[async_trait]
pub trait DataPlane: Send + Sync {
    /// Pins a snapshot and starts an export of it.
    ///
    /// # Errors
    /// `unavailable` or `internal`, before the first byte.
    async fn export(&self, request: ExportRequest, rows: ExportRows) -> Result<ExportStream, Fault>;

    /// Writes the file of `request` in parts, going on behind `kept`, the parts that an earlier attempt of the same
    /// export kept. From the same rows the whole file is the same, wherever attempts ended. Rows that are handed over
    /// cannot be gone on with: then `kept` must be empty.
    ///
    /// Bytes of a part lie under `exports/tenant=<tenant>/<export id>/`; a part that nobody names in the control
    /// database is erased in time.
    ///
    /// # Errors
    /// `conflict` when `kept` is damaged or not of this export; `unavailable` or `internal`. Errors of the stream:
    /// also `storage_full`.
    async fn write(
        &self,
        request: ExportRequest,
        rows: ExportRows,
        kept: Vec<ExportPart>,
        counters: Arc<ExportCounters>,
    ) -> Result<ExportParts, Fault>;

    /// Tells for each hour how many of the selected records there are, and their digest. Only dataset, range and filters of the
    /// request's selection count: what is digested are the default columns in JSON.
    ///
    /// # Errors
    /// `unavailable` or `internal`, before the first hour.
    async fn completeness(
        &self,
        request: ExportRequest,
        rows: ExportRows,
    ) -> Result<CompletenessStream, Fault>;

    /// The trunks that the tenant's call records name, each once, by name and id; of more than
    /// [`LISTED_TRUNKS`](crate::call::LISTED_TRUNKS) the first ones.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn trunks(&self, tenant: &TenantName) -> Result<Vec<Trunk>, Fault>;

    /// Estimates an export without reading records.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn estimate(&self, request: &ExportRequest, rows: ExportRows) -> Result<Estimate, Fault>;
}
