//! The verbs that look after a running service: tokens, users, tenants and settings, as an operator types them.

use crate::service::{Service, TOKEN, tollbook, wait_for};
use serde_json::Value;
use std::fs::File;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;
use tollbook_kit::clock::{Clock, SystemClock};

/// Runs a verb as the operator; the service is named by the environment.
fn run(service: &Service, words: &[&str]) -> Output {
    let mut command = tollbook();
    command.args(words).env("TOLLBOOK_SERVER", service.client.url()).env("TOLLBOOK_TOKEN", TOKEN);
    command.stdin(Stdio::null()).output().expect("the binary runs")
}

/// What a verb that succeeds prints.
#[track_caller]
fn said(service: &Service, words: &[&str]) -> String {
    let output = run(service, words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[track_caller]
fn answered(service: &Service, words: &[&str]) -> Value {
    let text = said(service, &[words, &["--json"]].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What a verb that fails complains.
#[track_caller]
fn refused(service: &Service, words: &[&str]) -> String {
    let output = run(service, words);
    assert!(!output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).expect("text")
}

fn file_of(folder: &Path, name: &str, text: &str) -> String {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

#[test]
fn tokens_are_made_shown_once_and_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    let made = said(&service, &["token", "create", "nightly", "--role", "analyst", "--expires", "90d"]);
    let secret = made.lines().map(str::trim).find(|line| line.starts_with("tb_")).expect("a secret");
    let analyst = service.client.with_token(secret);
    analyst.get("/api/v1/cdr/export?from=2026-01-01").expect(200);
    analyst.get("/api/v1/tokens").expect(403);

    let listed = answered(&service, &["token", "list"]);
    let nightly =
        listed["items"].as_array().unwrap().iter().find(|token| token["name"] == "nightly").unwrap();
    assert_eq!(nightly["role"], "analyst");
    assert!(nightly["expires_at"].is_string() && !listed.to_string().contains(secret), "{listed}");
    said(&service, &["token", "revoke", nightly["id"].as_str().unwrap()]);
    assert_eq!(analyst.get("/api/v1/cdr/export?from=2026-01-01").status, 401);

    let denied = tollbook()
        .args(["token", "list", "--server", &service.client.url(), "--token", &service.token("viewer")])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&denied.stderr).contains("status 403"), "{denied:?}");

    let own = "a-secret-of-a-migration-0001";
    let file = file_of(folder.path(), "value", own);
    let made = said(&service, &["token", "create", "old key", "--role", "viewer", "--value-file", &file]);
    assert!(!made.contains(own), "what the caller brought is not printed");
    assert_eq!(service.client.with_token(own).get("/api/v1/tokens").status, 403, "it is taken");
}

#[test]
fn users_are_looked_after_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    let password = file_of(folder.path(), "password", "correct horse battery\n");
    let create = ["user", "create", "Ada", "--role", "analyst", "--password-file", &password];
    let complaint = refused(&service, &["user", "create", "ada", "--role", "analyst"]);
    assert!(complaint.contains("--password-file"), "without a terminal it says what to do: {complaint}");
    let made = answered(&service, &[&create[..], &["--email", "ada@example.net"]].concat());
    assert_eq!((&made["username"], &made["email"]), (&"ada".into(), &"ada@example.net".into()), "{made}");

    let changed =
        answered(&service, &["user", "change", "ada", "--role", "auditor", "--disable", "--no-email"]);
    let seen = answered(&service, &["user", "show", "ADA"]);
    assert_eq!(changed, seen);
    assert_eq!(
        (&seen["role"], &seen["enabled"], &seen["email"]),
        (&"auditor".into(), &false.into(), &Value::Null)
    );
    let switched = said(&service, &["user", "second-factor", "ada", "--on"]);
    assert!(switched.contains("otpauth://totp/"), "{switched}");
    let id = made["id"].as_str().unwrap();
    assert_eq!(answered(&service, &["user", "show", id])["second_factor"], true);
    assert!(!said(&service, &["user", "list"]).contains("otpauth"));

    said(&service, &["user", "remove", "ada"]);
    assert!(refused(&service, &["user", "show", "ada"]).contains("no user of that name"));
    assert_eq!(run(&service, &["user", "change", "ada"]).status.code(), Some(2), "nothing to change");
}

#[test]
fn tenants_and_settings_are_set_and_shown_under_the_same_names() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    let created = answered(
        &service,
        &[
            "tenant",
            "create",
            "acme",
            "--setting",
            "retention.cdr_days=30",
            "--setting",
            "quota.running_jobs=2",
        ],
    );
    assert_eq!(created["settings"]["retention"]["cdr_days"], 30, "{created}");
    let shown =
        said(&service, &["tenant", "set", "acme", "quota.stored_bytes=1000000", "caller_numbers=plain"]);
    for line in [
        "retention.cdr_days = 30",
        "quota.running_jobs = 2",
        "quota.stored_bytes = 1000000",
        "caller_numbers = plain",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}: {shown}");
    }
    let unbound = said(&service, &["tenant", "set", "acme", "quota.stored_bytes=none"]);
    assert!(unbound.contains("quota.stored_bytes = none"), "{unbound}");
    let token = answered(&service, &["token", "create", "first", "--role", "admin", "--tenant", "acme"]);
    let theirs = service.client.with_token(token["secret"].as_str().unwrap());
    assert_eq!(theirs.get("/api/v1/settings").expect(200).json()["caller_numbers"], "plain");

    let callback = file_of(folder.path(), "callback", "a signing secret\n");
    let set = ["settings", "set", "retention.audit_months=24", "--callback-secret-file", &callback];
    let changed = said(&service, &set);
    assert!(
        changed.contains("retention.audit_months = 24") && changed.contains("callback_secret_set = yes"),
        "{changed}"
    );
    assert!(!changed.contains("a signing secret"));
    assert_eq!(
        answered(&service, &["settings", "set", "--no-callback-secret"])["callback_secret_set"],
        false
    );
    let complaint = refused(&service, &["settings", "set", "cdr_days=3", "retention.cdr_days=x"]);
    assert!(
        complaint.contains("cdr_days") && complaint.contains("retention.cdr_days: needs a number"),
        "{complaint}"
    );

    assert!(refused(&service, &["tenant", "close", "acme"]).contains("--yes"));
    assert_eq!(answered(&service, &["tenant", "close", "acme", "--yes"])["state"], "closing");
    assert!(said(&service, &["tenant", "list"]).contains("closing"));
}

