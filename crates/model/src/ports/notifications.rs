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
    /// A short key of whom it goes to, which `app` makes: notices of a tenant with the same key have the same receiver. It
    /// names nobody. Zero for notices that were kept before there were such keys: their receivers may differ.
    pub receiver: u64,
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

/// Whose notices a look for due ones leaves out.
#[derive(Debug, Clone, Default)]
pub struct LeftOut {
    /// All notices of these tenants.
    pub tenants: Vec<TenantName>,
    /// Those of a tenant to one receiver; see [`NewNotification::receiver`].
    pub receivers: Vec<(TenantName, u64)>,
}

impl LeftOut {
    /// Is this notice left out?
    pub fn holds(&self, notice: &NewNotification) -> bool {
        let to_receiver =
            |(tenant, receiver): &(TenantName, u64)| *receiver == notice.receiver && *tenant == notice.tenant;
        self.tenants.contains(&notice.tenant) || self.receivers.iter().any(to_receiver)
    }
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
        self.due_beside(now_ms, except, &LeftOut::default(), limit).await
    }

    /// The same, without those that are left out: however many of them wait, the others are found.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn due_beside(
        &self,
        now_ms: i64,
        except: &[Uuid],
        left_out: &LeftOut,
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
