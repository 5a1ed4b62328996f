//! An operator's and an admin's day: tenants and who works in them, settings and what follows from them, an end in
//! order; over the API, and the same with the verbs of the command line.

use crate::client::Client;
use crate::login::{PASSWORD, log_in, try_log_in, user};
use crate::service::{Service, TOKEN, day_ago, tollbook};
use crate::table::Table;
use serde_json::{Value, json};

const CALLER: &str = "+442071234567";

/// An inbound call from outside.
fn call(key: &str) -> String {
    let day = day_ago(1);
    format!(
        "{{\"source_key\":\"{key}\",\"pbx_alias\":\"lyon\",\"start_at\":\"{day}T09:00:00.000Z\",\"duration_s\":5,\
         \"direction\":\"inbound\",\"calling_party\":\"{CALLER}\",\"called_party\":\"202\",\"result\":\"answered\"}}\n"
    )
}

/// The callers that a client sees, by the key of the call.
#[track_caller]
fn callers(client: &Client) -> Vec<(String, String)> {
    let path = "/api/v1/cdr/export?from=2000-01-01&to=2100-01-01&columns=source_key,calling_party";
    let table = Table::of(&client.get(path).expect(200).body);
    let cell = |cell: &Option<String>| cell.clone().unwrap_or_default();
    let mut callers: Vec<_> = table.rows.iter().map(|row| (cell(&row[0]), cell(&row[1]))).collect();
    callers.sort();
    callers
}

#[track_caller]
fn post(client: &Client, key: &str) -> u16 {
    client.post("/api/v1/cdr/records", "application/x-ndjson", call(key)).status
}

#[test]
fn a_tenant_is_opened_worked_in_and_closed() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    let operator = &service.client;
    assert_eq!(post(operator, "of-default"), 200);

    let acme =
        json!({"name": "acme", "settings": {"retention": {"cdr_days": 30}}, "quota": {"running_jobs": 2}});
    let made = operator.send_json("POST", "/api/v1/tenants", &acme).expect(201).json();
    assert_eq!((&made["state"], &made["closes_at"]), (&json!("open"), &Value::Null), "{made}");
    let same = json!({"name": "ACME"});
    assert_eq!(operator.send_json("POST", "/api/v1/tenants", &same).expect(409).problem(), "conflict");
    let first = json!({"name": "first", "role": "admin"});
    let handed = operator.send_json("POST", "/api/v1/tenants/acme/tokens", &first).expect(201).json();
    let admin = operator.with_token(handed["secret"].as_str().unwrap());

    // The admin works in acme, and nowhere else.
    assert_eq!(callers(&admin), []);
    assert_eq!(admin.get("/api/v1/settings").expect(200).json()["retention"]["cdr_days"], 30);
    for name in ["acme", "default", "unknown"] {
        admin.get(&format!("/api/v1/tenants/{name}")).expect(403);
    }
    let named = admin.send("GET", "/api/v1/settings", &[("tollbook-tenant", "default")], b"").unwrap();
    assert_eq!(named.status, 403);
    let climbing = json!({"name": "higher", "role": "operator"});
    admin.send_json("POST", "/api/v1/tokens", &climbing).expect(403);
    let climbing = json!({"username": "higher", "password": PASSWORD, "role": "operator"});
    admin.send_json("POST", "/api/v1/users", &climbing).expect(403);
    let list = admin.get("/api/v1/tokens").expect(200).json();
    let names: Vec<&Value> = list["items"].as_array().unwrap().iter().map(|token| &token["name"]).collect();
    assert_eq!(names, ["first"]);
    user(&admin, "anna", "analyst");
    let taken = json!({"username": "Anna", "password": PASSWORD, "role": "viewer"});
    operator.send_json("POST", "/api/v1/users", &taken).expect(409);
    let anna = operator.with_token(&log_in(operator, "anna").access);
    assert_eq!(callers(&anna), []);

    // Callers are pseudonyms until the tenant wants them plain, and only from then on.
    assert_eq!(post(&admin, "a"), 200);
    let plain = json!({"caller_numbers": "plain"});
    admin.send_json("PATCH", "/api/v1/settings", &plain).expect(200);
    assert_eq!(post(&admin, "b"), 200);
    let seen = callers(&anna);
    let [(_, pseudonym), (_, caller)] = &seen[..] else { panic!("two calls: {seen:?}") };
    assert!(pseudonym.starts_with("p1_") && pseudonym.len() == 35, "{pseudonym}");
    assert_eq!(caller, CALLER);
    let theirs = callers(operator);
    assert_eq!(theirs.len(), 1, "{theirs:?}");
    assert!(theirs[0].1.starts_with("p1_") && theirs[0].1 != *pseudonym, "each tenant has a key of its own");

    let wrong = json!({
        "caller_numbers": "both", "callback_secret": "short", "retention": {"cdr_days": 0}, "native": {"file_retention": "1y"},
        "typo": 1
    });
    let mut names = admin.send_json("PATCH", "/api/v1/settings", &wrong).expect(400).wrong_names();
    names.sort();
    let wanted = ["callback_secret", "caller_numbers", "native.file_retention", "retention.cdr_days", "typo"];
    // What is of the wrong type may hide what is out of bounds, but every name that is wrong by itself is told.
    assert!(
        names.iter().all(|name| wanted.contains(&name.as_str())) && names.contains(&"typo".into()),
        "{names:?}"
    );
    let changed = json!({"callback_secret": "whsec_of_acme", "retention": {"audit_months": 24}, "native": {"file_retention": "36h"}});
    let changed = admin.send_json("PATCH", "/api/v1/settings", &changed).expect(200).json();
    assert_eq!(changed["callback_secret_set"], true);
    assert_eq!(
        (&changed["caller_numbers"], &changed["retention"]["audit_months"]),
        (&json!("plain"), &json!(24))
    );
    assert_eq!(changed["native"]["file_retention"], "36h");
    assert!(!changed.to_string().contains("whsec_of_acme"));
    let default = operator.get("/api/v1/settings").expect(200).json();
    assert_eq!(
        (&default["caller_numbers"], &default["callback_secret_set"]),
        (&json!("pseudonym"), &json!(false))
    );

    close(&service, &admin, &anna);
}

