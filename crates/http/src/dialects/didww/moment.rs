//! Times as requests write them and exports show them (`didww.md` section 5.2), and the window in which they may lie.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

/// Where seconds are counted from. Counted by the calendar, as a [`Timestamp`] ends a day before it: clients write
/// `9999-12-31 23:59:59` for ever.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Length of `YYYY-MM-DD HH:MM:SS`.
const WHOLE_SECONDS: usize = 19;

/// A moment, as exact as it was written, down to a nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub(super) second: i64,
    nanosecond: u32,
}

impl Moment {
    /// Reads `YYYY-MM-DD HH:MM:SS`, which is UTC, or a date-time of ISO 8601 with `T`, with or without a fraction, and with
    /// `Z`, an offset or neither, which is UTC too.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if !text.is_ascii() || text.len() < WHOLE_SECONDS {
            return None;
        }
        let (civil, rest) = text.split_at(WHOLE_SECONDS);
        let (fraction, zone) = match civil.as_bytes()[10] {
            b' ' if rest.is_empty() => ("", ""),
            b'T' => split_fraction(rest)?,
            _ => return None,
        };
        let second = utc_second(civil)?.checked_sub(offset_seconds(zone)?)?;
        Some(Self { second, nanosecond: nanoseconds(fraction)? })
    }

    /// The moment of so many milliseconds since 1970-01-01T00:00:00Z.
    pub(super) fn of_ms(ms: i64) -> Self {
        let nanosecond = u32::try_from(ms.rem_euclid(1000)).unwrap_or(0) * 1_000_000;
        Self { second: ms.div_euclid(1000), nanosecond }
    }

    /// As exports show it: `YYYY-MM-DD HH:MM:SS` in UTC, without a fraction. None outside of the calendar.
    pub(super) fn shown(self) -> Option<String> {
        let civil = EPOCH.checked_add(SignedDuration::from_secs(self.second)).ok()?;
        Some(civil.strftime("%Y-%m-%d %H:%M:%S").to_string())
    }
}

