//! The text of one cell read as a moment or as a length of time, in the forms that a profile can name.

use crate::normalise::local_time::{LocalText, LocalZone, Moment, TimeQuality, parse_local};
use jiff::fmt::strtime;

/// A form of times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum TimeFormat {
    /// `2026-11-22 14:51:46` and its like.
    Local,
    /// With an offset, after RFC 3339.
    Rfc3339,
    /// Counted since 1970; the number of units in a second.
    Epoch(i64),
    /// `strptime` directives; with `%z` or `%s` the moment is exact, else local.
    Directives(String),
}

impl TimeFormat {
    /// What a wrong format is told.
    pub(super) const WANTED: &'static str = "must be local, rfc3339, epoch_s, epoch_ms, epoch_us, directives such as %d.%m.%Y %H:%M:%S, or a list of these";

    pub(super) fn of_text(text: &str) -> Option<Self> {
        Some(match text {
            "local" => Self::Local,
            "rfc3339" => Self::Rfc3339,
            "epoch_s" => Self::Epoch(1),
            "epoch_ms" => Self::Epoch(1000),
            "epoch_us" => Self::Epoch(1_000_000),
            directives if directives.contains('%') => Self::Directives(directives.to_owned()),
            _ => return None,
        })
    }

    /// The moment that `text` names in this form; `near_ms` decides in the repeated hour.
    pub(super) fn moment(&self, text: &str, zone: &LocalZone, near_ms: Option<i64>) -> Option<Moment> {
        let exact = |ms| Moment { ms, quality: TimeQuality::Exact };
        match self {
            Self::Local => zone.moment(parse_local(text)?, near_ms),
            Self::Rfc3339 => {
                text.parse::<jiff::Timestamp>().ok().map(|moment| exact(moment.as_millisecond()))
            }
            Self::Epoch(units) => epoch_ms(text, *units).map(exact),
            Self::Directives(format) => {
                let parsed = strtime::parse(format, text).ok()?;
                if let Ok(moment) = parsed.to_timestamp() {
                    return Some(exact(moment.as_millisecond()));
                }
                let seconds_lost = parsed.second().is_none();
                zone.moment(LocalText { clock: parsed.to_datetime().ok()?, seconds_lost }, near_ms)
            }
        }
    }
}

/// Milliseconds of a count since 1970, which may have a fraction. Exact: no floating point.
fn epoch_ms(text: &str, units: i64) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: i64 = whole.parse().ok()?;
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    if units >= 1000 {
        return Some(whole.div_euclid(units / 1000));
    }
    let fraction = format!("{fraction:0<3}");
    whole.checked_mul(1000)?.checked_add(fraction[..3].parse().ok()?)
}

/// A unit of lengths of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Seconds,
    Milliseconds,
    Minutes,
    /// `1:02:03`, `02:03`.
    Clock,
}

impl Unit {
    /// The words of the setting; the first is the default.
    pub(super) const WORDS: [&'static str; 4] = ["s", "ms", "min", "hms"];

    pub(super) fn of_word(word: &str) -> Self {
        match word {
            "ms" => Self::Milliseconds,
            "min" => Self::Minutes,
            "hms" => Self::Clock,
            _ => Self::Seconds,
        }
    }

    /// Whole seconds of a text in this unit; what is over is cut off, as every PBX does.
    pub(super) fn seconds(self, text: &str) -> Option<i64> {
        match self {
            Self::Seconds => Some(thousandths(text)?.div_euclid(1000)),
            Self::Milliseconds => Some(thousandths(text)?.div_euclid(1_000_000)),
            Self::Minutes => Some(thousandths(text)?.checked_mul(60)?.div_euclid(1000)),
            Self::Clock => text.split(':').try_fold(0i64, |sum, part| {
                let part: u32 = part.trim().parse().ok()?;
                sum.checked_mul(60)?.checked_add(i64::from(part))
            }),
        }
    }
}

/// A decimal number in thousandths; further digits are cut off.
fn thousandths(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let negative = whole.starts_with('-');
    let fraction: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
    let whole: i64 = whole.parse::<i64>().ok()?.checked_mul(1000)?;
    whole.checked_add(if negative { -fraction } else { fraction })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_many_forms() {
        let zone = LocalZone::named("Europe/Berlin", false).unwrap();
        for (format, text, wanted) in [
            ("local", "2026-11-22 14:51:46", Some("2026-11-22T13:51:46Z")),
            ("rfc3339", "2026-11-22T14:51:46+02:00", Some("2026-11-22T12:51:46Z")),
            ("epoch_s", "1795359106", Some("2026-11-22T14:51:46Z")),
            ("epoch_s", "1795359106.5", Some("2026-11-22T14:51:46.5Z")),
            ("epoch_ms", "1795359106250", Some("2026-11-22T14:51:46.25Z")),
            ("epoch_us", "1795359106250999", Some("2026-11-22T14:51:46.25Z")),
            ("%d.%m.%Y %H:%M:%S", "22.11.2026 14:51:46", Some("2026-11-22T13:51:46Z")),
            ("%d.%m.%Y %H:%M", "22.11.2026 14:51", Some("2026-11-22T13:51:00Z")),
            ("%Y%m%d%H%M%S%z", "20261122145146+0000", Some("2026-11-22T14:51:46Z")),
            ("%d.%m.%Y %H:%M:%S", "2026-11-22 14:51:46", None),
            ("epoch_s", "soon", None),
            ("epoch_s", "99999999999999999999999999", None),
            ("epoch_s", "1.x", None),
        ] {
            let moment = TimeFormat::of_text(format).unwrap().moment(text, &zone, None);
            let text_of = moment.map(|m| jiff::Timestamp::from_millisecond(m.ms).unwrap().to_string());
            assert_eq!(text_of.as_deref(), wanted, "{format} {text}");
        }
        assert_eq!(TimeFormat::of_text("someday"), None);
    }

    #[test]
    fn lengths_in_every_unit() {
        for (unit, text, seconds) in [
            ("s", "61", Some(61)),
            ("s", "61.9", Some(61)),
            ("s", "-1", Some(-1)),
            ("ms", "61900", Some(61)),
            ("min", "1.5", Some(90)),
            ("hms", "01:02:03", Some(3723)),
            ("hms", "99:59:59", Some(359_999)),
            ("hms", "02:03", Some(123)),
            ("hms", "1:x", None),
            ("s", "", None),
            ("s", "1.", None),
            ("s", "1234567890123456789012345", None),
        ] {
            assert_eq!(Unit::of_word(unit).seconds(text), seconds, "{unit} {text}");
        }
    }
}
