//! The data wing: journal and lake with their background tasks, and the engine that exports from them.

use super::{ControlWing, DataFolder, Surroundings};
use std::sync::Arc;
use tokio::sync::Notify;
use tollbook_kit::fault::Fault;
use tollbook_kit::supervise::Supervisor;
use tollbook_model::ports::{Journal, Manifest};
use tollbook_select::{Engine, EngineConfig};
use tollbook_store::artifacts::{PartStore, StoredArtifacts};
use tollbook_store::blob::{Blobs, DirectoryBlobs};
use tollbook_store::config::StoreConfig;
use tollbook_store::journal::{JournalIntake, JournalParts};
use tollbook_store::lake::compaction::{Compaction, CompactionParts};
use tollbook_store::lake::retention::{Retention, RetentionParts};
use tollbook_store::lake::snapshots::{Pins, SnapshotReader};
use tollbook_store::lake::sweep::{Sweep, SweepParts};
use tollbook_store::lake::unnamed::refuse_unknown_lake;

/// What stands behind the ports of intake, data plane and artifacts.
pub(crate) struct DataWing {
    /// Records in.
    pub(crate) intake: Arc<JournalIntake>,
    /// Records out.
    pub(crate) engine: Arc<Engine>,
    /// Files of export jobs.
    pub(crate) artifacts: Arc<StoredArtifacts>,
}

impl DataWing {
    /// Opens the objects of the folder and starts the committer, compaction, retention and the sweep.
    ///
    /// # Errors
    /// `conflict` when the control database knows nothing of the folder's lake; `storage_full` or `internal` when the
    /// folder cannot be used.
    pub(crate) async fn start(
        folder: &DataFolder,
        control: &ControlWing,
        (store, engine): (StoreConfig, EngineConfig),
        surroundings: &Surroundings,
        supervisor: &Supervisor,
    ) -> Result<Self, Fault> {
        let config = Arc::new(store);
        let blobs: Arc<dyn Blobs> = Arc::new(DirectoryBlobs::open(folder.objects())?);
        let journal: Arc<dyn Journal> = control.catalog.clone();
        let manifest: Arc<dyn Manifest> = control.catalog.clone();
        refuse_unknown_lake(manifest.as_ref(), blobs.clone()).await?;
        let pins = Pins::default();
        let snapshots = SnapshotReader::new(manifest.clone(), journal.clone(), blobs.clone(), pins.clone());
        let bell = Arc::new(Notify::new());
        let clock = surroundings.clock.clone();
        let intake = JournalIntake::start(
            JournalParts {
                config: config.clone(),
                journal,
                blobs: blobs.clone(),
                snapshots: snapshots.clone(),
                ids: surroundings.ids(),
                clock: clock.clone(),
                bell: bell.clone(),
            },
            supervisor,
        );
        let compaction = CompactionParts {
            config: config.clone(),
            manifest: manifest.clone(),
            blobs: blobs.clone(),
            snapshots: snapshots.clone(),
            ids: surroundings.ids(),
            clock: clock.clone(),
        };
        Compaction::new(compaction).start(bell, supervisor);
        let tenants = control.catalog.clone();
        let retention = RetentionParts {
            config: config.clone(),
            manifest: manifest.clone(),
            tenants,
            clock: clock.clone(),
        };
        Retention::new(retention).start(supervisor);
        let artifacts = Arc::new(StoredArtifacts::new(blobs.clone()));
        let parts = PartStore::new(blobs.clone(), surroundings.ids(), config.reserve_bytes);
        let sweep = SweepParts { config, manifest: manifest.clone(), blobs, pins, clock: clock.clone() };
        Sweep::new(sweep).start(supervisor);
        let engine = Engine::new(snapshots, manifest, parts, clock, engine);
        Ok(Self { intake: Arc::new(intake), engine: Arc::new(engine), artifacts })
    }
}
