//! Half-open time ranges and how dates and times are read (`natalia.md` section 6).

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// `[from, to)` in milliseconds since 1970-01-01T00:00:00Z. Never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeRange {
    from_ms: i64,
    to_ms: i64,
}

impl TimeRange {
    /// The range; none when `from_ms >= to_ms`.
    pub fn new(from_ms: i64, to_ms: i64) -> Option<Self> {
        (from_ms < to_ms).then_some(Self { from_ms, to_ms })
    }

    /// Everything.
    pub fn all() -> Self {
        Self { from_ms: i64::MIN, to_ms: i64::MAX }
    }

    /// First moment inside.
    pub fn from_ms(&self) -> i64 {
        self.from_ms
    }

    /// First moment after.
    pub fn to_ms(&self) -> i64 {
        self.to_ms
    }

    /// Is the moment inside?
    pub fn contains(&self, ms: i64) -> bool {
        self.from_ms <= ms && ms < self.to_ms
    }

    /// Is all of `first..=last` inside?
    pub fn covers(&self, first_ms: i64, last_ms: i64) -> bool {
        self.from_ms <= first_ms && last_ms < self.to_ms
    }

    /// Does any of `first..=last` lie inside?
    pub fn touches(&self, first_ms: i64, last_ms: i64) -> bool {
        first_ms < self.to_ms && self.from_ms <= last_ms
    }
}

/// Reads a date-time after RFC 3339 with an offset; none if it is not one. Fractions below a millisecond are cut.
pub fn parse_instant(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    let separated = matches!(bytes.get(10), Some(b'T' | b't' | b' '));
    if !separated || bytes.len() < 20 {
        return None;
    }
    if let Some(ms) = parse_utc_instant(bytes) {
        return Some(ms);
    }
    let timestamp: Timestamp = text.parse().ok()?;
    Some(timestamp.as_microsecond().div_euclid(1000))
}

/// The common form `YYYY-MM-DDTHH:MM:SS[.fff…]Z`, read without the general parser.
fn parse_utc_instant(bytes: &[u8]) -> Option<i64> {
    let shape = bytes[4] == b'-' && bytes[7] == b'-' && bytes[13] == b':' && bytes[16] == b':';
    if !shape || *bytes.last()? != b'Z' {
        return None;
    }
    let (year, month, day) = (number(bytes, 0, 4)?, number(bytes, 5, 7)?, number(bytes, 8, 10)?);
    let (hour, minute, second) = (number(bytes, 11, 13)?, number(bytes, 14, 16)?, number(bytes, 17, 19)?);
    let date =
        Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let fraction = &bytes[19..bytes.len() - 1];
    let mut millis = 0;
    if !fraction.is_empty() {
        if fraction[0] != b'.' || fraction.len() < 2 || !fraction[1..].iter().all(u8::is_ascii_digit) {
            return None;
        }
        for at in 1..4 {
            millis = millis * 10 + fraction.get(at).map_or(0, |b| i64::from(b - b'0'));
        }
    }
    Some(days_since_epoch(date) * 86_400_000 + ((hour * 60 + minute) * 60 + second) * 1000 + millis)
}

fn days_since_epoch(date: Date) -> i64 {
    // Howard Hinnant's days_from_civil: years are counted from March, so that leap days end them.
    let (year, month, day) = (i64::from(date.year()), i64::from(date.month()), i64::from(date.day()));
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Reads a local date-time in `zone`: a time skipped by daylight saving moves forward by the gap, a doubled one
/// means the earlier instant.
pub fn local_instant(local: DateTime, zone: &TimeZone) -> Option<i64> {
    let timestamp = zone.to_ambiguous_timestamp(local).compatible().ok()?;
    Some(timestamp.as_millisecond())
}

/// What `from` or `to` may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// A whole day, `YYYY-MM-DD`.
    Day(Date),
    /// A moment: the first whole millisecond that is not before it. Records start at whole milliseconds, so a range that
    /// begins or ends there holds exactly those that it means.
    Instant(i64),
}

