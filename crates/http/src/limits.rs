//! How many requests are taken in which time: per credential, per group, and per address where no credential is needed.
//!
//! The numbers are the operator's (`config`), the counting is `kit::rate`'s. Quotas of things under way are `app`'s.

use crate::config::RateConfig;
use crate::exchange::Exchange;
use std::net::IpAddr;
use std::sync::Arc;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::rate::{FixedWindows, Taken, TokenBuckets, one_client};
use tollbook_model::tenant::TenantName;
use uuid::Uuid;

/// Which of a native credential's two rates a route counts against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Budget {
    /// Of ordinary calls.
    Calls,
    /// Of requests with records.
    Ingest,
}

/// Downloads by links per second and job, for as long as it goes on. Each is an entry in the audit log, so this bounds
/// how fast a link writes there.
const DOWNLOADS_PER_SECOND: u32 = 20;
/// Downloads by links that a rested job allows at once: readers resume and read in ranges, and many may read one file.
const DOWNLOADS_AT_ONCE: u32 = 2000;

/// The rates of all dialects.
#[derive(Debug)]
pub(crate) struct Limits {
    calls: TokenBuckets<Uuid>,
    ingest: TokenBuckets<Uuid>,
    didww: TokenBuckets<Uuid>,
    groups: FixedWindows<TenantName>,
    public: TokenBuckets<Option<IpAddr>>,
    downloads: TokenBuckets<Uuid>,
}

impl Limits {
    pub(crate) fn new(config: &RateConfig, clock: &Arc<dyn Clock>) -> Self {
        let buckets = |per_second, burst| TokenBuckets::new(clock.clone(), per_second, burst);
        Self {
            calls: buckets(config.native_per_second, config.native_burst),
            ingest: buckets(config.ingest_per_second, config.ingest_per_second),
            didww: buckets(config.didww_per_second, config.didww_per_second),
            groups: FixedWindows::new(
                clock.clone(),
                config.group_permits,
                config.group_window,
                config.group_entry_ttl,
            ),
            public: TokenBuckets::new(clock.clone(), config.public_per_second, config.public_per_second),
            downloads: buckets(DOWNLOADS_PER_SECOND, DOWNLOADS_AT_ONCE),
        }
    }

    /// Counts a native request of a credential.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(crate) fn native(&self, exchange: &Exchange, credential: Uuid, budget: Budget) -> Result<(), Fault> {
        let buckets = match budget {
            Budget::Calls => &self.calls,
            Budget::Ingest => &self.ingest,
        };
        counted(exchange, buckets.take(&credential))
    }

    /// Counts a request of the DIDWW dialect.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(crate) fn didww(&self, exchange: &Exchange, credential: Uuid) -> Result<(), Fault> {
        counted(exchange, self.didww.take(&credential))
    }

    /// Counts a request of the Omilia dialect for its group.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(crate) fn group(&self, exchange: &Exchange, group: &TenantName) -> Result<(), Fault> {
        counted(exchange, self.groups.take(group))
    }

    /// Counts a request that needs no credential. Addresses of IPv6 count by their network of 64 bits, which is what one
    /// client has.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(crate) fn public(&self, address: Option<IpAddr>) -> Result<(), Fault> {
        admitted(self.public.take(&address.map(one_client)))
    }

    /// Counts a download of a file of this job by a good link: only jobs that there are have a bucket.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(crate) fn download(&self, job: Uuid) -> Result<(), Fault> {
        admitted(self.downloads.take(&job))
    }
}

fn counted(exchange: &Exchange, taken: Taken) -> Result<(), Fault> {
    exchange.counted(taken);
    admitted(taken)
}

