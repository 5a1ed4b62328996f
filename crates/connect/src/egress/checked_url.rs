//! Reading a URL so that what is judged is what is connected to: parsed as browsers do it, and refused where they would
//! quietly read something else than what is written.
//!
//! Whether its host may be called is the policy's.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use url::{Host, Url};

/// Longest URL in bytes. Dialects allow less; parameters may be appended to what they let pass.
const MOST_BYTES: usize = 8192;
/// Longest host name, and longest part of one between dots (RFC 1035 section 2.3.4).
const MOST_NAME_BYTES: usize = 253;
const MOST_LABEL_BYTES: usize = 63;

const NO_URL: &str = "must be an absolute URL such as https://host.example/path";

/// An absolute `https` or `http` URL without user name, password and fragment, that a policy has let pass.
///
/// Its path and query may hold secrets of the receiver: `Debug` shows the origin alone.
#[derive(Clone, PartialEq, Eq)]
pub struct CheckedUrl {
    url: Url,
    host: Host<String>,
    port: u16,
}

impl CheckedUrl {
    /// Reads a URL; answers what is wrong with it.
    pub(super) fn read(text: &str) -> Result<Self, &'static str> {
        let written_host = written_host(text)?;
        let url = Url::parse(text).map_err(|_| NO_URL)?;
        let host = url.host().ok_or("must name a host")?.to_owned();
        let as_written = match &host {
            Host::Domain(name) => {
                if name.ends_with('.') {
                    return Err("must name its host without a dot at the end");
                }
                name.eq_ignore_ascii_case(written_host) && is_host_name(name)
            }
            Host::Ipv4(address) => written_host.parse() == Ok(*address),
            Host::Ipv6(address) => {
                let bare = written_host.trim_start_matches('[').trim_end_matches(']');
                bare.parse::<Ipv6Addr>() == Ok(*address)
            }
        };
        if !as_written {
            return Err(match host {
                Host::Ipv4(_) => "must give an IPv4 address as four decimal numbers",
                _ => "must name a host of letters, digits, hyphens and dots, or an IP address",
            });
        }
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or("must not use port 0")?;
        Ok(Self { url, host, port })
    }

    /// The URL as it is requested.
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// Is it `https`?
    pub fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Host name in lower case, or IP address, an IPv6 one in brackets.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The port, be it written or that of the scheme.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The host, when it is a name.
    pub(super) fn name(&self) -> Option<&str> {
        match &self.host {
            Host::Domain(name) => Some(name),
            Host::Ipv4(_) | Host::Ipv6(_) => None,
        }
    }

    /// The host, when it is an address.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match self.host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(IpAddr::V4(address)),
            Host::Ipv6(address) => Some(IpAddr::V6(address)),
        }
    }

    /// Host and port as the header `Host` has them: the scheme's own port is left out.
    pub(super) fn authority(&self) -> String {
        match self.url.port() {
            Some(port) => format!("{}:{port}", self.host()),
            None => self.host().to_owned(),
        }
    }

    /// Path and query, as in the request line.
    pub(super) fn path_and_query(&self) -> String {
        match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        }
    }
}

impl fmt::Debug for CheckedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}/…", self.url.scheme(), self.authority())
    }
}

/// The host as it stands in the text, after refusing every text of which a parser would make something else.
fn written_host(text: &str) -> Result<&str, &'static str> {
    if text.len() > MOST_BYTES {
        return Err("must be at most 8,192 bytes long");
    }
    // Parsers drop tabs, line ends and outer blanks, and take a backslash for a slash.
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("must not hold blanks, control characters or backslashes");
    }
    let (scheme, rest) = text.split_once("://").ok_or(NO_URL)?;
    if !["https", "http"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
        return Err("must begin with https://");
    }
    if rest.contains('#') {
        return Err("must not hold a fragment");
    }
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err("must not hold a user name or password");
    }
    if authority.contains('%') {
        return Err("must not hold percent signs in its host");
    }
    if !authority.is_ascii() {
        return Err("must name an international host in its xn-- form");
    }
    let host = match authority.rsplit_once(':') {
        Some((host, _)) if !authority.ends_with(']') => host,
        _ => authority,
    };
    if host.is_empty() { Err("must name a host") } else { Ok(host) }
}

/// Is it a host name as people give them, underscores included?
pub(super) fn is_host_name(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=MOST_LABEL_BYTES).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= MOST_NAME_BYTES && text.split('.').all(is_label)
}