impl Bound {
    /// Reads a date, or a date-time in the form of RFC 3339 (with seconds, and none of 60); without an offset it is local
    /// in `zone`. None if it is neither, or impossible.
    pub fn parse(text: &str, zone: &TimeZone) -> Option<Self> {
        let bytes = text.as_bytes();
        let date = Date::new(
            number(bytes, 0, 4)?.try_into().ok()?,
            number(bytes, 5, 7)?.try_into().ok()?,
            number(bytes, 8, 10)?.try_into().ok()?,
        );
        let date = date.ok().filter(|_| bytes[4] == b'-' && bytes[7] == b'-')?;
        match bytes.get(10) {
            None => return Some(Self::Day(date)),
            Some(b'T' | b't' | b' ') => {}
            Some(_) => return None,
        }
        let (hour, minute, second) = (number(bytes, 11, 13)?, number(bytes, 14, 16)?, number(bytes, 17, 19)?);
        if bytes[13] != b':' || bytes[16] != b':' || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let (millis, offset) = fraction_rounded_up(&bytes[19..])?;
        let of_day = ((hour * 60 + minute) * 60 + second) * 1000;
        let utc = days_since_epoch(date) * 86_400_000 + of_day;
        let whole_seconds = match offset {
            [] => {
                let local = date.at(hour as i8, minute as i8, second as i8, 0);
                local_instant(local, zone)?
            }
            [b'Z' | b'z'] => utc,
            [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
                let (hours, minutes) = (number(offset, 1, 3)?, number(offset, 4, 6)?);
                if hours > 23 || minutes > 59 {
                    return None;
                }
                let ahead = (hours * 60 + minutes) * 60_000;
                if *sign == b'+' { utc - ahead } else { utc + ahead }
            }
            _ => return None,
        };
        Some(Self::Instant(whole_seconds + millis))
    }

    /// The first moment meant, as a start of a range.
    pub fn as_from(self, zone: &TimeZone) -> Option<i64> {
        match self {
            Self::Day(date) => day_start(date, zone),
            Self::Instant(ms) => Some(ms),
        }
    }

    /// The first moment after, as an end of a range: a day counts whole, a moment is excluded.
    pub fn as_to(self, zone: &TimeZone) -> Option<i64> {
        match self {
            Self::Day(date) => day_start(date.tomorrow().ok()?, zone),
            Self::Instant(ms) => Some(ms),
        }
    }
}

/// Reads a fraction of a second, if there is one, as milliseconds rounded up, and answers what stands behind it.
fn fraction_rounded_up(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let Some(behind_point) = bytes.strip_prefix(b".") else { return Some((0, bytes)) };
    let digits = behind_point.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (fraction, rest) = behind_point.split_at(digits);
    if fraction.is_empty() {
        return None;
    }
    let millis = (0..3).fold(0, |sum, at| sum * 10 + fraction.get(at).map_or(0, |b| i64::from(b - b'0')));
    let more = fraction.iter().skip(3).any(|&digit| digit != b'0');
    Some((millis + i64::from(more), rest))
}

