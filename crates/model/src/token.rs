//! API tokens: what is known of one. Its text is shown once and never kept, only a hash is.

use crate::access::Role;
use crate::tenant::TenantName;
use ipnet::IpNet;
use std::net::IpAddr;
use uuid::Uuid;

/// Longest name of a token in characters.
pub const TOKEN_NAME_CHARACTERS: usize = 100;
/// Most networks that a token can be bound to.
pub const TOKEN_NETWORKS: usize = 32;

/// Has this text the form of an API's version: a day such as `2026-11-19`? Whether an API has such a version is that
/// API's business.
pub fn is_api_version(text: &str) -> bool {
    text.len() == "2026-11-19".len() && text.parse::<jiff::civil::Date>().is_ok()
}

/// The network that a text names; an address is the network of it alone. IPv4 written as IPv6 is IPv4, as addresses of
/// requests are compared in that form.
pub fn network(text: &str) -> Option<IpNet> {
    let named: IpNet = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    let IpAddr::V6(address) = named.addr() else { return Some(named) };
    match (address.to_ipv4_mapped(), named.prefix_len().checked_sub(96)) {
        (Some(address), Some(prefix)) => IpNet::new(address.into(), prefix).ok(),
        _ => Some(named),
    }
}

/// An API token of one tenant and role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: Uuid,
    /// Its tenant.
    pub tenant: TenantName,
    /// Its role.
    pub role: Role,
    /// Its name for people.
    pub name: String,
    /// When it was made, in milliseconds.
    pub created_at_ms: i64,
    /// From when on it is no longer taken, in milliseconds.
    pub expires_at_ms: Option<i64>,
    /// When it was last used, in milliseconds; noted at most once a minute.
    pub last_used_at_ms: Option<i64>,
    /// Addresses that it is taken from; empty: from anywhere.
    pub networks: Vec<IpNet>,
    /// Which version of a versioned API answers requests with it that name none; none: that API's own default. A date, as
    /// [`is_api_version`] says.
    pub api_version: Option<String>,
}

impl Token {
    /// Is it taken at this time from this address? A token bound to networks is not taken when the address is unknown.
    pub fn is_usable(&self, now_ms: i64, from: Option<IpAddr>) -> bool {
        let alive = self.expires_at_ms.is_none_or(|expires_at_ms| now_ms < expires_at_ms);
        // An IPv4 address that reached an IPv6 socket is still an IPv4 address.
        let near = |address: IpAddr| {
            let address = address.to_canonical();
            self.networks.iter().any(|network| network.contains(&address))
        };
        alive && (self.networks.is_empty() || from.is_some_and(near))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_told_by_themselves_or_by_an_address() {
        for (text, told) in [
            ("192.0.2.0/24", "192.0.2.0/24"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("::/0", "::/0"),
        ] {
            assert_eq!(network(text).map(|network| network.to_string()).as_deref(), Some(told));
        }
        assert_eq!(network("localhost"), None);
    }

    #[test]
    fn versions_of_an_api_are_days() {
        for (text, is_one) in [
            ("2026-11-19", true),
            ("2026-02-30", false),
            ("2026-11-19T00:00", false),
            ("20261119", false),
            ("+02026-11-", false),
            ("latest", false),
            ("", false),
        ] {
            assert_eq!(is_api_version(text), is_one, "{text}");
        }
    }

    #[test]
    fn a_token_ends_and_may_be_bound_to_networks() {
        let mut token = Token {
            id: Uuid::nil(),
            tenant: TenantName::default_tenant(),
            role: Role::Analyst,
            name: "nightly".into(),
            created_at_ms: 0,
            expires_at_ms: Some(10),
            last_used_at_ms: None,
            networks: Vec::new(),
            api_version: None,
        };
        assert!(token.is_usable(9, None) && !token.is_usable(10, None));
        token.networks = vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap()];
        for (address, near) in
            [("192.0.2.7", true), ("::ffff:192.0.2.7", true), ("192.0.3.7", false), ("2001:db8::1", true)]
        {
            assert_eq!(token.is_usable(0, Some(address.parse().unwrap())), near, "{address}");
        }
        assert!(!token.is_usable(0, None));
    }
}
