//! Snapshots for readers: what is visible at one moment, kept readable for as long as somebody holds it.
//!
//! Pins live in this process only. Between reading the manifest and pinning, the sweep's grace period protects.

use crate::blob::{Blobs, read_whole};
use bytes::Bytes;
use rustc_hash::FxHashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tollbook_columns::parquet_file::{PartFile, PartSource};
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_model::ports::{BatchContent, Journal, Manifest, ManifestPart, Snapshot, SnapshotScope};
use tollbook_model::time_range::TimeRange;
use uuid::Uuid;

/// Contents asked of the journal in one query.
const BATCHES_AT_ONCE: usize = 256;

/// Parts and batches that somebody is reading. Clones share the registry.
#[derive(Debug, Clone, Default)]
pub struct Pins(Arc<Mutex<FxHashMap<Uuid, usize>>>);

impl Pins {
    fn counts(&self) -> MutexGuard<'_, FxHashMap<Uuid, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does anybody read this part or batch?
    pub fn holds(&self, id: Uuid) -> bool {
        self.counts().contains_key(&id)
    }

    /// Parts and batches pinned now.
    pub fn len(&self) -> usize {
        self.counts().len()
    }

    /// Is nothing pinned?
    pub fn is_empty(&self) -> bool {
        self.counts().is_empty()
    }

    fn pin(&self, ids: impl Iterator<Item = Uuid>) -> Pinned {
        let ids: Vec<Uuid> = ids.collect();
        let mut counts = self.counts();
        for &id in &ids {
            *counts.entry(id).or_insert(0) += 1;
        }
        Pinned { pins: self.clone(), ids }
    }
}

struct Pinned {
    pins: Pins,
    ids: Vec<Uuid>,
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let mut counts = self.pins.counts();
        for id in &self.ids {
            if let Some(count) = counts.get_mut(id) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(id);
                }
            }
        }
    }
}

/// Takes snapshots. Cheap to clone.
#[derive(Clone)]
pub struct SnapshotReader {
    manifest: Arc<dyn Manifest>,
    journal: Arc<dyn Journal>,
    blobs: Arc<dyn Blobs>,
    pins: Pins,
}

impl SnapshotReader {
    /// A reader whose snapshots are pinned in `pins`, which the sweep must be given too.
    pub fn new(
        manifest: Arc<dyn Manifest>,
        journal: Arc<dyn Journal>,
        blobs: Arc<dyn Blobs>,
        pins: Pins,
    ) -> Self {
        Self { manifest, journal, blobs, pins }
    }

    /// Pins what is visible of `scope` now and may lie in `range`.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    pub async fn pin(&self, scope: &SnapshotScope, range: TimeRange) -> Result<PinnedSnapshot, Fault> {
        Ok(self.held(scope, self.manifest.snapshot(scope, range).await?))
    }

    /// A snapshot of `scope` that the control database keeps readable, as for an export job; pinned here too, so that
    /// whoever reads can read to the end when it is let go there.
    pub fn held(&self, scope: &SnapshotScope, snapshot: Snapshot) -> PinnedSnapshot {
        let ids =
            snapshot.parts.iter().map(|part| part.id).chain(snapshot.batches.iter().map(|batch| batch.id));
        let pinned = self.pins.pin(ids);
        PinnedSnapshot { snapshot, scope: scope.clone(), reader: self.clone(), _pinned: pinned }
    }
}

/// A snapshot whose parts and batches stay readable until it is dropped.
pub struct PinnedSnapshot {
    snapshot: Snapshot,
    scope: SnapshotScope,
    reader: SnapshotReader,
    _pinned: Pinned,
}

impl Deref for PinnedSnapshot {
    type Target = Snapshot;

    fn deref(&self) -> &Snapshot {
        &self.snapshot
    }
}

impl PinnedSnapshot {
    /// What it is a snapshot of.
    pub fn scope(&self) -> &SnapshotScope {
        &self.scope
    }

    /// The bytes of a part. Blocks while it is opened, and when it is read.
    ///
    /// # Errors
    /// `internal` when it cannot be opened.
    pub fn part_source(&self, part: &ManifestPart) -> Result<PartSource, Fault> {
        self.reader.blobs.open(&part.path).map(PartSource::new)
    }

    /// Opens a part and reads its footer. Blocks.
    ///
    /// # Errors
    /// `internal` when it cannot be read.
    pub fn open_part(&self, part: &ManifestPart) -> Result<PartFile, Fault> {
        PartFile::open(self.part_source(part)?).map_err(|fault| fault.with_context(part.path.clone()))
    }

    /// The encoded records of a batch, for `batch_codec`.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    pub async fn batch(&self, id: Uuid) -> Result<Bytes, Fault> {
        let mut contents = self.batches(&[id]).await?;
        contents.pop().ok_or_else(|| Fault::internal("the journal gave no content for a batch"))
    }

    /// The encoded records of several batches, in their order. All are in memory at once.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    pub async fn batches(&self, ids: &[Uuid]) -> Result<Vec<Bytes>, Fault> {
        let mut all = Vec::with_capacity(ids.len());
        for some in ids.chunks(BATCHES_AT_ONCE) {
            let contents = self.reader.journal.contents(some).await?;
            if contents.len() != some.len() {
                return Err(Fault::internal("the journal gave another number of contents than batches"));
            }
            all.extend(self.fetch_objects(contents).await?);
        }
        Ok(all)
    }

    async fn fetch_objects(&self, contents: Vec<BatchContent>) -> Result<Vec<Bytes>, Fault> {
        let blobs = Arc::clone(&self.reader.blobs);
        let fetch = move |content| match content {
            BatchContent::Inline(bytes) => Ok(bytes),
            BatchContent::Object(path) => read_whole(blobs.as_ref(), &path),
        };
        if contents.iter().all(|content| matches!(content, BatchContent::Inline(_))) {
            return contents.into_iter().map(fetch).collect();
        }
        tokio::task::spawn_blocking(move || contents.into_iter().map(fetch).collect())
            .await
            .fault("waiting for the objects of batches")?
    }
}
