//! The table of users.

use crate::audit::AuditEntry;
use crate::tenant::TenantName;
use crate::user::{User, UserCredentials};
use async_trait::async_trait;
use tollbook_kit::fault::Fault;
use uuid::Uuid;

/// Users in the control database. Every change commits together with its entry in the audit log.
#[async_trait]
pub trait Users: Send + Sync {
    /// The user of that name, of whatever tenant, and what he proves himself with.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn by_username(&self, username: &str) -> Result<Option<(User, UserCredentials)>, Fault>;

    /// The tenant's user of that id.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn find(&self, tenant: &TenantName, id: Uuid) -> Result<Option<User>, Fault>;

    /// The tenant's users by name.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn list(&self, tenant: &TenantName) -> Result<Vec<User>, Fault>;

    /// Creates a user.
    ///
    /// # Errors
    /// `conflict` when the name is taken, in whatever tenant, or its tenant is closed or unknown; `storage_full`,
    /// `unavailable` or `internal`.
    async fn create(&self, user: User, credentials: UserCredentials, audit: AuditEntry) -> Result<(), Fault>;

    /// Replaces email, role, enabled and, where given, the credentials of the user of that tenant and id; the name stays.
    /// His sessions end when role, enabled or credentials are touched. False if there is no such user.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn change(
        &self,
        user: User,
        credentials: CredentialChange,
        audit: AuditEntry,
    ) -> Result<bool, Fault>;

    /// Removes the user and his sessions; false if there was none, and then nothing is logged.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn remove(&self, tenant: &TenantName, id: Uuid, audit: AuditEntry) -> Result<bool, Fault>;
}

/// What becomes of a user's credentials.
#[derive(Debug, Clone, Default)]
pub struct CredentialChange {
    /// A new password's hash.
    pub password_hash: Option<tollbook_kit::secret::Secret<String>>,
    /// A new key of one-time passwords, or none any more.
    pub second_factor: Option<Option<tollbook_kit::secret::Secret<Vec<u8>>>>,
}

impl CredentialChange {
    /// Does anything change?
    pub fn is_empty(&self) -> bool {
        self.password_hash.is_none() && self.second_factor.is_none()
    }
}
