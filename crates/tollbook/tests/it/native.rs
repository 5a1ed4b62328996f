//! Records in the native form and of switches that push: every form of body, bad rows, revisions, values as they went in.

use crate::load;
use crate::service::{Service, day_ago};
use crate::table::{Table, lines};
use flate2::Compression;
use flate2::write::GzEncoder;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use std::io::Write;

/// `switch:` and the token of the tests, as `Basic` wants them.
const BASIC: &str = "Basic c3dpdGNoOnRiX3Rlc3RfMDEyMzQ1Njc4OWFiY2RlZg==";

/// A moment of the day that is this many days ago.
fn start(days_ago: i64) -> String {
    format!("{}T10:00:00.250Z", day_ago(days_ago))
}

fn call(key: &str, duration: u64) -> Value {
    json!({
        "source_key": key, "pbx_alias": "p1", "start_at": start(5), "duration_s": duration,
        "direction": "internal", "calling_party": "101", "called_party": "102", "charged": "0.015",
        "extra": {"b": "2", "a": "1"},
    })
}

fn counts(answer: &Value) -> [u64; 4] {
    ["accepted", "duplicates", "revisions", "rejected"].map(|name| answer[name].as_u64().unwrap())
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn every_form_of_a_body_is_the_same_records() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    let calls: Vec<Value> = (0..20).map(|at| call(&format!("k{at}"), at)).collect();
    let ndjson: String = calls.iter().map(|call| format!("{call}\n")).collect();
    let array = serde_json::to_string_pretty(&calls).unwrap();
    let mut csv = String::from(
        "source_key,pbx_alias,start_at,duration_s,direction,calling_party,called_party,charged,extra\r\n",
    );
    for at in 0..20 {
        csv.push_str(&format!(
            "k{at},p1,{},{at},internal,101,102,0.015,\"{{\"\"a\"\":\"\"1\"\",\"\"b\"\":\"\"2\"\"}}\"\r\n",
            start(5)
        ));
    }
    let two_members = [gzip(&ndjson.as_bytes()[..100]), gzip(&ndjson.as_bytes()[100..])].concat();
    let (ndjson_type, json_type, csv_type) = ("application/x-ndjson", "application/json", "text/csv");
    let mut known = 0;
    for (content_type, coding, body) in [
        (ndjson_type, "identity", ndjson.clone().into_bytes()),
        (ndjson_type, "identity", ndjson.trim_end().replace('\n', "\r\n\r\n").into_bytes()),
        (json_type, "identity", array.clone().into_bytes()),
        (json_type, "identity", ndjson.clone().into_bytes()),
        (csv_type, "identity", csv.clone().into_bytes()),
        (ndjson_type, "gzip", gzip(ndjson.as_bytes())),
        (ndjson_type, "gzip", two_members),
        (csv_type, "gzip", gzip(csv.as_bytes())),
        (ndjson_type, "zstd", zstd::encode_all(ndjson.as_bytes(), 3).unwrap()),
        (json_type, "zstd", zstd::encode_all(array.as_bytes(), 19).unwrap()),
    ] {
        let headers = [("content-type", content_type), ("content-encoding", coding)];
        let answer = service.client.send("POST", "/api/v1/cdr/records", &headers, &body).unwrap();
        assert_eq!(counts(&answer.expect(200).json()), [20, known, 0, 0], "{content_type} {coding}");
        known = 20;
    }
    let exported = lines(&service.export("&format=ndjson&columns=source_key,duration_s,charged,extra").body);
    assert_eq!(exported.len(), 20);
    assert!(exported.iter().all(|r| r["extra"] == json!({"a": "1", "b": "2"}) && r["charged"] == "0.015"));
}

#[test]
fn bad_rows_spoil_the_body_or_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    let mut late = call("k2", 2);
    late["start_at"] = "2026-02-30T10:00:00Z".into();
    let body = format!("{}\n{late}\n{{\"pbx_alias\":\n{}\n", call("k1", 1), call("k4", 4));
    let refused = service.post_ndjson(&body);
    assert_eq!((refused.status, refused.problem().as_str()), (400, "malformed-body"));
    assert_eq!(refused.wrong_names()[..2], ["line 2", "line 3"]);
    assert_eq!(service.export("&format=json").text(), "[]\n", "all or nothing");

    let skipped = service.client.post("/api/v1/cdr/records?on_error=skip", "application/x-ndjson", &body);
    let skipped = skipped.expect(200).json();
    assert_eq!(counts(&skipped), [2, 0, 0, 2], "{skipped}");
    assert_eq!((&skipped["first_sequence"], &skipped["last_sequence"]), (&json!(1), &json!(2)));
    assert_eq!((&skipped["errors"][0]["line"], &skipped["errors"][1]["line"]), (&json!(2), &json!(3)));
    assert!(skipped["errors"][0]["reason"].as_str().unwrap().contains("start_at"), "{skipped}");
    assert_eq!(service.export("&format=ndjson").text().lines().count(), 2);
}

