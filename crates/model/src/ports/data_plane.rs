//! Where records come out: an export as a stream of bytes.

use crate::export::{Estimate, ExportRequest, ExportedFile};
use crate::value::Value;
use async_trait::async_trait;
use bytes::Bytes;
use futures::channel::oneshot;
use futures::stream::BoxStream;
use tollbook_kit::fault::Fault;

/// One record of a dataset that the control wing holds: a value per field of its schema, in order.
pub type GivenRow = Vec<Value<'static>>;

/// Where the rows of an export come from.
pub enum ExportRows {
    /// From journal and lake.
    Stored,
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

/// The data wing, as use cases see it.
#[async_trait]
pub trait DataPlane: Send + Sync {
    /// Pins a snapshot and starts an export of it.
    ///
    /// # Errors
    /// `unavailable` or `internal`, before the first byte.
    async fn export(&self, request: ExportRequest, rows: ExportRows) -> Result<ExportStream, Fault>;

    /// Estimates an export without reading records.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn estimate(&self, request: &ExportRequest, rows: ExportRows) -> Result<Estimate, Fault>;
}
