//! How often a login may fail: by user name and by address, each in windows of five minutes.
//!
//! Permits are taken before a password is looked at, and given back when the attempt turns out not to count: attempts
//! that run side by side cannot be more than the permits. Who finds them all taken by attempts under way waits for how
//! those end, so that a crowd that knows its passwords gets in.

use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::rate::{FixedWindows, one_client};

/// Failures within a window, per user name and per address (`omilia.md` section 2.3).
pub(crate) const MOST_FAILURES: u32 = 10;
/// Length of a window; it begins with its first attempt.
pub(crate) const WINDOW: Duration = Duration::from_secs(300);
/// How long is waited for attempts under way.
const PATIENCE: Duration = Duration::from_secs(10);

/// What failures are counted by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Counted {
    Address(IpAddr),
    /// By digest: a name that was tried may be a mistyped password, and may be long.
    Name([u8; 32]),
}

/// Counts failed logins.
#[derive(Debug)]
pub(crate) struct LoginThrottle {
    failures: FixedWindows<Counted>,
    /// How many attempts hold a permit of each and are not judged yet.
    under_way: Mutex<HashMap<Counted, u32>>,
    /// Rings whenever an attempt ends.
    ended: Notify,
    patience: Duration,
}

impl LoginThrottle {
    pub(crate) fn new(clock: &Arc<dyn Clock>) -> Self {
        Self {
            failures: FixedWindows::new(clock.clone(), MOST_FAILURES, WINDOW, WINDOW),
            under_way: Mutex::default(),
            ended: Notify::new(),
            patience: PATIENCE,
        }
    }

    /// Lets an attempt begin. It counts as failed until it is said that it does not count.
    ///
    /// # Errors
    /// `rate_limited` until the window ends; `unavailable` when attempts under way do not come to their ends.
    pub(crate) async fn begin(&self, username: &str, address: Option<IpAddr>) -> Result<Attempt<'_>, Fault> {
        let name = Counted::Name(Sha256::digest(username.as_bytes()).into());
        let counted: Vec<Counted> =
            address.map(|address| Counted::Address(one_client(address))).into_iter().chain([name]).collect();
        let admitted = tokio::time::timeout(self.patience, self.admit(&counted)).await;
        admitted.unwrap_or_else(|_| {
            Err(Fault::new(Code::Unavailable, "logins take too long; try again in a moment")
                .with_retry_after(Duration::from_secs(1)))
        })?;
        Ok(Attempt { throttle: self, counted, counts: true })
    }

    async fn admit(&self, counted: &[Counted]) -> Result<(), Fault> {
        loop {
            let mut ended = std::pin::pin!(self.ended.notified());
            // Listening before looking: no end in between is missed.
            ended.as_mut().enable();
            if let Some(outcome) = self.take(counted) {
                return outcome;
            }
            ended.await;
        }
    }

    /// Takes a permit of each, or of none; no answer while that may still depend on attempts under way.
    fn take(&self, counted: &[Counted]) -> Option<Result<(), Fault>> {
        let mut under_way = self.under_way();
        for (at, each) in counted.iter().enumerate() {
            let taken = self.failures.take(each);
            if taken.allowed {
                continue;
            }
            // Colleagues behind the same address do not pay for one name that is locked.
            counted[..at].iter().for_each(|taken| self.failures.give_back(taken));
            return if under_way.contains_key(each) { None } else { Some(Err(refused(taken.wait))) };
        }
        for each in counted {
            *under_way.entry(each.clone()).or_default() += 1;
        }
        Some(Ok(()))
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<Counted, u32>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An attempt under way; it ends when it is dropped.
#[must_use]
pub(crate) struct Attempt<'t> {
    throttle: &'t LoginThrottle,
    counted: Vec<Counted>,
    counts: bool,
}