/// Posts the record `k1` and checks the counts, and that only what is stored takes the next sequence number.
#[track_caller]
fn post_k1(service: &Service, duration: u64, wanted: [u64; 4], sequence: &mut u64) {
    let answer = service.post_ndjson(call("k1", duration).to_string()).expect(200).json();
    assert_eq!(counts(&answer), wanted, "{answer}");
    let is_duplicate = wanted[1] > 0;
    *sequence += u64::from(!is_duplicate);
    let number = if is_duplicate { Value::Null } else { json!(sequence) };
    assert_eq!((&answer["first_sequence"], &answer["last_sequence"]), (&number, &number), "{answer}");
}

#[test]
fn other_content_is_a_revision_and_exports_show_the_latest_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::start(folder.path());
    let mut sequence = 0;
    let day = day_ago(5);
    let check = |service: &Service, duration: &str, revision: &str| {
        for format in ["csv", "ndjson"] {
            let query = format!("&pbx_alias=p1&columns=source_key,duration_s,revision&format={format}");
            let text = service.export(&query).text().to_owned();
            let wanted = match format {
                "csv" => format!("\u{feff}source_key,duration_s,revision\nk1,{duration},{revision}\n"),
                _ => format!("{{\"duration_s\":{duration},\"revision\":{revision},\"source_key\":\"k1\"}}\n"),
            };
            assert_eq!(text, wanted);
        }
        let kpis = service.client.get(&format!("/api/v1/kpis/export?from={day}&to={day}&pbx_alias=p1"));
        let kpis = Table::of(&kpis.expect(200).body);
        assert_eq!(kpis.column("calls"), [Some("1")]);
        assert_eq!(kpis.column("duration_s"), [Some(duration)]);
    };
    post_k1(&service, 5, [1, 0, 0, 0], &mut sequence);
    check(&service, "5", "0");
    post_k1(&service, 6, [1, 0, 1, 0], &mut sequence);
    check(&service, "6", "1");
    post_k1(&service, 6, [1, 1, 0, 0], &mut sequence);
    check(&service, "6", "1");
    load::compact(&service);
    sequence += 450;
    check(&service, "6", "1");
    post_k1(&service, 7, [1, 0, 1, 0], &mut sequence);
    check(&service, "7", "2");
    assert!(service.stop().success());
    service = Service::start(folder.path());
    check(&service, "7", "2");
    post_k1(&service, 7, [1, 1, 0, 0], &mut sequence);
    post_k1(&service, 5, [1, 0, 1, 0], &mut sequence);
    check(&service, "5", "3");

    // The id names the record as its key does; it may not move to another time.
    let id = lines(&service.export("&format=ndjson&pbx_alias=p1&columns=id").body)[0]["id"].clone();
    let mut by_id = call("k1", 9);
    by_id["id"] = id.clone();
    let answer = service.post_ndjson(by_id.to_string()).expect(200).json();
    assert_eq!(counts(&answer), [1, 0, 1, 0], "{answer}");
    check(&service, "9", "4");
    by_id["start_at"] = start(4).into();
    let moved = service.post_ndjson(by_id.to_string());
    assert_eq!((moved.status, moved.problem().as_str()), (400, "malformed-body"));
    check(&service, "9", "4");
}

#[test]
fn records_that_come_at_once_are_kept_once() {
    const SENDERS: u64 = 16;
    const ROWS: u64 = 40;
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    let same: String = (0..ROWS).map(|at| format!("{}\n", call(&format!("same{at}"), at))).collect();
    let answers: Vec<Value> = std::thread::scope(|threads| {
        let send = |sender: u64| {
            // The same rows from everybody, and one record of which everybody knows another version.
            let body = format!("{same}{}\n", call("version", sender));
            let service = &service;
            threads.spawn(move || service.post_ndjson(body).expect(200).json())
        };
        let senders: Vec<_> = (0..SENDERS).map(send).collect();
        senders.into_iter().map(|sender| sender.join().unwrap()).collect()
    });
    let sum = |at: usize| answers.iter().map(|answer| counts(answer)[at]).sum::<u64>();
    assert_eq!(sum(0), SENDERS * (ROWS + 1));
    assert_eq!(sum(1), (SENDERS - 1) * ROWS, "duplicates: {answers:?}");
    assert_eq!(sum(2), SENDERS - 1, "revisions: {answers:?}");
    let last = answers.iter().filter_map(|answer| answer["last_sequence"].as_u64()).max();
    assert_eq!(last, Some(ROWS + SENDERS), "numbers without a gap");
    let table = Table::of(&service.export("&columns=source_key,duration_s,revision").body);
    assert_eq!((table.rows.len() as u64, table.counts("source_key").len() as u64), (ROWS + 1, ROWS + 1));
    let newest = answers.iter().position(|answer| answer["last_sequence"].as_u64() == last).unwrap();
    let version = table.rows.iter().find(|row| row[0].as_deref() == Some("version")).unwrap();
    let texts = [newest.to_string(), (SENDERS - 1).to_string()];
    assert_eq!([&version[1], &version[2]].map(|cell| cell.clone().unwrap()), texts, "the last one counts");
}

