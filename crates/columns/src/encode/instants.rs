//! Moments as RFC 3339 text in one time zone: three decimals, `Z` for UTC, else the offset at that moment.
//!
//! The text of a minute is made once and kept; of each moment only seconds and milliseconds are written. Offsets
//! that are not whole minutes (local mean times before about 1972), which RFC 3339 cannot express, are rounded to
//! the nearest minute and the local time follows the rounded offset, so that the text still means the same moment.

use super::digits::{put_padded, put_pair};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tollbook_kit::fault::Fault;

/// Bytes that [`InstantWriter::put`] may touch.
pub(super) const INSTANT_ROOM: usize = 32;

/// Minutes kept. Records are ordered by time and most calls end within the hour.
const KEPT: usize = 64;
const SECOND_AT: usize = 17;
const MILLI_AT: usize = 20;
const ZONE_AT: usize = 23;

/// Is this the zone whose moments end in `Z`?
pub(super) fn is_utc(zone: &TimeZone) -> bool {
    matches!(zone.primary_iana_name(), Some("UTC" | "Etc/UTC"))
}

/// Text of a minute, with zeros for seconds and milliseconds.
#[derive(Clone, Copy)]
struct MinuteText {
    /// Minutes since 1970-01-01T00:00Z; `i64::MIN` for none yet.
    minute: i64,
    text: [u8; INSTANT_ROOM],
    len: usize,
}

/// An offset and the seconds `from..until` in which it holds.
#[derive(Clone, Copy)]
struct OffsetSpan {
    from: i64,
    until: i64,
    minutes: i64,
}

/// Writes moments of one zone; keeps the minutes it saw last.
pub(super) struct InstantWriter<'a> {
    /// None for UTC.
    zone: Option<&'a TimeZone>,
    kept: Box<[MinuteText; KEPT]>,
    span: OffsetSpan,
}

impl<'a> InstantWriter<'a> {
    /// A writer for `zone`, with nothing kept.
    pub(super) fn new(zone: &'a TimeZone) -> Self {
        let none = MinuteText { minute: i64::MIN, text: [0; INSTANT_ROOM], len: 0 };
        let utc = is_utc(zone);
        // Without a zone, offset 0 holds for ever; otherwise an empty span makes the first moment look it up.
        let until = if utc { i64::MAX } else { i64::MIN };
        let span = OffsetSpan { from: i64::MIN, until, minutes: 0 };
        Self { zone: (!utc).then_some(zone), kept: Box::new([none; KEPT]), span }
    }

    /// Writes the moment of `micros` microseconds since 1970 (what is below a millisecond is cut) at `at`, which
    /// has [`INSTANT_ROOM`] bytes, and returns the position after.
    ///
    /// # Errors
    /// The moment has no year of four digits.
    #[inline(always)]
    pub(super) fn put(&mut self, out: &mut [u8], at: usize, micros: i64) -> Result<usize, Fault> {
        let millis = micros.div_euclid(1000);
        let (minute, rest) = (millis.div_euclid(60_000), millis.rem_euclid(60_000) as usize);
        let mut text = &self.kept[(minute as usize) % KEPT];
        if text.minute != minute {
            text = self.make(minute, rest as i64 / 1000)?;
        }
        out[at..at + INSTANT_ROOM].copy_from_slice(&text.text);
        put_pair(out, at + SECOND_AT, rest / 1000);
        put_padded(out, at + MILLI_AT, rest % 1000);
        Ok(at + text.len)
    }

    /// Makes the text of a minute, as it is at its second `second`, and keeps it.
    #[cold]
    #[inline(never)]
    fn make(&mut self, minute: i64, second: i64) -> Result<&MinuteText, Fault> {
        let first = minute * 60;
        let at = first + second;
        if !(self.span.from <= at && at < self.span.until) {
            self.span = offset_span(self.zone, at)?;
        }
        let text = minute_text(minute, self.span.minutes, self.zone.is_none())?;
        // A minute in which the offset changes is made anew for every moment: it is kept as no minute at all.
        let whole = self.span.from <= first && first + 60 <= self.span.until;
        let place = &mut self.kept[(minute as usize) % KEPT];
        *place = MinuteText { minute: if whole { minute } else { i64::MIN }, ..text };
        Ok(place)
    }
}

/// The offset that holds at `second`, in whole minutes, and for how long.
fn offset_span(zone: Option<&TimeZone>, second: i64) -> Result<OffsetSpan, Fault> {
    let Some(zone) = zone else { return Ok(OffsetSpan { from: i64::MIN, until: i64::MAX, minutes: 0 }) };
    let at = Timestamp::from_second(second).map_err(|error| out_of_range().with_source(error))?;
    let minutes = (f64::from(zone.to_offset(at).seconds()) / 60.0).round() as i64;
    let until = zone.following(at).next().map_or(i64::MAX, |change| change.timestamp().as_second());
    // `preceding` excludes the moment itself, at which the offset may have begun.
    let after = Timestamp::from_second(second + 1).unwrap_or(at);
    let from = zone.preceding(after).next().map_or(i64::MIN, |change| change.timestamp().as_second());
    Ok(OffsetSpan { from, until, minutes })
}

