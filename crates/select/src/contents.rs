//! What a pinned snapshot holds, as tasks read it.

use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tollbook_columns::parquet_file::PartFile;
use tollbook_kit::fault::Fault;
use tollbook_model::ports::ManifestPart;
use tollbook_store::lake::snapshots::PinnedSnapshot;
use uuid::Uuid;

/// The bytes behind a snapshot. Blocking: called from worker threads only.
pub(crate) trait Contents: Send + Sync {
    /// An open part.
    fn part(&self, part: &ManifestPart) -> Result<PartFile, Fault>;
    /// The encoded records of journal batches, in their order.
    fn batches(&self, ids: &[Uuid]) -> Result<Vec<Bytes>, Fault>;
}

/// Footers of parts, kept while they are in use and a while longer.
#[derive(Default)]
pub(crate) struct Footers {
    open: Mutex<HashMap<Uuid, PartFile>>,
}

/// Parts whose footers are kept; a footer takes some hundred KiB at most.
const KEPT_FOOTERS: usize = 64;

impl Footers {
    fn get(&self, id: Uuid, open: impl FnOnce() -> Result<PartFile, Fault>) -> Result<PartFile, Fault> {
        if let Some(part) = self.lock().get(&id) {
            return Ok(part.clone());
        }
        let part = open()?;
        let mut kept = self.lock();
        if kept.len() >= KEPT_FOOTERS {
            // Any will do: a footer is read again in well under a millisecond.
            let victim = kept.keys().next().copied();
            victim.map(|victim| kept.remove(&victim));
        }
        kept.insert(id, part.clone());
        Ok(part)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Uuid, PartFile>> {
        self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// A pinned snapshot of the store. Dropping it unpins.
pub(crate) struct StoredContents {
    pub(crate) snapshot: PinnedSnapshot,
    pub(crate) footers: Arc<Footers>,
    pub(crate) runtime: tokio::runtime::Handle,
}

impl Contents for StoredContents {
    fn part(&self, part: &ManifestPart) -> Result<PartFile, Fault> {
        self.footers.get(part.id, || self.snapshot.open_part(part))
    }

    fn batches(&self, ids: &[Uuid]) -> Result<Vec<Bytes>, Fault> {
        self.runtime.block_on(self.snapshot.batches(ids))
    }
}
