//! What both kinds of files derive from a record alike (`didww.md` section 8).
//!
//! Nothing is looked up: a cell follows from the values of its record.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Map, Value as Json};
use std::borrow::Cow;
use tollbook_model::money::Money;
use tollbook_model::value::Value;

/// Milliseconds of a second.
const SECOND_MS: i64 = 1000;
/// Millionths of the last decimal that is shown.
const LAST_DECIMAL: i64 = 1000;

/// A moment as `YYYY-MM-DD HH:MM:SS` in UTC, its fraction cut; empty for none.
pub(super) fn moment(ms: Option<i64>) -> Cow<'static, str> {
    let timestamp = ms.and_then(|ms| Timestamp::from_millisecond(ms.div_euclid(SECOND_MS) * SECOND_MS).ok());
    timestamp.map_or(Cow::Borrowed(""), |at| {
        at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S").to_string().into()
    })
}

/// The text of a value, or nothing.
pub(super) fn text<'a>(value: &'a Value<'a>) -> &'a str {
    value.as_text().unwrap_or_default()
}

/// A number as it is shown: without a leading `+`.
pub(super) fn number<'a>(value: &'a Value<'a>) -> &'a str {
    let text = text(value);
    text.strip_prefix('+').unwrap_or(text)
}

/// The first of two values that there is.
pub(super) fn first_of<'a>(first: &'a Value<'a>, second: &'a Value<'a>) -> &'a Value<'a> {
    if first.is_null() { second } else { first }
}

/// A whole number, if there is one.
pub(super) fn integer(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Integer(number) => Some(*number),
        _ => None,
    }
}

/// A moment, if there is one.
pub(super) fn instant(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Instant(ms) => Some(*ms),
        _ => None,
    }
}

/// An amount, if there is one.
pub(super) fn amount(value: &Value<'_>) -> Option<Money> {
    match value {
        Value::Money(money) => Some(*money),
        _ => None,
    }
}

/// An amount with three decimals, half up: away from zero.
pub(super) fn three_decimals(millionths: i64) -> String {
    let sign = if millionths < 0 { "-" } else { "" };
    let thousandths =
        (millionths.unsigned_abs() + LAST_DECIMAL.unsigned_abs() / 2) / LAST_DECIMAL.unsigned_abs();
    let sign = if thousandths == 0 { "" } else { sign };
    format!("{sign}{}.{:03}", thousandths / 1000, thousandths % 1000)
}

/// Are amounts shown? Only US dollars are, or what says nothing else.
pub(super) fn shows_amounts(currency: &Value<'_>) -> bool {
    matches!(text(currency), "" | "USD")
}

/// When a call began, was answered and ended, and whether it was answered at all.
pub(super) struct CallTimes {
    pub(super) is_answered: bool,
    start_ms: Option<i64>,
    connect_ms: Option<i64>,
    end_ms: Option<i64>,
}

impl CallTimes {
    /// Of these values: start_at, answer_at, end_at, duration_s, result.
    pub(super) fn of([start, answer, end, duration, result]: [&Value<'_>; 5]) -> Self {
        let is_answered = text(result) == "answered";
        let (start_ms, given_end_ms) = (instant(start), instant(end));
        let duration_ms = integer(duration).unwrap_or(0).saturating_mul(SECOND_MS);
        let before_end = || given_end_ms.map(|end_ms| end_ms.saturating_sub(duration_ms));
        let connect_ms = if is_answered { instant(answer).or_else(before_end).or(start_ms) } else { None };
        let after_connect = || connect_ms.map(|connect_ms| connect_ms.saturating_add(duration_ms));
        let end_ms = given_end_ms.or_else(after_connect);
        Self { is_answered, start_ms, connect_ms, end_ms }
    }

    /// The four cells that every row begins with.
    pub(super) fn push(&self, cells: &mut Vec<Cow<'_, str>>) {
        cells.extend([self.start_ms, self.connect_ms, self.end_ms].map(moment));
        cells.push(if self.is_answered { "Completed" } else { "Failed" }.into());
    }
}

/// The code with which a call ended: the final SIP response, or the one that its result stands for.
pub(super) fn disconnect_code(sip_code: &Value<'_>, result: &Value<'_>) -> Option<i64> {
    integer(sip_code).or(match text(result) {
        "answered" => Some(200),
        "busy" => Some(486),
        "no-answer" => Some(480),
        "abandoned" => Some(487),
        _ => None,
    })
}

/// A code as it is shown.
pub(super) fn code_text(code: Option<i64>) -> Cow<'static, str> {
    code.map_or(Cow::Borrowed(""), |code| code.to_string().into())
}

/// Fields of the source that have no place of their own.
pub(super) struct Extra(Option<Map<String, Json>>);

impl Extra {
    pub(super) fn of(value: &Value<'_>) -> Self {
        Self(value.as_text().and_then(|text| serde_json::from_str(text).ok()))
    }

    /// The text of that name, or nothing.
    pub(super) fn text(&self, name: &str) -> String {
        let value = self.0.as_ref().and_then(|members| members.get(name));
        value.and_then(Json::as_str).unwrap_or_default().to_owned()
    }

    /// The amount of that name in millionths; nothing where there is none.
    pub(super) fn millionths(&self, name: &str) -> i64 {
        Money::parse(&self.text(name)).map_or(0, Money::millionths)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_three_decimals_half_up() {
        for (millionths, shown) in [
            (0, "0.000"),
            (4_000, "0.004"),
            (4_499, "0.004"),
            (4_500, "0.005"),
            (-4_500, "-0.005"),
            (-400, "0.000"),
            (1_999_500, "2.000"),
            (12_345_678_900, "12345.679"),
        ] {
            assert_eq!(three_decimals(millionths), shown);
        }
    }

    #[test]
    fn times_follow_from_what_there_is() {
        let (start, second) = (1_772_355_600_900, 1000);
        let times = |answer: Value<'static>, end: Value<'static>, result: &'static str| {
            let (duration, result) = (Value::Integer(60), Value::Text(result.into()));
            let times = CallTimes::of([&Value::Instant(start), &answer, &end, &duration, &result]);
            let mut cells = Vec::new();
            times.push(&mut cells);
            cells.join("|")
        };
        let at = |seconds: i64| Value::Instant(start + seconds * second);
        assert_eq!(
            times(at(2), at(62), "answered"),
            "2026-03-01 09:00:00|2026-03-01 09:00:02|2026-03-01 09:01:02|Completed"
        );
        assert_eq!(
            times(Value::Null, at(65), "answered"),
            "2026-03-01 09:00:00|2026-03-01 09:00:05|2026-03-01 09:01:05|Completed"
        );
        assert_eq!(
            times(Value::Null, Value::Null, "answered"),
            "2026-03-01 09:00:00|2026-03-01 09:00:00|2026-03-01 09:01:00|Completed"
        );
        assert_eq!(times(at(2), at(9), "busy"), "2026-03-01 09:00:00||2026-03-01 09:00:09|Failed");
        assert_eq!(times(Value::Null, Value::Null, "busy"), "2026-03-01 09:00:00|||Failed");
    }
}
