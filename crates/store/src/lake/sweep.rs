//! The sweep: erases the bytes of what is doomed, and of objects that no row ever named.
//!
//! What is doomed is decided by compaction and retention; here only nobody must be reading it any more.

use super::rounds;
use super::snapshots::Pins;
use crate::blob::Blobs;
use crate::config::{StoreConfig, millis};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_kit::supervise::{OnError, Supervisor};
use tollbook_model::ports::{DoomedObject, Manifest};
use uuid::Uuid;

/// Doomed things taken at a time.
const AT_ONCE: usize = 1000;
/// Folders whose objects must be named by a row.
const SWEPT: [&str; 2] = ["journal", "lake"];

/// What the sweep has done since the process started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepStatus {
    /// Rounds.
    pub rounds: u64,
    /// When the last round ended, in milliseconds; none before the first.
    pub last_round_at_ms: Option<i64>,
    /// Doomed parts and batches erased and forgotten.
    pub erased: u64,
    /// Objects erased that no row named, or that were never finished.
    pub orphans: u64,
    /// Doomed parts and batches that are due but still being read.
    pub pinned: u64,
}

/// What the sweep needs of the outside.
pub struct SweepParts {
    /// Knobs.
    pub config: Arc<StoreConfig>,
    /// The manifest's tables.
    pub manifest: Arc<dyn Manifest>,
    /// Where bytes are erased.
    pub blobs: Arc<dyn Blobs>,
    /// What is being read.
    pub pins: Pins,
    /// Decides what is old.
    pub clock: Arc<dyn Clock>,
}

/// The sweep. Clones share one status.
#[derive(Clone)]
pub struct Sweep {
    parts: Arc<SweepParts>,
    status: Arc<Mutex<SweepStatus>>,
    next_orphan_search: Arc<Mutex<Duration>>,
}

impl Sweep {
    /// A sweep that does nothing until it is asked or started.
    pub fn new(parts: SweepParts) -> Self {
        Self { parts: Arc::new(parts), status: Arc::default(), next_orphan_search: Arc::default() }
    }

    /// Starts the task `sweep`.
    pub fn start(&self, supervisor: &Supervisor) {
        let (this, stop) = (self.clone(), supervisor.stop_token());
        let rhythm = (self.parts.config.sweep_round, self.parts.config.sweep_round);
        let task = async move { rounds::run("sweep", rhythm, None, stop, || this.round()).await };
        supervisor.spawn("sweep", OnError::Log, task);
    }

    /// What it has done.
    pub fn status(&self) -> SweepStatus {
        self.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One round: what is doomed; and now and then, objects without a row.
    ///
    /// # Errors
    /// `unavailable` or `internal`; the next round goes on.
    pub async fn round(&self) -> Result<(), Fault> {
        let (erased, pinned) = self.erase_doomed().await?;
        let orphans = if self.is_orphan_search_due() { self.erase_orphans().await? } else { 0 };
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.rounds += 1;
        status.last_round_at_ms = Some(self.parts.clock.now_ms());
        status.erased += erased;
        status.orphans += orphans;
        status.pinned = pinned;
        Ok(())
    }

    /// Answers how many were erased and how many wait for their readers.
    async fn erase_doomed(&self) -> Result<(u64, u64), Fault> {
        let until_ms = self.parts.clock.now_ms().saturating_sub(millis(self.parts.config.erase_grace));
        let mut erased = 0;
        loop {
            // Those pinned come again each time: they must not fill the bound.
            let limit = AT_ONCE + self.parts.pins.len();
            let doomed = self.parts.manifest.doomed(until_ms, limit).await?;
            let complete = doomed.len() < limit;
            let (pinned, free): (Vec<DoomedObject>, Vec<DoomedObject>) =
                doomed.into_iter().partition(|object| self.parts.pins.holds(object.id));
            if free.is_empty() {
                return Ok((erased, pinned.len() as u64));
            }
            let ids: Vec<Uuid> = free.iter().map(|object| object.id).collect();
            self.delete(free.into_iter().filter_map(|object| object.path).collect()).await?;
            // Forgotten last: after a crash in between the erasure is simply repeated.
            self.parts.manifest.forget(&ids).await?;
            erased += ids.len() as u64;
            if complete {
                return Ok((erased, pinned.len() as u64));
            }
        }
    }

    fn is_orphan_search_due(&self) -> bool {
        let now = self.parts.clock.monotonic();
        let mut next = self.next_orphan_search.lock().unwrap_or_else(PoisonError::into_inner);
        let due = *next <= now;
        if due {
            *next = now + self.parts.config.orphan_round;
        }
        due
    }

    async fn erase_orphans(&self) -> Result<u64, Fault> {
        let before_ms = self.parts.clock.now_ms().saturating_sub(millis(self.parts.config.orphan_age));
        let blobs = Arc::clone(&self.parts.blobs);
        let (unpublished, old) = tokio::task::spawn_blocking(move || {
            let unpublished = blobs.discard_unpublished(before_ms)?;
            let mut old = Vec::new();
            for folder in SWEPT {
                let listed = blobs.list(folder)?.into_iter();
                old.extend(
                    listed.filter(|object| object.written_at_ms < before_ms).map(|object| object.path),
                );
            }
            Ok::<_, Fault>((unpublished, old))
        })
        .await
        .fault("waiting for a listing of objects")??;
        let mut orphans = Vec::new();
        for path in old {
            if !self.parts.manifest.names_object(&path).await? {
                orphans.push(path);
            }
        }
        let count = orphans.len() as u64;
        if count > 0 {
            tracing::warn!(objects = count, "erasing objects that no row names");
        }
        self.delete(orphans).await?;
        Ok(count + unpublished)
    }

    async fn delete(&self, paths: Vec<String>) -> Result<(), Fault> {
        let blobs = Arc::clone(&self.parts.blobs);
        tokio::task::spawn_blocking(move || paths.iter().try_for_each(|path| blobs.delete(path)))
            .await
            .fault("waiting for objects to be erased")?
    }
}