fn close(service: &Service, admin: &Client, anna: &Client) {
    let operator = &service.client;
    admin.send("POST", "/api/v1/tenants/acme/close", &[], b"").unwrap().expect(403);
    let before = callers(anna);
    let closing = operator.send("POST", "/api/v1/tenants/acme/close", &[], b"").unwrap().expect(200).json();
    assert_eq!(closing["state"], "closing");
    let moment = |text: &Value| text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let days =
        (moment(&closing["closes_at"]) - moment(&closing["created_at"])).total(jiff::Unit::Hour).unwrap()
            / 24.0;
    assert!((29.9..30.1).contains(&days), "{days}");

    let refused = admin.post("/api/v1/cdr/records", "application/x-ndjson", call("c")).expect(409);
    assert_eq!(refused.problem(), "conflict");
    assert_eq!(callers(anna), before, "exports go on");
    log_in(operator, "anna");
    let from_source = admin.post("/api/v1/sources/lyon/records", "text/csv", "x");
    assert!(matches!(from_source.status, 404 | 409), "{}", from_source.status);
    let again = operator.send("POST", "/api/v1/tenants/acme/close", &[], b"").unwrap();
    assert_eq!(again.status, 409, "there is no way back, and no second time");
    operator.send("POST", "/api/v1/tenants/default/close", &[], b"").unwrap().expect(409);
    assert_eq!(post(operator, "still"), 200);
    let log = "/api/v1/audit-log/export?from=2000-01-01&format=ndjson&action=tenant.close";
    assert_eq!(admin.get(log).expect(200).text().lines().count(), 1, "acme's own log tells of it");
}

/// Runs a verb with a credential.
#[track_caller]
fn verb(service: &Service, token: &str, words: &[&str]) -> Value {
    let mut command = tollbook();
    command
        .args(words)
        .arg("--json")
        .env("TOLLBOOK_SERVER", service.client.url())
        .env("TOLLBOOK_TOKEN", token);
    let output = command.output().expect("the binary runs");
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
}

#[test]
fn the_verbs_do_what_the_api_does() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    let file = folder.path().join("password");
    std::fs::write(&file, PASSWORD).unwrap();
    let password = file.to_str().unwrap();

    verb(&service, TOKEN, &["tenant", "create", "acme", "--setting", "caller_numbers=plain"]);
    let handed = verb(&service, TOKEN, &["token", "create", "first", "--role", "admin", "--tenant", "acme"]);
    let theirs = handed["secret"].as_str().unwrap();
    let admin = service.client.with_token(theirs);
    let anna = ["user", "create", "anna", "--role", "analyst", "--password-file", password];
    verb(&service, theirs, &anna);
    verb(
        &service,
        TOKEN,
        &["user", "create", "otto", "--role", "viewer", "--tenant", "acme", "--password-file", password],
    );
    verb(&service, theirs, &["settings", "set", "retention.cdr_days=40"]);
    verb(&service, TOKEN, &["tenant", "set", "acme", "quota.queued_jobs=7"]);

    // What one way does, the other shows.
    let users = admin.get("/api/v1/users").expect(200).json();
    assert_eq!(users, verb(&service, theirs, &["user", "list"]));
    let names: Vec<&Value> =
        users["items"].as_array().unwrap().iter().map(|user| &user["username"]).collect();
    assert_eq!(names, ["anna", "otto"]);
    let settings = admin.get("/api/v1/settings").expect(200).json();
    assert_eq!(settings, verb(&service, theirs, &["settings", "show"]));
    assert_eq!(
        (&settings["caller_numbers"], &settings["retention"]["cdr_days"]),
        (&json!("plain"), &json!(40))
    );
    let tenant = service.client.get("/api/v1/tenants/acme").expect(200).json();
    assert_eq!(tenant, verb(&service, TOKEN, &["tenant", "show", "acme"]));
    assert_eq!(tenant["quota"]["queued_jobs"], 7);
    let tokens = verb(&service, theirs, &["token", "list"]);
    assert_eq!(tokens["items"].as_array().unwrap().len(), 1);

    log_in(&service.client, "anna");
    verb(&service, theirs, &["user", "change", "anna", "--disable"]);
    assert_eq!(try_log_in(&service.client, "anna", PASSWORD).status, 401);
    verb(&service, theirs, &["user", "remove", "otto"]);
    verb(&service, TOKEN, &["tenant", "close", "acme", "--yes"]);
    assert_eq!(post(&admin, "late"), 409);
    let mine = tokens["items"][0]["id"].as_str().unwrap();
    verb(&service, theirs, &["token", "revoke", mine]);
    admin.get("/api/v1/settings").expect(401);
}
