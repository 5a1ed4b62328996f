//! The table of signed manifests of exports that were streamed, kept for a while so that they can be fetched afterwards.

use crate::dataset::Dataset;
use crate::tenant::TenantName;
use async_trait::async_trait;
use tollbook_kit::fault::Fault;
use uuid::Uuid;

/// Most manifests of one tenant; a further one takes the place of the oldest.
pub const MOST_MANIFESTS: usize = 10_000;

/// A signed manifest, as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredManifest {
    /// Whose export.
    pub tenant: TenantName,
    /// Its id.
    pub export_id: Uuid,
    /// What it exported; who may export that may have the manifest.
    pub dataset: Dataset,
    /// When it was signed, in milliseconds.
    pub created_at_ms: i64,
    /// The manifest as a compact JWS. Its filters may be phone numbers, so it is sealed at rest.
    pub jws: String,
}

/// Manifests in the control database.
#[async_trait]
pub trait ExportManifests: Send + Sync {
    /// Keeps a manifest. An export has one, a tenant the newest [`MOST_MANIFESTS`].
    ///
    /// # Errors
    /// `conflict` when the tenant is closed or unknown; `storage_full`, `unavailable` or `internal`.
    async fn keep(&self, manifest: StoredManifest) -> Result<(), Fault>;

    /// The manifest of this tenant's export, however old.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn find(&self, tenant: &TenantName, export_id: Uuid) -> Result<Option<StoredManifest>, Fault>;

    /// Forgets manifests that were signed before then; answers how many.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn forget_signed_before(&self, before_ms: i64) -> Result<u64, Fault>;
}
