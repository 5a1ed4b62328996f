//! An entry of the operator's allow-list: a host by its name, or an IP network.
//!
//! What being listed permits is the policy's.

use super::checked_url::{is_host_name, is_number};
use ipnet::IpNet;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// A host or network that calls may reach though it is not public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedTarget {
    /// Exactly this host name, in lower case, whatever addresses it has.
    Host(String),
    /// Every address in this network, written in a URL or found by resolving a name.
    Network(IpNet),
}

/// Why a text is no [`AllowedTarget`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotATarget(&'static str);

impl fmt::Display for NotATarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for NotATarget {}

impl fmt::Display for AllowedTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name) => f.write_str(name),
            Self::Network(network) => network.fmt(f),
        }
    }
}

impl FromStr for AllowedTarget {
    type Err = NotATarget;

    /// Reads `keycloak.example.net`, `10.20.0.0/16`, `10.20.0.7`, `fd12::/16` or `[fd12::1]`.
    fn from_str(text: &str) -> Result<Self, NotATarget> {
        let text = text.trim();
        if text.contains("://") {
            return Err(NotATarget("is a URL: write its host alone"));
        }
        if text.contains('/') {
            return network(text);
        }
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        if let Ok(address) = bare.parse::<IpAddr>() {
            return checked(IpNet::from(address));
        }
        if text.contains(':') {
            return Err(NotATarget("names a port: write the host alone, all its ports are meant"));
        }
        if text.contains('*') {
            return Err(NotATarget("holds a wildcard: write every host, or the network they are in"));
        }
        if text.ends_with('.') {
            return Err(NotATarget("ends in a dot: write the host name without it"));
        }
        if is_number(text) {
            return Err(NotATarget("is no IPv4 address: write it as four decimal numbers"));
        }
        if !is_host_name(text) {
            return Err(NotATarget(
                "must be a host name (an international one in its xn-- form), an IP address, or a network such as 10.0.0.0/8",
            ));
        }
        Ok(Self::Host(text.to_ascii_lowercase()))
    }
}

fn network(text: &str) -> Result<AllowedTarget, NotATarget> {
    let network: IpNet =
        text.parse().map_err(|_| NotATarget("must be a network such as 10.0.0.0/8 or fd12::/16"))?;
    if network.trunc() != network {
        return Err(NotATarget("has bits beyond its prefix: write the first address of the network"));
    }
    checked(network)
}

fn checked(network: IpNet) -> Result<AllowedTarget, NotATarget> {
    match network.addr() {
        IpAddr::V6(address) if network.prefix_len() >= 96 && address.to_ipv4_mapped().is_some() => {
            Err(NotATarget("is IPv4 written as IPv6: write the IPv4 address or network"))
        }
        _ => Ok(AllowedTarget::Network(network)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_networks_are_read_and_written_alike() {
        for (text, written) in [
            ("Keycloak.Example.net", "keycloak.example.net"),
            (" localhost ", "localhost"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            ("my_receiver", "my_receiver"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.1.2.3", "10.1.2.3/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("[::1]", "::1/128"),
            ("fd12::/16", "fd12::/16"),
        ] {
            assert_eq!(text.parse::<AllowedTarget>().unwrap().to_string(), written, "{text}");
        }
    }

    #[test]
    fn what_is_neither_is_refused_with_the_way_out() {
        for (text, hint) in [
            ("", "must be a host name"),
            ("https://keycloak.example.net", "its host alone"),
            ("keycloak.example.net:8443", "names a port"),
            ("[::1]:8443", "names a port"),
            ("*.example.net", "wildcard"),
            ("example.net.", "ends in a dot"),
            ("bücher.example", "xn--"),
            ("a b", "must be a host name"),
            ("user@host", "must be a host name"),
            ("10.0.0.5/8", "bits beyond its prefix"),
            ("10.0.0.0/33", "must be a network"),
            ("host/path", "must be a network"),
            ("127.1", "four decimal numbers"),
            ("0x7f000001", "four decimal numbers"),
            ("010.0.0.1", "four decimal numbers"),
            ("::ffff:10.0.0.1", "write the IPv4"),
            ("::ffff:10.0.0.0/104", "write the IPv4"),
        ] {
            let fault = text.parse::<AllowedTarget>().unwrap_err().to_string();
            assert!(fault.contains(hint), "{text:?}: {fault}");
        }
    }
}
