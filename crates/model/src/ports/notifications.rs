//! The outbox: what is to be told to others, kept in the transaction of what it tells of, until it is told.
//!
//! How a notice is worded and when it is tried again is decided in `app`; how it travels is `connect`'s.

use crate::tenant::TenantName;
use async_trait::async_trait;
use tollbook_kit::fault::Fault;
use tollbook_kit::retry::Pending;
use tollbook_kit::secret::Secret;
use uuid::Uuid;

/// A notice to keep.
#[derive(Debug, Clone)]
pub struct NewNotification {
    /// Its id.
    pub id: Uuid,
    /// Whose job it tells of.
    pub tenant: TenantName,
    /// The job.
    pub job: Uuid,
    /// What is sent and where to; only `app` understands it. Holds addresses, so it is sealed at rest. Empty when it cannot
    /// be opened any more: then it can only be refused.
    pub content: Secret<String>,
    /// When it was made, in milliseconds.
    pub created_at_ms: i64,
}

/// A notice that is still to be told.
#[derive(Debug, Clone)]
pub struct StoredNotification {
    /// What was to be kept.
    pub notification: NewNotification,
    /// Attempts that failed so far.
    pub failed: u32,
    /// Until when it rests; none before the first attempt.
    pub rests: Option<Pending>,
}

/// Notices in the control database.
#[async_trait]
pub trait Notifications: Send + Sync {
    /// Notices that are to be told and whose rest is over, those that waited longest first, at most `limit`, none of
    /// `except`, which are under way.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn due(
        &self,
        now_ms: i64,
        except: &[Uuid],
        limit: usize,
    ) -> Result<Vec<StoredNotification>, Fault> {
        self.due_beside(now_ms, except, &[], limit).await
    }

    /// The same, without those of some tenants: however many of theirs wait, those of others are found.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn due_beside(
        &self,
        now_ms: i64,
        except: &[Uuid],
        tenants: &[TenantName],
        limit: usize,
    ) -> Result<Vec<StoredNotification>, Fault>;

    /// How many notices of a tenant are still to be told, counted up to `most`.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn untold(&self, tenant: &TenantName, most: u32) -> Result<u32, Fault>;

    /// The shortest time until a notice that rests becomes due, in milliseconds; none when none rests.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn next_due_in(&self, now_ms: i64) -> Result<Option<i64>, Fault>;

    /// Forgets a notice: it was told, or is given up. None of that id is fine.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn done(&self, id: Uuid) -> Result<(), Fault>;

    /// Lets a notice rest after a failed attempt. None of that id is fine: it was withdrawn.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn postpone(&self, id: Uuid, failed: u32, rests: Pending) -> Result<(), Fault>;
}
