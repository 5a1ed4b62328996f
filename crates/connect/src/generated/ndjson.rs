//! A record as a line of the native NDJSON form, as a client of the API sends it. Not the export's writer, which works
//! on columns.

use tollbook_model::call::{CallField, CallRecord};
use tollbook_model::canonical;
use tollbook_model::value::Value;

/// Appends the record and a line feed. Fields without a value are left out, and so are those that are ours.
pub fn to_ndjson(record: &CallRecord<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    let empty = out.len();
    for field in CallField::ALL {
        let value = record.get(field);
        if value.is_null() || matches!(field, CallField::ReceivedAt | CallField::Revision) {
            continue;
        }
        if out.len() > empty {
            out.push(b',');
        }
        canonical::push_string(out, field.name());
        out.push(b':');
        push_value(out, value);
    }
    if let Some(extra) = record.extra_text() {
        out.extend_from_slice(if out.len() > empty { b",\"extra\":" } else { b"\"extra\":" });
        out.extend_from_slice(extra.as_bytes());
    }
    out.extend_from_slice(b"}\n");
}

fn push_value(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Null | Value::Bytes(_) => out.extend_from_slice(b"null"),
        Value::Text(text) => canonical::push_string(out, text),
        Value::Integer(number) => push_display(out, number),
        Value::Number(number) => push_display(out, number),
        Value::Boolean(flag) => push_display(out, flag),
        Value::Money(amount) => {
            out.push(b'"');
            push_display(out, amount);
            out.push(b'"');
        }
        Value::Instant(ms) => push_instant(out, *ms),
        Value::Uuid(id) => push_uuid(out, id),
    }
}

fn push_display(out: &mut Vec<u8>, value: &impl std::fmt::Display) {
    use std::io::Write as _;
    // Writing into a vector cannot fail.
    let _always_ok = write!(out, "{value}");
}

fn push_uuid(out: &mut Vec<u8>, id: &[u8; 16]) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for (at, byte) in id.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        out.extend_from_slice(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
    }
    out.push(b'"');
}

/// `"2026-01-05T09:00:00.000Z"`: the civil date of the days since 1970 by Howard Hinnant's algorithm, because a general
/// formatter costs more than the rest of the line.
fn push_instant(out: &mut Vec<u8>, ms: i64) {
    let (days, of_day) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (seconds, thousandths) = (of_day / 1000, of_day % 1000);
    let mut text = *b"\"0000-00-00T00:00:00.000Z\"";
    for (end, width, mut number) in [
        (5, 4, year),
        (8, 2, month),
        (11, 2, day),
        (14, 2, seconds / 3600),
        (17, 2, seconds / 60 % 60),
        (20, 2, seconds % 60),
        (24, 3, thousandths),
    ] {
        for at in (end - width..end).rev() {
            text[at] = b'0' + (number % 10) as u8;
            number /= 10;
        }
    }
    out.extend_from_slice(&text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollbook_model::money::Money;

    #[test]
    fn a_record_is_one_line_of_json() {
        let mut record = CallRecord::new();
        record.set(CallField::Id, Value::Uuid([0x1a; 16])).unwrap();
        record.set_text(CallField::CallingParty, "a\"b\n").unwrap();
        record.set(CallField::StartAt, Value::Instant(1_709_210_096_007)).unwrap();
        record.set(CallField::DurationS, Value::Integer(5)).unwrap();
        record.set(CallField::Charged, Value::Money(Money::parse("0.015").unwrap())).unwrap();
        record.set(CallField::Revision, Value::Integer(0)).unwrap();
        record.push_extra("k", "v");
        let mut line = Vec::new();
        to_ndjson(&record, &mut line);
        assert_eq!(
            String::from_utf8(line).unwrap(),
            "{\"id\":\"1a1a1a1a-1a1a-1a1a-1a1a-1a1a1a1a1a1a\",\"start_at\":\"2024-02-29T12:34:56.007Z\",\"duration_s\":5,\
             \"calling_party\":\"a\\\"b\\n\",\"charged\":\"0.015\",\"extra\":{\"k\":\"v\"}}\n"
        );
    }

    #[test]
    fn moments_are_those_of_the_calendar() {
        for ms in
            [0, 951_782_399_999, 951_782_400_000, 1_709_164_800_000, 4_102_444_799_999, 253_370_764_799_999]
        {
            let mut text = Vec::new();
            push_instant(&mut text, ms);
            let wanted = jiff::Timestamp::from_millisecond(ms).unwrap();
            assert_eq!(String::from_utf8(text).unwrap(), format!("\"{wanted:.3}\""));
        }
    }
}
