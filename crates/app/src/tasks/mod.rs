//! Background tasks: signing and shortening audit logs, sweeping sessions and manifests, giving export jobs to workers and
//! clearing up behind them, rotating the keys of links, erasing closed tenants.
//!
//! They take no input, look at what there is, and may run twice or late without harm. Call records are deleted by the
//! store, not here.

mod rounds;

use crate::audit::checkpoints::Checkpoints;
use crate::downloads::LinkKeys;
use crate::exports::manifests::Manifests;
use crate::jobs::{JobSweep, Runner};
use crate::tenants::TenantDirectory;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use rounds::Rounds;
use std::sync::Arc;
use std::time::Duration;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::Fault;
use tollbook_kit::supervise::Supervisor;
use tollbook_model::ports::{AuditLog, Sessions};
use tollbook_model::tenant::TenantState;

/// How often chains are looked at; when one is due is decided there.
const CHECKPOINTS_EVERY: Duration = Duration::from_secs(1);
const RETENTION_EVERY: Duration = Duration::from_secs(3600);
const SWEEP_EVERY: Duration = Duration::from_secs(600);
const CLOSED_TENANTS_EVERY: Duration = Duration::from_secs(60);
/// How often the line of jobs is looked at without the bell: rests end then, and leases.
const JOBS_EVERY: Duration = Duration::from_secs(1);
const JOB_SWEEP_EVERY: Duration = Duration::from_secs(60);
const LINK_KEYS_EVERY: Duration = Duration::from_secs(3600);

/// The rounds of all background tasks of this room.
pub struct Tasks {
    pub(crate) checkpoints: Checkpoints,
    pub(crate) audit_log: Arc<dyn AuditLog>,
    pub(crate) sessions: Arc<dyn Sessions>,
    pub(crate) manifests: Arc<Manifests>,
    pub(crate) tenants: Arc<TenantDirectory>,
    pub(crate) runner: Runner,
    pub(crate) job_sweep: Arc<JobSweep>,
    pub(crate) link_keys: Arc<LinkKeys>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Tasks {
    /// Starts a loop for each.
    pub(crate) fn start(self: &Arc<Self>, supervisor: &Supervisor) {
        let timed = |name, every| Rounds { name, every, bell: None };
        let tasks = self.clone();
        timed("audit-checkpoints", CHECKPOINTS_EVERY).start(supervisor, move || {
            let tasks = tasks.clone();
            async move { tasks.sign_checkpoints().await }
        });
        let tasks = self.clone();
        let bell = Some(self.tenants.bell());
        Rounds { name: "audit-retention", every: RETENTION_EVERY, bell }.start(supervisor, move || {
            let tasks = tasks.clone();
            async move { tasks.shorten_audit_logs().await }
        });
        let tasks = self.clone();
        timed("session-sweep", SWEEP_EVERY).start(supervisor, move || {
            let tasks = tasks.clone();
            async move { tasks.sweep_sessions().await }
        });
        let tasks = self.clone();
        timed("manifest-sweep", SWEEP_EVERY).start(supervisor, move || {
            let tasks = tasks.clone();
            async move { tasks.sweep_manifests().await }
        });
        let tasks = self.clone();
        timed("closed-tenants", CLOSED_TENANTS_EVERY).start(supervisor, move || {
            let tasks = tasks.clone();
            async move { tasks.erase_closed_tenants().await }
        });
        self.start_jobs(supervisor);
    }

    fn start_jobs(self: &Arc<Self>, supervisor: &Supervisor) {
        let (tasks, workers) = (self.clone(), supervisor.clone());
        let bell = Some(self.runner.bell());
        Rounds { name: "export-jobs", every: JOBS_EVERY, bell }.start(supervisor, move || {
            let (tasks, workers) = (tasks.clone(), workers.clone());
            async move { tasks.run_jobs(&workers).await }
        });
        let tasks = self.clone();
        let bell = Some(self.job_sweep.bell());
        Rounds { name: "export-sweep", every: JOB_SWEEP_EVERY, bell }.start(supervisor, move || {
            let tasks = tasks.clone();
            async move { tasks.sweep_jobs().await }
        });
        let tasks = self.clone();
        Rounds { name: "link-keys", every: LINK_KEYS_EVERY, bell: None }.start(supervisor, move || {
            let tasks = tasks.clone();
            async move { tasks.rotate_link_keys().await }
        });
    }

    /// Signs the ends of the chains that are due.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`: the first failure, after the other chains were signed.
    pub async fn sign_checkpoints(&self) -> Result<(), Fault> {
        self.checkpoints.sign_due().await
    }

    /// Forgets what each tenant's audit log holds from before its `audit_months` calendar months.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`: the first failure, after the other logs were shortened.
    pub async fn shorten_audit_logs(&self) -> Result<(), Fault> {
        let mut outcome = Ok(());
        for tenant in self.tenants.list().await? {
            let Some(before_ms) = months_before(self.clock.now_ms(), tenant.settings.audit_months) else {
                continue;
            };
            let forgotten = self.audit_log.forget_before(&tenant.name, before_ms).await;
            if let Ok(entries @ 1..) = forgotten {
                tracing::info!(
                    tenant = tenant.name.as_str(),
                    entries,
                    "old entries of the audit log are forgotten"
                );
            }
            outcome = outcome.and(forgotten.map(drop));
        }
        outcome
    }

    /// Forgets login sessions that are over.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    pub async fn sweep_sessions(&self) -> Result<(), Fault> {
        self.sessions.forget_expired(self.clock.now_ms()).await.map(drop)
    }

