//! Ports that HTTP is not spoken on, but something else is that may take a request, or a TLS handshake, for its own.

/// The "bad ports" of the Fetch standard, which browsers refuse, and those of well-known data bases, caches, file services
/// and remote desktops. Sorted.
const OTHER_PROTOCOLS: [u16; 93] = [
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104,
    109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 445, 465, 512, 513, 514,
    515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 873, 989, 990, 993, 995, 1433, 1521,
    1719, 1720, 1723, 2049, 3306, 3389, 3659, 4045, 4190, 5060, 5061, 5432, 5900, 6000, 6379, 6566, 6665,
    6666, 6667, 6668, 6669, 6679, 6697, 10080, 11211, 27017,
];

/// May a server of HTTP be expected at this port?
pub(super) fn is_for_http(port: u16) -> bool {
    port != 0 && OTHER_PROTOCOLS.binary_search(&port).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_can_be_searched() {
        assert!(OTHER_PROTOCOLS.is_sorted_by(|one, next| one < next));
    }

    #[test]
    fn ports_of_http_pass_and_others_do_not() {
        for port in [80, 443, 444, 591, 981, 1024, 3000, 5000, 8000, 8080, 8443, 9443, 10443, 49152, 65535] {
            assert!(is_for_http(port), "{port}");
        }
        for port in [
            0, 21, 22, 23, 25, 53, 110, 111, 143, 389, 445, 465, 587, 993, 3306, 5060, 5432, 6379, 6667,
            11211, 27017,
        ] {
            assert!(!is_for_http(port), "{port}");
        }
    }
}
