//! The header `Range` of RFC 9110, section 14: which bytes of a file are asked for.
//!
//! One range is served. Whoever asks for several gets the whole file, which RFC 9110 permits, and so does whoever
//! writes what is no range of bytes.

use std::ops::Range;

/// What of a file is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// These bytes, which are some, and inside the file.
    Part(Range<u64>),
    /// Nothing of what was asked for is inside the file.
    Nothing,
}

/// One range, as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spec {
    /// From this byte up to that one, which counts too; or up to the end.
    From(u64, Option<u64>),
    /// So many bytes at the end.
    Last(u64),
}

/// What the value of `Range` asks for of a file of `bytes` bytes.
pub(super) fn wanted(value: &str, bytes: u64) -> Wanted {
    match single(value) {
        None => Wanted::Whole,
        Some(Spec::From(first, _)) if first >= bytes => Wanted::Nothing,
        Some(Spec::From(first, last)) => {
            Wanted::Part(first..last.map_or(bytes, |last| last.saturating_add(1).min(bytes)))
        }
        Some(Spec::Last(0)) => Wanted::Nothing,
        // An empty file has no byte that `Content-Range` could name.
        Some(Spec::Last(_)) if bytes == 0 => Wanted::Whole,
        Some(Spec::Last(count)) => Wanted::Part(bytes.saturating_sub(count)..bytes),
    }
}

/// The only range of a header that has one of bytes.
fn single(value: &str) -> Option<Spec> {
    let (unit, set) = value.split_once('=')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    // Empty elements of lists mean nothing (RFC 9110, section 5.6.1.2).
    let mut specs = set.split(',').map(|spec| spec.trim_matches([' ', '\t'])).filter(|spec| !spec.is_empty());
    let spec = specs.next()?;
    if specs.next().is_some() {
        return None;
    }
    let (first, last) = spec.split_once('-')?;
    match (first, last) {
        ("", last) => number(last).map(Spec::Last),
        (first, "") => number(first).map(|first| Spec::From(first, None)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(Spec::From(first, Some(last)))
        }
    }
}

/// Digits only. A number beyond all files is as good as the largest.
fn number(digits: &str) -> Option<u64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Wanted::{Nothing, Part, Whole};

    #[test]
    fn one_range_is_served() {
        for (value, part) in [
            ("bytes=0-99", 0..100),
            ("bytes=0-0", 0..1),
            ("bytes=999-999", 999..1000),
            ("bytes=500-", 500..1000),
            ("bytes=0-", 0..1000),
            ("bytes=0-1000000", 0..1000),
            ("bytes=10-99999999999999999999999999", 10..1000),
            ("bytes=10-18446744073709551615", 10..1000),
            ("bytes=-1", 999..1000),
            ("bytes=-1000", 0..1000),
            ("bytes=-99999999999999999999999999", 0..1000),
            ("bytes=0007-0008", 7..9),
            ("Bytes=0-99", 0..100),
            ("bytes=, 0-99 ,\t,", 0..100),
        ] {
            assert_eq!(wanted(value, 1000), Part(part), "{value}");
        }
    }

    #[test]
    fn what_lies_outside_is_nothing() {
        for value in ["bytes=1000-", "bytes=1000-1001", "bytes=-0", "bytes=99999999999999999999999999-"] {
            assert_eq!(wanted(value, 1000), Nothing, "{value}");
        }
    }

    #[test]
    fn what_is_no_single_range_of_bytes_is_ignored() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=a-b",
            "bytes=0",
            "bytes=5-4",
            "bytes=0-1-2",
            "bytes=--1",
            "bytes=+1-2",
            "bytes=0x1-2",
            "bytes=1.0-2",
            "bytes=0 - 1",
            "bytes =0-1",
            " bytes=0-1",
            "bytes:0-1",
            "lines=0-1",
            "bytes=0-1,5-6",
            "bytes=0-1,x",
            "bytes=0-1;5-6",
            "bytes=٠-٩",
        ] {
            assert_eq!(wanted(value, 1000), Whole, "{value}");
        }
    }

    #[test]
    fn an_empty_file_has_no_ranges() {
        assert_eq!(wanted("bytes=0-", 0), Nothing);
        assert_eq!(wanted("bytes=0-0", 0), Nothing);
        assert_eq!(wanted("bytes=-0", 0), Nothing);
        assert_eq!(wanted("bytes=-5", 0), Whole);
    }

    #[test]
    fn a_part_is_never_empty_and_never_outside() {
        for bytes in 0..6u64 {
            for first in 0..8u64 {
                for last in 0..8u64 {
                    for value in
                        [format!("bytes={first}-{last}"), format!("bytes={first}-"), format!("bytes=-{last}")]
                    {
                        if let Part(part) = wanted(&value, bytes) {
                            assert!(part.start < part.end && part.end <= bytes, "{value} of {bytes}");
                        }
                    }
                }
            }
        }
    }
}
