//! Completeness reports from outside: the same from journal, lake and both, what an export of the same hours says, and what
//! `tollbook verify` makes of it. Digests are also made here without any code of the product.

use crate::client::Client;
use crate::load::{self, Load};
use crate::service::{Service, day_ago, tollbook};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::Path;

const RANGE: &str = "from=2000-01-01&to=2100-01-01";

/// RFC 6962 section 2.1, written as it stands there.
fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    let hash = |parts: &[&[u8]]| -> [u8; 32] {
        let mut digest = Sha256::new();
        parts.iter().for_each(|part| digest.update(part));
        digest.finalize().into()
    };
    match leaves {
        [] => hash(&[]),
        [only] => *only,
        _ => {
            let split = leaves.len().next_power_of_two() / 2;
            hash(&[&[1], &root(&leaves[..split]), &root(&leaves[split..])])
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What an export tells of its hours, by nothing but its lines: start of the hour to number of records and digest.
fn hours_of(export: &str, time: &str) -> BTreeMap<String, (u64, String)> {
    let mut leaves: BTreeMap<String, Vec<[u8; 32]>> = BTreeMap::new();
    for line in export.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        let hour = format!("{}:00:00.000Z", &record[time].as_str().unwrap()[..13]);
        leaves.entry(hour).or_default().push(Sha256::digest([b"\0", line.as_bytes()].concat()).into());
    }
    leaves.into_iter().map(|(hour, leaves)| (hour, (leaves.len() as u64, hex(&root(&leaves))))).collect()
}

fn report(client: &Client, dataset: &str, query: &str) -> Value {
    client.get(&format!("/api/v1/{dataset}/completeness?{query}")).expect(200).json()
}

/// The hours of a report, which must hold together.
fn told(report: &Value) -> BTreeMap<String, (u64, String)> {
    let hours = report["hours"].as_array().unwrap();
    let told: BTreeMap<String, (u64, String)> = hours
        .iter()
        .map(|hour| {
            let text = |name: &str| hour[name].as_str().unwrap().to_owned();
            (text("hour"), (hour["records"].as_u64().unwrap(), text("digest")))
        })
        .collect();
    let starts: Vec<&str> = hours.iter().map(|hour| hour["hour"].as_str().unwrap()).collect();
    assert!(starts.is_sorted_by(|one, next| one < next), "{starts:?}");
    assert_eq!(report["records"], told.values().map(|(records, _)| records).sum::<u64>());
    told
}

/// What `tollbook verify --completeness` says of this report and this file, and its exit code.
fn verify(folder: &Path, report: &Value, export: &str) -> (i32, String) {
    let (said, file) = (folder.join("report.json"), folder.join("export.ndjson"));
    std::fs::write(&said, report.to_string()).unwrap();
    std::fs::write(&file, export).unwrap();
    let output = tollbook().arg("verify").arg("--completeness").args([&said, &file]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), said.into_owned())
}

#[track_caller]
fn check(service: &Service, folder: &Path) -> Value {
    let report = report(&service.client, "cdr", RANGE);
    let export = service.export("&format=ndjson");
    assert_eq!(told(&report), hours_of(export.text(), "start_at"));
    let (code, said) = verify(folder, &report, export.text());
    assert_eq!((code, said.lines().last()), (0, Some("whole")), "{said}");
    report
}

