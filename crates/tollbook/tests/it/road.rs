//! The road of the recorded Asterisk file: in, kept, and out again in every format, each record once.

use crate::load;
use crate::service::Service;
use crate::table::{Table, cells, json_records, lines};
use flate2::read::MultiGzDecoder;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::PathBuf;

const RECORDS: usize = 1736;
/// What the recording machine counted (see PROVENANCE.md).
const DISPOSITIONS: [(&str, usize); 4] =
    [("ANSWERED", 951), ("NO ANSWER", 580), ("BUSY", 177), ("CONGESTION", 28)];
const RANGE: &str = "from=2026-11-22&to=2026-11-22";

/// A file of the recording.
pub(crate) fn recorded(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../testdata/asterisk-20", name].iter().collect()
}

fn bytes_of(name: &str) -> Vec<u8> {
    std::fs::read(recorded(name)).expect("the recording is part of the repository")
}

/// Every column of calls, in order.
pub(crate) fn all_columns(service: &Service) -> Vec<String> {
    let schema = service.client.get("/api/v1/schemas/cdr.json").expect(200).json();
    schema["properties"].as_object().expect("a schema of an object").keys().cloned().collect()
}

fn counts(accepted: usize, duplicates: usize, sequences: Option<(usize, usize)>) -> Value {
    json!({
        "accepted": accepted, "duplicates": duplicates, "revisions": 0, "rejected": 0,
        "first_sequence": sequences.map(|(first, _)| first), "last_sequence": sequences.map(|(_, last)| last),
        "errors": [],
    })
}

fn post(service: &Service, name: &str) -> Value {
    service.client.post("/api/v1/sources/bench/records", "text/csv", bytes_of(name)).expect(200).json()
}

/// Rows of the recording by their key, as the file has them.
fn raw_rows() -> BTreeMap<String, Vec<Option<String>>> {
    let text = String::from_utf8(bytes_of("Master.csv")).expect("the recording is UTF-8");
    let key = |row: &[Option<String>]| {
        [16, 19, 20].map(|at| row[at].clone().expect("a row of the recording has all ids")).join(":")
    };
    let rows: BTreeMap<_, _> = cells(&text).into_iter().map(|row| (key(&row), row)).collect();
    assert_eq!(rows.len(), RECORDS, "keys of the recording are unique");
    rows
}

#[test]
fn every_row_of_the_recording_comes_out_once() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    service.put_recorded_source("bench");
    assert_eq!(post(&service, "Master.csv"), counts(RECORDS, 0, Some((1, RECORDS))));

    let columns = all_columns(&service).join(",");
    let path = format!("/api/v1/cdr/export?{RANGE}&columns={columns}");
    let export = service.client.get(&path).expect(200);
    let table = Table::of(&export.body);
    assert_eq!(table.rows.len(), RECORDS);
    for unique in ["id", "source_key"] {
        assert_eq!(table.counts(unique).len(), RECORDS, "{unique}");
    }
    assert_eq!(dispositions(&table), DISPOSITIONS.map(|(word, n)| (word.to_owned(), n)).into());
    assert_eq!(table.counts("call_group").len(), 1190, "linkedids");
    compare_with_recording(&table);

    // Sent again, in whole or in part: known already, and nothing moves.
    assert_eq!(post(&service, "Master.csv"), counts(RECORDS, RECORDS, None));
    assert_eq!(post(&service, "account-tenant-b.csv"), counts(328, 328, None));
    assert!(service.client.get(&path).expect(200).body == export.body, "the export has changed");

    // Nor do a start of the process, and compaction, move anything. In this order: in years to come these days are too
    // old to be kept, and a start drops them once they are compacted.
    assert!(service.stop().success());
    let service = Service::start(folder.path());
    assert!(service.client.get(&path).expect(200).body == export.body, "the restart changed the export");
    assert_eq!(post(&service, "Master.csv"), counts(RECORDS, RECORDS, None));
    load::compact(&service);
    assert!(service.client.get(&path).expect(200).body == export.body, "compaction changed the export");
    assert_eq!(post(&service, "Master.csv"), counts(RECORDS, RECORDS, None));
}

/// Records per disposition in Asterisk's own words, which stay in `extra`.
fn dispositions(table: &Table) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for extra in table.column("extra") {
        let extra: Value = serde_json::from_str(extra.expect("every row has further columns")).unwrap();
        *counts.entry(extra["disposition"].as_str().expect("a disposition").to_owned()).or_insert(0) += 1;
    }
    counts
}

