//! The DIDWW dialect from outside: with the vendor's own client, in a crowd, over a kill, and at the size of a month.
//!
//! The client needs `TOLLBOOK_TEST_PYTHON`, a Python with the packages of `readers/requirements.txt`.

use crate::client::{Answer, Client};
use crate::load::Load;
use crate::road::{all_columns, recorded};
use crate::service::{Service, day_ago, skip, wait_for};
use flate2::bufread::GzDecoder;
use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::io::Read;
use std::process::Command;
use std::time::Duration;
use tollbook_connect::generated::{GeneratedCalls, GeneratedSettings, to_ndjson};
use tollbook_kit::clock::{Clock, SystemClock};

/// Bound of any export here.
const PATIENCE: Duration = Duration::from_secs(120);
const JSON_API: &str = "application/vnd.api+json";
/// The day on which the recording was made.
const RECORDED_DAY: &str = "2026-11-22";

/// A client of the dialect.
struct Exports(Client);

impl Exports {
    /// With the key of an analyst.
    fn of(service: &Service) -> Self {
        Self(service.client.with_token(&service.token("analyst")))
    }

    fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        let headers = [("accept", JSON_API), ("content-type", JSON_API)];
        self.0.send(method, path, &headers, body.as_bytes()).expect("the service answers")
    }

    /// Makes an export of these days, and answers its resource.
    #[track_caller]
    fn create(&self, kind: &str, from: &str, to: &str) -> Value {
        let filters = json!({"from": format!("{from} 00:00:00"), "to": format!("{to} 00:00:00")});
        let body =
            json!({"data": {"type": "exports", "attributes": {"export_type": kind, "filters": filters}}});
        let made = self.send("POST", "/v3/exports", &body.to_string()).expect(201).json();
        assert_eq!(made["data"]["attributes"]["status"], "pending", "{made}");
        made["data"].clone()
    }

    #[track_caller]
    fn look(&self, export: &Value) -> Value {
        let path = format!("/v3/exports/{}", export["id"].as_str().expect("an id"));
        self.send("GET", &path, "").expect(200).json()["data"].clone()
    }

    /// Looks at an export until it is completed; its status never goes back.
    #[track_caller]
    fn completed(&self, export: &Value) -> Value {
        let mut seen = rank(export);
        let found = wait_for(PATIENCE, || {
            let now = self.look(export);
            assert!(rank(&now) >= seen, "from {seen} back to {now}");
            seen = rank(&now);
            assert_eq!(now["attributes"]["url"].is_string(), seen == 2, "{now}");
            (seen == 2).then_some(now)
        });
        found.unwrap_or_else(|| panic!("never completed: {export}"))
    }

    /// The packed file of a completed export.
    #[track_caller]
    fn file(&self, export: &Value) -> Vec<u8> {
        self.0.get(path_of(export)).expect(200).body
    }
}

/// The path of a completed export's file.
fn path_of(export: &Value) -> &str {
    let url = export["attributes"]["url"].as_str().expect("a URL");
    &url[url.find("/v3/").expect("a place of the dialect")..]
}

fn rank(export: &Value) -> usize {
    let status = &export["attributes"]["status"];
    let known = ["pending", "processing", "completed"].iter().position(|word| status == word);
    known.unwrap_or_else(|| panic!("{export}"))
}

/// The text in a file that must be one member of gzip.
fn unpacked(file: &[u8]) -> String {
    let (mut member, mut text) = (GzDecoder::new(file), String::new());
    member.read_to_string(&mut text).expect("whole gzip");
    assert!(member.into_inner().is_empty(), "one member, and nothing behind it");
    text
}

/// Rows without the header.
fn rows(file: &[u8]) -> usize {
    unpacked(file).lines().count() - 1
}

/// A local receiver of callbacks may be called.
const LOCAL: [(&str, &str); 2] =
    [("TOLLBOOK_EGRESS__ALLOW", "127.0.0.1"), ("TOLLBOOK_EGRESS__ALLOW_HTTP", "true")];

#[test]
fn the_vendors_client_works_unmodified() {
    let Some(python) = std::env::var_os("TOLLBOOK_TEST_PYTHON") else {
        return skip("the DIDWW client is not driven: TOLLBOOK_TEST_PYTHON names no Python that has it");
    };
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start_with(folder.path(), &LOCAL);
    service.put_recorded_source("bench");
    // Exports reach two months back: the recording is moved to yesterday.
    let (day, next) = (day_ago(1), day_ago(0));
    let recording = std::fs::read_to_string(recorded("Master.csv")).unwrap().replace(RECORDED_DAY, &day);
    service.client.post("/api/v1/sources/bench/records", "text/csv", recording).expect(200);
    let columns = all_columns(&service).join(",");
    let calls = service.export(&format!("&format=ndjson&sign=none&columns={columns}"));
    std::fs::write(folder.path().join("calls.ndjson"), calls.body).unwrap();

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/didww/client.py");
    let (from, to) = (format!("{day} 00:00:00"), format!("{next} 00:00:00"));
    let output = Command::new(python)
        .args([script, &service.client.url(), &service.token("analyst"), crate::service::TOKEN, &from, &to])
        .arg(folder.path())
        .output()
        .expect("Python runs");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
}

