//! What follows from a failed attempt: another one after a rest, or the end of the job; and when its time is over. Pure.

use std::time::Duration;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::retry::Schedule;
use tollbook_model::export_job::JobError;

/// Most attempts of a job.
pub(super) const MOST_ATTEMPTS: u32 = 5;
/// So long after it was ordered a job that is not ready is given up.
pub(super) const GIVEN_UP_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// The rests after the first attempts (`natalia.md` section 8); after the fifth there is none.
const RESTS: Schedule = Schedule::new(&[
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
]);
/// Why a job ends for whose file there is no room.
const NO_ROOM: &str = "the disk has no room for the file; have some freed, or order less, and order it again";

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Another attempt after this rest.
    Rest(Duration),
    /// The end.
    GiveUp(JobError),
}

/// Judges a failed attempt, `attempt` being the first or a later one.
pub(super) fn judge(fault: &Fault, attempt: u32) -> Verdict {
    let rest = RESTS.wait_after(usize::try_from(attempt).unwrap_or(usize::MAX));
    match rest.filter(|_| !will_stay(fault.code())) {
        Some(rest) => Verdict::Rest(rest),
        None => Verdict::GiveUp(told(fault)),
    }
}

/// Is another attempt of no use?
fn will_stay(code: Code) -> bool {
    matches!(code, Code::Gone | Code::Invalid | Code::NotFound | Code::Forbidden | Code::TooLarge)
}

/// A fault in words for whoever ordered the job.
fn told(fault: &Fault) -> JobError {
    let error = |code: &str, message: &str, retryable| JobError {
        code: code.to_owned(),
        message: message.to_owned(),
        retryable,
    };
    match fault.code() {
        // What the disk says is meant for who sends records.
        Code::StorageFull => error("storage-full", NO_ROOM, true),
        Code::Unavailable | Code::TooMany | Code::RateLimited | Code::NotReady => {
            error("unavailable", fault.message(), true)
        }
        Code::Timeout => error("timeout", fault.message(), true),
        Code::Gone | Code::NotFound => error("gone", fault.message(), false),
        Code::Invalid | Code::TooLarge | Code::Forbidden => error("invalid", fault.message(), false),
        _ => {
            let words = "an internal error occurred; the job's id identifies it in the service's log";
            error("internal", words, false)
        }
    }
}

/// Is a job, ordered then, to be given up unless it is ready?
pub(super) fn is_overdue(created_at_ms: i64, now_ms: i64) -> bool {
    let limit_ms = i64::try_from(GIVEN_UP_AFTER.as_millis()).unwrap_or(i64::MAX);
    now_ms >= created_at_ms.saturating_add(limit_ms)
}

/// Why a job ends that was not ready in time.
pub(super) fn overdue() -> JobError {
    let message = "the export was not ready within 24 hours; order a shorter range, or order it again";
    JobError { code: "timeout".into(), message: message.into(), retryable: true }
}

/// Why a job ends whose attempts were all broken off, such as by crashes.
pub(super) fn worn_out() -> JobError {
    let message =
        format!("the export was broken off {MOST_ATTEMPTS} times before it was ready; order it again");
    JobError { code: "unavailable".into(), message, retryable: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_wait_as_the_contract_says_and_then_end() {
        let fault = Fault::new(Code::StorageFull, "nothing was stored; send again");
        let rests: Vec<_> = (1..=MOST_ATTEMPTS).map(|attempt| judge(&fault, attempt)).collect();
        let seconds = |seconds| Verdict::Rest(Duration::from_secs(seconds));
        assert_eq!(rests[..4], [seconds(1), seconds(5), seconds(30), seconds(120)]);
        let error = JobError { code: "storage-full".into(), message: NO_ROOM.into(), retryable: true };
        assert_eq!(rests[4], Verdict::GiveUp(error.clone()));
        assert_eq!(judge(&fault, u32::MAX), Verdict::GiveUp(error));
    }

    #[test]
    fn what_will_stay_so_ends_at_once() {
        for (code, word, retryable, attempts) in [
            (Code::Gone, "gone", false, 1),
            (Code::NotFound, "gone", false, 1),
            (Code::Invalid, "invalid", false, 1),
            (Code::Internal, "internal", false, 5),
            (Code::Conflict, "internal", false, 5),
            (Code::Unavailable, "unavailable", true, 5),
            (Code::Timeout, "timeout", true, 5),
        ] {
            let fault = Fault::new(code, "why").with_context("secret context");
            let verdicts: Vec<_> = (1..=5).map(|attempt| judge(&fault, attempt)).collect();
            let rests = verdicts.iter().filter(|verdict| matches!(verdict, Verdict::Rest(_))).count();
            assert_eq!(rests, attempts - 1, "{code:?}");
            let Some(Verdict::GiveUp(error)) = verdicts.last() else { panic!("{code:?}") };
            assert_eq!((error.code.as_str(), error.retryable), (word, retryable), "{code:?}");
            assert!(!error.message.contains("secret"), "{code:?}");
        }
    }
}
