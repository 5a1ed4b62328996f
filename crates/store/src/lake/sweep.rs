//! The sweep: erases the bytes of what is doomed, and now and then looks for objects that no row names.
//!
//! What is doomed is decided by compaction and retention; here only nobody must be reading it any more. What happens to
//! objects without a row is decided in `unnamed`.

use super::snapshots::Pins;
use super::{rounds, unnamed};
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

/// What a doomed part or batch waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    Grace,
    Readers,
}

/// What the sweep has done since the process started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepStatus {
    /// Rounds.
    pub rounds: u64,
    /// When the last round ended, in milliseconds; none before the first.
    pub last_round_at_ms: Option<i64>,
    /// Doomed parts and batches erased and forgotten.
    pub erased: u64,
    /// Objects set aside because no row named them.
    pub set_aside: u64,
    /// Objects erased after they had been set aside for long.
    pub set_aside_erased: u64,
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
    next_unnamed_search: Arc<Mutex<Duration>>,
}

impl Sweep {
    /// A sweep that does nothing until it is asked or started.
    pub fn new(parts: SweepParts) -> Self {
        Self { parts: Arc::new(parts), status: Arc::default(), next_unnamed_search: Arc::default() }
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
        let (mut set_aside, mut set_aside_erased) = (0, 0);
        if self.is_unnamed_search_due() {
            set_aside = unnamed::set_aside(&self.parts).await?;
            set_aside_erased = unnamed::erase_set_aside(&self.parts).await?;
        }
        let mut status = self.status.lock().unwrap_or_else(PoisonError::into_inner);
        status.rounds += 1;
        status.last_round_at_ms = Some(self.parts.clock.now_ms());
        status.erased += erased;
        status.set_aside += set_aside;
        status.set_aside_erased += set_aside_erased;
        status.pinned = pinned;
        Ok(())
    }

    /// Is somebody reading it, or may somebody be just about to?
    fn must_wait(&self, object: &DoomedObject, now_ms: i64) -> Option<Wait> {
        let config = &self.parts.config;
        let grace = if is_part(object) { config.erase_grace } else { config.batch_erase_grace };
        if object.doomed_at_ms > now_ms.saturating_sub(millis(grace)) {
            return Some(Wait::Grace);
        }
        self.parts.pins.holds(object.id).then_some(Wait::Readers)
    }

    /// Answers how many were erased and how many wait for their readers.
    async fn erase_doomed(&self) -> Result<(u64, u64), Fault> {
        let config = &self.parts.config;
        let now_ms = self.parts.clock.now_ms();
        let until_ms = now_ms.saturating_sub(millis(config.erase_grace.min(config.batch_erase_grace)));
        let (mut erased, mut waiting) = (0, 0);
        loop {
            // Those that wait come again each time: they must not fill the bound.
            let limit = AT_ONCE + waiting;
            let doomed = self.parts.manifest.doomed(until_ms, limit).await?;
            let complete = doomed.len() < limit;
            let (mut free, mut pinned) = (Vec::new(), 0);
            waiting = 0;
            for object in doomed {
                match self.must_wait(&object, now_ms) {
                    None => free.push(object),
                    Some(wait) => {
                        waiting += 1;
                        pinned += u64::from(wait == Wait::Readers);
                    }
                }
            }
            let ids: Vec<Uuid> = free.iter().map(|object| object.id).collect();
            if !ids.is_empty() {
                self.delete(free.into_iter().filter_map(|object| object.path).collect()).await?;
                // Forgotten last: after a crash in between the erasure is simply repeated.
                self.parts.manifest.forget(&ids).await?;
                erased += ids.len() as u64;
            }
            if complete {
                return Ok((erased, pinned));
            }
        }
    }

    fn is_unnamed_search_due(&self) -> bool {
        let now = self.parts.clock.monotonic();
        let mut next = self.next_unnamed_search.lock().unwrap_or_else(PoisonError::into_inner);
        let due = *next <= now;
        if due {
            *next = now + self.parts.config.unnamed_round;
        }
        due
    }

    async fn delete(&self, paths: Vec<String>) -> Result<(), Fault> {
        let blobs = Arc::clone(&self.parts.blobs);
        tokio::task::spawn_blocking(move || paths.iter().try_for_each(|path| blobs.delete(path)))
            .await
            .fault("waiting for objects to be erased")?
    }
}

/// A batch has no object, or one of the journal.
fn is_part(object: &DoomedObject) -> bool {
    object.path.as_deref().is_some_and(|path| path.starts_with("lake/"))
}