impl Attempt<'_> {
    /// It succeeded, or could not be judged: its permits are given back.
    pub(crate) fn does_not_count(mut self) {
        self.counts = false;
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let mut under_way = self.throttle.under_way();
        for each in &self.counted {
            if !self.counts {
                self.throttle.failures.give_back(each);
            }
            match under_way.get_mut(each) {
                Some(attempts) if *attempts > 1 => *attempts -= 1,
                _ => drop(under_way.remove(each)),
            }
        }
        drop(under_way);
        self.throttle.ended.notify_waiters();
    }
}

fn refused(wait: Duration) -> Fault {
    Fault::new(Code::RateLimited, "too many logins have failed; wait before trying again")
        .with_retry_after(wait)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use super::*;
    use tollbook_kit::clock::ManualClock;

    fn throttle() -> (Arc<ManualClock>, LoginThrottle) {
        let clock = Arc::new(ManualClock::at(0));
        let throttle = LoginThrottle::new(&(clock.clone() as Arc<dyn Clock>));
        (clock, throttle)
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    #[tokio::test]
    async fn ten_failures_of_a_name_and_of_an_address() {
        let (clock, throttle) = throttle();
        for at in 0..MOST_FAILURES {
            drop(throttle.begin("eve", address(&format!("192.0.2.{at}"))).await.unwrap());
            clock.advance(Duration::from_secs(1));
        }
        let fault = throttle.begin("eve", address("192.0.2.99")).await.err().unwrap();
        assert_eq!(fault.code(), Code::RateLimited);
        assert_eq!(fault.retry_after(), Some(Duration::from_secs(290)));
        assert!(throttle.begin("eve", None).await.is_err(), "without an address the name counts");
        assert!(throttle.begin("adam", address("192.0.2.99")).await.is_ok());

        for at in 0..MOST_FAILURES {
            drop(throttle.begin(&format!("name {at}"), address("2001:db8::1")).await.unwrap());
        }
        assert!(throttle.begin("other", address("2001:db8::2")).await.is_err(), "the same network");
        assert!(throttle.begin("other", address("2001:db8:0:1::1")).await.is_ok());
        clock.advance(WINDOW);
        assert!(throttle.begin("eve", address("2001:db8::2")).await.is_ok());
    }

    #[tokio::test]
    async fn what_does_not_count_is_given_back_and_a_locked_name_costs_its_address_nothing() {
        let (_, throttle) = throttle();
        for _ in 0..3 * MOST_FAILURES {
            throttle.begin("eve", address("192.0.2.1")).await.unwrap().does_not_count();
        }
        for _ in 0..MOST_FAILURES {
            drop(throttle.begin("eve", None).await.unwrap());
        }
        for _ in 0..3 * MOST_FAILURES {
            assert!(throttle.begin("eve", address("192.0.2.1")).await.is_err());
        }
        assert!(throttle.begin("adam", address("192.0.2.1")).await.is_ok());
    }

    #[tokio::test]
    async fn who_comes_after_the_permits_waits_for_how_the_attempts_end() {
        for (fails, wanted) in [(true, Err(Code::RateLimited)), (false, Ok(()))] {
            let (_, throttle) = throttle();
            let mut attempts = Vec::new();
            for _ in 0..MOST_FAILURES {
                attempts.push(throttle.begin("eve", None).await.unwrap());
            }
            let mut late = std::pin::pin!(throttle.begin("eve", address("192.0.2.1")));
            let last = attempts.pop().unwrap();
            for attempt in attempts {
                drop(attempt);
                assert!(futures::poll!(&mut late).is_pending(), "it may still fail or not");
            }
            if fails {
                drop(last)
            } else {
                last.does_not_count()
            }
            assert_eq!(late.await.map(drop).map_err(|fault| fault.code()), wanted);
            assert!(throttle.under_way().is_empty());
        }
    }

    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let (_, mut throttle) = throttle();
        throttle.patience = Duration::from_millis(5);
        let mut attempts = Vec::new();
        for _ in 0..MOST_FAILURES {
            attempts.push(throttle.begin("eve", None).await.unwrap());
        }
        assert_eq!(throttle.begin("eve", None).await.err().unwrap().code(), Code::Unavailable);
    }
}
