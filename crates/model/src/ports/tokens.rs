//! The table of tokens. Only hashes are kept.

use crate::audit::AuditEntry;
use crate::tenant::TenantName;
use crate::token::Token;
use async_trait::async_trait;
use tollbook_kit::fault::Fault;
use uuid::Uuid;

/// Tokens in the control database. Every change commits together with its entry in the audit log.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// The token with this SHA-256 hash, expired or not.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn by_hash(&self, hash: [u8; 32]) -> Result<Option<Token>, Fault>;

    /// The tenant's token of that id.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn find(&self, tenant: &TenantName, id: Uuid) -> Result<Option<Token>, Fault>;

    /// The tenant's tokens, oldest first.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn list(&self, tenant: &TenantName) -> Result<Vec<Token>, Fault>;

    /// Registers a token by its hash.
    ///
    /// # Errors
    /// `conflict` when the hash is known, of whatever tenant, or its tenant is closed or unknown; `storage_full`,
    /// `unavailable` or `internal`.
    async fn create(&self, hash: [u8; 32], token: Token, audit: AuditEntry) -> Result<(), Fault>;

    /// Registers a token as the only one of its tenant with its name: in the same transaction, every other one of that
    /// name stops being known, for which it gets an entry `token.revoke` of the same actor. A hash that is known keeps its
    /// id and gets the rest of the new token. Nothing is changed or logged when that token, with its role, is there
    /// already.
    ///
    /// # Errors
    /// `conflict` when its tenant is closed or unknown; `storage_full`, `unavailable` or `internal`. Then the former ones
    /// are still known.
    async fn put_only(&self, hash: [u8; 32], token: Token, audit: AuditEntry) -> Result<(), Fault>;

    /// Removes the tenant's token of that id and ends the sessions made from it; false if there was none, and then
    /// nothing is logged.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn revoke(&self, tenant: &TenantName, id: Uuid, audit: AuditEntry) -> Result<bool, Fault>;

    /// Notes that it was used.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn used(&self, id: Uuid, at_ms: i64) -> Result<(), Fault>;

    /// How many there are in all.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn count(&self) -> Result<u64, Fault>;
}