/// The number that the digits at `from..to` spell; none when there is anything else.
fn number(bytes: &[u8], from: usize, to: usize) -> Option<i64> {
    bytes
        .get(from..to)?
        .iter()
        .try_fold(0i64, |sum, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0')))
}

fn day_start(date: Date, zone: &TimeZone) -> Option<i64> {
    local_instant(date.at(0, 0, 0, 0), zone)
}

/// A moment as Tollbook writes it in UTC: RFC 3339 with three decimals and `Z`. Moments outside the years -9999 to 9999
/// are written as the nearest that can be.
pub fn instant_text(ms: i64) -> String {
    let nearest = if ms < 0 { Timestamp::MIN } else { Timestamp::MAX };
    format!("{:.3}", Timestamp::from_millisecond(ms).unwrap_or(nearest))
}

/// The UTC day of a moment, as days since 1970-01-01.
pub fn utc_day(ms: i64) -> i32 {
    i32::try_from(ms.div_euclid(86_400_000)).unwrap_or(if ms < 0 { i32::MIN } else { i32::MAX })
}

/// `YYYY-MM-DD` of days since 1970-01-01, as the lake's folders are named.
pub fn utc_day_text(day: i32) -> String {
    let ms = i64::from(day) * 86_400_000;
    match Timestamp::from_millisecond(ms) {
        Ok(timestamp) => timestamp.to_zoned(TimeZone::UTC).date().to_string(),
        Err(_) => String::from("9999-12-31"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        parse_instant(text).unwrap_or_else(|| panic!("{text}"))
    }

    #[test]
    fn date_times_agree_with_the_general_parser() {
        for text in [
            "1970-01-01T00:00:00Z",
            "2000-02-29T23:59:59.999Z",
            "2026-11-22T14:51:46.1Z",
            "9998-12-31T00:00:00Z",
        ] {
            let general: Timestamp = text.parse().unwrap();
            assert_eq!(ms(text), general.as_millisecond(), "{text}");
        }
        assert_eq!(ms("2026-01-05T00:00:00.000+01:00"), ms("2026-01-04T23:00:00Z"));
        for wrong in [
            "2026-02-30T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01",
            "2026-01-01T00:00:00",
            "x",
            "2026-01-01T00:00:00.Z",
        ] {
            assert_eq!(parse_instant(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn days_count_whole_and_follow_the_zone() {
        let paris = TimeZone::get("Europe/Paris").unwrap();
        let day = Bound::parse("2026-01-05", &paris).unwrap();
        assert_eq!(day.as_from(&paris), Some(ms("2026-01-04T23:00:00Z")));
        assert_eq!(day.as_to(&paris), Some(ms("2026-01-05T23:00:00Z")));
        let spring = Bound::parse("2026-03-29", &paris).unwrap();
        assert_eq!(spring.as_to(&paris).unwrap() - spring.as_from(&paris).unwrap(), 23 * 3_600_000);
    }

    #[test]
    fn skipped_times_move_forward_and_doubled_ones_are_the_earlier() {
        let paris = TimeZone::get("Europe/Paris").unwrap();
        let at = |text| Bound::parse(text, &paris).unwrap();
        assert_eq!(at("2026-03-29T02:30:00"), Bound::Instant(ms("2026-03-29T01:30:00Z")));
        assert_eq!(at("2026-10-25T02:30:00"), Bound::Instant(ms("2026-10-25T00:30:00Z")));
        for wrong in ["2026-02-30", "20260105", "yesterday", "2026-01-05T", "2026-01-05T25:00:00", ""] {
            assert_eq!(Bound::parse(wrong, &paris), None, "{wrong}");
        }
    }
    #[test]
    fn bounds_round_up_to_the_first_whole_millisecond_inside() {
        let paris = TimeZone::get("Europe/Paris").unwrap();
        for (text, millisecond) in [
            ("2026-01-05T09:00:00.5Z", "2026-01-05T09:00:00.500Z"),
            ("2026-01-05T09:00:00.5000Z", "2026-01-05T09:00:00.500Z"),
            ("2026-01-05T09:00:00.5009Z", "2026-01-05T09:00:00.501Z"),
            ("2026-01-05t09:00:00.000000000001z", "2026-01-05T09:00:00.001Z"),
            ("2026-01-05 10:00:00.9991+01:00", "2026-01-05T09:00:01.000Z"),
            ("2026-01-05T10:00:00.5009", "2026-01-05T09:00:00.501Z"),
            ("2026-01-05T03:30:00-05:30", "2026-01-05T09:00:00.000Z"),
            ("1969-12-31T23:59:59.9999Z", "1970-01-01T00:00:00Z"),
        ] {
            let bound = Bound::parse(text, &paris);
            assert_eq!(bound, Some(Bound::Instant(ms(millisecond))), "{text}");
            let bound = bound.unwrap();
            assert_eq!(bound.as_from(&paris), bound.as_to(&paris), "a moment begins what it ends");
        }
    }

    #[test]
    fn only_the_form_of_rfc_3339_is_a_bound() {
        for wrong in [
            "2026-01-05T09:00",
            "2026-01-05T09:00Z",
            "2026-01-05T09",
            "2026-01-05T09:00:60Z",
            "2026-01-05T23:59:60",
            "2026-01-05T24:00:00Z",
            "2026-01-05T09:00:00,5Z",
            "2026-01-05T09:00:00.Z",
            "2026-01-05T09:00:00.",
            "2026-01-05T09:00:00+01",
            "2026-01-05T09:00:00+0100",
            "2026-01-05T09:00:00+01:00:00",
            "2026-01-05T09:00:00+24:00",
            "2026-01-05T09:00:00 01:00",
            "2026-01-05T09:00:00+01:00[Europe/Paris]",
            "2026-01-05T09:00:00Z[UTC]",
            "2026-01-05T09:00:00[Europe/Paris]",
            "2026-01-05T09:00:00ZZ",
            "2026-01-05_09:00:00Z",
            "2026-01-05T090000Z",
            "2026-02-30T09:00:00Z",
            "2026-13-01",
            "+002026-01-05T09:00:00Z",
            "2026/01/05",
            "2026-01-05Z",
            "\u{661}026-01-05",
        ] {
            assert_eq!(Bound::parse(wrong, &TimeZone::UTC), None, "{wrong}");
        }
    }
}
