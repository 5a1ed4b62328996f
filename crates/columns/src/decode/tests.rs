//! The rules of the native forms, by table.

use super::*;
use async_trait::async_trait;
use proptest::prelude::*;
use tollbook_model::call::{CallField, CallRecord};
use tollbook_model::ports::{Committed, RejectedRow};
use tollbook_model::privacy::PseudonymKey;
use tollbook_model::tenant::{CallerNumbers, TenantName};
use tollbook_model::time_range::parse_instant;
use tollbook_model::value::Value;

const RECEIVED_AT_MS: i64 = 1_770_000_000_000;

/// Keeps what was pushed.
#[derive(Default)]
struct Kept(Vec<CallRecord<'static>>);

#[async_trait]
impl RecordSink for Kept {
    fn push(&mut self, record: &CallRecord<'_>) {
        let mut own = CallRecord::new();
        for field in CallField::ALL {
            own.set(field, record.get(field).clone().into_owned()).unwrap();
        }
        for (name, value) in record.extra() {
            own.push_extra(name.to_string(), value.to_string());
        }
        self.0.push(own);
    }

    fn rows(&self) -> usize {
        self.0.len()
    }

    fn bytes(&self) -> usize {
        0
    }

    async fn commit(self: Box<Self>) -> Result<Committed, Fault> {
        Ok(Committed::default())
    }
}

fn tenant(caller_numbers: CallerNumbers) -> Tenant {
    Tenant::new(TenantName::default_tenant(), vec![PseudonymKey::new(1, [7; 32])], 0)
        .with_caller_numbers(caller_numbers)
}

fn read_for(
    caller_numbers: CallerNumbers,
    form: RecordForm,
    body: impl AsRef<[u8]>,
) -> Result<(RowReport, Vec<CallRecord<'static>>), Fault> {
    let mut sink = Kept::default();
    let report = read_native(form, body.as_ref(), &tenant(caller_numbers), RECEIVED_AT_MS, &mut sink)?;
    assert_eq!(report.rows, report.rejected + sink.0.len() as u64, "every row is pushed or reported");
    Ok((report, sink.0))
}

fn read(form: RecordForm, body: impl AsRef<[u8]>) -> Result<(RowReport, Vec<CallRecord<'static>>), Fault> {
    read_for(CallerNumbers::Plain, form, body)
}

fn rejected(form: RecordForm, body: impl AsRef<[u8]>) -> Vec<RejectedRow> {
    read(form, body).unwrap().0.reasons
}

/// An object with all that is required, and `more` such as `"trunk":"a"`.
fn object(more: &str) -> String {
    let comma = if more.is_empty() { "" } else { "," };
    format!(
        r#"{{"pbx_alias":"paris-1","start_at":"2026-01-05T09:00:00.250Z","duration_s":61,"direction":"internal"{comma}{more}}}"#
    )
}

fn one(more: &str) -> CallRecord<'static> {
    let (report, mut records) = read(RecordForm::Ndjson, object(more)).unwrap();
    assert_eq!(report.reasons, [], "{more}");
    records.remove(0)
}

fn reason(more: &str) -> String {
    let mut reasons = rejected(RecordForm::Ndjson, object(more));
    assert_eq!(reasons.len(), 1, "{more}");
    reasons.remove(0).reason
}

fn extra(record: &CallRecord<'_>) -> String {
    record.extra_text().unwrap_or_default()
}

