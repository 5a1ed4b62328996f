//! Who asks: the address of the client behind the proxies that the operator trusts.
//!
//! Only addresses are found here. What may be done from which is `app`'s, how often is `limits`'.

use http::HeaderMap;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};

const FORWARDED_FOR: &str = "x-forwarded-for";

/// The other end of the connection, an extension of every request. It may be a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// The address of the client: the peer's, unless the peer is a trusted proxy; then the last address in
/// `X-Forwarded-For` that is of no trusted proxy. What stands before that one was written by the client himself and is
/// not believed, and neither is anything before an entry that is no address.
pub(crate) fn client_address(peer: SocketAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut client = peer.ip().to_canonical();
    for value in headers.get_all(FORWARDED_FOR).iter().rev() {
        let Ok(entries) = value.to_str() else { return client };
        for entry in entries.rsplit(',') {
            if !is_trusted(client, trusted) {
                return client;
            }
            let Some(address) = address(entry.trim()) else { return client };
            client = address;
        }
    }
    client
}

/// Is this the address of a trusted proxy?
pub(crate) fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address))
}

/// An address, with or without a port: some proxies add the port.
fn address(entry: &str) -> Option<IpAddr> {
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    let address =
        bare.parse().ok().or_else(|| entry.parse::<SocketAddr>().ok().map(|with_port| with_port.ip()))?;
    Some(IpAddr::to_canonical(&address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn only_what_trusted_proxies_wrote_is_believed() {
        let trusted: Vec<IpNet> = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap()).into();
        for (peer, lines, wanted) in [
            ("203.0.113.9:1", &[][..], "203.0.113.9"),
            ("203.0.113.9:1", &["198.51.100.1"], "203.0.113.9"),
            ("10.0.0.1:1", &[], "10.0.0.1"),
            ("10.0.0.1:1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1:1", &["192.0.2.66, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1:1", &["192.0.2.66, 198.51.100.1 ,10.0.0.2,\t10.0.0.3"], "198.51.100.1"),
            ("10.0.0.1:1", &["192.0.2.66", "198.51.100.1", "10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1:1", &["192.0.2.66", ""], "10.0.0.1"),
            ("10.0.0.1:1", &["192.0.2.66, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1:1", &["192.0.2.66, _hidden"], "10.0.0.1"),
            ("10.0.0.1:1", &["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
            ("10.0.0.1:1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("10.0.0.1:1", &["[2001:db8::1]:4711"], "2001:db8::1"),
            ("10.0.0.1:1", &["[2001:db8::1]"], "2001:db8::1"),
            ("10.0.0.1:1", &["2001:db8::1, fd00::7"], "2001:db8::1"),
            ("10.0.0.1:1", &["::ffff:198.51.100.1, ::ffff:10.0.0.2"], "198.51.100.1"),
            ("[::ffff:10.0.0.1]:1", &["198.51.100.1"], "198.51.100.1"),
            ("[::ffff:203.0.113.9]:1", &["198.51.100.1"], "203.0.113.9"),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(FORWARDED_FOR, HeaderValue::from_str(line).unwrap());
            }
            let found = client_address(peer.parse().unwrap(), &headers, &trusted);
            assert_eq!(found.to_string(), wanted, "{peer} {lines:?}");
        }
    }

    #[test]
    fn without_trusted_proxies_the_header_means_nothing() {
        let mut headers = HeaderMap::new();
        headers.append(FORWARDED_FOR, HeaderValue::from_static("198.51.100.1"));
        assert_eq!(client_address("127.0.0.1:1".parse().unwrap(), &headers, &[]).to_string(), "127.0.0.1");
        headers.insert(FORWARDED_FOR, HeaderValue::from_bytes(b"198.51.100.1, \xff").unwrap());
        let all = ["0.0.0.0/0".parse().unwrap()];
        assert_eq!(client_address("127.0.0.1:1".parse().unwrap(), &headers, &all).to_string(), "127.0.0.1");
    }
}