    /// Forgets manifests of direct exports that can no longer be fetched.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    pub async fn sweep_manifests(&self) -> Result<(), Fault> {
        self.manifests.forget_old().await
    }

    /// Gives the export jobs whose turn it is to workers, which are tasks of this supervisor.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    pub async fn run_jobs(&self, workers: &Supervisor) -> Result<(), Fault> {
        self.runner.round(workers).await
    }

    /// Lets files of exports expire by age, erases what nobody can reach any more, and forgets jobs that ended 90 days ago.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`: the first failure, after the other steps were made.
    pub async fn sweep_jobs(&self) -> Result<(), Fault> {
        self.job_sweep.round().await
    }

    /// Makes a new key of links when the newest one is 30 days old, and removes those of which no link can be alive.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    pub async fn rotate_link_keys(&self) -> Result<(), Fault> {
        self.link_keys.rotate_by_age().await
    }

    /// Ends the export jobs of closing tenants whose time to export is over, and erases what the control database holds of
    /// them, once their records and files are gone.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`: the first failure, after the other tenants were looked at.
    pub async fn erase_closed_tenants(&self) -> Result<(), Fault> {
        let now_ms = self.clock.now_ms();
        let mut outcome = Ok(());
        for tenant in self.tenants.list().await? {
            if tenant.state == TenantState::Closed || !tenant.is_over(now_ms) {
                continue;
            }
            let erased = match self.job_sweep.end_all_of(&tenant.name).await {
                Ok(()) => self.tenants.erase(&tenant.name).await,
                Err(fault) => Err(fault),
            };
            if let Ok(true) = erased {
                tracing::info!(tenant = tenant.name.as_str(), "a closed tenant is erased");
            }
            outcome = outcome.and(erased.map(drop));
        }
        outcome
    }
}

/// The moment so many calendar months before; none when it is outside the calendar.
fn months_before(now_ms: i64, months: u32) -> Option<i64> {
    let now = Timestamp::from_millisecond(now_ms).ok()?.to_zoned(TimeZone::UTC);
    let span = Span::new().try_months(i64::from(months)).ok()?;
    Some(now.checked_sub(span).ok()?.timestamp().as_millisecond())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use super::*;
    use tollbook_model::time_range::parse_instant;

    #[test]
    fn months_are_those_of_the_calendar() {
        let ms = |text: &str| parse_instant(text).unwrap();
        for (now, months, before) in [
            ("2026-03-31T12:00:00Z", 1, "2026-02-28T12:00:00Z"),
            ("2026-06-01T00:00:00.005Z", 13, "2025-05-01T00:00:00.005Z"),
            ("2026-06-01T00:00:00Z", 1200, "1926-06-01T00:00:00Z"),
        ] {
            assert_eq!(months_before(ms(now), months), Some(ms(before)), "{now} {months}");
        }
        assert_eq!(months_before(0, u32::MAX), None);
    }
}