#[test]
fn a_switch_posts_legs_with_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    let definition =
        json!({"kind": "freeswitch-json", "extension_pattern": "^1[0-9]{2}$", "trunks": ["external"]});
    service.put_source("fs", &definition).expect(201);
    let leg = json!({
        "core-uuid": "0b3f", "channel_data": {"state": "CS_REPORTING", "direction": "inbound"},
        "variables": {
            "uuid": "8b7e0c1a-1111-4222-8333-444455556666", "direction": "inbound", "user_name": "101",
            "sofia_profile_name": "internal", "start_uepoch": "1793900000123456", "answer_uepoch": "1793900003123456",
            "end_uepoch": "1793900013623456", "duration": "13", "billsec": "10",
            "hangup_cause": "NORMAL_CLEARING", "hangup_cause_q850": "16", "last_app": "bridge",
            "last_arg": "sofia/gateway/carrier/+493023125000"
        },
        "callflow": [{"caller_profile": {
            "caller_id_name": "Desk", "caller_id_number": "101", "destination_number": "+493023125000"
        }}]
    })
    .to_string();
    let switch = service.client.with_authorization(Some(BASIC));
    let path = "/api/v1/sources/fs/records?uuid=a_8b7e0c1a-1111-4222-8333-444455556666";
    let form = format!("cdr={}", utf8_percent_encode(&leg, NON_ALPHANUMERIC));
    for (at, (content_type, body)) in [
        ("application/json", leg.clone()),
        ("application/x-www-form-urlencoded", leg.clone()),
        ("application/x-www-form-urlencoded", form),
        ("text/plain", leg.clone()),
    ]
    .into_iter()
    .enumerate()
    {
        let answer = switch.post(path, content_type, body).expect(200).json();
        assert_eq!(counts(&answer), [1, u64::from(at > 0), 0, 0], "{content_type}: {answer}");
    }
    let query = "&columns=source_key,duration_s,direction,calling_party,called_party,trunk,result";
    let key = "8b7e0c1a-1111-4222-8333-444455556666";
    assert_eq!(
        service.export(query).text().lines().nth(1),
        Some(format!("{key},10,outbound,101,+493023125000,carrier,answered").as_str())
    );
    let wrong =
        service.client.with_authorization(Some("Basic c3dpdGNoOndyb25n")).post(path, "text/plain", "x");
    assert_eq!((wrong.status, wrong.problem().as_str()), (401, "unauthorized"));
    assert!(
        wrong.headers.iter().any(|(name, value)| name == "www-authenticate" && value.starts_with("Basic"))
    );
    let elsewhere = switch.get("/api/v1/cdr/export?from=2026-01-01");
    assert_eq!(elsewhere.status, 401, "passwords open the sources' doors only");
}

#[test]
fn values_come_out_as_they_went_in() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    let hostile = [
        "../../../etc/passwd",
        "'; DROP TABLE calls; --",
        "\"quoted\", with, commas",
        "two\nlines\r\nand\rreturns",
        "=HYPERLINK(1)",
        " leading and trailing ",
        "tab\there",
        "\u{202e}right to left",
        "株式会社テスト",
        "e\u{301}😀",
        "\u{feff}mark",
        "null",
        "NaN",
        "",
        "\u{1}\u{7f}\u{80}",
        "-0012",
        "00491701234567",
        "\\N",
        "\\\"",
    ];
    let mut body = String::new();
    for (at, text) in hostile.iter().enumerate() {
        let mut call = call(&format!("k{at:02}"), 1);
        for field in ["trunk", "called_name", "account_code", "call_id", "extension"] {
            call[field] = (*text).into();
        }
        call["pbx_alias"] = if text.is_empty() { "p".into() } else { (*text).into() };
        call["extra"] = json!({"k": text});
        body.push_str(&format!("{call}\n"));
    }
    let answer = service.post_ndjson(&body).expect(200).json();
    assert_eq!(counts(&answer), [hostile.len() as u64, 0, 0, 0], "{answer}");
    let columns = "source_key,trunk,called_name,account_code,call_id,extension,extra";
    for compacted in [false, true] {
        let csv = Table::of(&service.export(&format!("&columns={columns}&called_party=102")).body);
        let json = lines(&service.export(&format!("&columns={columns}&called_party=102&format=ndjson")).body);
        assert_eq!((csv.rows.len(), json.len()), (hostile.len(), hostile.len()));
        for (row, record) in csv.rows.iter().zip(&json) {
            let at: usize = row[0].as_deref().unwrap()[1..].parse().unwrap();
            for cell in &row[1..6] {
                assert_eq!(cell.as_deref(), Some(hostile[at]), "compacted: {compacted}");
            }
            let extra: Value = serde_json::from_str(row[6].as_deref().unwrap()).unwrap();
            assert_eq!((&extra["k"], &record["extra"]["k"]), (&json!(hostile[at]), &json!(hostile[at])));
            assert_eq!(record["trunk"], hostile[at]);
        }
        if !compacted {
            load::compact(&service);
        }
    }
}
