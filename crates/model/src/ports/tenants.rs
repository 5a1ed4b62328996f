//! The table of tenants.

use crate::tenant::{Tenant, TenantName};
use async_trait::async_trait;
use tollbook_kit::fault::Fault;

/// Tenants in the control database.
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

    /// Creates or changes the tenant of that name.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn put(&self, tenant: Tenant) -> Result<(), Fault>;
}
