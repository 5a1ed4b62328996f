//! The client's side of export jobs: orders them, watches them to their end, and fetches what came of them.
//!
//! Whatever is looked at here must be in the contract's form, however far the job is.

use crate::client::{Answer, Client, End};
use crate::load::Load;
use crate::service::{Service, day_ago, wait_for};
use crate::table::lines;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// Bound of any job here.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
/// The members of a job, in the contract's order.
const MEMBERS: [&str; 31] = [
    "id",
    "dataset",
    "dialect",
    "status",
    "format",
    "from",
    "to",
    "tz",
    "filters",
    "columns",
    "schema",
    "sign",
    "external_reference",
    "created_at",
    "started_at",
    "finished_at",
    "snapshot_at",
    "watermark",
    "expires_at",
    "attempt",
    "queue_position",
    "callback_url",
    "notify_email",
    "progress",
    "rows",
    "bytes",
    "files",
    "download_url",
    "download_url_expires_at",
    "manifest_url",
    "error",
];
/// States in their order; those of an end stand side by side.
const STATES: [(&str, u8); 6] =
    [("queued", 0), ("running", 1), ("ready", 2), ("failed", 2), ("cancelled", 2), ("expired", 3)];

/// A body that no socket's buffers hold, more than one part of a job's file long: 900 records of 20 kB.
pub(super) const BULKY: (usize, usize) = (900, 20_000);

/// Sends a bulky body for each of so many days before today.
pub(super) fn fill(service: &Service, days: i64) {
    let mut load = Load::new(41);
    for day in 1..=days {
        let body = load.ndjson(&format!("day{day}"), BULKY.0, BULKY.1, &day_ago(day));
        service.post_ndjson(body).expect(200);
    }
}

/// An order of everything that [`fill`] sent, with the bulk.
pub(super) fn everything(format: &str) -> Value {
    json!({"from": day_ago(40), "format": format, "columns": ["id", "source_key", "extra"]})
}

/// Orders a job of `cdr`, and answers it as it was first shown.
#[track_caller]
pub(super) fn order(client: &Client, order: &Value) -> Value {
    let answer = client.send_json("POST", "/api/v1/cdr/export-jobs", order).expect(202);
    let job = checked(answer.json());
    let location = answer.header("location").expect("where the job is");
    assert!(location.ends_with(&format!("/api/v1/cdr/export-jobs/{}", id_of(&job))), "{location}");
    job
}

/// The id of a job.
#[track_caller]
pub(super) fn id_of(job: &Value) -> &str {
    job["id"].as_str().expect("a job has an id")
}

/// The path of a job for any dataset.
pub(super) fn path_of(job: &Value) -> String {
    format!("/api/v1/export-jobs/{}", id_of(job))
}

/// The job as it is now.
#[track_caller]
pub(super) fn look(client: &Client, job: &Value) -> Value {
    let answer = client.get(&path_of(job)).expect(200);
    let job = checked(answer.json());
    let has_ended = rank(&job) >= 2;
    assert_eq!(answer.header("retry-after"), (!has_ended).then_some("2"), "{job}");
    job
}

/// Watches a job until `until` finds what it waits for.
#[track_caller]
pub(super) fn watch(client: &Client, job: &Value, until: impl Fn(&Value) -> bool) -> Value {
    let mut seen = job.clone();
    let found = wait_for(PATIENCE, || {
        let now = look(client, job);
        assert_follows(&seen, &now);
        seen = now;
        until(&seen).then(|| seen.clone())
    });
    found.unwrap_or_else(|| panic!("the job never came so far: {seen}"))
}

/// Waits for the end of a job.
#[track_caller]
pub(super) fn ended(client: &Client, job: &Value) -> Value {
    watch(client, job, |job| rank(job) >= 2)
}

/// Waits until a job is ready.
#[track_caller]
pub(super) fn ready(client: &Client, job: &Value) -> Value {
    let job = ended(client, job);
    assert_eq!(job["status"], "ready", "{job}");
    job
}

/// Nothing of a job moves backwards.
#[track_caller]
pub(super) fn assert_follows(before: &Value, now: &Value) {
    assert!(rank(now) >= rank(before), "from {} to {}", before["status"], now["status"]);
    let percent = |job: &Value| job["progress"]["percent"].as_u64().expect("a percentage");
    assert!(percent(now) >= percent(before), "{} and then {}", before["progress"], now["progress"]);
    let attempt = |job: &Value| job["attempt"].as_u64().expect("a number");
    assert!(attempt(now) >= attempt(before), "{} and then {}", before["attempt"], now["attempt"]);
    for kept in ["id", "created_at", "from", "to", "filters", "columns", "format", "sign"] {
        assert_eq!(before[kept], now[kept], "{kept} changed");
    }
    for fixed in ["started_at", "snapshot_at", "watermark", "finished_at"] {
        let was = &before[fixed];
        assert!(was.is_null() || *was == now[fixed], "{fixed}: {was} and then {}", now[fixed]);
    }
}

