//! The table of login sessions. Of a refresh token only its hash is kept.

use crate::audit::AuditEntry;
use crate::user::{LiveSession, Session};
use async_trait::async_trait;
use tollbook_kit::fault::Fault;
use uuid::Uuid;

/// Sessions in the control database.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// Begins a session, notes the login of its user, and logs it, in one transaction.
    ///
    /// # Errors
    /// `not_found` when its user or token is gone, or the user disabled, meanwhile; `storage_full`, `unavailable` or
    /// `internal`.
    async fn open(
        &self,
        session: Session,
        refresh_hash: Option<[u8; 32]>,
        audit: AuditEntry,
    ) -> Result<(), Fault>;

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
