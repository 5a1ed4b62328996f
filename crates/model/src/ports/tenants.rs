//! The table of tenants.

use crate::audit::AuditEntry;
use crate::tenant::{Tenant, TenantName};
use async_trait::async_trait;
use tollbook_kit::fault::Fault;

/// Tenants in the control database. Every change commits together with its entry in the audit log.
#[async_trait]
pub trait Tenants: Send + Sync {
    /// The tenant of that name.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn find(&self, name: &TenantName) -> Result<Option<Tenant>, Fault>;

    /// All tenants, by name.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn list(&self) -> Result<Vec<Tenant>, Fault>;

    /// How many there are, closed ones among them. Cheap: no secret is opened for it.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn count(&self) -> Result<u64, Fault>;

    /// Creates a tenant.
    ///
    /// # Errors
    /// `conflict` when there is one of that name, or of one that differs only in case: some disks could not tell their
    /// folders apart. `storage_full`, `unavailable` or `internal`.
    async fn create(&self, tenant: Tenant, audit: AuditEntry) -> Result<(), Fault>;

    /// Replaces settings, quota, state and pseudonym keys; false if there is no such tenant.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn change(&self, tenant: Tenant, audit: AuditEntry) -> Result<bool, Fault>;

    /// Deletes what the control database holds of a tenant whose time is over and whose records are gone: tokens, users,
    /// sessions, sources, callback secret and audit log. Its row stays, closed. Of its keys nothing remains that opens a
    /// sealed number. False while journal or lake still hold records of it; nothing is logged then, nor when it is erased
    /// already. The entry belongs to the chain of another tenant, as this one's ends with it.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn erase(&self, name: &TenantName, audit: AuditEntry) -> Result<bool, Fault>;
}
