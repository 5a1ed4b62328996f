//! Export jobs from outside: ordered, watched, fetched, cancelled and deleted as the contract says, of a service that
//! may die at any moment.

mod desk;
mod kills;
mod links;
mod mail;
mod notices;
mod queue;

use crate::client::Client;
use crate::load::Load;
use crate::service::{Service, day_ago, tollbook, wait_for};
use crate::table::{Table, lines};
use bytes::Bytes;
use desk::{
    PATIENCE, checked, ended, everything, fetch, file_of, fill, id_of, look, order, path_of, ready, target,
    tenant, watch,
};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tollbook_columns::parquet_file::rows_in_file;
use tollbook_kit::clock::{Clock, SystemClock};

/// How long it may take until a job that is cancelled is.
const CANCELLED_WITHIN: Duration = Duration::from_secs(5);
/// What curl says of a body that it is given with `-d`.
const FORM: &str = "application/x-www-form-urlencoded";

fn started() -> (tempfile::TempDir, Service) {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    (folder, service)
}

/// A service with 300 small records of one day.
fn filled() -> (tempfile::TempDir, Service) {
    let (folder, service) = started();
    service.post_ndjson(Load::new(7).ndjson("small", 300, 0, &day_ago(5))).expect(200);
    (folder, service)
}

