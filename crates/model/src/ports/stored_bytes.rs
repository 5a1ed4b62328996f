//! How much a tenant has stored.

use crate::tenant::TenantName;
use async_trait::async_trait;
use tollbook_kit::fault::Fault;

/// Sizes from the manifest.
#[async_trait]
pub trait StoredBytes: Send + Sync {
    /// Bytes of the tenant's live batches and parts.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn stored_bytes(&self, tenant: &TenantName) -> Result<u64, Fault>;
}
