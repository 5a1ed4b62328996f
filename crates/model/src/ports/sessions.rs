//! The table of login sessions. Of a refresh token only its hash is kept.

use crate::audit::AuditEntry;
use crate::user::{LiveSession, NewSession};
use async_trait::async_trait;
use tollbook_kit::fault::Fault;
use uuid::Uuid;

/// Sessions in the control database.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Begins a session, notes the login of its user, uses up his one-time password, and logs it, in one transaction. Of
    /// several attempts with the same one-time password, one begins a session. The holder keeps
    /// [`MOST_SESSIONS`](crate::user::MOST_SESSIONS): his oldest ones end; answers how many did.
    ///
    /// # Errors
    /// `not_found` when its user or token is gone, the user disabled or the one-time password used, meanwhile;
    /// `storage_full`, `unavailable` or `internal`.
    async fn open(&self, new: NewSession, audit: AuditEntry) -> Result<u64, Fault>;

    /// The session of that id, over or not.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn find(&self, id: Uuid) -> Result<Option<LiveSession>, Fault>;

    /// The session whose refresh token has this hash, over or not.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn by_refresh(&self, hash: [u8; 32]) -> Result<Option<LiveSession>, Fault>;

    /// Ends a session; false if there was none, and then nothing is logged.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn close(&self, id: Uuid, audit: AuditEntry) -> Result<bool, Fault>;

    /// Forgets sessions that were over before then; answers how many.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn forget_expired(&self, before_ms: i64) -> Result<u64, Fault>;
}
