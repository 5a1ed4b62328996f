//! Keyed rates over monotonic time: fixed windows and token buckets, exact between threads and bounded in memory.
//!
//! What a key is, and what follows when its permits are used up, is decided by who counts. Wall time plays no part:
//! setting the clock grants nothing.

mod buckets;
mod table;
mod windows;

pub use buckets::TokenBuckets;
pub use windows::FixedWindows;

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

/// What is left after one permit was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Was there a permit?
    pub allowed: bool,
    /// Permits that a full window or bucket has.
    pub limit: u32,
    /// Permits left now.
    pub remaining: u32,
    /// Until the next permit is there; zero while one is left.
    pub wait: Duration,
    /// Until all permits are there again.
    pub full_in: Duration,
}

/// What counts as one client where clients count by address: an IPv4 address, also as an IPv6 socket shows it, or the
/// 64 bits of IPv6 that one customer gets.
pub fn one_client(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use super::*;

    #[test]
    fn one_client_has_an_address_or_a_network() {
        for (address, client) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
            ("::1", "::"),
        ] {
            let client: IpAddr = client.parse().unwrap();
            assert_eq!(one_client(address.parse().unwrap()), client, "{address}");
        }
    }
}
