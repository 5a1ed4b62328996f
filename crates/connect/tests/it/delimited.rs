//! `csv`: profiles, separators, headers, keys, and what is derived.

use crate::collected::{read, read_with};
use serde_json::Value;
use tollbook_connect::settings_from_toml;
use tollbook_model::tenant::CallerNumbers;

fn profile(toml: &str) -> Value {
    Value::Object(settings_from_toml(toml).expect("a profile"))
}

const BERLIN: &str = r#"
separator = ";"
zone = "Europe/Berlin"
time_format = ["%d.%m.%Y %H:%M:%S", "epoch_s"]
duration_unit = "hms"
null = ["", "-"]
key = ["Id"]
extension_pattern = "^[0-9]{3}$"

[fields]
start_at = "Start"
duration_s = "Length"
calling_party = "From"
called_party = "To"
trunk = "Line"
disposition = { column = "State", words = { OK = "answered", Besetzt = "busy", "*" = "failed" } }
currency = { value = "EUR" }
charged = "Cost"
"#;

#[test]
fn a_profile_maps_columns_by_name() {
    let body = "\u{feff}Id;Start;Length;From;To;State;Line;Cost;Note\r\n\
                1;22.11.2026 14:51:46;00:01:05;0049 30 23125000;101;OK;amt;0.015;\"a;b\"\r\n\
                2;1795359106;00:00:00;101;102;BESETZT;-;;\r\n\
                3;22.11.2026 14:51:46;00:00:00;101;+493023125000;???;amt;;\r\n\
                Id;Start;Length;From;To;State;Line;Cost;Note\r\n\
                4;22.11.2026;00:00:00;101;102;OK;-;;\r\n\
                5;22.11.2026 14:51:46;00:00:00;101\r\n";
    let read = read("csv", profile(BERLIN), body);
    assert_eq!(read.column("source_key"), ["1", "2", "3"]);
    assert_eq!(
        read.column("start_at"),
        ["2026-11-22T13:51:46Z", "2026-11-22T14:51:46Z", "2026-11-22T13:51:46Z"]
    );
    assert_eq!(read.column("duration_s"), ["65", "0", "0"]);
    assert_eq!(read.column("direction"), ["inbound", "internal", "outbound"]);
    assert_eq!(read.column("result"), ["answered", "busy", "-"]);
    assert_eq!(read.column("disposition"), ["answered", "busy", "failed"]);
    assert_eq!(read.column("calling_party"), ["+493023125000", "101", "101"]);
    assert_eq!(read.column("trunk"), ["amt", "-", "amt"]);
    assert_eq!(read.column("currency"), ["EUR"; 3]);
    assert_eq!(read.column("extra.Note"), ["a;b", "-", "-"]);
    let refused: Vec<(u64, &str)> = read.report.reasons.iter().map(|r| (r.line, r.reason.as_str())).collect();
    assert_eq!(
        refused,
        [(6, "start_at: is no time in the profile's format"), (7, "has 4 columns; the file has 9")]
    );
}

#[test]
fn a_column_that_the_file_lacks_refuses_the_body() {
    let fault =
        read_with("csv", profile(BERLIN), &[], b"Id;Start;From;To;State;Line;Note\n", CallerNumbers::Plain)
            .unwrap_err();
    let reasons: Vec<&str> = fault.details().iter().map(|detail| detail.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "the file has no column \"Cost\": correct the profile or the file",
            "the file has no column \"Length\": correct the profile or the file"
        ]
    );
}

#[test]
fn files_without_header_name_their_columns_in_the_profile() {
    let settings = profile(
        r#"
header = false
skip_blanks = true
columns = ["cdr_id", "name", "number", "duration", "billsec", "cause", "uuid", "epoch"]
time_format = "epoch_s"
key = ["uuid"]
[fields]
start_at = "epoch"
duration_s = "billsec"
total_s = "duration"
calling_party = { value = "anonymous" }
called_party = "number"
q850_cause = "cause"
direction = { value = "outbound" }
"#,
    );
    let body = "1, abbey1, 650200000, 88, 78, 17, 47bbf17a, 1336101842\n2, x, 650200001, 5, 0, 17, 47bc14de, 1336113924\n";
    let read = read("csv", settings, body);
    assert_eq!(read.column("source_key"), ["47bbf17a", "47bc14de"]);
    assert_eq!(read.column("start_at"), ["2012-05-04T03:24:02Z", "2012-05-04T06:45:24Z"]);
    assert_eq!(read.column("result"), ["answered", "busy"]);
    assert_eq!(read.column("extra.name"), ["abbey1", "x"]);
}

#[test]
fn rows_without_key_columns_are_counted_not_merged() {
    let settings = profile("zone = \"UTC\"\n[fields]\nstart_at = \"s\"\nduration_s = \"d\"\n");
    let body = "s,d\n2026-11-22 14:51:46,1\n2026-11-22 14:51:46,1\n";
    let (first, again) = (read("csv", settings.clone(), body), read("csv", settings, body));
    assert_ne!(first.column("id")[0], first.column("id")[1]);
    assert_eq!(first.column("id"), again.column("id"));
}

