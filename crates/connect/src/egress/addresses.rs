//! Which IP addresses are public: the unicast addresses of the Internet, and nothing that only looks like one.
//!
//! From the IANA registries of special-purpose addresses (RFC 6890), judged strictly: what is reserved, deprecated or
//! carries another address that is not public is not public. Allow-lists are the policy's.

use ipnet::Ipv4Net;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 networks that no public server is in.
const NOT_PUBLIC: [Ipv4Net; 17] = [
    net([0, 0, 0, 0], 8),          // this host, this network
    net([10, 0, 0, 0], 8),         // private
    net([100, 64, 0, 0], 10),      // behind a carrier's NAT; a cloud's metadata (100.100.100.200)
    net([127, 0, 0, 0], 8),        // loopback
    net([168, 63, 129, 16], 32),   // a cloud's host agent, reachable from its virtual machines alone
    net([169, 254, 0, 0], 16),     // link-local; the metadata of most clouds (169.254.169.254)
    net([172, 16, 0, 0], 12),      // private
    net([192, 0, 0, 0], 24),       // protocol assignments; a cloud's metadata (192.0.0.192)
    net([192, 0, 2, 0], 24),       // documentation
    net([192, 88, 99, 0], 24),     // relays to 6to4, deprecated
    net([192, 168, 0, 0], 16),     // private
    net([198, 18, 0, 0], 15),      // benchmarks
    net([198, 51, 100, 0], 24),    // documentation
    net([203, 0, 113, 0], 24),     // documentation
    net([224, 0, 0, 0], 4),        // multicast
    net([240, 0, 0, 0], 4),        // reserved
    net([255, 255, 255, 255], 32), // broadcast
];

const fn net(address: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(address[0], address[1], address[2], address[3]), prefix)
}

/// Is this the address of a server in the public Internet?
pub(super) fn is_public(address: IpAddr) -> bool {
    match canonical(address) {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// The address that a connection really goes to: the IPv4 address of an IPv4-mapped one, else itself.
pub(super) fn canonical(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !NOT_PUBLIC.iter().any(|network| network.contains(&address))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, third, .., seventh, eighth] = address.segments();
    let sixth = address.segments()[5];
    // Translated to the IPv4 address in its last 32 bits (RFC 6052). The prefix for local use, 64:ff9b:1::/48, is
    // not public whatever it carries.
    if address.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0] {
        return is_public_v4(carried(seventh, eighth));
    }
    // Global unicast is 2000::/3. Unspecified, loopback, IPv4-compatible, unique local, link-local, site-local,
    // multicast, discard-only and segment routing addresses are all outside of it.
    if first & 0xe000 != 0x2000 {
        return false;
    }
    // Protocol assignments (with Teredo, benchmarks and ORCHID), and documentation twice.
    if (first == 0x2001 && second < 0x0200) || (first, second) == (0x2001, 0x0db8) {
        return false;
    }
    if first == 0x3fff && second < 0x1000 {
        return false;
    }
    // 6to4: a relay sends on to the IPv4 address behind the prefix.
    if first == 0x2002 && !is_public_v4(carried(second, third)) {
        return false;
    }
    // ISATAP: a router of the site sends on to the IPv4 address in the last 32 bits (RFC 5214).
    let is_isatap = sixth == 0x5efe && address.segments()[4] & !0x0300 == 0;
    !is_isatap || is_public_v4(carried(seventh, eighth))
}

/// The IPv4 address in two segments of an IPv6 one.
fn carried(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_public(addresses: &[&str], wanted: bool) {
        for text in addresses {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(is_public(address), wanted, "{text}");
        }
    }

    #[test]
    fn servers_of_the_internet_are_public() {
        let v4 = ["1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "93.184.216.34", "100.63.255.255"];
        assert_public(&v4, true);
        let edges = ["100.128.0.0", "126.255.255.255", "128.0.0.1", "169.253.255.255", "169.255.0.0"];
        assert_public(&edges, true);
        let more_edges = ["172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "192.167.255.255"];
        assert_public(&more_edges, true);
        assert_public(&["192.169.0.0", "198.17.255.255", "198.20.0.0", "223.255.255.255"], true);
        let v6 = ["2606:4700:4700::1111", "2a00:1450:4001:80e::200e", "2001:4860:4860::8888", "2001:200::1"];
        assert_public(&v6, true);
        assert_public(&["3fff:1000::1", "2001:db7:ffff::1", "2001:db9::1", "2620:4f:8000::1"], true);
    }

    #[test]
    fn special_ipv4_addresses_are_not_public() {
        let this_host = ["0.0.0.0", "0.1.2.3", "0.255.255.255", "127.0.0.1", "127.0.0.53", "127.255.255.255"];
        assert_public(&this_host, false);
        let private = ["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0"];
        assert_public(&private, false);
        assert_public(&["192.168.255.255", "100.64.0.0", "100.127.255.255"], false);
        let metadata =
            ["169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16"];
        assert_public(&metadata, false);
        let reserved =
            ["192.0.0.1", "192.0.2.1", "192.88.99.1", "198.18.0.0", "198.19.255.255", "198.51.100.7"];
        assert_public(&reserved, false);
        let many =
            ["203.0.113.1", "224.0.0.1", "233.252.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"];
        assert_public(&many, false);
    }

    #[test]
    fn special_ipv6_addresses_are_not_public() {
        assert_public(
            &["::", "::1", "::2", "100::1", "100:0:0:1::1", "5f00::1", "4000::1", "1fff::1"],
            false,
        );
        assert_public(&["fc00::1", "fd00:ec2::254", "fd20:ce::254", "fdff::1", "fe80::1", "febf::1"], false);
        assert_public(&["fec0::1", "feff::1", "ff02::1", "ff0e::1"], false);
        assert_public(&["2001:db8::1", "2001:db8:ffff::1", "3fff::1", "3fff:fff::1"], false);
        assert_public(&["2001:2::1", "2001:10::1", "2001:20::1", "2001:1ff::1"], false);
    }

    #[test]
    fn an_ipv4_address_inside_an_ipv6_one_is_judged() {
        assert_public(
            &["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0.0.0.0"],
            false,
        );
        assert_public(&["::ffff:8.8.8.8"], true);
        // IPv4-compatible and IPv4-translated addresses are nobody's, whatever they carry.
        assert_public(&["::127.0.0.1", "::8.8.8.8", "::ffff:0:127.0.0.1", "::ffff:0:8.8.8.8"], false);
        assert_public(&["64:ff9b::127.0.0.1", "64:ff9b::10.1.2.3", "64:ff9b::169.254.169.254"], false);
        assert_public(&["64:ff9b::8.8.8.8"], true);
        assert_public(&["64:ff9b:1::8.8.8.8", "64:ff9b:1:7f00:0:100::", "64:ff9b:0:1::8.8.8.8"], false);
        assert_public(&["2002:7f00:1::1", "2002:a00:1::1", "2002:a9fe:a9fe::1", "2002:c0a8:101::"], false);
        assert_public(&["2002:808:808::1"], true);
        // Teredo, whose client's address is written upside down: 127.0.0.1, and 8.8.8.8.
        assert_public(
            &["2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:0:4136:e378:8000:63bf:f7f7:f7f7"],
            false,
        );
        assert_public(&["2a00:1450::5efe:127.0.0.1", "2a00:1450::200:5efe:10.0.0.1"], false);
        assert_public(&["2a00:1450::300:5efe:192.168.0.1", "fe80::5efe:8.8.8.8"], false);
        assert_public(&["2a00:1450::5efe:8.8.8.8"], true);
    }
}
