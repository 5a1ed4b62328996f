//! The tables of the audit log: entries in a chain per tenant, and signed checkpoints.

use crate::audit::{AuditEntry, AuditRecord};
use crate::tenant::TenantName;
use crate::time_range::TimeRange;
use async_trait::async_trait;
use tollbook_kit::fault::Fault;

/// Which entries of a chain.
#[derive(Debug, Clone)]
pub struct AuditScope {
    /// Whose chain.
    pub tenant: TenantName,
    /// Entries of that time.
    pub range: TimeRange,
    /// Entries up to and with this place.
    pub up_to_seq: u64,
}

/// The end of a tenant's chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditHead {
    /// Whose.
    pub tenant: TenantName,
    /// Place of the last entry.
    pub seq: u64,
    /// Its hash.
    pub hash: [u8; 32],
    /// Entries that no checkpoint covers yet.
    pub unsigned: u64,
}

/// The audit log in the control database. Changes of other tables append their entries themselves.
#[async_trait]
pub trait AuditLog: Send + Sync {
    /// Appends entries in their order, in one durable transaction. Here as with every change, an entry for a tenant that was
    /// erased meanwhile is dropped: no new chain begins where one has ended.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`; then none was appended.
    async fn append(&self, entries: Vec<AuditEntry>) -> Result<(), Fault>;

    /// At most `most` entries of the scope after place `after_seq`, in their order.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn page(&self, scope: &AuditScope, after_seq: u64, most: usize) -> Result<Vec<AuditRecord>, Fault>;

    /// The end of a tenant's chain; none while it is empty.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn head(&self, tenant: &TenantName) -> Result<Option<AuditHead>, Fault>;

    /// The ends of all chains that have entries no checkpoint covers yet.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn unsigned_heads(&self) -> Result<Vec<AuditHead>, Fault>;

    /// Keeps a signed checkpoint of the chain up to `seq`.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn put_checkpoint(
        &self,
        tenant: &TenantName,
        seq: u64,
        at_ms: i64,
        jws: String,
    ) -> Result<(), Fault>;

    /// The latest signed checkpoint of a tenant.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn latest_checkpoint(&self, tenant: &TenantName) -> Result<Option<String>, Fault>;

    /// Forgets the tenant's entries from before then, but never the last one; answers how many. What is forgotten is the
    /// chain's beginning. An entry with a moment in the future, from a clock that ran ahead, says nothing of its age: it
    /// goes with an old entry that follows it.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn forget_before(&self, tenant: &TenantName, at_ms: i64) -> Result<u64, Fault>;
}
