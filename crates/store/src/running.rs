//! The whole store, running: entrance, snapshots and background tasks over one set of ports.
//!
//! Nothing is decided here; it only puts together what journal and lake offer.

use crate::blob::Blobs;
use crate::config::StoreConfig;
use crate::journal::{JournalIntake, JournalParts};
use crate::lake::compaction::{Compaction, CompactionParts};
use crate::lake::retention::{Retention, RetentionParts};
use crate::lake::snapshots::{Pins, SnapshotReader};
use crate::lake::sweep::{Sweep, SweepParts};
use crate::lake::unnamed::refuse_unknown_lake;
use std::sync::Arc;
use tokio::sync::Notify;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::Fault;
use tollbook_kit::ids::IdSource;
use tollbook_kit::supervise::Supervisor;
use tollbook_model::ports::{Journal, Manifest, Tenants};

/// What the store needs of the outside.
pub struct StoreParts {
    /// Knobs.
    pub config: StoreConfig,
    /// The journal's tables.
    pub journal: Arc<dyn Journal>,
    /// The manifest's tables.
    pub manifest: Arc<dyn Manifest>,
    /// Who keeps records how long.
    pub tenants: Arc<dyn Tenants>,
    /// Where objects are.
    pub blobs: Arc<dyn Blobs>,
    /// Makes ids of batches and parts.
    pub ids: IdSource,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Rung after every commit, with `notify_waiters`.
    pub bell: Arc<Notify>,
}

/// A running store. Clones are the same store.
#[derive(Clone)]
pub struct Store {
    /// Where records go in.
    pub intake: JournalIntake,
    /// Where readers get snapshots.
    pub snapshots: SnapshotReader,
    /// Task `compaction`.
    pub compaction: Compaction,
    /// Task `retention`.
    pub retention: Retention,
    /// Task `sweep`.
    pub sweep: Sweep,
}

impl Store {
    /// Starts the committer and the background tasks; they end when `supervisor` stops.
    ///
    /// # Errors
    /// As [`refuse_unknown_lake`]; then nothing was started.
    pub async fn start(parts: StoreParts, supervisor: &Supervisor) -> Result<Self, Fault> {
        let StoreParts { config, journal, manifest, tenants, blobs, ids, clock, bell } = parts;
        refuse_unknown_lake(manifest.as_ref(), blobs.clone()).await?;
        let config = Arc::new(config);
        let pins = Pins::default();
        let snapshots = SnapshotReader::new(manifest.clone(), journal.clone(), blobs.clone(), pins.clone());
        let compaction = Compaction::new(CompactionParts {
            config: config.clone(),
            manifest: manifest.clone(),
            blobs: blobs.clone(),
            snapshots: snapshots.clone(),
            ids: ids.clone(),
            clock: clock.clone(),
        });
        let retention = Retention::new(RetentionParts {
            config: config.clone(),
            manifest: manifest.clone(),
            tenants,
            clock: clock.clone(),
        });
        let sweep = Sweep::new(SweepParts {
            config: config.clone(),
            manifest,
            blobs: blobs.clone(),
            pins,
            clock: clock.clone(),
        });
        compaction.start(bell.clone(), supervisor);
        retention.start(supervisor);
        sweep.start(supervisor);
        let journal_parts =
            JournalParts { config, journal, blobs, snapshots: snapshots.clone(), ids, clock, bell };
        let intake = JournalIntake::start(journal_parts, supervisor);
        Ok(Self { intake, snapshots, compaction, retention, sweep })
    }
}