/// Checklist rows 2 to 4.
#[test]
fn a_job_is_ordered_watched_and_fetched() {
    let (_folder, service) = filled();
    let analyst = service.client.with_token(&service.token("analyst"));
    let (from, to) = (day_ago(9), day_ago(2));
    let body = format!(r#"{{"from":"{from}","to":"{to}","format":"parquet","external_reference":"Q3/a"}}"#);
    let answer = analyst.post("/api/v1/cdr/export-jobs", FORM, body).expect(202);
    let job = checked(answer.json());
    assert!(answer.header("location").is_some_and(|at| at.ends_with(id_of(&job))), "where the job is");
    assert_eq!(job["status"], "queued", "{job}");
    for (member, said) in [
        ("dataset", json!("cdr")),
        ("dialect", json!("native")),
        ("format", json!("parquet")),
        ("from", json!(from)),
        ("to", json!(to)),
        ("tz", json!("UTC")),
        ("filters", json!({})),
        ("columns", Value::Null),
        ("schema", json!("v1")),
        ("sign", json!("none")),
        ("external_reference", json!("Q3/a")),
        ("callback_url", Value::Null),
        ("notify_email", json!([])),
    ] {
        assert_eq!(job[member], said, "{member}");
    }

    let job = ready(&analyst, &job);
    assert_eq!((&job["rows"], &job["watermark"], &job["attempt"]), (&json!(300), &json!(300), &json!(1)));
    let progress = &job["progress"];
    assert_eq!((&progress["rows_done"], &progress["eta_s"]), (&json!(300), &json!(0)), "{progress}");
    let answer = fetch(&analyst, &job["download_url"]).expect(200);
    let name = format!("cdr_{from}_{to}.parquet");
    assert_eq!(job["files"][0]["name"], name);
    for (header, said) in [
        ("content-type", "application/vnd.apache.parquet"),
        ("content-disposition", format!("attachment; filename=\"{name}\"").as_str()),
        ("cache-control", "private, no-store"),
        ("accept-ranges", "bytes"),
    ] {
        assert_eq!(answer.header(header), Some(said));
    }
    assert_eq!(rows_in_file(Bytes::from(file_of(&analyst, &job))).unwrap(), 300);
}

/// What a job makes is what a direct export makes of the same records.
#[test]
fn every_format_holds_what_a_direct_export_holds() {
    let (_folder, service) = filled();
    let client = &service.client;
    let range = format!("from={}&to={}", day_ago(9), day_ago(2));
    let path = |query: &str| format!("/api/v1/cdr/export?{range}{query}");
    for (query, order_of) in [
        ("&format=csv", json!({"format": "csv"})),
        (
            "&format=csv&formula_guard=1&columns=result,id",
            json!({"formula_guard": true, "columns": ["result", "id"]}),
        ),
        ("&format=ndjson", json!({"format": "ndjson"})),
        (
            "&format=json&direction=inbound&direction=internal",
            json!({"format": "json", "direction": ["inbound", "internal"]}),
        ),
        ("&format=json&pbx_alias=nobody", json!({"format": "json", "pbx_alias": "nobody", "sign": "none"})),
        (
            "&format=ndjson&tz=Asia/Kolkata&columns=id,start_at",
            json!({"format": "ndjson", "tz": "Asia/Kolkata", "columns": "id,start_at"}),
        ),
    ] {
        let mut body = json!({"from": day_ago(9), "to": day_ago(2)});
        body.as_object_mut().unwrap().extend(order_of.as_object().unwrap().clone());
        let job = ready(client, &order(client, &body));
        // Days in another zone are others.
        let direct = client.get(&path(query)).expect(200).body;
        assert!(file_of(client, &job) == direct, "{query}");
    }
    let packed =
        ready(client, &order(client, &json!({"from": day_ago(9), "to": day_ago(2), "format": "csv.gz"})));
    let mut unpacked = Vec::new();
    let file = file_of(client, &packed);
    let mut member = flate2::bufread::GzDecoder::new(&file[..]);
    std::io::Read::read_to_end(&mut member, &mut unpacked).unwrap();
    assert!(member.into_inner().is_empty(), "one member");
    assert!(unpacked == client.get(&path("&format=csv")).expect(200).body);
}

#[test]
fn every_dataset_has_jobs() {
    let (_folder, service) = filled();
    service.put_recorded_source("bench");
    let client = &service.client;
    let from = day_ago(9);
    for (dataset, body) in [
        ("kpis", json!({"from": from, "interval": "hour"})),
        ("audit-log", json!({"from": from, "format": "ndjson"})),
        ("agent-configuration", json!({})),
    ] {
        let answer = client.send_json("POST", &format!("/api/v1/{dataset}/export-jobs"), &body).expect(202);
        let job = ready(client, &checked(answer.json()));
        assert_eq!(job["dataset"], dataset);
        let file = file_of(client, &job);
        let rows = if job["format"] == "csv" { Table::of(&file).rows.len() } else { lines(&file).len() };
        assert_eq!(job["rows"], rows, "{dataset}");
        assert!(rows > 0, "{dataset}");
        let elsewhere = client.get(&format!("/api/v1/cdr/export-jobs/{}", id_of(&job))).expect(404);
        assert_eq!(elsewhere.problem(), "not-found");
        client.get(&format!("/api/v1/{dataset}/export-jobs/{}", id_of(&job))).expect(200);
    }
}

/// Checklist rows 26 and 28.
#[test]
fn a_signed_job_verifies_offline() {
    let (_folder, service) = filled();
    let client = &service.client;
    for order_of in [
        json!({"format": "ndjson"}),
        json!({"format": "ndjson", "sign": "records"}),
        json!({"format": "json", "sign": "records", "calling_party": "+44 20 7123 4567"}),
        json!({"format": "parquet", "sign": "manifest"}),
        json!({"format": "csv.gz", "sign": "manifest"}),
    ] {
        let mut body = json!({"from": day_ago(9)});
        body.as_object_mut().unwrap().extend(order_of.as_object().unwrap().clone());
        let job = ready(client, &order(client, &body));
        assert!(!job["filters"].to_string().contains("7123"), "callers are hidden: {job}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(job["files"][0]["name"].as_str().unwrap());
        std::fs::write(&file, file_of(client, &job)).unwrap();
        let manifest = fetch(client, &job["manifest_url"]).expect(200);
        assert_eq!(manifest.header("content-type"), Some("application/jose"));
        std::fs::write(folder.path().join("manifest.jws"), &manifest.body).unwrap();
        let keys = client.with_authorization(None).get("/.well-known/jwks.json").expect(200).body;
        std::fs::write(folder.path().join("keys.json"), keys).unwrap();
        assert_eq!(verified(folder.path(), &file), (0, true), "{order_of}");
        let mut content = std::fs::read(&file).unwrap();
        if let Some(at) = content.len().checked_sub(20) {
            content[at] ^= 1;
            std::fs::write(&file, content).unwrap();
            assert_eq!(verified(folder.path(), &file), (1, false), "{order_of}");
        }
    }
}

/// What `tollbook verify` exits with, and whether it calls the file whole.
fn verified(folder: &Path, file: &Path) -> (i32, bool) {
    let mut command = tollbook();
    command.arg("verify").arg("--jwks").arg(folder.join("keys.json")).arg(folder.join("manifest.jws"));
    let output = command.arg(file).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.code().unwrap(), said.lines().last() == Some("whole"))
}

/// Checklist rows 29 and 30.
#[test]
fn the_same_key_makes_one_job() {
    let (_folder, service) = filled();
    let client = &service.client;
    let send = |client: &Client, path: &str, key: &str, body: &str| {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        client.send("POST", path, &headers, body.as_bytes()).unwrap()
    };
    const PATH: &str = "/api/v1/cdr/export-jobs";
    const BODY: &str = r#"{"from":"2026-01-01","to":"2026-01-31","format":"csv"}"#;
    let first = send(client, PATH, "night 1", BODY).expect(202);
    assert_eq!(first.header("idempotency-replayed"), None);
    let id = id_of(&first.json()).to_owned();
    for same in [BODY, "{ \"format\" : \"csv\",\n\"to\":\"2026-01-31\", \"from\":\"2026-01\\u002d01\" }"] {
        let again = send(client, PATH, "night 1", same).expect(202);
        assert_eq!((again.header("idempotency-replayed"), id_of(&again.json())), (Some("true"), id.as_str()));
    }
    for other in [
        r#"{"from":"2026-01-01","to":"2026-01-31","format":"ndjson"}"#,
        r#"{"from":"2026-01-01","to":"2026-01-31"}"#,
    ] {
        let refused = send(client, PATH, "night 1", other).expect(422);
        assert_eq!(refused.problem(), "idempotency-key-reused");
    }
    let analyst = service.client.with_token(&service.token("analyst"));
    for (client, path, key) in [
        (&analyst, PATH, "night 1"),
        (client, "/api/v1/kpis/export-jobs", "night 1"),
        (client, PATH, "Night 1"),
    ] {
        let other = send(client, path, key, BODY).expect(202);
        assert_ne!(id_of(&other.json()), id, "{path} {key}");
    }
    let long = "k".repeat(256);
    for wrong in ["", long.as_str(), "caf\u{e9}"] {
        let refused = send(client, PATH, wrong, BODY).expect(400);
        assert_eq!(refused.problem(), "invalid-parameter", "{wrong:?}");
    }
    send(client, PATH, &long[..255], BODY).expect(202);

    let answers = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..12).map(|_| scope.spawn(|| send(client, PATH, "at once", BODY))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap().expect(202)).collect::<Vec<_>>()
    });
    let ids: std::collections::BTreeSet<String> =
        answers.iter().map(|answer| id_of(&answer.json()).to_owned()).collect();
    assert_eq!(ids.len(), 1, "two at once make one job");
    let replayed = answers.iter().filter(|answer| answer.header("idempotency-replayed").is_some()).count();
    assert_eq!(replayed, answers.len() - 1);
}

