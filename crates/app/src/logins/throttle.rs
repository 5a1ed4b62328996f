//! How often a login may fail: by user name and by address, each in windows of five minutes.
//!
//! Permits are taken before a password is looked at, and given back when the attempt turns out not to count: attempts
//! that run side by side cannot be more than the permits.

use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::rate::FixedWindows;

/// Failures within a window, per user name and per address (`omilia.md` section 2.3).
pub(crate) const MOST_FAILURES: u32 = 10;
/// Length of a window; it begins with its first failure.
pub(crate) const WINDOW: Duration = Duration::from_secs(300);

/// Counts failed logins.
#[derive(Debug)]
pub(crate) struct LoginThrottle {
    /// By digests: a name that was tried may be a mistyped password, and may be long.
    names: FixedWindows<[u8; 32]>,
    addresses: FixedWindows<IpAddr>,
}

impl LoginThrottle {
    pub(crate) fn new(clock: &Arc<dyn Clock>) -> Self {
        Self {
            names: FixedWindows::new(clock.clone(), MOST_FAILURES, WINDOW, WINDOW),
            addresses: FixedWindows::new(clock.clone(), MOST_FAILURES, WINDOW, WINDOW),
        }
    }

    /// Lets an attempt begin. It counts as failed until it is said that it does not count.
    ///
    /// # Errors
    /// `rate_limited` until the window ends.
    pub(crate) fn begin(&self, username: &str, address: Option<IpAddr>) -> Result<Attempt<'_>, Fault> {
        let attempt = Attempt {
            throttle: self,
            name: Sha256::digest(username.as_bytes()).into(),
            address: address.map(counted_as),
        };
        if let Some(address) = &attempt.address {
            let taken = self.addresses.take(address);
            if !taken.allowed {
                return Err(refused(taken.wait));
            }
        }
        let taken = self.names.take(&attempt.name);
        if taken.allowed {
            return Ok(attempt);
        }
        // Colleagues behind the same address do not pay for one name that is locked.
        if let Some(address) = &attempt.address {
            self.addresses.give_back(address);
        }
        Err(refused(taken.wait))
    }
}

/// An attempt under way.
#[must_use]
pub(crate) struct Attempt<'t> {
    throttle: &'t LoginThrottle,
    name: [u8; 32],
    address: Option<IpAddr>,
}

impl Attempt<'_> {
    /// It succeeded, or could not be judged: its permits are given back.
    pub(crate) fn does_not_count(self) {
        self.throttle.names.give_back(&self.name);
        if let Some(address) = &self.address {
            self.throttle.addresses.give_back(address);
        }
    }
}

/// IPv4 addresses count alone, IPv6 addresses by their /64: whoever has one of those has them all.
fn counted_as(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address => address,
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

    #[test]
    fn ten_failures_of_a_name_and_of_an_address() {
        let (clock, throttle) = throttle();
        for at in 0..MOST_FAILURES {
            let _counted = throttle.begin("eve", address(&format!("192.0.2.{at}"))).unwrap();
            clock.advance(Duration::from_secs(1));
        }
        let fault = throttle.begin("eve", address("192.0.2.99")).err().unwrap();
        assert_eq!(fault.code(), Code::RateLimited);
        assert_eq!(fault.retry_after(), Some(Duration::from_secs(290)));
        assert!(throttle.begin("eve", None).is_err(), "without an address the name counts");
        assert!(throttle.begin("adam", address("192.0.2.99")).is_ok());

        for at in 0..MOST_FAILURES {
            let _counted = throttle.begin(&format!("name {at}"), address("2001:db8::1")).unwrap();
        }
        assert!(throttle.begin("other", address("2001:db8::2")).is_err(), "the same network");
        assert!(throttle.begin("other", address("2001:db8:0:1::1")).is_ok());
        clock.advance(WINDOW);
        assert!(throttle.begin("eve", address("2001:db8::2")).is_ok());
    }

    #[test]
    fn what_does_not_count_is_given_back_and_a_locked_name_costs_its_address_nothing() {
        let (_, throttle) = throttle();
        for _ in 0..3 * MOST_FAILURES {
            throttle.begin("eve", address("192.0.2.1")).unwrap().does_not_count();
        }
        for _ in 0..MOST_FAILURES {
            let _counted = throttle.begin("eve", None).unwrap();
        }
        for _ in 0..3 * MOST_FAILURES {
            assert!(throttle.begin("eve", address("192.0.2.1")).is_err());
        }
        assert!(throttle.begin("adam", address("192.0.2.1")).is_ok());
    }
}
