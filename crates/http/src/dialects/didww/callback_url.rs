//! The address of a callback: taken apart, with parameters put behind it, and in the form that is signed (`didww.md`
//! sections 7.2 and 7.3).
//!
//! Whether it may be called is the egress policy's to say.

use form_urlencoded::Serializer;

/// An absolute address of HTTP, in its pieces as they are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CallbackUrl<'t> {
    scheme: &'static str,
    userinfo: Option<&'t str>,
    host: &'t str,
    port: u16,
    /// The port as it is written.
    written_port: Option<&'t str>,
    path: &'t str,
    query: Option<&'t str>,
    fragment: Option<&'t str>,
}

impl<'t> CallbackUrl<'t> {
    /// Takes an address apart; none when it is no absolute one of HTTP. Only what RFC 3986 knows is taken: of other
    /// characters, and of dots that lead elsewhere, the request would be for another address than is signed.
    pub(super) fn parse(text: &'t str) -> Option<Self> {
        if !text.bytes().all(may_be_written) {
            return None;
        }
        let (scheme, rest) = text.split_once("://")?;
        let (scheme, usual_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => ("http", 80),
            "https" => ("https", 443),
            _ => return None,
        };
        let (rest, fragment) = split_at_first(rest, '#');
        let (rest, query) = split_at_first(rest, '?');
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (userinfo, place) =
            authority.rsplit_once('@').map_or((None, authority), |(user, place)| (Some(user), place));
        let (host, written_port) = split_port(place)?;
        let port = match written_port {
            None | Some("") => usual_port,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
        };
        let leads_elsewhere =
            |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
        if port == 0 || path.split('/').any(leads_elsewhere) {
            return None;
        }
        Some(Self { scheme, userinfo, host, port, written_port, path, query, fragment })
    }

    /// The address as it is signed: with its port, its host in lower case, and never without a path.
    pub(super) fn normalised(&self) -> String {
        let Self { scheme, port, .. } = self;
        let host = self.host.to_ascii_lowercase();
        let path = if self.path.is_empty() { "/" } else { self.path };
        let userinfo = self.userinfo.map(|user| format!("{user}@")).unwrap_or_default();
        let [query, fragment] = [("?", self.query), ("#", self.fragment)].map(|(mark, piece)| {
            piece.filter(|piece| !piece.is_empty()).map(|piece| format!("{mark}{piece}")).unwrap_or_default()
        });
        format!("{scheme}://{userinfo}{host}:{port}{path}{query}{fragment}")
    }

    /// The address with these parameters behind its query, before its fragment.
    pub(super) fn with_parameters(&self, parameters: &[(String, String)]) -> String {
        let added = form_encoded(parameters);
        let query = match self.query.filter(|query| !query.is_empty()) {
            Some(query) if added.is_empty() => query.to_owned(),
            Some(query) => format!("{query}&{added}"),
            None => added,
        };
        let Self { scheme, host, path, .. } = self;
        let userinfo = self.userinfo.map(|user| format!("{user}@")).unwrap_or_default();
        let port = self.written_port.map(|port| format!(":{port}")).unwrap_or_default();
        // An apostrophe in a query does not stay one on its way.
        let query = if query.is_empty() { query } else { format!("?{}", query.replace('\'', "%27")) };
        let fragment = self.fragment.map(|fragment| format!("#{fragment}")).unwrap_or_default();
        format!("{scheme}://{userinfo}{host}{port}{path}{query}{fragment}")
    }
}

/// Parameters as forms write them.
pub(super) fn form_encoded(parameters: &[(String, String)]) -> String {
    Serializer::new(String::new()).extend_pairs(parameters).finish()
}

/// The characters of RFC 3986.
fn may_be_written(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&byte)
}

fn split_at_first(text: &str, mark: char) -> (&str, Option<&str>) {
    text.split_once(mark).map_or((text, None), |(before, behind)| (before, Some(behind)))
}

/// Host, an IPv6 address in its brackets, and port.
fn split_port(place: &str) -> Option<(&str, Option<&str>)> {
    let end = match place.starts_with('[') {
        true => place.find(']')? + 1,
        false => place.find(':').unwrap_or(place.len()),
    };
    let (host, behind) = place.split_at(end);
    let is_host = !host.is_empty() && (host.starts_with('[') || !host.contains(['[', ']']));
    match behind {
        _ if !is_host => None,
        "" => Some((host, None)),
        _ => behind.strip_prefix(':').map(|port| (host, Some(port))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_signed_in_one_form() {
        for (text, wanted) in [
            ("http://foo.com/bar", "http://foo.com:80/bar"),
            ("https://foo.com:443/bar", "https://foo.com:443/bar"),
            ("HTTPS://FOO.com", "https://foo.com:443/"),
            ("http://foo.com?a=B%20c", "http://foo.com:80/?a=B%20c"),
            ("http://foo.com:8080#Part", "http://foo.com:8080/#Part"),
            ("http://User:Pass@Foo.com:/x", "http://User:Pass@foo.com:80/x"),
            ("http://[2001:DB8::1]/x", "http://[2001:db8::1]:80/x"),
            ("http://[2001:db8::1]:0080/x?", "http://[2001:db8::1]:80/x"),
            ("http://a.example/hello%20world/%2F", "http://a.example:80/hello%20world/%2F"),
            ("http://a.example/a?b?c#d#e", "http://a.example:80/a?b?c#d#e"),
        ] {
            let url = CallbackUrl::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(url.normalised(), wanted, "{text}");
        }
    }

    #[test]
    fn what_is_no_absolute_address_of_http_is_none() {
        for text in [
            "",
            "foo.com/bar",
            "/bar",
            "//foo.com/bar",
            "http:/foo.com",
            "http://",
            "http:///bar",
            "http://:80/",
            "http://user@/",
            "ftp://foo.com/",
            "javascript://foo.com/",
            "http://foo.com:x/",
            "http://foo.com:-1/",
            "http://foo.com:0/",
            "http://foo.com:65536/",
            "http://foo.com:80:80/",
            "http://[::1/",
            "http://[::1]x/",
            "http://a[::1]/",
            "http://foo.com/a b",
            "http://foo.com/\n",
            "http://foo.com\\bar",
            "http://foo.com/ä",
            "http://foo.com/a/../b",
            "http://foo.com/%2E%2e/b",
            " http://foo.com/",
        ] {
            assert_eq!(CallbackUrl::parse(text), None, "{text}");
        }
    }

    #[test]
    fn parameters_stand_behind_the_query_and_before_the_fragment() {
        let parameters = [("id".to_owned(), "1".to_owned()), ("url".to_owned(), "https://x/ ä".to_owned())];
        let added = "id=1&url=https%3A%2F%2Fx%2F+%C3%A4";
        for (text, before, behind) in [
            ("http://foo.com", "http://foo.com?", ""),
            ("http://foo.com/?", "http://foo.com/?", ""),
            ("HTTP://u:p@Foo.com:80/a%20b?c=d&e", "http://u:p@Foo.com:80/a%20b?c=d&e&", ""),
            ("http://foo.com/a#b?c", "http://foo.com/a?", "#b?c"),
            ("http://foo.com/it's?it's", "http://foo.com/it's?it%27s&", ""),
        ] {
            let url = CallbackUrl::parse(text).unwrap();
            assert_eq!(url.with_parameters(&parameters), format!("{before}{added}{behind}"), "{text}");
        }
        let plain = "https://u:p@foo.com:443/a?b=c#d";
        assert_eq!(CallbackUrl::parse(plain).unwrap().with_parameters(&[]), plain);
    }
}