fn admitted(taken: Taken) -> Result<(), Fault> {
    if taken.allowed {
        return Ok(());
    }
    let text = "too many requests in too short a time; wait for as long as Retry-After says";
    Err(Fault::new(Code::RateLimited, text).with_retry_after(taken.wait))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Uri;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;
    use tollbook_kit::clock::ManualClock;

    fn limits() -> (Arc<ManualClock>, Limits) {
        let clock = Arc::new(ManualClock::at(0));
        let limits = Limits::new(&RateConfig::default(), &(clock.clone() as Arc<dyn Clock>));
        (clock, limits)
    }

    fn exchange() -> Arc<Exchange> {
        Exchange::new(Uuid::nil(), &Uri::from_static("/"), None)
    }

    #[test]
    fn sixty_four_threads_over_one_credential_get_exactly_its_burst() {
        let (clock, limits) = limits();
        let pass = || {
            let passed = AtomicU32::new(0);
            std::thread::scope(|scope| {
                for _ in 0..64 {
                    scope.spawn(|| {
                        for _ in 0..20 {
                            if limits.native(&exchange(), Uuid::nil(), Budget::Calls).is_ok() {
                                passed.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                    });
                }
            });
            passed.into_inner()
        };
        assert_eq!(pass(), 40);
        clock.set_wall(1 << 40);
        assert_eq!(pass(), 0, "a step of the wall clock grants nothing");
        clock.advance(Duration::from_secs(1));
        assert_eq!(pass(), 20);
    }

    #[test]
    fn each_rate_is_its_own() {
        let (_, limits) = limits();
        let count = |take: &dyn Fn() -> Result<(), Fault>| (0..5000).take_while(|_| take().is_ok()).count();
        let (credential, group) = (Uuid::from_u128(1), TenantName::default_tenant());
        assert_eq!(count(&|| limits.native(&exchange(), credential, Budget::Calls)), 40);
        assert_eq!(count(&|| limits.native(&exchange(), credential, Budget::Ingest)), 2000);
        assert_eq!(count(&|| limits.didww(&exchange(), credential)), 20);
        assert_eq!(count(&|| limits.group(&exchange(), &group)), 60);
        assert_eq!(count(&|| limits.native(&exchange(), Uuid::from_u128(2), Budget::Calls)), 40);
        assert_eq!(count(&|| limits.download(credential)), 2000);
    }

    #[test]
    fn addresses_count_by_what_one_client_has() {
        let (_, limits) = limits();
        let take = |address: &str| limits.public(Some(address.parse().unwrap())).is_ok();
        for _ in 0..20 {
            assert!(take("192.0.2.1") && take("2001:db8::1"));
        }
        assert!(!take("192.0.2.1"));
        assert!(!take("::ffff:192.0.2.1"), "the same address, as an IPv6 socket shows it");
        assert!(take("192.0.2.2"));
        assert!(!take("2001:db8::ffff:1"), "the same network");
        assert!(take("2001:db8:0:1::1"));
        assert!(limits.public(None).is_ok());
    }

    #[test]
    fn refusals_say_when_to_come_back() {
        let (clock, limits) = limits();
        let group = TenantName::default_tenant();
        for _ in 0..60 {
            limits.group(&exchange(), &group).unwrap();
        }
        clock.advance(Duration::from_millis(12_300));
        let fault = limits.group(&exchange(), &group).unwrap_err();
        assert_eq!(fault.code(), Code::RateLimited);
        assert_eq!(fault.retry_after(), Some(Duration::from_millis(47_700)));
    }

    #[test]
    fn downloads_go_on_at_their_rate_and_jobs_at_rest_are_forgotten() {
        let (clock, limits) = limits();
        let (read, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        assert!((0..2000).all(|_| limits.download(read).is_ok()));
        assert_eq!(limits.download(read).unwrap_err().retry_after(), Some(Duration::from_millis(50)));
        assert!(limits.download(other).is_ok());
        clock.advance(Duration::from_secs(1));
        assert_eq!((0..100).filter(|_| limits.download(read).is_ok()).count(), 20);
        for job in 0..100_000 {
            limits.download(Uuid::from_u128(job)).unwrap_or_default();
        }
        clock.advance(Duration::from_secs(100));
        for job in 100_000..110_000 {
            limits.download(Uuid::from_u128(job)).unwrap();
        }
        assert!(limits.downloads.entries() < 20_000, "{}", limits.downloads.entries());
    }
}