#[test]
fn wrong_orders_are_refused_with_all_their_faults() {
    let (_folder, service) = started();
    for (body, kind, names) in [
        ("{}", "missing-parameter", vec!["from"]),
        (r#"{"from":"2026-01-01","directon":"inbound"}"#, "unknown-parameter", vec!["directon"]),
        (
            r#"{"from":"2026-01-01","format":"xlsx","tz":"Mars/Base"}"#,
            "invalid-parameter",
            vec!["format", "tz"],
        ),
        (r#"{"from":"2026-01-06","to":"2026-01-05"}"#, "invalid-parameter", vec!["to"]),
        (r#"{"from":7}"#, "invalid-parameter", vec!["from"]),
        (r#"{"from":["2026-01-01","2026-01-02"]}"#, "invalid-parameter", vec!["from"]),
        (r#"{"from":""}"#, "invalid-parameter", vec!["from"]),
        (r#"{"from":"2026-01-01","interval":"day"}"#, "unknown-parameter", vec!["interval"]),
        (
            r#"{"from":"2026-01-01","formula_guard":true,"format":"json"}"#,
            "invalid-parameter",
            vec!["formula_guard"],
        ),
        (
            r#"{"from":"2026-01-01","callback_url":"http://127.0.0.1/x"}"#,
            "invalid-parameter",
            vec!["callback_url"],
        ),
        (
            r#"{"from":"2026-01-01","callback_url":"https://169.254.169.254/latest"}"#,
            "invalid-parameter",
            vec!["callback_url"],
        ),
        (
            r#"{"from":"2026-01-01","notify_email":"eve@example.net"}"#,
            "invalid-parameter",
            vec!["notify_email"],
        ),
        (
            r#"{"from":"2026-01-01","callback_url":"ftp://x","notify_email":["a"],"external_reference":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}"#,
            "invalid-parameter",
            vec!["callback_url", "external_reference", "notify_email"],
        ),
        ("{\"from\":", "malformed-body", vec!["body"]),
        ("[]", "malformed-body", vec!["body"]),
    ] {
        let answer = service.client.post("/api/v1/cdr/export-jobs", FORM, body).expect(400);
        let mut wrong = answer.wrong_names();
        wrong.sort();
        assert_eq!(
            (answer.problem().as_str(), wrong),
            (kind, names.into_iter().map(str::to_owned).collect()),
            "{body}"
        );
    }
    let reference = |characters: usize| {
        let body = json!({"from": "2026-01-01", "external_reference": "ü".repeat(characters)});
        service.client.send_json("POST", "/api/v1/cdr/export-jobs", &body)
    };
    assert_eq!(reference(100).expect(202).json()["external_reference"], "ü".repeat(100));
    assert_eq!(reference(101).expect(400).wrong_names(), ["external_reference"]);
    let large = format!("{{\"from\":\"2026-01-01\"{}}}", " ".repeat(64 * 1024));
    assert_eq!(
        service.client.post("/api/v1/cdr/export-jobs", FORM, large).expect(413).problem(),
        "body-too-large"
    );
    let typed = service.client.post("/api/v1/cdr/export-jobs", "text/csv", "{}").expect(415);
    assert_eq!(typed.problem(), "unsupported-media-type");
    let listed = service.client.get("/api/v1/export-jobs").expect(200).json();
    assert_eq!(listed["items"].as_array().map(Vec::len), Some(1), "what is refused is not there");
}

/// Files of parts below a data folder.
fn part_files(folder: &Path) -> Vec<PathBuf> {
    fn below(folder: &Path, found: &mut Vec<PathBuf>) {
        // What is erased while it is looked at is gone.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                below(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "part") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    below(&folder.join("data/exports"), &mut found);
    found
}

/// Checklist row 31.
#[test]
fn a_running_job_is_cancelled_at_once_and_leaves_nothing() {
    let (folder, service) = started();
    fill(&service, 4);
    let client = &service.client;
    let job = order(client, &everything("ndjson"));
    watch(client, &job, |job| job["status"] == "running");
    let clock = SystemClock::new();
    client.send("DELETE", &path_of(&job), &[], b"").unwrap().expect(204);
    let job = ended(client, &job);
    assert_eq!(job["status"], "cancelled", "it was too quick to be cancelled: {job}");
    assert!(clock.monotonic() < CANCELLED_WITHIN, "{:?}", clock.monotonic());
    assert_eq!(
        (&job["files"], &job["rows"], &job["bytes"]),
        (&json!([]), &Value::Null, &Value::Null),
        "{job}"
    );
    client.send("DELETE", &path_of(&job), &[], b"").unwrap().expect(204);
    assert_eq!(look(client, &job), job, "an end is an end");
    let erased = wait_for(PATIENCE, || part_files(folder.path()).is_empty().then_some(()));
    assert!(erased.is_some(), "its parts stay: {:?}", part_files(folder.path()));
}

/// Checklist row 32.
#[test]
fn a_deleted_job_takes_its_files_and_links_along() {
    let (folder, service) = filled();
    let client = &service.client;
    let analyst = client.with_token(&service.token("analyst"));
    let job = ready(&analyst, &order(&analyst, &json!({"from": day_ago(9), "format": "ndjson"})));
    for link in ["download_url", "manifest_url"] {
        fetch(client, &job[link]).expect(200);
    }
    let other = client.with_token(&service.token("auditor"));
    let refused = other.send("DELETE", &path_of(&job), &[], b"").unwrap().expect(403);
    assert_eq!(refused.problem(), "forbidden", "an analyst's job is not the auditor's");
    let cdr = format!("/api/v1/cdr/export-jobs/{}", id_of(&job));
    let wrong = analyst.send("DELETE", &cdr.replace("/cdr/", "/kpis/"), &[], b"").unwrap().expect(404);
    assert_eq!(wrong.problem(), "not-found");
    fetch(client, &job["download_url"]).expect(200);
    analyst.send("DELETE", &cdr, &[], b"").unwrap().expect(204);
    for link in ["download_url", "manifest_url"] {
        assert_eq!(fetch(client, &job[link]).expect(410).problem(), "gone");
    }
    let expired = look(&analyst, &job);
    assert_eq!((&expired["status"], &expired["error"]), (&json!("expired"), &Value::Null));
    assert_eq!(expired["files"][0]["sha256"], job["files"][0]["sha256"], "it stays told what it was");
    analyst.send("DELETE", &cdr, &[], b"").unwrap().expect(204);
    let erased = wait_for(PATIENCE, || part_files(folder.path()).is_empty().then_some(()));
    assert!(erased.is_some(), "its parts stay");
    // An admin may do it to anybody's.
    let job = ready(&analyst, &order(&analyst, &json!({"from": day_ago(9)})));
    client.send("DELETE", &path_of(&job), &[], b"").unwrap().expect(204);
    assert_eq!(look(&analyst, &job)["status"], "expired");
}

/// Checklist row 37.
#[test]
fn lists_have_pages_newest_first() {
    let (_folder, service) = filled();
    let client = &service.client;
    let mut ids = Vec::new();
    for number in 0..5 {
        let (dataset, body) = if number == 2 {
            ("kpis", json!({"from": day_ago(9)}))
        } else {
            ("cdr", json!({"from": day_ago(9), "external_reference": format!("n{number}")}))
        };
        let made = client.send_json("POST", &format!("/api/v1/{dataset}/export-jobs"), &body).expect(202);
        ids.insert(0, id_of(&made.json()).to_owned());
        ready(client, &made.json());
    }
    let page = |query: &str| {
        let page = client.get(&format!("/api/v1/export-jobs?{query}")).expect(200).json();
        let items = page["items"].as_array().expect("items").clone();
        let next = page["next_cursor"].as_str().map(str::to_owned);
        assert!(next.is_some() || page["next_cursor"].is_null(), "{page}");
        (items.into_iter().map(|job| id_of(&checked(job)).to_owned()).collect::<Vec<_>>(), next)
    };
    let (mut seen, mut sizes, mut cursor) = (Vec::new(), Vec::new(), None::<String>);
    loop {
        let behind = cursor.map_or_else(String::new, |cursor| format!("&cursor={cursor}"));
        let (items, next) = page(&format!("limit=2{behind}"));
        sizes.push(items.len());
        seen.extend(items);
        cursor = next;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((sizes, &seen), (vec![2, 2, 1], &ids));
    assert_eq!(page("dataset=kpis").0, ids[2..3]);
    assert_eq!(page("dataset=kpis&dataset=cdr&status=ready&dialect=native").0, ids);
    assert_eq!(page("status=failed&status=queued").0, [""; 0]);
    assert_eq!(page(&format!("created_to={}", day_ago(2))).0, [""; 0]);
    assert_eq!(page(&format!("created_from={}", day_ago(2))).0, ids);
    let of_dataset = client.get("/api/v1/kpis/export-jobs").expect(200).json();
    assert_eq!(of_dataset["items"].as_array().map(Vec::len), Some(1));
    for (query, name) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=x", "limit"),
        ("status=done", "status"),
        ("dataset=dogs", "dataset"),
        ("cursor=x", "cursor"),
        ("created_from=soon", "created_from"),
        ("created_to=", "created_to"),
    ] {
        let refused = client.get(&format!("/api/v1/export-jobs?{query}")).expect(400);
        assert_eq!(
            (refused.problem().as_str(), refused.wrong_names()),
            ("invalid-parameter", vec![name.to_owned()]),
            "{query}"
        );
    }
    assert_eq!(client.get("/api/v1/export-jobs?page=2").expect(400).problem(), "unknown-parameter");
    // Who may not export a dataset does not see its jobs.
    client.send_json("POST", "/api/v1/audit-log/export-jobs", &json!({"from": day_ago(9)})).expect(202);
    let analyst = client.with_token(&service.token("analyst"));
    let seen = analyst.get("/api/v1/export-jobs").expect(200).json();
    assert_eq!(seen["items"].as_array().map(Vec::len), Some(5));
}

/// Section 15: whoever leaves takes his records along.
#[test]
fn a_closing_tenant_still_exports() {
    let (_folder, service) = started();
    let admin = tenant(&service, "acme");
    let records = Load::new(3).ndjson("leaving", 50, 0, &day_ago(3));
    admin.post("/api/v1/cdr/records", "application/x-ndjson", &records).expect(200);
    let before = ready(&admin, &order(&admin, &json!({"from": day_ago(9), "format": "ndjson"})));
    service.client.send("POST", "/api/v1/tenants/acme/close", &[], b"").unwrap().expect(200);
    let refused = admin.post("/api/v1/cdr/records", "application/x-ndjson", &records);
    assert!((400..500).contains(&refused.status), "ingest stops: {}", refused.status);
    let after = ready(&admin, &order(&admin, &json!({"from": day_ago(9), "format": "ndjson"})));
    assert!(file_of(&admin, &after) == file_of(&admin, &before));
    assert_eq!(after["rows"], 50);
}

/// An export sees what was committed when it left the queue, whatever comes meanwhile.
#[test]
fn a_job_holds_its_snapshot_while_records_come() {
    let (_folder, service) = started();
    let client = &service.client;
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut load = Load::new(11);
            for body in 0.. {
                if stop.load(std::sync::atomic::Ordering::Relaxed) {
                    return;
                }
                // Every fourth is so large that compactions come.
                let (rows, bulk) = if body % 4 == 0 { (300, 20_000) } else { (40, 0) };
                let day = day_ago(1 + body % 3);
                service.post_ndjson(load.ndjson(&format!("body{body}"), rows, bulk, &day)).expect(200);
            }
        });
        for format in ["ndjson", "csv", "ndjson", "csv", "ndjson"] {
            let body = json!({"from": day_ago(9), "format": format, "columns": ["source_key", "extra"]});
            let job = ready(client, &order(client, &body));
            let file = file_of(client, &job);
            let mut keys: Vec<String> = if format == "csv" {
                Table::of(&file).column("source_key").into_iter().map(|key| key.unwrap().to_owned()).collect()
            } else {
                desk::keys_of(&file)
            };
            assert_eq!(job["watermark"], keys.len(), "as many records as numbers were given out: {job}");
            keys.sort();
            keys.dedup();
            assert_eq!(job["rows"], keys.len(), "each record once");
            assert_whole_bodies(&keys);
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

/// The bodies are there one after the other, each whole: sorted keys such as `body12-7`.
#[track_caller]
fn assert_whole_bodies(keys: &[String]) {
    let mut rows = std::collections::BTreeMap::<usize, usize>::new();
    for key in keys {
        let (body, _) = key.strip_prefix("body").and_then(|key| key.split_once('-')).expect("a key of ours");
        *rows.entry(body.parse().unwrap()).or_default() += 1;
    }
    for (at, (body, rows)) in rows.into_iter().enumerate() {
        assert_eq!((body, rows), (at, if at % 4 == 0 { 300 } else { 40 }));
    }
}

/// A link that was given out works after the service has started anew, and so does the job.
#[test]
fn jobs_and_links_outlive_a_restart() {
    let (folder, service) = filled();
    let job =
        ready(&service.client, &order(&service.client, &json!({"from": day_ago(9), "format": "ndjson"})));
    let link = target(&job["download_url"]);
    let file = file_of(&service.client, &job);
    assert!(service.stop().success());
    let service = Service::start(folder.path());
    assert!(service.client.with_authorization(None).get(&link).expect(200).body == file);
    let after = look(&service.client, &job);
    assert!(file_of(&service.client, &after) == file);
    assert_eq!((&after["files"][0]["sha256"], &after["rows"]), (&job["files"][0]["sha256"], &job["rows"]));
}
