//! The table of tokens. Only hashes are kept.

use crate::access::Role;
use crate::tenant::TenantName;
use async_trait::async_trait;
use tollbook_kit::fault::Fault;
use uuid::Uuid;

/// Whose token it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenHolder {
    /// Id of the token.
    pub id: Uuid,
    /// Its tenant.
    pub tenant: TenantName,
    /// Its role.
    pub role: Role,
    /// Its name for people.
    pub name: String,
}

/// Tokens in the control database.
#[async_trait]
pub trait Tokens: Send + Sync {
    /// The holder of the token with this SHA-256 hash.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn holder(&self, hash: [u8; 32]) -> Result<Option<TokenHolder>, Fault>;

    /// Registers a token by its hash; a hash that is known gets the new holder.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn put(&self, hash: [u8; 32], holder: TokenHolder) -> Result<(), Fault>;

    /// Registers a token as the only one of its tenant with its name: in the same transaction, every other one of that
    /// name stops being known. A hash that is known keeps its id and gets the rest of the new holder.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`; then the former ones are still known.
    async fn put_only(&self, hash: [u8; 32], holder: TokenHolder) -> Result<(), Fault>;

    /// How many there are.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn count(&self) -> Result<u64, Fault>;
}