fn compare_with_recording(table: &Table) {
    let raw = raw_rows();
    let column = |name| table.column(name);
    let (keys, directions) = (column("source_key"), column("direction"));
    let (callings, calleds, lasts) =
        (column("calling_party"), column("called_party"), column("calling_last4"));
    let dialleds = column("dialled_number");
    let (starts, durations, totals) = (column("start_at"), column("duration_s"), column("total_s"));
    let mut pseudonyms: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for at in 0..table.rows.len() {
        let key = keys[at].expect("a key");
        let row = &raw[key];
        let cell = |column: usize| row[column].as_deref();
        let start = cell(9).map(|text| format!("{}.000Z", text.replace(' ', "T")));
        assert_eq!(starts[at], start.as_deref(), "{key}");
        let connected = cell(14) == Some("ANSWERED");
        assert_eq!(durations[at], if connected { cell(13) } else { Some("0") }, "{key}");
        assert_eq!(totals[at], cell(12), "{key}");
        let dialled = cell(2).expect("every row of the recording has a destination");
        assert_eq!(calleds[at], Some(&*international(dialled)), "called parties stay in clear: {key}");
        assert_eq!(dialleds[at], Some(dialled).filter(|_| dialled.starts_with("00")), "{key}");
        let (source, calling) = (cell(1).unwrap_or(""), callings[at].expect("a caller"));
        if directions[at] != Some("inbound") {
            assert_eq!((calling, lasts[at]), (&*international(source), None), "{key}");
            continue;
        }
        assert!(is_pseudonym(calling), "{key}: {calling}");
        let digits = source.trim_start_matches('+');
        let is_number = digits.len() >= 7 && digits.bytes().all(|byte| byte.is_ascii_digit());
        assert_eq!(lasts[at], is_number.then(|| &digits[digits.len() - 4..]), "{key}");
        pseudonyms.entry(calling).or_default().insert(source);
        if is_number {
            let leak = table.rows[at].iter().flatten().find(|cell| cell.contains(digits));
            assert_eq!(leak, None, "the caller's number is in another column: {key}");
        }
    }
    assert!(pseudonyms.len() > 50, "only {} callers from outside", pseudonyms.len());
    assert!(pseudonyms.values().all(|sources| sources.len() == 1), "one pseudonym for several numbers");
    let numbers: BTreeSet<&str> = pseudonyms.values().flatten().copied().collect();
    assert_eq!(numbers.len(), pseudonyms.len(), "several pseudonyms for one number");
}

/// A number with the international prefix is written with `+`.
fn international(number: &str) -> String {
    number.strip_prefix("00").map_or_else(|| number.to_owned(), |rest| format!("+{rest}"))
}

fn is_pseudonym(text: &str) -> bool {
    let digest = text.strip_prefix("p1_").unwrap_or("");
    digest.len() == 32 && digest.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[test]
fn all_text_formats_hold_the_same_records() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    service.put_recorded_source("bench");
    post(&service, "Master.csv");
    for columns in [String::new(), format!("&columns={}", all_columns(&service).join(","))] {
        let export = |format: &str| {
            let path = format!("/api/v1/cdr/export?{RANGE}&tz=Asia/Kolkata{columns}&format={format}");
            service.client.get(&path).expect(200)
        };
        let csv = export("csv");
        let records = Table::of(&csv.body).records();
        assert_eq!(records.len(), RECORDS);

        let ndjson = export("ndjson");
        assert_eq!(ndjson.header("content-type"), Some("application/x-ndjson"));
        let ndjson_lines = lines(&ndjson.body);
        assert_eq!(json_records(&ndjson_lines), records);
        for (line, value) in ndjson.text().lines().zip(&ndjson_lines) {
            let sorted: BTreeMap<&String, &Value> = value.as_object().unwrap().iter().collect();
            assert_eq!(line, serde_json::to_string(&sorted).unwrap(), "keys sorted, no spaces");
        }

        let json = export("json");
        assert_eq!(json.header("content-type"), Some("application/json"));
        assert_eq!(json.text(), format!("[\n{}\n]\n", ndjson.text().trim_end().replace('\n', ",\n")));

        let packed = export("csv.gz");
        assert_eq!(packed.header("content-type"), Some("application/gzip"));
        assert_eq!(packed.header("content-encoding"), None);
        let mut unpacked = Vec::new();
        let mut single = flate2::read::GzDecoder::new(&packed.body[..]);
        single.read_to_end(&mut unpacked).unwrap();
        assert!(unpacked == csv.body, "csv.gz unpacks to other bytes than csv");
        let mut all = Vec::new();
        MultiGzDecoder::new(&packed.body[..]).read_to_end(&mut all).unwrap();
        assert_eq!(all.len(), unpacked.len(), "one member");
    }
}