fn minute_text(minute: i64, offset: i64, utc: bool) -> Result<MinuteText, Fault> {
    let local = minute.checked_add(offset).ok_or_else(out_of_range)?;
    let (year, month, day) = civil_date(local.div_euclid(1440));
    let year = usize::try_from(year).ok().filter(|year| *year <= 9999).ok_or_else(out_of_range)?;
    let minute_of_day = local.rem_euclid(1440) as usize;
    let mut text = *b"0000-00-00T00:00:00.000+00:00\0\0\0";
    put_pair(&mut text, 0, year / 100);
    put_pair(&mut text, 2, year % 100);
    put_pair(&mut text, 5, month);
    put_pair(&mut text, 8, day);
    put_pair(&mut text, 11, minute_of_day / 60);
    put_pair(&mut text, 14, minute_of_day % 60);
    if utc {
        text[ZONE_AT] = b'Z';
        return Ok(MinuteText { minute, text, len: ZONE_AT + 1 });
    }
    let distance = offset.unsigned_abs() as usize;
    text[ZONE_AT] = if offset < 0 { b'-' } else { b'+' };
    put_pair(&mut text, ZONE_AT + 1, distance / 60);
    put_pair(&mut text, ZONE_AT + 4, distance % 60);
    Ok(MinuteText { minute, text, len: ZONE_AT + 6 })
}

/// Year, month and day of days since 1970-01-01 (Howard Hinnant's `civil_from_days`: years are counted from March,
/// so that leap days end them).
fn civil_date(days: i64) -> (i64, usize, usize) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as usize, day as usize)
}

fn out_of_range() -> Fault {
    Fault::internal("a stored moment has no year of four digits")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(writer: &mut InstantWriter<'_>, millis: i64) -> String {
        let mut out = [b'#'; INSTANT_ROOM + 3];
        let end = writer.put(&mut out, 3, millis * 1000).unwrap();
        String::from_utf8(out[3..end].to_vec()).unwrap()
    }

    fn millis(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn moments_in_zones() {
        let table = [
            ("UTC", "1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
            ("Etc/UTC", "2026-01-05T00:00:00.007Z", "2026-01-05T00:00:00.007Z"),
            ("UTC", "1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
            ("UTC", "9998-12-31T23:59:59.999Z", "9998-12-31T23:59:59.999Z"),
            ("Pacific/Kiritimati", "9998-12-31T23:59:59.999Z", "9999-01-01T13:59:59.999+14:00"),
            ("Europe/Berlin", "2026-01-04T23:00:00Z", "2026-01-05T00:00:00.000+01:00"),
            ("Europe/London", "2026-01-04T23:00:00Z", "2026-01-04T23:00:00.000+00:00"),
            // Both sides of the two days on which the offset changes.
            ("Europe/Berlin", "2026-03-29T00:59:59.999Z", "2026-03-29T01:59:59.999+01:00"),
            ("Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-29T03:00:00.000+02:00"),
            ("Europe/Berlin", "2026-10-25T00:59:59.999Z", "2026-10-25T02:59:59.999+02:00"),
            ("Europe/Berlin", "2026-10-25T01:00:00Z", "2026-10-25T02:00:00.000+01:00"),
            ("America/New_York", "2026-03-08T06:59:59.999Z", "2026-03-08T01:59:59.999-05:00"),
            ("America/New_York", "2026-03-08T07:00:00Z", "2026-03-08T03:00:00.000-04:00"),
            ("America/St_Johns", "2000-02-29T12:00:00Z", "2000-02-29T08:30:00.000-03:30"),
            ("Asia/Kathmandu", "2026-02-28T23:00:00Z", "2026-03-01T04:45:00.000+05:45"),
            // Liberia's offset was -00:44:30 until 1972-01-07T00:44:30Z, in the middle of a minute.
            ("Africa/Monrovia", "1972-01-07T00:44:29.500Z", "1972-01-06T23:59:29.500-00:45"),
            ("Africa/Monrovia", "1972-01-07T00:44:30Z", "1972-01-07T00:44:30.000+00:00"),
        ];
        for (zone, moment, expected) in table {
            let zone = TimeZone::get(zone).unwrap();
            let mut writer = InstantWriter::new(&zone);
            assert_eq!(text(&mut writer, millis(moment)), expected);
            assert_eq!(millis(expected), millis(moment), "the text means the same moment");
        }
    }

    #[test]
    fn a_minute_with_a_change_is_right_on_both_sides_again_and_again() {
        let zone = TimeZone::get("Africa/Monrovia").unwrap();
        let mut writer = InstantWriter::new(&zone);
        for _ in 0..3 {
            assert_eq!(text(&mut writer, millis("1972-01-07T00:44:29Z")), "1972-01-06T23:59:29.000-00:45");
            assert_eq!(text(&mut writer, millis("1972-01-07T00:44:31Z")), "1972-01-07T00:44:31.000+00:00");
        }
    }

    #[test]
    fn years_of_five_digits_are_refused() {
        for zone in [TimeZone::UTC, TimeZone::get("Europe/Berlin").unwrap()] {
            let mut writer = InstantWriter::new(&zone);
            for micros in [i64::MAX, i64::MIN, 253_402_300_800_000_000] {
                assert!(writer.put(&mut [0; INSTANT_ROOM], 0, micros).is_err(), "{micros}");
            }
        }
    }

    proptest! {
        #[test]
        fn texts_read_back_whatever_was_written_before(
            zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Monrovia"]),
            moments in prop::collection::vec(prop_oneof![0i64..253_370_764_800_000, 1_774_000_000_000i64..1_775_000_000_000, 60_000_000_000i64..64_000_000_000], 1..100),
        ) {
            let zone = TimeZone::get(zone).unwrap();
            let mut writer = InstantWriter::new(&zone);
            for moment in moments {
                prop_assert_eq!(millis(&text(&mut writer, moment)), moment);
            }
        }
    }
}
