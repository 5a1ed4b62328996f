//! The control wing: the control database, and the kinds of sources.

use super::{DataFolder, Surroundings};
use std::sync::Arc;
use tollbook_catalog::SqliteCatalog;
use tollbook_connect::Registry;
use tollbook_kit::fault::Fault;

/// What stands behind the ports of sources, tenants, tokens, journal and manifest.
pub(crate) struct ControlWing {
    /// The control database.
    pub(crate) catalog: Arc<SqliteCatalog>,
    /// The kinds of sources.
    pub(crate) connectors: Arc<Registry>,
}

impl ControlWing {
    /// Opens the control database of the folder.
    ///
    /// # Errors
    /// As [`SqliteCatalog::open`].
    pub(crate) async fn open(folder: &DataFolder, surroundings: &Surroundings) -> Result<Self, Fault> {
        let catalog = SqliteCatalog::open(&folder.catalog(), surroundings.clock.clone()).await?;
        Ok(Self { catalog: Arc::new(catalog), connectors: Arc::new(Registry::standard()) })
    }
}