#[test]
fn json_values_become_values_of_their_fields() {
    let text = |text: &str| Value::Text(text.to_owned().into());
    for (more, field, value) in [
        (r#""calling_party":"0049 30""#, CallField::CallingParty, text("0049 30")),
        (r#""calling_party":"""#, CallField::CallingParty, text("")),
        (r#""calling_party":null"#, CallField::CallingParty, Value::Null),
        (r#""caller_name":"J\u00f6rg \"J\"""#, CallField::CallerName, text("Jörg \"J\"")),
        (r#""result":"no-answer""#, CallField::Result, text("no-answer")),
        (r#""result":"""#, CallField::Result, Value::Null),
        (r#""sip_code":"486""#, CallField::SipCode, Value::Integer(486)),
        (r#""ring_s":0"#, CallField::RingS, Value::Integer(0)),
        (r#""mos":4"#, CallField::Mos, Value::Number(4.0)),
        (r#""mos":"4.25""#, CallField::Mos, Value::Number(4.25)),
        (
            r#""answer_at":"2026-01-05T10:00:00+01:00""#,
            CallField::AnswerAt,
            Value::Instant(parse_instant("2026-01-05T09:00:00Z").unwrap()),
        ),
        (r#""received_at":"yesterday""#, CallField::ReceivedAt, Value::Instant(RECEIVED_AT_MS)),
        (r#""revision":[7]"#, CallField::Revision, Value::Integer(0)),
    ] {
        assert_eq!(one(more).get(field), &value, "{more}");
    }
}

#[test]
fn amounts_are_read_from_their_decimal_text() {
    for (sent, millionths) in [
        (r#""0.1""#, 100_000),
        ("0.1", 100_000),
        ("-12.000001", -12_000_001),
        // As a float this would lose its last digits.
        ("123456789012.123457", 123_456_789_012_123_457),
        (r#""0.10000000000""#, 100_000),
    ] {
        let record = one(&format!(r#""rate":{sent}"#));
        let Value::Money(amount) = record.get(CallField::Rate) else { panic!("{sent}") };
        assert_eq!(amount.millionths(), millionths, "{sent}");
    }
    for wrong in [r#""1,5""#, "1e3", "0.0000001", "true", "[1]", r#""x""#] {
        assert!(reason(&format!(r#""rate":{wrong}"#)).starts_with("rate: must be an amount"), "{wrong}");
    }
}

#[test]
fn wrong_values_are_rejected_with_a_reason_that_does_not_repeat_them() {
    for (more, start) in [
        (
            r#""calling_party":4930123456"#,
            "calling_party: must be text in quotes; a number would lose leading zeros",
        ),
        (r#""calling_last4":1234"#, "calling_last4: must be text in quotes"),
        (r#""calling_party":true"#, "calling_party: must be text"),
        (r#""calling_party":{"a":[1,{"b":2}]}"#, "calling_party: must be text"),
        (r#""ring_s":12.0"#, "ring_s: must be a whole number"),
        (r#""ring_s":-1"#, "ring_s: must be 0 or more"),
        (r#""ring_s":"4930123456x""#, "ring_s: must be a whole number"),
        (r#""ring_s":99999999999999999999"#, "ring_s: must be a whole number"),
        (r#""sip_code":99"#, "sip_code: must be between 100 and 699"),
        (r#""result":"4930123456""#, "result: must be one of answered"),
        (r#""answer_at":"2026-01-05T09:00:00""#, "answer_at: lacks the offset from UTC"),
        (r#""answer_at":"2026-01-05 09:00:00.5""#, "answer_at: lacks the offset from UTC"),
        (r#""answer_at":"2026-02-30T09:00:00Z""#, "answer_at: must be a date-time after RFC 3339"),
        (r#""answer_at":"4930123456""#, "answer_at: must be a date-time"),
        (r#""answer_at":1767603600"#, "answer_at: must be a date-time"),
        (r#""answer_at":"1969-12-31T23:59:59Z""#, "answer_at: must lie between"),
        (r#""mos":"NaN""#, "mos: must be a number"),
        (r#""mos":1e999"#, "mos: must be a number"),
        (r#""mos":[4]"#, "mos: must be a number"),
        (r#""id":"4930123456""#, "id: must be a UUID"),
        (r#""trunk":"a\u0000b""#, "trunk: must not hold NUL"),
        (r#""x":"a\u0000b""#, "extra: must not hold NUL"),
        (r#""trunk":"a","trunk":"b""#, "trunk: is named twice"),
        (r#""trunk":null,"trunk":null"#, "trunk: is named twice"),
        (r#""pbx_alias":"again""#, "pbx_alias: is named twice"),
        (r#""x":"1","x":null"#, "a field without a place in the catalogue is named twice"),
        (r#""x":"1","extra":{"x":"2"}"#, "a field without a place in the catalogue is named twice"),
        (r#""extra":"4930123456""#, "extra: must be an object of strings"),
        (r#""extra":{"a":4930123456}"#, "extra: must be an object of strings"),
        (r#""trunk":"a"#, "not valid JSON near byte"),
        (r#""trunk":01"#, "not valid JSON near byte"),
        (r#""trunk":"a",,"x":1"#, "not valid JSON near byte"),
        (r#""x":"\ud800""#, "not valid JSON near byte"),
        ("\"trunk\":\"a\u{1}b\"", "not valid JSON near byte"),
        ("\"trunk\":\"a\0b\"", "not valid JSON near byte"),
    ] {
        let reason = reason(more);
        assert!(reason.starts_with(start), "{more}: {reason}");
        assert!(!reason.contains("4930123456"), "{more}: {reason}");
    }
    for field in ["pbx_alias", "start_at", "duration_s", "direction"] {
        let without = object("").replace(&format!("\"{field}\""), &format!("\"no_{field}\""));
        let reasons = rejected(RecordForm::Ndjson, without);
        assert_eq!(reasons[0].reason, format!("{field}: is required"));
    }
}

#[test]
fn fields_without_a_place_go_into_extra_as_text() {
    let record = one(
        r#""a":"x","b":1.50,"c":true,"d":null,"e":{"k": [1, null]},"f":"","g":"\"q\"","extra":{"h":"8","i":null},"j":9007199254740993"#,
    );
    assert_eq!(
        extra(&record),
        r#"{"a":"x","b":"1.50","c":"true","e":"{\"k\": [1, null]}","f":"","g":"\"q\"","h":"8","j":"9007199254740993"}"#
    );
    assert_eq!(extra(&one(r#""extra":null"#)), "");
    assert_eq!(extra(&one(r#""extra":{}"#)), "");
}

#[test]
fn keys_are_bounded_and_found_twice_among_many() {
    let many = |count: usize| (0..count).map(|at| format!(r#""k{at}":"1""#)).collect::<Vec<_>>().join(",");
    assert_eq!(one(&many(RECORD_KEYS / 2 - 4)).extra().len(), RECORD_KEYS / 2 - 4);
    assert_eq!(reason(&many(RECORD_KEYS + 1)), "more than 1000 fields");
    assert!(reason(&format!(r#"{},"k7":"2""#, many(20))).contains("named twice"));
    let long = "x".repeat(RECORD_BYTES);
    assert_eq!(reason(&format!(r#""x":"{long}""#)), "longer than 1048576 bytes");
}

#[test]
fn last_four_digits_stand_only_beside_a_pseudonym() {
    let pseudonym = "p1_46811ad46a4377bb53aaa119788081bf";
    let kept = one(&format!(r#""calling_last4":"0042","calling_party":"{pseudonym}""#));
    assert_eq!(kept.text(CallField::CallingLast4), Some("0042"));
    for more in [r#""calling_last4":"0042","calling_party":"+49300042""#, r#""calling_last4":"0042""#] {
        assert_eq!(one(more).get(CallField::CallingLast4), &Value::Null);
    }
}

#[test]
fn records_without_a_key_get_one_from_their_content() {
    let body = [object(""), object(r#""trunk":"a""#), object(""), object(r#""source_key":"own""#)].join("\n");
    let keys = |policy| -> Vec<String> {
        let records = read_for(policy, RecordForm::Ndjson, &body).unwrap().1;
        records.iter().map(|record| record.text(CallField::SourceKey).unwrap().to_owned()).collect()
    };
    let plain = keys(CallerNumbers::Plain);
    assert_eq!(plain, keys(CallerNumbers::Plain), "the same body gives the same keys");
    assert!(plain[0].len() == 35 && plain[0].starts_with('h') && plain[0].ends_with("-1"), "{}", plain[0]);
    assert_eq!(plain[2], plain[0].replace("-1", "-2"), "equal rows stay records of their own");
    assert_ne!(plain[1][..33], plain[0][..33]);
    assert_eq!(plain[3], "own");
    let keyed = keys(CallerNumbers::Pseudonym);
    assert_eq!(keyed, keys(CallerNumbers::Pseudonym));
    assert_ne!(keyed[0], plain[0], "a bare digest would let callers' numbers be tried");
    let with_id = one(r#""id":"6ba7b810-9dad-41d1-80b4-00c04fd430c8""#);
    assert_eq!(with_id.text(CallField::SourceKey), Some("6ba7b810-9dad-41d1-80b4-00c04fd430c8"));
}

#[test]
fn the_form_does_not_change_the_record() {
    let json = object(r#""trunk":"a;b","calling_party":"","x":"1","rate":"0.5""#);
    let array = format!("[\n{json}\n]");
    let csv = "pbx_alias,start_at,duration_s,direction,trunk,calling_party,x,rate,result\n\
               paris-1,2026-01-05T09:00:00.250Z,61,internal,a;b,\"\",1,0.5,\n";
    let id = |form, body: &str| read(form, body).unwrap().1[0].get(CallField::Id).clone();
    let expected = id(RecordForm::Ndjson, &json);
    assert_eq!(id(RecordForm::JsonArray, &array), expected);
    assert_eq!(id(RecordForm::Csv, csv), expected);
}

#[test]
fn ndjson_lines_count_from_one_and_blank_ones_hold_nothing() {
    let good = object("");
    let body = format!("\u{feff}\n{good}\r\n  \t\r\n{{}}\n[1]\n7\nnull\nx\n{good} {good}\n{good}");
    let (report, records) = read(RecordForm::Ndjson, &body).unwrap();
    assert_eq!((report.rows, report.rejected, records.len()), (8, 6, 2));
    let reasons: Vec<(u64, &str)> =
        report.reasons.iter().map(|row| (row.line, row.reason.as_str())).collect();
    assert_eq!(
        reasons[..4],
        [
            (4, "pbx_alias: is required"),
            (5, "must be a JSON object"),
            (6, "must be a JSON object"),
            (7, "must be a JSON object")
        ]
    );
    assert!(reasons[4].0 == 8 && reasons[4].1.starts_with("not valid JSON"), "{reasons:?}");
    assert!(reasons[5].0 == 9 && reasons[5].1.starts_with("not valid JSON"), "{reasons:?}");
    let mut invalid = good.clone().into_bytes();
    invalid[16] = 0xFF;
    let body = [&invalid[..], b"\n", good.as_bytes()].concat();
    let (report, records) = read(RecordForm::Ndjson, body).unwrap();
    assert_eq!((report.reasons[0].reason.as_str(), records.len()), ("not UTF-8 at byte 17", 1));
}

#[test]
fn an_empty_body_has_no_rows() {
    for form in [RecordForm::Ndjson, RecordForm::JsonArray, RecordForm::Csv] {
        for body in ["", "\u{feff}", "\n", "\r\n\r\n"] {
            assert_eq!(read(form, body).unwrap().0, RowReport::default(), "{form:?} {body:?}");
        }
    }
    assert_eq!(read(RecordForm::JsonArray, " [ ] ").unwrap().0.rows, 0);
    assert_eq!(read(RecordForm::Csv, "start_at,pbx_alias\n").unwrap().0.rows, 0);
}

#[test]
fn arrays_with_wrong_syntax_are_refused_with_the_place() {
    let good = object("");
    for (body, place) in [
        (good.clone(), "not an array near line 1, column 1"),
        (format!("[{good}"), "the array does not end near line 1"),
        (format!("[{good},"), "the array does not end near line 1"),
        (format!("[{good},]"), "an element is missing near line 1"),
        (format!("[,{good}]"), "an element is missing near line 1, column 2"),
        (format!("[\n{good}\n{good}]"), "not valid JSON near line 3, column 1"),
        (format!("[\n{good}\n]\n7"), "text after the array near line 4, column 1"),
        (format!("[{good},nonsense]"), "not valid JSON near line 1"),
        (format!("[{good}}}]"), "not valid JSON near line 1"),
        (String::from("[\"x]"), "a string does not end near line 1, column 2"),
        (format!("[{good},\n {{\"ring_s\":1e999}}]"), "not valid JSON near line 2"),
        (String::from("[{\"trunk\":tru}]"), "not valid JSON near line 1"),
    ] {
        let fault = read(RecordForm::JsonArray, &body).unwrap_err();
        assert!(fault.message().contains(place), "{body}: {}", fault.message());
    }
    let invalid = [b"[\n{\"a\":\"".as_slice(), b"\xFF", b"\"}]"].concat();
    let fault = read(RecordForm::JsonArray, invalid).unwrap_err();
    assert!(fault.message().contains("not UTF-8 near line 2, column 7"), "{}", fault.message());
}

#[test]
fn array_elements_that_are_no_records_are_rejected_alone() {
    let good = object(r#""x":["]",{"}":","}],"y":"\\\"]""#);
    let body = format!("\u{feff}[ 1 , {good},null,\n{{}}, \"a,]\" , [{good}] , {good} ]\n");
    let (report, records) = read(RecordForm::JsonArray, body).unwrap();
    assert_eq!(records.len(), 2);
    let reasons: Vec<(u64, &str)> =
        report.reasons.iter().map(|row| (row.line, row.reason.as_str())).collect();
    let (not_object, missing) = ("must be a JSON object", "pbx_alias: is required");
    assert_eq!(reasons, [(1, not_object), (3, not_object), (4, missing), (5, not_object), (6, not_object)]);
    let long = object(&format!(r#""x":"{}""#, "y".repeat(RECORD_BYTES)));
    let (report, records) = read(RecordForm::JsonArray, format!("[{long},{}]", object(""))).unwrap();
    assert_eq!((report.reasons[0].reason.as_str(), records.len()), ("longer than 1048576 bytes", 1));
}

#[test]
fn deep_nesting_is_refused_without_recursion() {
    let on_a_small_stack = std::thread::Builder::new().stack_size(256 * 1024);
    #[allow(clippy::disallowed_methods, reason = "a small stack is the point")]
    let run = on_a_small_stack.spawn(|| {
        for levels in [100, 10_000, 300_000] {
            for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                let opens = open.repeat(levels);
                for deep in [opens.clone(), format!("{opens}1{}", close.repeat(levels))] {
                    for name in ["trunk", "rate", "x", "extra", "revision"] {
                        let row = object(&format!("\"{name}\":{deep}"));
                        let mut reasons = rejected(RecordForm::Ndjson, format!("{row}\n{}", object("")));
                        let reason = reasons.remove(0).reason;
                        let expected = reason == "nested too deep" || reason.starts_with("longer than");
                        assert!(expected, "{levels} {name}: {reason}");
                        assert!(read(RecordForm::JsonArray, format!("[{row}]")).is_err());
                    }
                    assert_eq!(rejected(RecordForm::Ndjson, &deep).len(), 1);
                    assert!(read(RecordForm::JsonArray, &deep).is_err());
                    let cell = format!("pbx_alias,extra\na,\"{}\"\n", deep.replace('"', "\"\""));
                    assert_eq!(rejected(RecordForm::Csv, cell).len(), 1);
                }
            }
        }
        // What only looks deep is taken.
        let brackets = object(&format!(r#""x":"{}","y":[{}[]]"#, "[{".repeat(5000), "[],".repeat(5000)));
        assert_eq!(rejected(RecordForm::Ndjson, &brackets), []);
        assert_eq!(rejected(RecordForm::JsonArray, format!("[{brackets}]")), []);
    });
    run.unwrap().join().unwrap();
}

const CSV_HEADER: &str = "pbx_alias,start_at,duration_s,direction";
const CSV_ROW: &str = "paris-1,2026-01-05T09:00:00Z,61,internal";

#[test]
fn csv_tells_empty_text_from_no_value() {
    let body = format!(
        "{CSV_HEADER},trunk,ring_s,x,extra,revision\r\n\
         {CSV_ROW},,,,,9\r\n\
         {CSV_ROW},\"\",\"\",\"\",\"\",\r\n\
         {CSV_ROW},\"a \"\"b\"\"\",007,\"1,\n2\",\"{{\"\"k\"\":\"\"v\"\"}}\",\r\n"
    );
    let (report, records) = read(RecordForm::Csv, &body).unwrap();
    assert_eq!(report.reasons, []);
    let trunks: Vec<_> = records.iter().map(|record| record.text(CallField::Trunk)).collect();
    assert_eq!(trunks, [None, Some(""), Some("a \"b\"")]);
    let rings: Vec<_> = records.iter().map(|record| record.integer(CallField::RingS)).collect();
    assert_eq!(rings, [None, None, Some(7)]);
    let extras: Vec<_> = records.iter().map(extra).collect();
    assert_eq!(extras, ["", r#"{"x":""}"#, r#"{"k":"v","x":"1,\n2"}"#]);
    assert_eq!(records[0].integer(CallField::Revision), Some(0));
}

#[test]
fn csv_in_its_spellings() {
    for (separator, ending) in [(',', "\n"), (';', "\r\n"), ('\t', "\n"), (';', "\r")] {
        let separated = |line: &str| line.replace(',', &separator.to_string());
        let header = format!("{},\"x;,\t;;;,,,\"", CSV_HEADER);
        let header = header.replacen(',', &separator.to_string(), 4);
        let row = separated(&format!("{CSV_ROW},v"));
        let body = format!("\u{feff}{header}{ending}{row}{ending}{ending}{row}{ending}");
        let (report, records) = read(RecordForm::Csv, &body).unwrap();
        assert_eq!(report.reasons, [], "{body}");
        assert_eq!(records.len(), 2, "{body}");
        assert_eq!(extra(&records[0]), "{\"x;,\\t;;;,,,\":\"v\"}");
    }
}

#[test]
fn csv_rows_are_rejected_with_their_line() {
    let long = "y".repeat(RECORD_BYTES);
    let body = [
        format!("{CSV_HEADER},x").as_bytes(),
        b"\r\n\r\n",
        format!("{CSV_ROW}\n").as_bytes(),               // line 3
        format!("{CSV_ROW},1,2\n").as_bytes(),           // 4
        format!("{CSV_ROW},\"a\nb\"\n").as_bytes(),      // 5 and 6, good
        format!("{CSV_ROW},\u{e9}\n").as_bytes(),        // 7, good
        b"paris-1,2026-01-05T09:00:00Z,61,\xC3,\xA9\n",  // 8
        b"paris-1,2026-01-05T09:00:00Z,6.0,internal,\n", // 9
        format!("{CSV_ROW},{long}\n").as_bytes(),        // 10
        format!("{CSV_ROW},\"{long}\"\n").as_bytes(),    // 11
        format!("{CSV_ROW},a\0b\n").as_bytes(),          // 12
        format!("{CSV_ROW},good\n").as_bytes(),          // 13
        format!("{CSV_ROW},\"cut\n").as_bytes(),         // 14
    ]
    .concat();
    let (report, records) = read(RecordForm::Csv, body).unwrap();
    let reasons: Vec<(u64, &str)> =
        report.reasons.iter().map(|row| (row.line, row.reason.as_str())).collect();
    assert_eq!(
        reasons,
        [
            (3, "has 4 cells where the header has 5"),
            (4, "has 6 cells where the header has 5"),
            (8, "not UTF-8 in column 4"),
            (9, "duration_s: must be a whole number"),
            (10, "longer than 1048576 bytes"),
            (11, "longer than 1048576 bytes"),
            (12, "extra: must not hold NUL characters"),
            (14, "cut off within a quoted cell"),
        ]
    );
    assert_eq!(records.len(), 3);
    let twice = format!("{CSV_HEADER},x,extra\n{CSV_ROW},1,\"{{\"\"x\"\":\"\"2\"\"}}\"\n");
    assert_eq!(rejected(RecordForm::Csv, twice)[0].reason, "extra: names the column 5 again");
}

/// Lines of the rows that were taken (they name themselves in `x`) and of those that were rejected.
fn taken_and_rejected(rows: &[&str]) -> (Vec<String>, Vec<u64>) {
    let body = format!(
        "{CSV_HEADER},x,y\n{}",
        rows.iter().map(|row| format!("{CSV_ROW},{row}")).collect::<String>()
    );
    let (report, records) = read(RecordForm::Csv, &body).unwrap();
    assert_eq!(report.rows, records.len() as u64 + report.rejected, "{body}");
    let taken = records.iter().map(|record| record.extra()[0].1.to_string()).collect();
    (taken, report.reasons.iter().map(|row| row.line).collect())
}

#[test]
fn csv_rows_with_an_open_quote_cost_only_their_own_line() {
    for (rows, taken, rejected) in [
        (&["1,a\n", "2,\"open\n", "3,c\n", "4,d\n"][..], &["1", "3", "4"][..], &[3][..]),
        // A later cell closes the quote, and opened its own.
        (&["1,\"open\n", "2,\"b\"\n", "3,c\n"], &["2", "3"], &[2]),
        (&["1,\"open\n", "2,\"two\nlines\"\n", "3,c\n"], &["2", "3"], &[2]),
        (&["\"1\",\"open\n", "\"2\",\"\"\n", "\"3\",\"c\"\n"], &["2", "3"], &[2]),
        (&["1,\"open\r\n", "2,b\r\n", "3,c\r\n"], &["2", "3"], &[2]),
        // Empty quotes are doubled ones inside an open cell.
        (&["1,\"open\n", "2,\"\"\n", "3,\"\"\n"], &["2", "3"], &[2]),
        (&["1,\"open\n", "2,b\n", "3,\"open too\n", "4,d\n"], &["2", "4"], &[2, 4]),
        (&["1,\"open"], &[], &[2]),
        // These are whole.
        (&["1,\"two\n\"\"quoted\"\"\nlines\"\n", "2,\"a\"b\n"], &["1", "2"], &[]),
    ] {
        let (got_taken, got_rejected) = taken_and_rejected(rows);
        assert_eq!(
            (got_taken, got_rejected),
            (taken.iter().map(|x| x.to_string()).collect(), rejected.to_vec()),
            "{rows:?}"
        );
    }
}

#[test]
fn csv_with_an_endless_quote_loses_one_row_of_many() {
    let rows: String = (0..60_000).map(|at| format!("{CSV_ROW},{at}\n")).collect();
    let body = format!("{CSV_HEADER},x\n{CSV_ROW},\"open\n{rows}");
    assert!(body.len() > 2 * RECORD_BYTES);
    let (report, records) = read(RecordForm::Csv, &body).unwrap();
    assert_eq!((report.rows, report.rejected, records.len()), (60_001, 1, 60_000));
    // Lines that leave a quote open whether one was open or not must not each be read up to the bound.
    let hostile = format!("{CSV_HEADER},x\n{}", "x\",\",\n".repeat(300_000));
    assert_eq!(read(RecordForm::Csv, &hostile).unwrap().0.rejected, 300_000);
}

#[test]
fn csv_rows_that_may_be_cut_off_are_rejected() {
    let whole = format!("{CSV_HEADER},source_key\n{CSV_ROW},41\n{CSV_ROW},3185\n");
    for (cut, rejected) in [(0, 0), (1, 1), (2, 1), (4, 1), (5, 1), (20, 1)] {
        let (report, records) = read(RecordForm::Csv, &whole[..whole.len() - cut]).unwrap();
        assert_eq!((report.rejected, records.len()), (rejected, 2 - rejected as usize), "{cut}");
        if cut > 0 {
            let reason = "the last line has no line end: it may be cut off; send it again complete";
            assert_eq!((report.reasons[0].line, report.reasons[0].reason.as_str()), (3, reason), "{cut}");
        }
    }
    for (end, rejected) in
        [("\"b\"", 0), ("\"b\"\"\"", 0), ("\"b", 1), ("b\"", 1), ("\"a\"b", 1), ("\"b\"\r", 0), ("", 1)]
    {
        let body = format!("{CSV_HEADER},x\n{CSV_ROW},{end}");
        assert_eq!(read(RecordForm::Csv, &body).unwrap().0.rejected, rejected, "{end}");
    }
}

#[test]
fn csv_headers_that_cannot_serve_are_refused() {
    let wide: Vec<String> = (0..=RECORD_KEYS).map(|at| format!("c{at}")).collect();
    for (header, reason) in [
        (b"start_at,x,start_at\n".to_vec(), "columns 1 and 3 of the header have the same name"),
        (b"start_at,x,,x,\n".to_vec(), "columns 2 and 4"),
        (b"start_at,\xFF\n".to_vec(), "not UTF-8 in column 2"),
        (format!("{CSV_ROW}\n").into_bytes(), "no column of the first line is named like a field"),
        (wide.join(",").into_bytes(), "more than 1000 columns"),
        (b"start_at,\"x".to_vec(), "the header is cut off within a quoted cell"),
        ("x".repeat(RECORD_BYTES + 1).into_bytes(), "the header is longer than"),
    ] {
        let fault = read(RecordForm::Csv, header).unwrap_err();
        assert!(fault.message().contains(reason), "{reason}: {}", fault.message());
    }
}

/// Pieces that mean something to one of the readers.
fn hostile_body() -> impl Strategy<Value = Vec<u8>> {
    let good = object(r#""x":"1""#);
    let pieces: Vec<Vec<u8>> = [
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        "\"",
        "\\",
        "\n",
        "\r\n",
        ";",
        "\t",
        "null",
        "-",
        "1e9",
        "\\u",
        "\\ud800",
        "\"trunk\":",
        "\"extra\":{",
        "\u{feff}",
        "é",
        "\0",
        CSV_HEADER,
        CSV_ROW,
        &good,
    ]
    .iter()
    .map(|piece| piece.as_bytes().to_vec())
    .chain([vec![0xFF], vec![0xC3]])
    .collect();
    proptest::collection::vec(proptest::sample::select(pieces), 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn no_body_makes_a_reader_panic(body in hostile_body()) {
        for form in [RecordForm::Ndjson, RecordForm::JsonArray, RecordForm::Csv] {
            // Reading itself checks that every row is pushed or reported.
            let _ = read(form, &body);
        }
    }

    #[test]
    fn csv_cells_come_back_as_they_were(cells in proptest::collection::vec("[a\",;\r\n\té ]{0,6}", 1..6)) {
        let header: Vec<String> = (0..cells.len()).map(|at| format!("c{at}")).collect();
        let quoted: Vec<String> = cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
        let body = format!("{CSV_HEADER},{}\n{CSV_ROW},{}\n", header.join(","), quoted.join(","));
        let (report, records) = read(RecordForm::Csv, &body).unwrap();
        prop_assert_eq!(report.reasons, vec![]);
        let kept: Vec<String> = records[0].extra().iter().map(|(_, value)| value.to_string()).collect();
        prop_assert_eq!(kept, cells);
    }
}
