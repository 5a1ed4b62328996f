//! Local wall-clock text to moments: configured zones, the repeated hour and the missing one.
//!
//! How sure the result is travels with it (`time_quality`); nothing is ever taken from the time of arrival.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

/// How sure a moment is; ordered from sure to unsure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimeQuality {
    /// The text and the configured zone name one moment.
    Exact,
    /// Nobody configured the zone; UTC is assumed.
    AssumedZone,
    /// The text names two moments: the hour repeated when summer time ends.
    Ambiguous,
    /// The text names no moment (the hour that summer time skips) or lacks its seconds.
    Inferred,
}

impl TimeQuality {
    /// The word of the field catalogue.
    pub fn word(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::AssumedZone => "assumed_zone",
            Self::Ambiguous => "ambiguous",
            Self::Inferred => "inferred",
        }
    }
}

/// A moment in milliseconds since 1970-01-01T00:00:00Z and how sure it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Milliseconds.
    pub ms: i64,
    /// How sure.
    pub quality: TimeQuality,
}

/// The zone in which a source writes local time.
#[derive(Debug, Clone)]
pub struct LocalZone {
    zone: TimeZone,
    assumed: bool,
}

/// Local time as read from text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalText {
    /// The wall clock.
    pub clock: DateTime,
    /// The text has no seconds, as spreadsheets leave it.
    pub seconds_lost: bool,
}

impl LocalZone {
    /// The zone of that IANA name; none when nobody knows it. `assumed` when it is a default nobody confirmed.
    pub fn named(name: &str, assumed: bool) -> Option<Self> {
        Some(Self { zone: TimeZone::get(name).ok()?, assumed })
    }

    /// The moment of a wall clock. When the hour repeats, the candidate nearest to `near_ms` is taken, or the first
    /// one; in the missing hour the clock is read as if summer time had not begun. None outside the years known here.
    pub fn moment(&self, local: LocalText, near_ms: Option<i64>) -> Option<Moment> {
        let at = |offset: Offset| offset.to_timestamp(local.clock).ok().map(|t| t.as_millisecond());
        let (ms, mut quality) = match self.zone.to_ambiguous_timestamp(local.clock).offset() {
            AmbiguousOffset::Unambiguous { offset } => (at(offset)?, TimeQuality::Exact),
            AmbiguousOffset::Fold { before, after } => {
                let (first, second) = (at(before)?, at(after)?);
                let nearer_second = near_ms.is_some_and(|near| near.abs_diff(second) < near.abs_diff(first));
                (if nearer_second { second } else { first }, TimeQuality::Ambiguous)
            }
            AmbiguousOffset::Gap { before, .. } => (at(before)?, TimeQuality::Inferred),
        };
        if self.assumed {
            quality = quality.max(TimeQuality::AssumedZone);
        }
        if local.seconds_lost {
            quality = TimeQuality::Inferred;
        }
        Some(Moment { ms, quality })
    }
}

/// Reads `2026-11-22 14:51:46`, also with `/` and `T`, one-digit parts, a fraction, or without seconds.
pub fn parse_local(text: &str) -> Option<LocalText> {
    let text = text.trim();
    let (date, time) = text.split_once([' ', 'T'])?;
    let separator = if date.contains('/') { '/' } else { '-' };
    let mut date = date.split(separator);
    let (year, month, day) = (date.next()?, date.next()?, date.next()?);
    let (clock, fraction) = match time.trim_start().split_once('.') {
        Some((clock, fraction)) => (clock, fraction),
        None => (time.trim_start(), ""),
    };
    let mut parts = clock.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next());
    if date.next().is_some() || parts.next().is_some() || year.len() != 4 {
        return None;
    }
    let clock = DateTime::new(
        i16::try_from(digits(year)?).ok()?,
        i8::try_from(digits(month)?).ok()?,
        i8::try_from(digits(day)?).ok()?,
        i8::try_from(digits(hour)?).ok()?,
        i8::try_from(digits(minute)?).ok()?,
        i8::try_from(second.map_or(Some(0), digits)?).ok()?,
        nanoseconds(fraction)?,
    );
    Some(LocalText { clock: clock.ok()?, seconds_lost: second.is_none() })
}

/// Up to four decimal digits.
fn digits(text: &str) -> Option<u16> {
    let plain = !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn nanoseconds(fraction: &str) -> Option<i32> {
    if fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    format!("{fraction:0<9}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(zone: &str, text: &str, near: Option<&str>) -> Option<(String, TimeQuality)> {
        let near = near.map(|text| text.parse::<jiff::Timestamp>().unwrap().as_millisecond());
        let moment = LocalZone::named(zone, false).unwrap().moment(parse_local(text)?, near)?;
        Some((jiff::Timestamp::from_millisecond(moment.ms).unwrap().to_string(), moment.quality))
    }

    #[test]
    fn wall_clocks_become_moments() {
        use TimeQuality::{Ambiguous, Exact, Inferred};
        for (zone, text, near, wanted, quality) in [
            ("UTC", "2026-11-22 14:51:46", None, "2026-11-22T14:51:46Z", Exact),
            ("Europe/Berlin", "2026-07-01 12:00:00.250", None, "2026-07-01T10:00:00.25Z", Exact),
            ("Europe/Berlin", "2026-10-25 02:30:00", None, "2026-10-25T00:30:00Z", Ambiguous),
            (
                "Europe/Berlin",
                "2026-10-25 02:30:00",
                Some("2026-10-25T01:30:05Z"),
                "2026-10-25T01:30:00Z",
                Ambiguous,
            ),
            (
                "Europe/Berlin",
                "2026-10-25 02:30:00",
                Some("2026-10-25T00:30:05Z"),
                "2026-10-25T00:30:00Z",
                Ambiguous,
            ),
            ("Europe/Berlin", "2026-03-29 02:30:00", None, "2026-03-29T01:30:00Z", Inferred),
            ("Asia/Kolkata", "2020/2/10 22:41", None, "2020-02-10T17:11:00Z", Inferred),
            ("America/New_York", "2026-01-05T09:00:00", None, "2026-01-05T14:00:00Z", Exact),
        ] {
            assert_eq!(moment(zone, text, near), Some((wanted.to_owned(), quality)), "{zone} {text}");
        }
    }

    #[test]
    fn impossible_clocks_have_no_moment() {
        for text in [
            "",
            "now",
            "2026-02-30 10:00:00",
            "2026-13-01 10:00:00",
            "2026-01-01 24:00:00",
            "26-01-01 10:00:00",
            "2026-01-01",
            "2026-01-01 10",
            "2026-01-01 10:00:00:00",
            "2026-01-01-01 10:00:00",
            "2026-01-01 10:0a:00",
            "2026-01-01 10:00:00.1234567890",
            "-026-01-01 10:00:00",
            "2026-+1-01 10:00:00",
            "２０２６-01-01 10:00:00",
        ] {
            assert_eq!(parse_local(text), None, "{text}");
        }
    }

    #[test]
    fn a_default_zone_is_only_assumed() {
        let zone = LocalZone::named("UTC", true).unwrap();
        let moment = zone.moment(parse_local("2026-11-22 14:51:46").unwrap(), None).unwrap();
        assert_eq!(moment.quality, TimeQuality::AssumedZone);
        assert!(LocalZone::named("Mars/Olympus_Mons", false).is_none());
    }
}
