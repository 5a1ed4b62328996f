//! Conditional requests of RFC 9110, section 13: what a client knows of a file decides whether it is sent.
//!
//! Which bytes of it are sent is `range`'s business.

use super::range::{Wanted, wanted};
use http::header::{IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, RANGE};
use http::{HeaderMap, HeaderName, Method};
use jiff::fmt::rfc2822::DateTimeParser;

/// What a file is compared by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Validators<'f> {
    /// Its strong tag, with quotes.
    pub(super) etag: &'f str,
    /// When it was made, in milliseconds.
    pub(super) modified_at_ms: i64,
    /// Its size.
    pub(super) bytes: u64,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The file, or a part of it.
    Send(Wanted),
    /// The client has it already: 304.
    Unchanged,
    /// It is another one than the client takes it for: 412.
    Other,
}

/// Judges a request, in the order of RFC 9110, section 13.2.2. What cannot be read counts as not sent, but for tags:
/// a tag that cannot be read is none that the file has.
pub(super) fn judge(method: &Method, headers: &HeaderMap, file: Validators<'_>) -> Verdict {
    if let Some(tags) = list(headers, &IF_MATCH) {
        if !tags.iter().any(|tag| *tag == "*" || *tag == file.etag) {
            return Verdict::Other;
        }
    } else if date_s(headers, &IF_UNMODIFIED_SINCE).is_some_and(|date_s| file.modified_s() > date_s) {
        return Verdict::Other;
    }
    if let Some(tags) = list(headers, &IF_NONE_MATCH) {
        if tags.iter().any(|tag| *tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == file.etag) {
            return Verdict::Unchanged;
        }
    } else if date_s(headers, &IF_MODIFIED_SINCE).is_some_and(|date_s| file.modified_s() <= date_s) {
        return Verdict::Unchanged;
    }
    // Ranges are defined for GET alone.
    if method != Method::GET || !may_be_a_part(headers, file) {
        return Verdict::Send(Wanted::Whole);
    }
    Verdict::Send(text(headers, &RANGE).map_or(Wanted::Whole, |range| wanted(range, file.bytes)))
}

impl Validators<'_> {
    /// When it was made, in the seconds of HTTP.
    fn modified_s(self) -> i64 {
        self.modified_at_ms.div_euclid(1000)
    }
}

/// Is a part of this file a part of the file that the client has begun? Two files of one second have the same date, so
/// only its tag tells.
fn may_be_a_part(headers: &HeaderMap, file: Validators<'_>) -> bool {
    !headers.contains_key(IF_RANGE) || text(headers, &IF_RANGE) == Some(file.etag)
}

/// The elements of a list, over all lines of that name; none when there is no such line.
fn list<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<Vec<&'h str>> {
    headers.contains_key(name).then(|| {
        let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(',')).map(|tag| tag.trim_matches([' ', '\t'])).collect()
    })
}

/// The value of a header that is there once.
fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut lines = headers.get_all(name).iter();
    let line = lines.next().filter(|_| lines.next().is_none())?;
    line.to_str().ok()
}

/// A date, in seconds since 1970.
fn date_s(headers: &HeaderMap, name: &HeaderName) -> Option<i64> {
    let text = text(headers, name).filter(|text| text.ends_with(" GMT"))?;
    DateTimeParser::new().parse_timestamp(text).ok().map(|date| date.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Other, Send, Unchanged};
    use Wanted::{Nothing, Part, Whole};
    use http::HeaderValue;

    const TAG: &str = "\"abc\"";
    /// 2026-06-01T00:00:00.500Z, which HTTP writes as the next.
    const MODIFIED_AT_MS: i64 = 1_780_272_000_500;
    const AT: &str = "Mon, 01 Jun 2026 00:00:00 GMT";
    const BEFORE: &str = "Sun, 31 May 2026 23:59:59 GMT";
    const AFTER: &str = "Mon, 01 Jun 2026 00:00:01 GMT";

    fn verdict(method: Method, lines: &[(&'static str, &str)]) -> Verdict {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        judge(&method, &headers, Validators { etag: TAG, modified_at_ms: MODIFIED_AT_MS, bytes: 1000 })
    }

    #[test]
    fn conditions_are_judged_in_their_order() {
        let range = ("range", "bytes=0-99");
        let part = Send(Part(0..100));
        let cases: [(&[(&'static str, &str)], Verdict); 31] = [
            (&[], Send(Whole)),
            (&[range], part.clone()),
            (&[("range", "bytes=1000-")], Send(Nothing)),
            (&[range, range], Send(Whole)),
            (&[("if-none-match", TAG), range], Unchanged),
            (&[("if-none-match", "W/\"abc\"")], Unchanged),
            (&[("if-none-match", "\"x\",\t\"abc\"")], Unchanged),
            (&[("if-none-match", "\"x\""), ("if-none-match", TAG)], Unchanged),
            (&[("if-none-match", "*")], Unchanged),
            (&[("if-none-match", "\"x\""), range], part.clone()),
            (&[("if-none-match", "abc")], Send(Whole)),
            (&[("if-none-match", "\"x\""), ("if-modified-since", AFTER)], Send(Whole)),
            (&[("if-modified-since", AT), range], Unchanged),
            (&[("if-modified-since", BEFORE)], Send(Whole)),
            (&[("if-modified-since", "yesterday")], Send(Whole)),
            (&[("if-match", TAG), range], part.clone()),
            (&[("if-match", "\"x\", \"abc\"")], Send(Whole)),
            (&[("if-match", "*")], Send(Whole)),
            (&[("if-match", "W/\"abc\"")], Other),
            (&[("if-match", "\"x\""), range], Other),
            (&[("if-match", "")], Other),
            (&[("if-match", "\"x\""), ("if-none-match", TAG)], Other),
            (&[("if-match", TAG), ("if-none-match", TAG)], Unchanged),
            (&[("if-match", TAG), ("if-unmodified-since", BEFORE)], Send(Whole)),
            (&[("if-unmodified-since", BEFORE)], Other),
            (&[("if-unmodified-since", AT)], Send(Whole)),
            (&[range, ("if-range", TAG)], part),
            (&[range, ("if-range", "\"x\"")], Send(Whole)),
            (&[range, ("if-range", "W/\"abc\"")], Send(Whole)),
            (&[range, ("if-range", AT)], Send(Whole)),
            (&[("range", "bytes=1000-"), ("if-range", "\"x\"")], Send(Whole)),
        ];
        for (lines, wanted) in cases {
            assert_eq!(verdict(Method::GET, lines), wanted, "{lines:?}");
        }
    }

    #[test]
    fn head_has_conditions_but_no_ranges() {
        assert_eq!(verdict(Method::HEAD, &[("range", "bytes=0-99")]), Send(Whole));
        assert_eq!(verdict(Method::HEAD, &[("range", "bytes=1000-")]), Send(Whole));
        assert_eq!(verdict(Method::HEAD, &[("if-none-match", TAG)]), Unchanged);
        assert_eq!(verdict(Method::HEAD, &[("if-match", "\"x\"")]), Other);
    }
}
