//! The control wing: the control database, and the kinds of sources.

use super::{DataFolder, SealingKey, Surroundings};
use std::sync::Arc;
use tollbook_catalog::SqliteCatalog;
use tollbook_connect::Registry;
use tollbook_kit::fault::Fault;
use tollbook_kit::secret::Sealer;

/// What stands behind the ports of the control wing, journal and manifest among them.
pub(crate) struct ControlWing {
    /// The control database.
    pub(crate) catalog: Arc<SqliteCatalog>,
    /// The kinds of sources.
    pub(crate) connectors: Arc<Registry>,
}

impl ControlWing {
    /// Opens the control database of the folder, whose secrets are sealed with this key.
    ///
    /// # Errors
    /// As [`SqliteCatalog::open`]: `conflict` when the key is another one.
    pub(crate) async fn open(
        folder: &DataFolder,
        key: &SealingKey,
        surroundings: &Surroundings,
    ) -> Result<Self, Fault> {
        let sealer = Sealer::new(&key.key, surroundings.randomness.clone());
        let opened = SqliteCatalog::open(&folder.catalog(), surroundings.clock.clone(), sealer).await;
        let catalog = opened.map_err(|fault| key.explain(fault))?;
        Ok(Self { catalog: Arc::new(catalog), connectors: Arc::new(Registry::standard()) })
    }
}