#[test]
fn line_ends_do_not_change_a_rows_key() {
    let settings = profile("zone = \"UTC\"\n[fields]\nstart_at = \"s\"\nduration_s = \"d\"\n");
    let body = "s,d,n\n2026-11-22 14:51:46,1,a\n2026-11-22 14:51:47,1,\"b\"\n";
    let unix = read("csv", settings.clone(), body);
    let windows = read("csv", settings.clone(), body.replace('\n', "\r\n"));
    assert_eq!((unix.records.len(), &unix.records), (2, &windows.records));
    let without_last = read("csv", settings, body.trim_end());
    assert_eq!(unix.records, without_last.records);
}

#[test]
fn a_last_row_that_may_be_cut_off_is_refused() {
    let settings = profile("zone = \"UTC\"\nkey = [\"k\"]\n[fields]\nstart_at = \"s\"\nduration_s = \"d\"\n");
    let whole = "s,d,k\n2026-11-22 14:51:46,1,41\n2026-11-22 14:51:47,1,3185\n";
    assert_eq!(read("csv", settings.clone(), whole).column("source_key"), ["41", "3185"]);
    for cut in [1, 2, 4, 5, 12] {
        let cut_off = read("csv", settings.clone(), &whole[..whole.len() - cut]);
        assert_eq!(cut_off.column("source_key"), ["41"], "cut {cut} bytes before the end");
        let reasons: Vec<_> = cut_off.report.reasons.iter().map(|r| (r.line, r.reason.as_str())).collect();
        let no_line_end = "the last line has no line end: it may be cut off; send it again complete";
        assert_eq!(reasons, [(3, no_line_end)], "cut {cut} bytes before the end");
    }
}

#[test]
fn a_broken_quote_costs_one_row() {
    let settings = profile("[fields]\nstart_at = \"s\"\nduration_s = \"d\"\n");
    let body = "s,d,n\n2026-11-22 14:51:46,1,\"open\n2026-11-22 14:51:47,1,\"two\nlines\"\n2026-11-22 14:51:48,1,x\n";
    let read = read("csv", settings, body);
    assert_eq!(read.report.rejected, 1, "{:?}", read.report);
    assert_eq!(read.column("extra.n"), ["two\nlines", "x"]);
    assert_eq!(read.column("time_quality"), ["assumed_zone"; 2]);
}

#[test]
fn wrong_profiles_name_every_fault() {
    let settings = profile(
        "separator = \"xx\"\nquote = \"a\"\ntime_format = \"noon\"\ncolour = 1\n[fields]\nid = \"a\"\nringing = \"b\"\nend_at = { colum = \"x\" }\ntrunk = {}\nresult = { value = \"OK\" }\n",
    );
    let fault = read_with("csv", settings, &[], b"", CallerNumbers::Plain).unwrap_err();
    let names: Vec<&str> = fault.details().iter().map(|detail| detail.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "separator",
            "quote",
            "time_format",
            "fields.end_at",
            "fields.id",
            "fields.result",
            "fields.ringing",
            "fields.trunk",
            "fields.start_at",
            "fields.duration_s",
            "colour"
        ]
    );
}

/// The example beside the documentation reads its file, with everything that its comments promise.
#[test]
fn the_example_profile_reads_its_file() {
    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/profiles/");
    let file =
        |name: &str| std::fs::read(format!("{FOLDER}{name}")).expect("the example is part of the repository");
    let settings = String::from_utf8(file("phone-system.toml")).expect("TOML is UTF-8");
    let mut settings = settings_from_toml(&settings).expect("a profile");
    // These two are not the connector's but every source's.
    assert_eq!(settings.remove("kind"), Some("csv".into()));
    assert_eq!(settings.remove("enabled"), Some(true.into()));
    let read = read("csv", Value::Object(settings), file("phone-system.csv"));
    assert_eq!((read.report.rows, read.report.rejected), (3, 0), "{:?}", read.report);
    for (field, wanted) in [
        ("source_key", ["c-1001\u{1f}1", "c-1002\u{1f}1", "c-1003\u{1f}1"]),
        ("start_at", ["2026-01-05T08:00:00Z", "2026-01-05T08:05:00Z", "2026-01-05T08:07:00Z"]),
        ("answer_at", ["2026-01-05T08:00:05Z", "-", "-"]),
        ("end_at", ["2026-01-05T08:01:05Z", "2026-01-05T08:05:30Z", "2026-01-05T08:07:02Z"]),
        ("duration_s", ["60", "0", "0"]),
        ("ring_s", ["5", "30", "0"]),
        ("direction", ["inbound", "outbound", "internal"]),
        ("calling_party", ["+442071234567", "102", "102"]),
        ("called_party", ["+49301234567", "+49301112223", "103"]),
        ("extension", ["101", "102", "103"]),
        ("trunk", ["SIP-Carrier", "SIP-Carrier", "-"]),
        ("call_group", ["c-1001", "c-1002", "c-1003"]),
        ("disposition", ["answered", "no-answer", "busy"]),
        ("result", ["answered", "no-answer", "busy"]),
        ("charged", ["-", "0.12", "-"]),
        ("currency", ["EUR"; 3]),
        ("time_quality", ["exact"; 3]),
        ("extra.Desk", ["Reception; front", "-", "-"]),
    ] {
        assert_eq!(read.column(field), wanted, "{field}");
    }
}