/// Would a parser take this host for an IPv4 address, though it is not written as one?
pub(super) fn is_number(host: &str) -> bool {
    !matches!(Host::parse(host), Ok(Host::Domain(_)))
        && host.parse::<Ipv4Addr>().is_err()
        && is_host_name(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_requested_is_what_was_written() {
        for (text, host, port, path_and_query, authority) in [
            ("https://a.example", "a.example", 443, "/", "a.example"),
            ("HTTPS://A.Example:443/x?y=%20z", "a.example", 443, "/x?y=%20z", "a.example"),
            ("http://a.example:8080?q", "a.example", 8080, "/?q", "a.example:8080"),
            ("https://a.example:/x", "a.example", 443, "/x", "a.example"),
            ("https://my_host.example/a@b:c", "my_host.example", 443, "/a@b:c", "my_host.example"),
            (
                "https://xn--bcher-kva.example/ü",
                "xn--bcher-kva.example",
                443,
                "/%C3%BC",
                "xn--bcher-kva.example",
            ),
            ("https://8.8.8.8:1/", "8.8.8.8", 1, "/", "8.8.8.8:1"),
            ("https://[2606:4700:0::1]:8443/", "[2606:4700::1]", 8443, "/", "[2606:4700::1]:8443"),
            (
                "https://a.example/?next=https://b.example/",
                "a.example",
                443,
                "/?next=https://b.example/",
                "a.example",
            ),
        ] {
            let url = CheckedUrl::read(text).unwrap();
            assert_eq!((url.host(), url.port()), (host, port), "{text}");
            assert_eq!(
                (url.path_and_query().as_str(), url.authority().as_str()),
                (path_and_query, authority)
            );
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for (text, hint) in [
            ("", "absolute URL"),
            ("a.example", "absolute URL"),
            ("//a.example/", "absolute URL"),
            ("/path", "absolute URL"),
            ("https:a.example", "absolute URL"),
            ("https:/a.example", "absolute URL"),
            ("https:///a.example", "must name a host"),
            ("https://", "must name a host"),
            ("https://:443/", "must name a host"),
            ("https://?q", "must name a host"),
            ("ftp://a.example/", "begin with https"),
            ("file:///etc/passwd", "begin with https"),
            ("gopher://a.example/", "begin with https"),
            ("javascript://a.example/", "begin with https"),
            ("httpsx://a.example/", "begin with https"),
            (" https://a.example/", "blanks"),
            ("https://a.example/ ", "blanks"),
            ("https://a.example/a b", "blanks"),
            ("ht\ntps://a.example/", "blanks"),
            ("https://a.exa\tmple/", "blanks"),
            ("https://a.example/\r\nHost: b", "blanks"),
            ("https://a.example/\0", "control"),
            ("https://a.example/\u{a0}", "blanks"),
            ("https://a.example\\@b.example/", "backslashes"),
            ("https:\\\\a.example/", "backslashes"),
            ("https://user@a.example/", "user name"),
            ("https://user:secret@a.example/", "user name"),
            ("https://a.example:443@b.example/", "user name"),
            ("https://@a.example/", "user name"),
            ("https://a.example#@b.example/", "fragment"),
            ("https://a.example/#top", "fragment"),
            ("https://%61.example/", "percent"),
            ("https://a.example%2f.b.example/", "percent"),
            ("https://127%2e0%2e0%2e1/", "percent"),
            ("https://[fe80::1%25eth0]/", "percent"),
            ("https://[fe80::1%eth0]/", "percent"),
            ("https://bücher.example/", "xn--"),
            ("https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", "xn--"),
            ("https://127。0。0。1/", "xn--"),
            ("https://１２７.0.0.1/", "xn--"),
            ("https://a\u{ad}.example/", "xn--"),
            ("https://xn--a/", "absolute URL"),
            ("https://xn--/", "absolute URL"),
            ("https://a.example./", "without a dot"),
            ("https://localhost./", "without a dot"),
            ("https://a..example/", "letters, digits"),
            ("https://.a.example/", "letters, digits"),
            ("https://-a.example/", "letters, digits"),
            ("https://a*.example/", "letters, digits"),
            ("https://a,b.example/", "letters, digits"),
            ("https://a;b/", "letters, digits"),
            ("https://a'b/", "letters, digits"),
            ("https://{a}/", "letters, digits"),
            ("https://$(a)/", "letters, digits"),
            ("https://2130706433/", "four decimal"),
            ("https://0x7f000001/", "four decimal"),
            ("https://0x7f.1/", "four decimal"),
            ("https://017700000001/", "four decimal"),
            ("https://0177.0.0.1/", "four decimal"),
            ("https://127.1/", "four decimal"),
            ("https://127.0.1/", "four decimal"),
            ("https://127.0.0.01/", "four decimal"),
            ("https://127.0.0.1./", "four decimal"),
            ("https://0/", "four decimal"),
            ("https://8.8.2056/", "four decimal"),
            ("https://256.1.1.1/", "absolute URL"),
            ("https://1.2.3.4.5/", "absolute URL"),
            ("https://a.1/", "absolute URL"),
            ("https://[::1/", "absolute URL"),
            ("https://::1/", "absolute URL"),
            ("https://[a.example]/", "absolute URL"),
            ("https://[]/", "absolute URL"),
            ("https://[v1.a]/", "absolute URL"),
            ("https://a.example:0/", "port 0"),
            ("https://a.example:65536/", "absolute URL"),
            ("https://a.example:-1/", "absolute URL"),
            ("https://a.example:80x/", "absolute URL"),
            ("https://a.example:443:443/", "absolute URL"),
            ("https://a<b/", "absolute URL"),
            ("https://a^b/", "absolute URL"),
            ("https://a|b/", "absolute URL"),
        ] {
            let reason = CheckedUrl::read(text).map(|_| ()).expect_err(text);
            assert!(reason.contains(hint), "{text:?}: {reason}");
        }
        let long = format!("https://a.example/{}", "a".repeat(MOST_BYTES));
        assert!(CheckedUrl::read(&long).unwrap_err().contains("8,192"));
        let long_label = format!("https://{}.example/", "a".repeat(64));
        assert!(CheckedUrl::read(&long_label).unwrap_err().contains("letters, digits"));
        let long_name = format!("https://{}example/", "a.".repeat(127));
        assert!(CheckedUrl::read(&long_name).unwrap_err().contains("letters, digits"));
    }

    #[test]
    fn what_is_printed_holds_no_path() {
        let url = CheckedUrl::read("https://a.example:8443/secret?token=t").unwrap();
        assert_eq!(format!("{url:?}"), "https://a.example:8443/…");
    }
}
