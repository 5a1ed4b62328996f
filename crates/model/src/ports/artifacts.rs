//! The bytes of finished exports.

use crate::export_job::ExportPart;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use std::ops::Range;
use tollbook_kit::fault::Fault;

/// Most bytes of a file that wait in memory for one reader.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// Where the parts of exports lie.
#[async_trait]
pub trait Artifacts: Send + Sync {
    /// The bytes `range` of the file that `parts` make, in chunks of at most [`CHUNK_BYTES`], each read when it is asked
    /// for. The range must lie inside the file. After an error nothing follows.
    ///
    /// # Errors
    /// `gone` when a part is erased; `internal`.
    async fn read(
        &self,
        parts: Vec<ExportPart>,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, Fault>>, Fault>;

    /// Erases objects of parts; those that are gone are fine.
    ///
    /// # Errors
    /// `internal`; what was not erased can be erased again.
    async fn erase(&self, paths: Vec<String>) -> Result<(), Fault>;
}