#[test]
fn who_cannot_be_reached_is_said_at_once() {
    // A port that nobody listens on: it was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = format!("http://{free}");
    let clock = SystemClock::new();
    let asked = tollbook().args(["token", "list", "--server", &server, "--token", TOKEN]).output().unwrap();
    assert_eq!(asked.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&asked.stderr).contains("cannot be reached"), "{asked:?}");
    assert!(clock.monotonic() < Duration::from_secs(20), "asked once");

    let folder = tempfile::tempdir().unwrap();
    let (file, complaints) = (file_of(folder.path(), "calls.csv", "x"), folder.path().join("complaints"));
    let mut sending = tollbook();
    sending.args(["ingest", "--server", &server, "--token", TOKEN, "--pbx-alias", "bench", &file]);
    let mut sending = sending.stderr(File::create(&complaints).unwrap()).spawn().unwrap();
    let said = wait_for(Duration::from_secs(20), || {
        std::fs::read_to_string(&complaints).unwrap().contains("trying again").then_some(())
    });
    sending.kill().and_then(|()| sending.wait()).unwrap();
    assert!(said.is_some(), "a sender that waits says so");
    let without = tollbook().args(["token", "list"]).output().unwrap();
    assert!(String::from_utf8_lossy(&without.stderr).contains("TOLLBOOK_TOKEN"), "{without:?}");
}

#[test]
fn a_service_with_its_own_certificate_and_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let said = folder.path().join("said");
    let data = folder.path().join("data");
    let mut serving = tollbook();
    serving.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(&data);
    serving.env("TOLLBOOK_BOOTSTRAP_TOKEN", TOKEN).env("TOLLBOOK_TLS__SELF_SIGNED", "true");
    serving.env("TOLLBOOK_METRICS__LISTEN", "127.0.0.1:0").stderr(Stdio::null());
    let mut serving = serving.stdout(File::create(&said).unwrap()).spawn().unwrap();
    let announced = wait_for(Duration::from_secs(60), || {
        let said = std::fs::read_to_string(&said).unwrap();
        let url = said.split_once("serves at ")?.1.split_once(',')?.0.to_owned();
        let metrics = said.split_once("metrics at http://")?.1.split_once("/metrics\n")?.0.to_owned();
        said.contains("--ca-file").then_some((url, metrics))
    });
    let outcome = announced.map(|(url, metrics)| {
        let list = || {
            let mut command = tollbook();
            command.args(["token", "list", "--server", &url, "--token", TOKEN]);
            command
        };
        let trusting = list().arg("--ca-file").arg(data.join("tls/certificate.pem")).output().unwrap();
        let careful = list().output().unwrap();
        let reader = crate::client::Client::new(metrics.parse().unwrap(), "").with_authorization(None);
        (url, trusting, careful, reader.get("/metrics").expect(200))
    });
    serving.kill().and_then(|()| serving.wait()).unwrap();
    let (url, trusting, careful, metrics) = outcome.expect("the service announces itself");
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    assert!(trusting.status.success(), "{trusting:?}");
    assert!(!careful.status.success(), "a certificate that nobody vouches for is refused");
    assert!(metrics.text().contains("tollbook_http_requests_total"), "{}", metrics.text());
}

#[test]
fn another_sealing_key_refuses_to_start() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = ("11".repeat(32), "22".repeat(32));
    assert!(Service::start_with(folder.path(), &[("TOLLBOOK_SEALING_KEY", &one)]).stop().success());
    let serve = |key: Option<&str>| {
        let mut command = tollbook();
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder.path().join("data"));
        command.envs(key.map(|key| ("TOLLBOOK_SEALING_KEY", key))).output().unwrap()
    };
    for (key, words) in
        [(Some(other.as_str()), "sealing key"), (None, "sealing.key"), (Some("11"), "64 hexadecimal")]
    {
        let refused = serve(key);
        let complaint = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1));
        assert!(complaint.contains(words) && !complaint.contains(&other), "{complaint}");
    }
    assert!(Service::start_with(folder.path(), &[("TOLLBOOK_SEALING_KEY", &one)]).stop().success());
}
