//! How far a running job is, from what is counted while it is made. Pure.

use std::time::Duration;
use tollbook_model::export::ExportCounters;
use tollbook_model::export_job::{ExportJob, JobProgress, JobState};

/// The most that a job shows before it is ready.
const MOST_PERCENT: u8 = 99;

/// Watches the counters of one attempt.
#[derive(Debug)]
pub(super) struct Pace {
    told: JobProgress,
    /// The first share that was seen, and when.
    first: Option<(f64, Duration)>,
}

impl Pace {
    /// For an attempt that goes on behind what was told of earlier ones.
    pub(super) fn new(told: JobProgress) -> Self {
        Self { told, first: None }
    }

    /// How far the job is now: no number falls.
    pub(super) fn look(&mut self, counters: &ExportCounters, now: Duration) -> JobProgress {
        let share = counters.share();
        self.told = JobProgress {
            rows_done: self.told.rows_done.max(counters.exported()),
            rows_estimated: self.told.rows_estimated,
            percent: self.told.percent.max(percent(share.unwrap_or(0.0))),
            eta_s: share.and_then(|share| self.seconds_left(share, now)),
        };
        self.told
    }

    /// At the speed since the first look; none while that is unknown.
    fn seconds_left(&mut self, share: f64, now: Duration) -> Option<u64> {
        let (first, since) = *self.first.get_or_insert((share, now));
        let (gained, passed) = (share - first, now.saturating_sub(since).as_secs_f64());
        let left = passed / gained * (1.0 - share);
        (gained > 0.0 && left.is_finite()).then(|| seconds(left))
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn percent(share: f64) -> u8 {
    (share * 100.0).clamp(0.0, f64::from(MOST_PERCENT)) as u8
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "floats saturate")]
fn seconds(left: f64) -> u64 {
    left.ceil() as u64
}

/// What is shown of a job's progress: of one that was ready, that all is done; of any other, that it is not.
pub(super) fn shown(job: &ExportJob) -> JobProgress {
    let rows = job.files.iter().map(|file| file.rows).sum();
    match job.state {
        JobState::Ready | JobState::Expired => {
            JobProgress { rows_done: rows, rows_estimated: rows, percent: 100, eta_s: Some(0) }
        }
        JobState::Running => JobProgress { percent: job.progress.percent.min(MOST_PERCENT), ..job.progress },
        JobState::Queued | JobState::Failed | JobState::Cancelled => {
            JobProgress { percent: job.progress.percent.min(MOST_PERCENT), eta_s: None, ..job.progress }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_and_the_end_is_foreseen() {
        let counters = ExportCounters::default();
        let before = JobProgress { rows_done: 30, rows_estimated: 100, percent: 20, eta_s: Some(9) };
        let mut pace = Pace::new(before);
        let second = Duration::from_secs(1);
        let told = pace.look(&counters, second);
        assert_eq!(told, JobProgress { eta_s: None, ..before }, "nobody can tell yet");
        counters.expect(1000);
        counters.add(100, 10);
        let told = pace.look(&counters, 2 * second);
        assert_eq!((told.rows_done, told.percent, told.eta_s), (30, 20, None), "what was told stays");
        counters.add(300, 40);
        let told = pace.look(&counters, 4 * second);
        assert_eq!((told.rows_done, told.percent, told.eta_s), (50, 40, Some(4)));
        counters.add(600, 0);
        let told = pace.look(&counters, 5 * second);
        assert_eq!((told.percent, told.eta_s), (99, Some(0)), "100 is for the one that is ready");
    }
}
