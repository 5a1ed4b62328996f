//! The table of configured sources.

use crate::audit::AuditEntry;
use crate::source::Source;
use crate::tenant::TenantName;
use async_trait::async_trait;
use tollbook_kit::fault::Fault;

/// Sources in the control database. Every change commits together with its entry in the audit log.
#[async_trait]
pub trait Sources: Send + Sync {
    /// The source of that name.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn find(&self, tenant: &TenantName, pbx_alias: &str) -> Result<Option<Source>, Fault>;

    /// All sources, by name.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn list(&self, tenant: &TenantName) -> Result<Vec<Source>, Fault>;

    /// Creates or changes the source of that name; its id stays and its version is one more than before. Fields `id`
    /// and `version` of the argument count only for a new one. Answers the source as stored.
    ///
    /// # Errors
    /// `conflict` when the tenant is closed or unknown; `storage_full`, `unavailable` or `internal`.
    async fn put(&self, tenant: &TenantName, source: Source, audit: AuditEntry) -> Result<Source, Fault>;

    /// Removes it; false if there was none, and then nothing is logged. Its records stay.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn remove(&self, tenant: &TenantName, pbx_alias: &str, audit: AuditEntry) -> Result<bool, Fault>;

    /// Notes that it sent records.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn seen(&self, tenant: &TenantName, pbx_alias: &str, at_ms: i64) -> Result<(), Fault>;
}
