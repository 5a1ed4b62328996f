//! The jobs that this process works on, so that one that is cancelled here stops at once.
//!
//! Other processes hear of it by their heartbeat.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tollbook_kit::supervise::StopToken;
use tollbook_model::tenant::TenantName;
use uuid::Uuid;

/// What is worked on.
#[derive(Debug, Default)]
pub(crate) struct RunningJobs {
    held: Mutex<HashMap<Uuid, (TenantName, StopToken)>>,
    /// Rings when there is work, or a worker for it.
    bell: Arc<Notify>,
}

impl RunningJobs {
    /// Notes that a job is worked on, until the answer is dropped.
    pub(super) fn enter(self: &Arc<Self>, job: Uuid, tenant: &TenantName) -> RunningJob {
        let stop = StopToken::new();
        self.lock().insert(job, (tenant.clone(), stop.clone()));
        RunningJob { job, stop, jobs: self.clone() }
    }

    /// Is it worked on here?
    pub(super) fn has(&self, job: Uuid) -> bool {
        self.lock().contains_key(&job)
    }

    /// Stops the work on a job, if there is any: it has ended.
    pub(super) fn stop(&self, job: Uuid) {
        if let Some((_, stop)) = self.lock().get(&job) {
            stop.cancel();
        }
    }

    /// Stops the work on all jobs of a tenant.
    pub(super) fn stop_all_of(&self, tenant: &TenantName) {
        self.lock().values().filter(|(of, _)| of == tenant).for_each(|(_, stop)| stop.cancel());
    }

    /// Rings when there is work, or a worker for it.
    pub(crate) fn bell(&self) -> Arc<Notify> {
        self.bell.clone()
    }

    /// Makes the runner look for work at once.
    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, (TenantName, StopToken)>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A job that is worked on.
#[derive(Debug)]
pub(super) struct RunningJob {
    job: Uuid,
    stop: StopToken,
    jobs: Arc<RunningJobs>,
}

impl RunningJob {
    /// Told when the job has ended, and whoever works on it must stop.
    pub(super) fn stopped(&self) -> StopToken {
        self.stop.clone()
    }
}

impl Drop for RunningJob {
    fn drop(&mut self) {
        self.jobs.lock().remove(&self.job);
    }
}
