//! The documented API tried by a program of others: Schemathesis makes requests, right and wrong ones, from the OpenAPI
//! documents that the service publishes, and every answer must be one that they describe.
//!
//! Needs `TOLLBOOK_TEST_PYTHON`, a Python with the packages of `readers/requirements.txt`.

use crate::service::{Service, TOKEN, skip, wait_for};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Made requests of each kind and operation, the same ones in every run.
const MOST_EXAMPLES: &str = "20";
const SEED: &str = "20261122";
/// Not judged: whether the documents say all that makes a request wrong. Some of it they cannot say, such as that a
/// moment has to lie in the future.
const NOT_JUDGED: &str = "positive_data_acceptance";

/// The Python that has Schemathesis, if there is one.
fn python() -> Option<OsString> {
    let Some(python) = std::env::var_os("TOLLBOOK_TEST_PYTHON") else {
        skip("the documented API is not fuzzed: TOLLBOOK_TEST_PYTHON names no Python that has Schemathesis");
        return None;
    };
    let found = Command::new(&python).args(["-c", "import schemathesis"]).output().expect("Python runs");
    if !found.status.success() {
        skip("the documented API is not fuzzed: the Python of TOLLBOOK_TEST_PYTHON lacks Schemathesis");
        return None;
    }
    Some(python)
}

fn start(folder: &Path) -> Service {
    let service = Service::start_with(folder, &[("TOLLBOOK_METRICS__LISTEN", "127.0.0.1:0")]);
    service.put_recorded_source("bench");
    // As the example of a login has him.
    let user = json!({"username": "eve", "password": "correct horse battery", "role": "analyst"});
    service.client.send_json("POST", "/api/v1/users", &user).expect(201);
    service
}

/// A job that is ready.
#[track_caller]
fn ready_job(service: &Service) -> Value {
    let order = json!({"from": "2026-01-01", "format": "ndjson"});
    let made = service.client.send_json("POST", "/api/v1/cdr/export-jobs", &order).expect(202).json();
    let path = format!("/api/v1/export-jobs/{}", made["id"].as_str().expect("its id"));
    let look = || Some(service.client.get(&path).expect(200).json()).filter(|job| job["status"] == "ready");
    wait_for(Duration::from_secs(30), look).expect("a job without records is ready soon")
}

/// Fuzzes what a published document describes, as the operator; works in `folder`.
#[track_caller]
fn fuzz(python: &OsString, service: &Service, document: &str, folder: &Path) {
    let tokens = service.client.get("/api/v1/tokens").expect(200).json();
    let own = tokens["items"][0]["id"].as_str().expect("the operator's token is the only one").to_owned();
    let signed = service.export("&format=ndjson");
    let signed = signed.header("tollbook-export-id").expect("every export has an id");
    let rotate = || service.client.send("POST", "/api/v1/link-keys", &[], b"").unwrap().expect(201);
    let keys = service.client.get("/api/v1/link-keys").expect(200).json();
    let old_key = keys["items"][0]["kid"].as_str().expect("a key signs from the start").to_owned();
    rotate();
    let [job, deleted] = [(); 2].map(|()| ready_job(service));
    let id = |job: &Value| job["id"].as_str().expect("its id").to_owned();
    let mut command = Command::new(python);
    command.args(["-m", "schemathesis.cli", "run", "--no-color", "--warnings", "off"]);
    command.args(["--checks", "all", "--exclude-checks", NOT_JUDGED]);
    command.args(["--max-examples", MOST_EXAMPLES, "--seed", SEED, "--generation-database", "none"]);
    command.args(["--header", &format!("Authorization: Bearer {TOKEN}")]);
    command.arg(format!("{}{document}", service.client.url())).current_dir(folder);
    command.env("SCHEMATHESIS_HOOKS", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/hooks.py"));
    command.env("SIGNED_EXPORT", signed).env("JOB", id(&job)).env("JOB_TO_DELETE", id(&deleted));
    command.env("LINK", job["download_url"].as_str().expect("a link")).env("OLD_LINK_KEY", old_key);
    let output = command.env("OWN_TOKEN", own).env("PYTHONUTF8", "1").output().expect("Python runs");
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(!service.logged().contains(" ERROR "), "something failed inside");
}

/// Checks that every operation of a document was not only refused: the rest would not have been tried.
#[track_caller]
fn assert_all_succeeded_once(service: &Service, document: &str) {
    let numbers = service.numbers().get("/metrics").expect(200);
    let succeeded = |method: &str, path: &str| {
        let (method, route) = (format!("method=\"{method}\""), format!("route=\"{path}\""));
        numbers.text().lines().any(|line| {
            line.starts_with("tollbook_http_requests_total{")
                && [&method, &route, "status=\"2"].iter().all(|label| line.contains(*label))
        })
    };
    let document = service.client.get(document).expect(200).json();
    let paths = document["paths"].as_object().expect("paths");
    let operations = paths.iter().flat_map(|(path, operations)| {
        let described = operations.as_object().into_iter().flatten();
        let described =
            described.filter(|(_, operation): &(&String, &Value)| operation.get("responses").is_some());
        described.map(move |(method, _)| (method.to_uppercase(), path))
    });
    let operations: Vec<_> = operations.collect();
    assert!(!operations.is_empty());
    let never: Vec<_> = operations.iter().filter(|(method, path)| !succeeded(method, path)).collect();
    assert!(never.is_empty(), "these never succeeded: {never:?}");
}

#[test]
fn the_native_api_answers_as_documented() {
    const DOCUMENT: &str = "/api/v1/openapi.json";
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let service = start(folder.path());
    fuzz(&python, &service, DOCUMENT, folder.path());
    assert_all_succeeded_once(&service, DOCUMENT);
}

#[test]
fn the_api_of_groups_answers_as_documented() {
    const DOCUMENT: &str = "/exports-api/v1/openapi.json";
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let service = start(folder.path());
    fuzz(&python, &service, DOCUMENT, folder.path());
    assert_all_succeeded_once(&service, DOCUMENT);
}
