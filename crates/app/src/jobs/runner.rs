//! The runner: gives jobs in line to workers, in rounds.
//!
//! Whose turn it is, is decided in [`turns`](super::turns); what a worker does with a job, in [`worker`](super::worker).

use super::failures::{self, is_overdue};
use super::running::RunningJobs;
use super::turns::{Bounds, Doing, InLine, LARGE_ROWS, Turns};
use super::worker::Worker;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Mutex;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::supervise::{OnError, Supervisor};
use tollbook_model::export_job::{JobInLine, JobState};

/// Gives jobs to workers.
pub(crate) struct Runner {
    worker: Arc<Worker>,
    running: Arc<RunningJobs>,
    workers: usize,
    turns: Mutex<Turns>,
    /// Were the leases of former processes ended?
    alone: AtomicBool,
}

impl Runner {
    /// A runner with so many workers, at least one.
    pub(crate) fn new(worker: Arc<Worker>, running: Arc<RunningJobs>, workers: usize) -> Self {
        let (workers, turns, alone) = (workers.max(1), Mutex::default(), AtomicBool::new(false));
        Self { worker, running, workers, turns, alone }
    }

    /// One round: whatever can begin now is given to a worker, a task of this supervisor.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    pub(crate) async fn round(&self, supervisor: &Supervisor) -> Result<(), Fault> {
        let mut turns = self.turns.lock().await;
        if !self.alone.load(Ordering::Acquire) {
            self.worker.port.disown_others(self.worker.owner).await?;
            self.alone.store(true, Ordering::Release);
        }
        let now_ms = self.worker.clock.now_ms();
        let seen = self.worker.port.in_line().await?;
        let mut line: Vec<InLine> = seen.iter().map(|job| self.in_line(job, now_ms)).collect();
        // What is overdue needs no turn: it is only given up.
        for job in line.iter_mut().filter(|job| is_overdue(job.created_at_ms, now_ms)) {
            if job.doing == Doing::Waits && !supervisor.stop_token().is_cancelled() {
                self.begin(job, supervisor).await?;
            }
        }
        let bounds = self.bounds(&line).await?;
        while let Some(at) = turns.next(&line, &bounds) {
            if supervisor.stop_token().is_cancelled() {
                break;
            }
            self.begin(&mut line[at], supervisor).await?;
            let tenant = line[at].tenant.clone();
            turns.served(&tenant, &line);
        }
        Ok(())
    }

    fn in_line(&self, job: &JobInLine, now_ms: i64) -> InLine {
        let is_held = job.lease.is_some_and(|lease| !lease.holds.is_over(now_ms));
        // Our own worker is alive, whatever a clock that was set says of its lease.
        let doing = if self.running.has(job.claim.job) || is_held {
            Doing::Works
        } else if job.rests.is_some_and(|rest| !rest.is_over(now_ms)) {
            Doing::Rests
        } else {
            Doing::Waits
        };
        InLine {
            claim: job.claim,
            tenant: job.tenant.clone(),
            state: job.state,
            created_at_ms: job.created_at_ms,
            is_large: job.rows_estimated > LARGE_ROWS,
            doing,
        }
    }

    async fn bounds(&self, line: &[InLine]) -> Result<Bounds, Fault> {
        let mut running = HashMap::new();
        for job in line {
            if !running.contains_key(&job.tenant) {
                let tenant = self.worker.tenants.named(&job.tenant).await?;
                let most = tenant.map_or(0, |tenant| tenant.quota.running_jobs);
                running.insert(job.tenant.clone(), usize::try_from(most).unwrap_or(usize::MAX));
            }
        }
        Ok(Bounds { workers: self.workers, running })
    }

    /// Claims a job and lets a worker have it. One that somebody else took meanwhile is out of line, and so is one that
    /// cannot be read, such as after a step back to an older version: it keeps no other from its turn, and fails when its
    /// time is over.
    async fn begin(&self, place: &mut InLine, supervisor: &Supervisor) -> Result<(), Fault> {
        // Noted before it is claimed, so that a cancel finds it whenever it comes.
        let held = self.running.enter(place.claim.job, &place.tenant);
        let port = &self.worker.port;
        let claimed = match port.claim(place.claim, self.worker.lease(), self.worker.clock.now_ms()).await {
            Err(fault) if fault.code() == Code::Internal => {
                let (job, fault) = (place.claim.job, fault.log_text());
                tracing::error!(%job, fault, "an export cannot be begun; the others go on");
                self.give_up_unread(place).await?;
                None
            }
            claimed => claimed?,
        };
        let Some((claim, job)) = claimed else {
            place.doing = Doing::Rests;
            return Ok(());
        };
        (place.state, place.doing) = (JobState::Running, Doing::Works);
        let (worker, running, stop) = (self.worker.clone(), self.running.clone(), supervisor.stop_token());
        supervisor.spawn("export-job", OnError::Log, async move {
            worker.work(claim, job, &held.stopped(), &stop).await;
            drop(held);
            running.ring();
            Ok(())
        });
        Ok(())
    }

    /// Ends a job whose time is over, though it cannot be read.
    async fn give_up_unread(&self, place: &InLine) -> Result<(), Fault> {
        let Worker { port, clock, leftovers, .. } = &*self.worker;
        let (job, now_ms) = (place.claim.job, clock.now_ms());
        if is_overdue(place.created_at_ms, now_ms)
            && port.fail_unread(place.claim, failures::overdue(), now_ms).await?
        {
            tracing::info!(%job, tenant = place.tenant.as_str(), "an export that cannot be read is given up");
            leftovers.notify_one();
        }
        Ok(())
    }

    /// Rings when there is work, or a worker for it.
    pub(crate) fn bell(&self) -> Arc<tokio::sync::Notify> {
        self.running.bell()
    }
}
