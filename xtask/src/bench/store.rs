//! A data folder opened in this process, put together as the service does, without its background tasks.

use super::Trouble;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tollbook_catalog::SqliteCatalog;
use tollbook_kit::clock::{Clock, SystemClock};
use tollbook_kit::ids::{IdSource, SystemRandomness};
use tollbook_kit::secret::{SEALING_KEY_BYTES, Sealer, Secret};
use tollbook_kit::supervise::Supervisor;
use tollbook_model::dataset::Dataset;
use tollbook_model::ports::{Journal, Manifest, Snapshot, SnapshotScope};
use tollbook_model::tenant::TenantName;
use tollbook_model::time_range::TimeRange;
use tollbook_select::{Engine, EngineConfig};
use tollbook_store::artifacts::PartStore;
use tollbook_store::blob::{Blobs, DirectoryBlobs};
use tollbook_store::config::StoreConfig;
use tollbook_store::journal::{JournalIntake, JournalParts};
use tollbook_store::lake::compaction::{Compaction, CompactionParts};
use tollbook_store::lake::snapshots::{Pins, SnapshotReader};
use tollbook_store::lake::sweep::{Sweep, SweepParts};

/// Threads of an export, ours and the peers' alike.
pub(crate) const THREADS: usize = 2;
/// Seals the secrets of every folder of the benchmark, here and in the service.
pub(crate) const SEALING_KEY: [u8; SEALING_KEY_BYTES] = [7; SEALING_KEY_BYTES];

/// An open data folder.
pub(crate) struct Store {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: IdSource,
    pub(crate) catalog: Arc<SqliteCatalog>,
    blobs: Arc<dyn Blobs>,
    snapshots: SnapshotReader,
    pins: Pins,
    config: Arc<StoreConfig>,
}

impl Store {
    /// Opens or makes the data folder `root`, laid out as the service's.
    pub(crate) async fn open(root: &Path) -> Result<Self, Trouble> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        std::fs::create_dir_all(root)?;
        let sealer = Sealer::new(&Secret::new(SEALING_KEY), Arc::new(SystemRandomness));
        let catalog = SqliteCatalog::open(&root.join("catalog.sqlite"), clock.clone(), sealer).await?;
        let catalog = Arc::new(catalog);
        let blobs: Arc<dyn Blobs> = Arc::new(DirectoryBlobs::open(root)?);
        let pins = Pins::default();
        let (journal, manifest): (Arc<dyn Journal>, Arc<dyn Manifest>) = (catalog.clone(), catalog.clone());
        let snapshots = SnapshotReader::new(manifest, journal, blobs.clone(), pins.clone());
        let ids = IdSource::new(clock.clone(), Arc::new(SystemRandomness));
        // What compaction replaced is erased at once: nobody else reads this folder.
        let config = Arc::new(StoreConfig { erase_grace: Duration::ZERO, ..StoreConfig::default() });
        Ok(Self { clock, ids, catalog, blobs, snapshots, pins, config })
    }

    /// The entrance; its committer runs under `supervisor`.
    pub(crate) fn intake(&self, supervisor: &Supervisor) -> JournalIntake {
        let parts = JournalParts {
            config: self.config.clone(),
            journal: self.catalog.clone(),
            blobs: self.blobs.clone(),
            snapshots: self.snapshots.clone(),
            ids: self.ids.clone(),
            clock: self.clock.clone(),
            bell: Arc::new(Notify::new()),
        };
        JournalIntake::start(parts, supervisor)
    }

    /// Compaction, to be asked.
    pub(crate) fn compaction(&self) -> Compaction {
        Compaction::new(CompactionParts {
            config: self.config.clone(),
            manifest: self.catalog.clone(),
            blobs: self.blobs.clone(),
            snapshots: self.snapshots.clone(),
            ids: self.ids.clone(),
            clock: self.clock.clone(),
        })
    }

    /// The sweep, to be asked.
    pub(crate) fn sweep(&self) -> Sweep {
        Sweep::new(SweepParts {
            config: self.config.clone(),
            manifest: self.catalog.clone(),
            blobs: self.blobs.clone(),
            pins: self.pins.clone(),
            clock: self.clock.clone(),
        })
    }

    /// The exit.
    pub(crate) fn engine(&self) -> Engine {
        Engine::new(
            self.snapshots.clone(),
            self.catalog.clone(),
            PartStore::new(self.blobs.clone(), self.ids.clone(), self.config.reserve_bytes),
            self.clock.clone(),
            EngineConfig { workers: THREADS, ..EngineConfig::default() },
        )
    }

    /// Everything that is visible.
    pub(crate) async fn snapshot(&self) -> Result<Snapshot, Trouble> {
        let scope = SnapshotScope { tenant: TenantName::default_tenant(), dataset: Dataset::Cdr };
        Ok(self.catalog.snapshot(&scope, TimeRange::all()).await?)
    }
}