#[test]
fn journal_and_lake_and_an_export_tell_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    let body = Load::new(3).ndjson("complete", 400, 0, &day_ago(4));
    let sent = service.post_ndjson(&body).expect(200).json();
    assert_eq!((&sent["first_sequence"], &sent["last_sequence"]), (&json!(1), &json!(400)));
    service.post_ndjson(&body).expect(200);
    let first = check(&service, folder.path());
    assert_eq!((&first["records"], &first["watermark"]), (&json!(400), &json!(400)));
    let sequences = |name: &str| {
        first["hours"].as_array().unwrap().iter().map(|hour| hour[name].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(
        (sequences("first_sequence").into_iter().min(), sequences("last_sequence").into_iter().max()),
        (Some(1), Some(400))
    );

    // Every call that was busy turns out otherwise.
    let revised: Vec<String> = body
        .lines()
        .filter(|line| line.contains("\"busy\""))
        .map(|line| line.replace("\"busy\"", "\"no-answer\""))
        .collect();
    let sent = service.post_ndjson(revised.join("\n")).expect(200).json();
    assert_eq!(sent["revisions"], revised.len(), "{sent}");
    let second = check(&service, folder.path());
    assert_eq!((&second["records"], &second["watermark"]), (&json!(400), &json!(400 + revised.len())));
    assert_ne!(told(&first), told(&second));

    let of_day = |report: &Value| {
        let day = day_ago(4);
        let hours = report["hours"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|hour| hour["hour"].as_str().unwrap().starts_with(&day));
        hours.cloned().collect::<Vec<_>>()
    };
    load::compact(&service);
    let compacted = check(&service, folder.path());
    assert_eq!(of_day(&compacted), of_day(&second), "sequence numbers too");
    service.post_ndjson(Load::new(4).ndjson("more", 50, 0, &day_ago(4))).expect(200);
    let both = check(&service, folder.path());
    assert_eq!(both["records"].as_u64(), Some(compacted["records"].as_u64().unwrap() + 50));

    service.stop();
    let service = Service::start(folder.path());
    assert_eq!(told(&check(&service, folder.path())), told(&both));
}

#[test]
fn a_file_that_lacks_a_record_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    service.post_ndjson(Load::new(5).ndjson("lacking", 60, 0, &day_ago(3))).expect(200);
    let report = report(&service.client, "cdr", RANGE);
    let export = service.export("&format=ndjson");
    let lines: Vec<&str> = export.text().lines().collect();
    for missing in [0, 31, 59] {
        let rest: String = lines
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != missing)
            .map(|(_, line)| format!("{line}\n"))
            .collect();
        let (code, said) = verify(folder.path(), &report, &rest);
        assert_eq!(code, 1, "{said}");
        let hour = serde_json::from_str::<Value>(lines[missing]).unwrap()["start_at"].as_str().unwrap()[..13]
            .to_owned();
        assert!(
            said.lines().any(|line| line.starts_with(&hour) && line.contains("but the report tells of")),
            "{said}"
        );
    }
    let paris = service.export("&format=ndjson&tz=Asia/Kolkata");
    let (code, said) = verify(folder.path(), &report, paris.text());
    assert!(code == 2 && said.contains("tz=UTC"), "{said}");
}

#[test]
fn a_part_of_an_hour_has_the_root_of_its_signed_export() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    service.post_ndjson(Load::new(6).ndjson("hourly", 800, 0, &day_ago(2))).expect(200);
    let day = day_ago(2);
    let range = format!("from={day}T10:07:00Z&to={day}T10:52:30.5Z");
    let hours = told(&report(&service.client, "cdr", &range));
    let export = service.client.get(&format!("/api/v1/cdr/export?{range}&format=ndjson")).expect(200);
    assert_eq!(hours, hours_of(export.text(), "start_at"));
    let id = export.header("tollbook-export-id").unwrap();
    let manifest = service.client.get(&format!("/api/v1/exports/{id}/manifest")).expect(200);
    let payload = URL_SAFE_NO_PAD.decode(manifest.text().split('.').nth(1).unwrap()).unwrap();
    let manifest: Value = serde_json::from_slice(&payload).unwrap();
    let (records, digest) = &hours[&format!("{day}T10:00:00.000Z")];
    assert_eq!((&manifest["rows"], &manifest["merkle"]["root"]), (&json!(records), &json!(digest)));
}

#[test]
fn every_dataset_has_its_report() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    service.put_recorded_source("bench");
    service.post_ndjson(Load::new(8).ndjson("kpis", 300, 0, &day_ago(2))).expect(200);
    // What is logged from here on lies behind the range.
    let end = report(&service.client, "cdr", RANGE)["snapshot_at"].as_str().unwrap().to_owned();
    for (dataset, time, query) in [
        ("kpis", "bucket_start", RANGE.to_owned()),
        ("agent-configuration", "updated_at", RANGE.to_owned()),
        ("audit-log", "at", format!("from=2000-01-01&to={end}")),
    ] {
        let report = report(&service.client, dataset, &query);
        let export =
            service.client.get(&format!("/api/v1/{dataset}/export?{query}&format=ndjson")).expect(200);
        let hours = told(&report);
        assert!(!hours.is_empty(), "{dataset}");
        assert_eq!(hours, hours_of(export.text(), time), "{dataset}");
        let has_sequences = report["hours"][0].get("first_sequence").is_some();
        assert_eq!(has_sequences, dataset == "audit-log", "{report}");
        let (code, said) = verify(folder.path(), &report, export.text());
        assert_eq!((code, said.lines().last()), (0, Some("whole")), "{said}");
    }
    let log = service.client.get(&format!("/api/v1/audit-log/export?{RANGE}&format=ndjson")).expect(200);
    let logged = log.text().lines().filter(|line| line.contains("\"export.completeness\"")).count();
    assert_eq!(logged, 4);
}