fn rank(job: &Value) -> u8 {
    let status = job["status"].as_str().expect("a word");
    STATES.into_iter().find(|(name, _)| *name == status).unwrap_or_else(|| panic!("{status}?")).1
}

/// The job, if it has the contract's form: its members and their order, and what goes together.
#[track_caller]
pub(super) fn checked(job: Value) -> Value {
    let members: Vec<&str> = job.as_object().expect("an object").keys().map(String::as_str).collect();
    let known: Vec<&str> = members.iter().copied().filter(|name| *name != "interval").collect();
    assert_eq!(known, MEMBERS, "{job}");
    assert_eq!(members.contains(&"interval"), job["dataset"] == "kpis", "{job}");
    let (status, is_ready) = (&job["status"], job["status"] == "ready");
    let percent = job["progress"]["percent"].as_u64().expect("a percentage");
    assert!(if is_ready { percent == 100 } else { percent < 100 || *status == "expired" }, "{job}");
    for given in ["download_url", "download_url_expires_at"] {
        assert_eq!(job[given].is_string(), is_ready, "{given}: {job}");
    }
    assert_eq!(job["manifest_url"].is_string(), is_ready && job["sign"] != "none", "{job}");
    assert_eq!(job["finished_at"].is_string(), rank(&job) >= 2, "{job}");
    assert_eq!(job["queue_position"].is_u64(), *status == "queued", "{job}");
    assert_eq!(job["error"].is_object(), *status == "failed", "{job}");
    if *status == "failed" {
        assert!(job["error"]["code"].is_string() && job["error"]["message"].is_string(), "{job}");
        assert!(job["error"]["retryable"].is_boolean(), "{job}");
    }
    let files = job["files"].as_array().expect("a list");
    for file in files {
        assert_eq!(file["download_url"].is_string(), is_ready, "{job}");
    }
    if is_ready {
        assert_eq!(job["download_url"], files[0]["download_url"], "{job}");
        assert_eq!((&job["rows"], &job["bytes"]), (&files[0]["rows"], &files[0]["bytes"]), "{job}");
        assert!(job["watermark"].is_u64() && job["snapshot_at"].is_string(), "{job}");
    }
    job
}

/// The part of a link that is asked for: everything behind the host. The host changes when a service starts anew.
#[track_caller]
pub(super) fn target(link: &Value) -> String {
    let link = link.as_str().unwrap_or_else(|| panic!("no link but {link}"));
    assert!(link.starts_with("http://127.0.0.1:"), "an absolute URL: {link}");
    link[link.find("/dl/v1/").expect("below /dl/v1")..].to_owned()
}

/// Fetches a link as anybody may who has it.
#[track_caller]
pub(super) fn fetch(client: &Client, link: &Value) -> Answer {
    client.with_authorization(None).get(&target(link))
}

/// The file of a job that is ready, if it is what the job says.
#[track_caller]
pub(super) fn file_of(client: &Client, job: &Value) -> Vec<u8> {
    let answer = fetch(client, &job["download_url"]).expect(200);
    assert_eq!(answer.end, End::Clean);
    let file = &job["files"][0];
    assert_eq!(file["bytes"], answer.body.len(), "{job}");
    assert_eq!(file["sha256"], hex::encode(Sha256::digest(&answer.body)), "{job}");
    answer.body
}

/// The records of a file of NDJSON by `source_key`, sorted.
#[track_caller]
pub(super) fn keys_of(ndjson: &[u8]) -> Vec<String> {
    let key = |record: &Value| record["source_key"].as_str().expect("a key").to_owned();
    let mut keys: Vec<String> = lines(ndjson).iter().map(key).collect();
    keys.sort();
    keys
}

/// A tenant of this name, and its first admin.
#[track_caller]
pub(super) fn tenant(service: &Service, name: &str) -> Client {
    service.client.send_json("POST", "/api/v1/tenants", &json!({ "name": name })).expect(201);
    let token = json!({"name": "first", "role": "admin"});
    let made = service.client.send_json("POST", &format!("/api/v1/tenants/{name}/tokens"), &token);
    service.client.with_token(made.expect(201).json()["secret"].as_str().expect("a secret"))
}