#[test]
fn indicators_are_the_counts_of_the_records() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    service.put_recorded_source("bench");
    post(&service, "Master.csv");
    check_indicators(&service);
    load::compact(&service);
    check_indicators(&service);
}

/// Compares the `kpis` of every interval with what is counted in an export of the calls.
fn check_indicators(service: &Service) {
    let calls = Table::of(&service.client.get(&format!("/api/v1/cdr/export?{RANGE}")).expect(200).body);
    let mut wanted: BTreeMap<(String, String), BTreeMap<&str, u64>> = BTreeMap::new();
    let (starts, directions) = (calls.column("start_at"), calls.column("direction"));
    let (results, durations) = (calls.column("result"), calls.column("duration_s"));
    for at in 0..calls.rows.len() {
        let hour = format!("{}:00:00.000Z", &starts[at].unwrap()[..13]);
        let bucket = wanted.entry((hour, directions[at].unwrap().to_owned())).or_default();
        let seconds: u64 = durations[at].unwrap().parse().unwrap();
        let outcome = match results[at] {
            Some("no-answer") => "no_answer",
            None => "other",
            Some(word) => word,
        };
        for (name, more) in [("calls", 1), (outcome, 1), ("duration_s", seconds)] {
            *bucket.entry(name).or_insert(0) += more;
        }
        let longest = bucket.entry("max_duration_s").or_insert(0);
        *longest = seconds.max(*longest);
    }
    let answer = service.client.get(&format!("/api/v1/kpis/export?{RANGE}&interval=hour&pbx_alias=bench"));
    let table = Table::of(&answer.expect(200).body);
    let mut found = BTreeMap::new();
    for record in table.records() {
        assert_eq!((record["interval"].as_str(), record["pbx_alias"].as_str()), ("hour", "bench"));
        let numbers =
            ["calls", "answered", "no_answer", "busy", "abandoned", "other", "duration_s", "max_duration_s"];
        let numbers = numbers.map(|name| (name, record[name].parse::<u64>().unwrap()));
        let numbers: BTreeMap<&str, u64> = numbers.into_iter().filter(|(_, number)| *number > 0).collect();
        found.insert((record["bucket_start"].clone(), record["direction"].clone()), numbers);
    }
    for bucket in wanted.values_mut() {
        bucket.retain(|_, number| *number > 0);
    }
    assert_eq!(found, wanted);
    for interval in ["day", "week", "month"] {
        let path = format!("/api/v1/kpis/export?{RANGE}&interval={interval}&pbx_alias=bench");
        let table = Table::of(&service.client.get(&path).expect(200).body);
        let sum: usize =
            table.column("calls").iter().map(|cell| cell.unwrap().parse::<usize>().unwrap()).sum();
        assert_eq!((table.rows.len(), sum), (3, RECORDS), "{interval}: one row a direction");
    }
}

#[test]
fn sources_are_a_dataset_and_survive() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    service.put_recorded_source("bench");
    post(&service, "Master.csv");
    service.put_source("bench", &json!({"kind": "asterisk-csv", "zone": "Europe/Berlin"})).expect(200);
    service.put_source("fs", &json!({"kind": "freeswitch-json", "enabled": false})).expect(201);
    assert!(service.stop().success());

    let service = Service::start(folder.path());
    let table = Table::of(&service.client.get("/api/v1/agent-configuration/export").expect(200).body);
    let shown: Vec<_> = table
        .records()
        .into_iter()
        .map(|r| [&r["pbx_alias"], &r["kind"], &r["enabled"], &r["version"]].map(Clone::clone).join(" "))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    assert_eq!(shown, ["bench asterisk-csv true 2", "fs freeswitch-json false 1"]);
    let only =
        service.client.get("/api/v1/agent-configuration/export?pbx_alias=fs&format=ndjson").expect(200);
    assert_eq!(lines(&only.body).len(), 1);
    let listed = service.client.get("/api/v1/sources").expect(200).json();
    assert_eq!(listed["items"][0]["zone"], "Europe/Berlin", "{listed}");
    assert!(listed["items"][0]["last_seen_at"].is_string(), "{listed}");
    let refused = service.client.post("/api/v1/sources/fs/records", "application/json", "{}");
    assert_eq!((refused.status, refused.problem().as_str()), (409, "conflict"));
}
