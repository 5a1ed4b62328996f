//! The parameters of a completeness report. Everything that is wrong is found in one pass.

use super::export::{range, timezone};
use crate::query::Parameters;
use tollbook_kit::fault::Fault;
use tollbook_model::time_range::TimeRange;

const KNOWN: [&str; 3] = ["from", "to", "tz"];

/// Reads the range of a report; `now_ms` is where one without `to` ends.
///
/// # Errors
/// `invalid`, with every fault.
pub(crate) fn decode(mut given: Parameters, now_ms: i64) -> Result<TimeRange, Fault> {
    given.refuse_unknown(|name| KNOWN.contains(&name));
    let timezone = timezone(&mut given);
    let range = range(&mut given, true, timezone.as_ref(), now_ms);
    given.finish()?;
    range.ok_or_else(|| Fault::internal("parameters passed without a range"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollbook_model::time_range::parse_instant;

    fn report(text: &str) -> Result<TimeRange, Fault> {
        decode(Parameters::parse(Some(text)), parse_instant("2026-06-01T12:34:56.789Z").unwrap())
    }

    #[test]
    fn a_report_has_a_range_and_nothing_else() {
        for (text, names) in [
            ("", vec!["from"]),
            ("tz=UTC", vec!["from"]),
            ("from=2026-01-01&from=2026-01-01", vec!["from"]),
            ("from=2026-01-02&to=2026-01-01", vec!["to"]),
            ("from=2026-06-02", vec!["from"]),
            ("from=2026-01-01&tz=Mars/Base", vec!["tz"]),
            ("from=yesterday&to=", vec!["from", "to"]),
            ("from=2026-01-01&format=ndjson&trunk=a", vec!["format", "trunk"]),
            ("From=2026-01-01", vec!["From", "from"]),
            ("from=2026-01-01&interval=hour", vec!["interval"]),
        ] {
            let fault = report(text).err().unwrap_or_else(|| panic!("{text}"));
            let named: Vec<_> = fault.details().iter().map(|detail| detail.name.as_str()).collect();
            assert_eq!(named, names, "{text}");
        }
    }

    #[test]
    fn its_range_is_that_of_an_export() {
        let ms = |text| parse_instant(text).unwrap();
        for (text, from, to) in [
            ("from=2026-01-05&to=2026-01-05", "2026-01-05T00:00:00Z", "2026-01-06T00:00:00Z"),
            ("from=2026-01-05&to=2026-01-05&tz=Europe/Paris", "2026-01-04T23:00:00Z", "2026-01-05T23:00:00Z"),
            ("from=2026-05-01T09:30:00Z", "2026-05-01T09:30:00Z", "2026-06-01T12:34:56.789Z"),
        ] {
            let range = report(text).unwrap();
            assert_eq!((range.from_ms(), range.to_ms()), (ms(from), ms(to)), "{text}");
        }
    }
}
