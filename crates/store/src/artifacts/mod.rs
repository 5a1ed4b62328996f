//! The files of exports: kept in parts, each an object, and read as one file.
//!
//! What is in a part, and which parts make a file, is decided by whoever writes them; which of them count is written in
//! the control database. What no row names is found by the search of the sweep.
//!
//! Layout of keys: `exports/tenant=<t>/<export id>/<id>.part`.

#[cfg(test)]
mod conformance;
mod part_store;
mod reading;

pub use part_store::{PartStore, UnpublishedPart};

use crate::blob::Blobs;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use reading::Reading;
use std::ops::Range;
use std::sync::Arc;
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_model::export_job::ExportPart;
use tollbook_model::ports::Artifacts;

/// Folder of all parts.
pub(crate) const FOLDER: &str = "exports";

/// Files of exports, as their readers see them.
#[derive(Debug)]
pub struct StoredArtifacts {
    blobs: Arc<dyn Blobs>,
}

impl StoredArtifacts {
    /// Files whose parts lie there.
    pub fn new(blobs: Arc<dyn Blobs>) -> Self {
        Self { blobs }
    }
}

#[async_trait]
impl Artifacts for StoredArtifacts {
    async fn read(
        &self,
        parts: Vec<ExportPart>,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, Fault>>, Fault> {
        let reading = Reading::new(self.blobs.clone(), parts, range)?;
        // A file that is gone is better refused than broken off.
        let reading = tokio::task::spawn_blocking(move || reading.check().map(|()| reading))
            .await
            .fault("waiting for a part to be opened")??;
        Ok(reading.chunks())
    }

    async fn erase(&self, paths: Vec<String>) -> Result<(), Fault> {
        if let Some(other) = paths.iter().find(|path| !is_part(path)) {
            return Err(Fault::internal("what is to be erased is no part of an export").with_context(other));
        }
        let blobs = Arc::clone(&self.blobs);
        tokio::task::spawn_blocking(move || paths.iter().try_for_each(|path| blobs.delete(path)))
            .await
            .fault("waiting for parts to be erased")?
    }
}

fn is_part(path: &str) -> bool {
    path.strip_prefix(FOLDER).is_some_and(|rest| rest.starts_with('/'))
}