/// As many as may be unfinished at once.
const CROWD: usize = 100;

#[test]
fn a_hundred_make_and_look_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    service.post_ndjson(Load::new(5).ndjson("few", 400, 0, &day_ago(2))).expect(200);
    let exports = Exports::of(&service);
    let made: Vec<(Value, Vec<u8>)> = std::thread::scope(|threads| {
        let one = || {
            let export = exports.completed(&exports.create("cdr_out", &day_ago(3), &day_ago(1)));
            let file = exports.file(&export);
            (export, file)
        };
        let all: Vec<_> = (0..CROWD).map(|_| threads.spawn(one)).collect();
        all.into_iter().map(|thread| thread.join().expect("one of the crowd")).collect()
    });
    let distinct = |member: fn(&Value) -> &Value| -> usize {
        made.iter().map(|(export, _)| member(export).to_string()).collect::<BTreeSet<_>>().len()
    };
    let [ids, urls] = [distinct(|export| &export["id"]), distinct(|export| &export["attributes"]["url"])];
    assert_eq!((ids, urls), (CROWD, CROWD));
    let native = service.export("&format=ndjson&direction=outbound");
    let expected = native.text().lines().count();
    for (export, file) in &made {
        assert!(rows(file) == expected && *file == made[0].1, "{export}");
    }
    let list = exports.send("GET", "/v3/exports?page[size]=1000", "").expect(200).json();
    assert_eq!(
        (&list["meta"]["total_records"], list["data"].as_array().unwrap().len()),
        (&json!(CROWD), CROWD)
    );
}

#[test]
fn exports_outlive_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::start(folder.path());
    let mut load = Load::new(11);
    for part in 0..4 {
        service.post_ndjson(load.ndjson(&format!("part{part}"), 10_000, 0, &day_ago(2))).expect(200);
    }
    let expected = service.export("&format=ndjson&direction=inbound").text().lines().count();
    // One that is caught while it is processed; quick machines need several tries.
    let met = (0..20).find_map(|_| {
        let exports = Exports::of(&service);
        let made: Vec<Value> = (0..6).map(|_| exports.create("cdr_in", &day_ago(3), &day_ago(1))).collect();
        let caught = wait_for(Duration::from_millis(500), || {
            made.iter().any(|export| rank(&exports.look(export)) == 1).then_some(())
        });
        caught.map(|()| (exports, made))
    });
    let (exports, made) = met.expect("an export that is processed");
    service.kill();
    service = Service::start(folder.path());
    let exports = Exports(service.client.with_authorization(exports.0.authorization()));
    for export in &made {
        let export = exports.completed(export);
        assert_eq!(rows(&exports.file(&export)), expected, "{export}");
    }
}

/// Records of the month.
const MONTH: u64 = 1_000_000;

/// Some minutes in a debug build; by hand, in a release build: under one.
#[test]
#[ignore = "makes a million records; run it with --release"]
#[allow(clippy::print_stdout, reason = "figures for whoever runs it by hand")]
fn a_month_of_a_million_records_is_one_member() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    let today: Date = day_ago(0).parse().unwrap();
    let next = today.first_of_month();
    let month = next - 1.month();
    let days = month.days_in_month();
    let settings = GeneratedSettings {
        seed: 3,
        first_day: month,
        days: u32::from(days.unsigned_abs()),
        calls_per_day: MONTH.div_ceil(u64::from(days.unsigned_abs())),
    };
    let mut calls = GeneratedCalls::new(settings);
    let (total, mut inbound) = (calls.total(), 0);
    assert!(total >= MONTH);
    loop {
        let mut body = Vec::new();
        let made = calls.fill(50_000, &mut |call| to_ndjson(call, &mut body));
        if made == 0 {
            break;
        }
        inbound += body.windows(21).filter(|text| *text == b"\"direction\":\"inbound\"").count();
        service.post_ndjson(body).expect(200);
    }
    let exports = Exports::of(&service);
    let clock = SystemClock::new();
    let export = exports.completed(&exports.create("cdr_in", &month.to_string(), &next.to_string()));
    let made_in = clock.monotonic();
    let file = exports.file(&export);
    // As a client with little memory does it: a buffer of 64 KiB, and nothing kept.
    let mut member = GzDecoder::new(&file[..]);
    let (mut buffer, mut bytes, mut lines) = (vec![0; 1 << 16], 0u64, 0usize);
    loop {
        let read = member.read(&mut buffer).expect("whole gzip");
        if read == 0 {
            break;
        }
        bytes += read as u64;
        lines += buffer[..read].iter().filter(|byte| **byte == b'\n').count();
    }
    assert!(member.into_inner().is_empty(), "one member, and nothing behind it");
    assert_eq!(lines, inbound + 1, "each inbound call of {total} once, behind the header");
    println!("{inbound} of {total} records in {made_in:?}: {} bytes packed, {bytes} unpacked", file.len());
}