/// The first second in which an export may begin: the current month of UTC and the two before it are open.
pub(super) fn window_begins(now_ms: i64) -> i64 {
    let now = Timestamp::from_millisecond(now_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    let month = now.to_zoned(TimeZone::UTC).datetime().date().first_of_month();
    let first = month.checked_sub(Span::new().months(2)).unwrap_or(Date::MIN);
    first.to_zoned(TimeZone::UTC).map_or(i64::MIN, |midnight| midnight.timestamp().as_second())
}

/// `YYYY-MM-DD?HH:MM:SS` of UTC.
fn utc_second(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let is_shaped = bytes[4] == b'-' && bytes[7] == b'-' && bytes[13] == b':' && bytes[16] == b':';
    if !is_shaped {
        return None;
    }
    let two = |at: usize| digits(&text[at..at + 2]).and_then(|number| i8::try_from(number).ok());
    let year = i16::try_from(digits(&text[..4])?).ok()?;
    let date = Date::new(year, two(5)?, two(8)?).ok()?;
    let time = Time::new(two(11)?, two(14)?, two(17)?, 0).ok()?;
    Some(DateTime::from_parts(date, time).duration_since(EPOCH).as_secs())
}

/// What stands behind the seconds, as digits of a fraction and a zone.
fn split_fraction(rest: &str) -> Option<(&str, &str)> {
    let Some(behind) = rest.strip_prefix(['.', ',']) else { return Some(("", rest)) };
    let end = behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(behind.len());
    (end > 0).then(|| behind.split_at(end))
}

/// The digits of a fraction in nanoseconds; finer ones are cut.
fn nanoseconds(fraction: &str) -> Option<u32> {
    let nine = &fraction[..fraction.len().min(9)];
    format!("{nine:0<9}").parse().ok()
}

/// How far a zone is ahead of UTC: nothing, `Z`, or `+HH`, `+HHMM` or `+HH:MM`.
fn offset_seconds(zone: &str) -> Option<i64> {
    if matches!(zone, "" | "Z") {
        return Some(0);
    }
    let (sign, behind) = match zone.split_at(1) {
        ("+", behind) => (1, behind),
        ("-", behind) => (-1, behind),
        _ => return None,
    };
    let (hours, minutes) = match behind.len() {
        2 => (behind, "00"),
        4 => behind.split_at(2),
        5 => behind.split_once(':').filter(|(hours, _)| hours.len() == 2)?,
        _ => return None,
    };
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn digits(text: &str) -> Option<i64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Option<String> {
        Moment::parse(text)?.shown()
    }

    #[test]
    fn times_are_read_in_every_form_and_shown_in_one() {
        for (text, wanted) in [
            ("2026-03-01 00:00:00", "2026-03-01 00:00:00"),
            ("2026-03-01T00:00:00Z", "2026-03-01 00:00:00"),
            ("2026-03-01T00:00:00", "2026-03-01 00:00:00"),
            ("2026-03-02T02:00:00+02:00", "2026-03-02 00:00:00"),
            ("2026-03-02T02:00:00+0200", "2026-03-02 00:00:00"),
            ("2026-03-02T02:00:00+02", "2026-03-02 00:00:00"),
            ("2026-02-28T22:30:00-01:30", "2026-03-01 00:00:00"),
            ("2026-03-01T23:59:59.999Z", "2026-03-01 23:59:59"),
            ("2026-03-01T23:59:59.123456789012-00:30", "2026-03-02 00:29:59"),
            ("2026-03-01T23:59:59,5", "2026-03-01 23:59:59"),
            ("2024-02-29 12:00:00", "2024-02-29 12:00:00"),
            ("1969-12-31T23:59:59.5Z", "1969-12-31 23:59:59"),
            ("0000-01-01 00:00:00", "0000-01-01 00:00:00"),
            ("9999-12-31T23:59:59Z", "9999-12-31 23:59:59"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(wanted), "{text}");
        }
    }

    #[test]
    fn the_last_moments_of_the_calendar_are_moments() {
        let last = Moment::parse("9999-12-31 23:59:59").unwrap();
        assert!(last > Moment::of_ms(i64::from(u32::MAX) * 1000));
        let behind = Moment::parse("9999-12-31T23:59:59-12:00").unwrap();
        assert!(behind > last);
        assert_eq!(behind.shown(), None);
    }

    #[test]
    fn what_is_no_time_is_none() {
        for text in [
            "",
            "2026-03-01",
            "2026-03-01T00:00",
            "2026-03-01 00:00",
            "2026-03-01 00:00:00Z",
            "2026-03-01 00:00:00 UTC",
            "2026-03-01 00:00:00.5",
            "2026-03-01t00:00:00Z",
            "2026-03-01T00:00:00z",
            "2026-03-01T00:00:00.Z",
            "2026-03-01T00:00:00+2",
            "2026-03-01T00:00:00+2:00",
            "2026-03-01T00:00:00+24:00",
            "2026-03-01T00:00:00+02:60",
            "2026-03-01T00:00:00 02:00",
            "2026-03-01T24:00:00Z",
            "2026-03-01T00:00:60Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01 00:00:00",
            "2026/03/01 00:00:00",
            "+026-03-01 00:00:00",
            "20260301T000000Z",
            "2026-03-01  0:00:00",
            "2026-03-01T00:00:00Ä",
            "ÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄÄ",
            "1772323200",
            "yesterday",
        ] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }

    #[test]
    fn fractions_count_where_moments_are_compared() {
        let parse = |text| Moment::parse(text).unwrap();
        let whole = parse("2026-03-01T00:00:00Z");
        assert_eq!(Moment::of_ms(1_772_323_200_000), whole);
        assert_eq!(Moment::of_ms(1_772_323_200_005), parse("2026-03-01T00:00:00.005"));
        assert!(whole < parse("2026-03-01T00:00:00.000000001Z"));
        assert_eq!(Moment::of_ms(-1), parse("1969-12-31T23:59:59.999Z"));
    }

    #[test]
    fn the_window_is_three_calendar_months() {
        for (now, first) in [
            ("2026-04-20T12:00:00Z", "2026-02-01 00:00:00"),
            ("2026-04-30T23:59:59Z", "2026-02-01 00:00:00"),
            ("2026-05-01T00:00:00Z", "2026-03-01 00:00:00"),
            ("2026-01-01T00:00:00Z", "2025-11-01 00:00:00"),
            ("2026-02-28T00:00:00Z", "2025-12-01 00:00:00"),
        ] {
            let now_ms = Moment::parse(now).unwrap().second * 1000;
            let begins = Moment { second: window_begins(now_ms), nanosecond: 0 };
            assert_eq!(begins.shown().unwrap(), first, "{now}");
        }
    }
}
