//! Who may do what: every operation of the published documents, asked for with every kind of credential.
//!
//! What is expected stands in a table of its own here, written from the contract and not from the product. An operation
//! without a row fails the test.

use crate::client::{Answer, Client};
use crate::login::{log_in, user};
use crate::service::{Service, wait_for};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tollbook_kit::clock::{Clock, SystemClock};

/// The documents that name the operations.
const DOCUMENTS: [&str; 2] = ["/api/v1/openapi.json", "/exports-api/v1/openapi.json"];
const METHODS: [&str; 7] = ["get", "put", "post", "patch", "delete", "head", "options"];
/// The roles, in the order of the letters in the table.
const ROLES: [&str; 6] = ["source", "viewer", "analyst", "auditor", "admin", "operator"];
/// Who may: nobody needs to.
const PUBLIC: &str = "public";
const NOBODYS_ID: &str = "0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01";
const UNKNOWN_TOKEN: &str = "tb_unknown_unknown_unknown_unknown";
const PATIENCE: Duration = Duration::from_secs(20);

/// Method; path as the documents have it, or nothing where no document names it yet; what is asked for: path and body;
/// who may, a letter per role, `-` for none; and the status that whoever may is answered.
type Row = (&'static str, &'static str, (&'static str, &'static str), &'static str, u16);

/// Section 3 of the native contract; nothing that is asked for here changes anything.
#[rustfmt::skip]
const TABLE: [Row; 88] = [
    ("GET", "/api/v1/{dataset}/export", ("/api/v1/cdr/export?from=2026-01-01&to=2026-01-02", ""), "--aAdo", 200),
    ("GET", "/api/v1/{dataset}/export", ("/api/v1/kpis/export?from=2026-01-01&to=2026-01-02", ""), "--aAdo", 200),
    ("GET", "/api/v1/{dataset}/export", ("/api/v1/audit-log/export?from=2020-01-01&to=2020-01-02", ""), "---Ado", 200),
    ("GET", "/api/v1/{dataset}/export", ("/api/v1/agent-configuration/export", ""), "---Ado", 200),
    ("GET", "/api/v1/{dataset}/export", ("/api/v1/cdr/export?from=never&x=y", ""), "--aAdo", 400),
    ("HEAD", "/api/v1/{dataset}/export", ("/api/v1/cdr/export?from=2026-01-01", ""), "--aAdo", 200),
    ("HEAD", "/api/v1/{dataset}/export", ("/api/v1/kpis/export?from=2026-01-01", ""), "--aAdo", 200),
    ("HEAD", "/api/v1/{dataset}/export", ("/api/v1/audit-log/export?from=2026-01-01", ""), "---Ado", 200),
    ("HEAD", "/api/v1/{dataset}/export", ("/api/v1/agent-configuration/export", ""), "---Ado", 200),
    ("GET", "/api/v1/{dataset}/export/estimate", ("/api/v1/cdr/export/estimate?from=2026-01-01", ""), "--aAdo", 200),
    ("GET", "/api/v1/{dataset}/export/estimate", ("/api/v1/kpis/export/estimate?from=2026-01-01", ""), "--aAdo", 200),
    ("GET", "/api/v1/{dataset}/export/estimate", ("/api/v1/audit-log/export/estimate?from=2026-01-01", ""), "---Ado", 200),
    ("GET", "/api/v1/{dataset}/export/estimate", ("/api/v1/agent-configuration/export/estimate", ""), "---Ado", 200),
    ("GET", "/api/v1/exports/{id}/manifest", ("/api/v1/exports/0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01/manifest", ""), "--aAdo", 404),
    ("POST", "/api/v1/{dataset}/export-jobs", ("/api/v1/cdr/export-jobs", r#"{"from":"2026-01-01","format":"xlsx"}"#), "--aAdo", 400),
    ("POST", "/api/v1/{dataset}/export-jobs", ("/api/v1/kpis/export-jobs", r#"{"from":"2026-01-01","format":"xlsx"}"#), "--aAdo", 400),
    ("POST", "/api/v1/{dataset}/export-jobs", ("/api/v1/audit-log/export-jobs", r#"{"from":"2026-01-01","format":"xlsx"}"#), "---Ado", 400),
    ("POST", "/api/v1/{dataset}/export-jobs", ("/api/v1/agent-configuration/export-jobs", r#"{"from":"2026-01-01","format":"xlsx"}"#), "---Ado", 400),
    ("GET", "/api/v1/{dataset}/export-jobs", ("/api/v1/cdr/export-jobs", ""), "--aAdo", 200),
    ("GET", "/api/v1/{dataset}/export-jobs", ("/api/v1/kpis/export-jobs", ""), "--aAdo", 200),
    ("GET", "/api/v1/{dataset}/export-jobs", ("/api/v1/audit-log/export-jobs", ""), "---Ado", 200),
    ("GET", "/api/v1/{dataset}/export-jobs", ("/api/v1/agent-configuration/export-jobs", ""), "---Ado", 200),
    ("GET", "/api/v1/{dataset}/export-jobs/{id}", ("/api/v1/cdr/export-jobs/0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01", ""), "--aAdo", 404),
    ("GET", "/api/v1/{dataset}/export-jobs/{id}", ("/api/v1/kpis/export-jobs/0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01", ""), "--aAdo", 404),
    ("GET", "/api/v1/{dataset}/export-jobs/{id}", ("/api/v1/audit-log/export-jobs/0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01", ""), "---Ado", 404),
    ("GET", "/api/v1/{dataset}/export-jobs/{id}", ("/api/v1/agent-configuration/export-jobs/0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01", ""), "---Ado", 404),
    ("DELETE", "/api/v1/{dataset}/export-jobs/{id}", ("/api/v1/cdr/export-jobs/0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01", ""), "--aAdo", 404),
    ("DELETE", "/api/v1/{dataset}/export-jobs/{id}", ("/api/v1/kpis/export-jobs/0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01", ""), "--aAdo", 404),
    ("DELETE", "/api/v1/{dataset}/export-jobs/{id}", ("/api/v1/audit-log/export-jobs/0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01", ""), "---Ado", 404),
    ("DELETE", "/api/v1/{dataset}/export-jobs/{id}", ("/api/v1/agent-configuration/export-jobs/0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01", ""), "---Ado", 404),
    ("GET", "/api/v1/export-jobs", ("/api/v1/export-jobs", ""), "--aAdo", 200),
    ("GET", "/api/v1/export-jobs/{id}", ("/api/v1/export-jobs/0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01", ""), "--aAdo", 404),
    ("DELETE", "/api/v1/export-jobs/{id}", ("/api/v1/export-jobs/0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01", ""), "--aAdo", 404),
    ("GET", "/api/v1/trunks", ("/api/v1/trunks", ""), "--aAdo", 200),
    ("GET", "/api/v1/{dataset}/completeness", ("/api/v1/cdr/completeness?from=2020-01-01&to=2020-01-02", ""), "--aAdo", 200),
    ("GET", "/api/v1/{dataset}/completeness", ("/api/v1/kpis/completeness?from=2020-01-01&to=2020-01-02", ""), "--aAdo", 200),
    ("GET", "/api/v1/{dataset}/completeness", ("/api/v1/audit-log/completeness?from=2020-01-01&to=2020-01-02", ""), "---Ado", 200),
    ("GET", "/api/v1/{dataset}/completeness", ("/api/v1/agent-configuration/completeness?from=2020-01-01&to=2020-01-02", ""), "---Ado", 200),
    ("GET", "/api/v1/link-keys", ("/api/v1/link-keys", ""), "-----o", 200),
    ("POST", "/api/v1/link-keys", ("/api/v1/link-keys?x=y", ""), "-----o", 400),
    ("DELETE", "/api/v1/link-keys/{kid}", ("/api/v1/link-keys/nobodys", ""), "-----o", 404),
    ("GET", "/dl/v1/{job}/{file}", ("/dl/v1/0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01/cdr.csv", ""), PUBLIC, 403),
    ("HEAD", "/dl/v1/{job}/{file}", ("/dl/v1/0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01/cdr.csv", ""), PUBLIC, 403),
    ("GET", "/api/v1/audit-log/checkpoints/latest", ("/api/v1/audit-log/checkpoints/latest", ""), "---Ado", 200),
    ("POST", "/api/v1/{dataset}/records", ("/api/v1/cdr/records", "{}"), "s---do", 400),
    ("POST", "/api/v1/sources/{pbx_alias}/records", ("/api/v1/sources/nobodys/records", "x"), "s---do", 404),
    ("GET", "/api/v1/sources", ("/api/v1/sources", ""), "----do", 200),
    ("PUT", "/api/v1/sources/{pbx_alias}", ("/api/v1/sources/nobodys", "{}"), "----do", 400),
    ("GET", "/api/v1/sources/{pbx_alias}", ("/api/v1/sources/nobodys", ""), "----do", 404),
    ("DELETE", "/api/v1/sources/{pbx_alias}", ("/api/v1/sources/nobodys", ""), "----do", 404),
    ("GET", "/api/v1/tokens", ("/api/v1/tokens", ""), "----do", 200),
    ("POST", "/api/v1/tokens", ("/api/v1/tokens", "{}"), "----do", 400),
    ("POST", "/api/v1/tokens", ("/api/v1/tokens", r#"{"name":"x","role":"operator","value":"short"}"#), "-----o", 400),
    ("DELETE", "/api/v1/tokens/{id}", ("/api/v1/tokens/0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01", ""), "----do", 404),
    ("GET", "/api/v1/users", ("/api/v1/users", ""), "----do", 200),
    ("POST", "/api/v1/users", ("/api/v1/users", "{}"), "----do", 400),
    ("POST", "/api/v1/users", ("/api/v1/users", r#"{"username":"x","role":"operator","password":"short"}"#), "-----o", 400),
    ("GET", "/api/v1/users/{id}", ("/api/v1/users/0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01", ""), "----do", 404),
    ("PATCH", "/api/v1/users/{id}", ("/api/v1/users/0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01", r#"{"enabled":false}"#), "----do", 404),
    ("PATCH", "/api/v1/users/{id}", ("/api/v1/users/0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01", r#"{"role":"operator"}"#), "-----o", 404),
    ("DELETE", "/api/v1/users/{id}", ("/api/v1/users/0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01", ""), "----do", 404),
    ("GET", "/api/v1/settings", ("/api/v1/settings", ""), "----do", 200),
    ("PATCH", "/api/v1/settings", ("/api/v1/settings", "{}"), "----do", 200),
    ("GET", "/api/v1/tenants", ("/api/v1/tenants", ""), "-----o", 200),
    ("POST", "/api/v1/tenants", ("/api/v1/tenants", "{}"), "-----o", 400),
    ("GET", "/api/v1/tenants/{tenant}", ("/api/v1/tenants/nobodys", ""), "-----o", 404),
    ("PATCH", "/api/v1/tenants/{tenant}", ("/api/v1/tenants/nobodys", "{}"), "-----o", 404),
    ("POST", "/api/v1/tenants/{tenant}/close", ("/api/v1/tenants/nobodys/close", ""), "-----o", 404),
    ("POST", "/api/v1/tenants/{tenant}/tokens", ("/api/v1/tenants/nobodys/tokens", r#"{"name":"x","role":"admin"}"#), "-----o", 404),
    ("POST", "/api/v1/tenants/{tenant}/users", ("/api/v1/tenants/nobodys/users", r#"{"username":"x","role":"admin","password":"a long enough one"}"#), "-----o", 404),
    ("GET", "/api/v1/schemas", ("/api/v1/schemas", ""), PUBLIC, 200),
    ("GET", "/api/v1/schemas/{file}", ("/api/v1/schemas/audit-log.json", ""), PUBLIC, 200),
    ("GET", "/api/v1/schemas/{dataset}/{version}", ("/api/v1/schemas/cdr/v1.json", ""), PUBLIC, 200),
    ("GET", "/api/v1/schemas/{dataset}/{version}", ("/api/v1/schemas/kpis/v1.json", ""), PUBLIC, 200),
    ("GET", "/api/v1/schemas/{dataset}/{version}", ("/api/v1/schemas/audit-log/v1.json", ""), PUBLIC, 200),
    ("GET", "/api/v1/schemas/{dataset}/{version}", ("/api/v1/schemas/agent-configuration/v1.json", ""), PUBLIC, 200),
    ("GET", "/api/v1/openapi.json", ("/api/v1/openapi.json", ""), PUBLIC, 200),
    ("GET", "/exports-api/v1/openapi.json", ("/exports-api/v1/openapi.json", ""), PUBLIC, 200),
    ("GET", "/.well-known/jwks.json", ("/.well-known/jwks.json", ""), PUBLIC, 200),
    ("GET", "", ("/healthz", ""), PUBLIC, 200),
    ("GET", "", ("/readyz", ""), PUBLIC, 200),
    ("POST", "/auth/realms/{realm}/protocol/openid-connect/token", ("/auth/realms/master/protocol/openid-connect/token", ""), PUBLIC, 400),
    ("POST", "/auth/realms/{realm}/protocol/openid-connect/logout", ("/auth/realms/ocp/protocol/openid-connect/logout", ""), PUBLIC, 400),
    ("GET", "/auth/realms/{realm}/protocol/openid-connect/certs", ("/auth/realms/ocp/protocol/openid-connect/certs", ""), PUBLIC, 200),
    ("GET", "", ("/v3/exports", ""), "--aAdo", 200),
    ("POST", "", ("/v3/exports", "{}"), "--aAdo", 415),
    ("GET", "", ("/exports-api/v1/groups/default/jobs", ""), "-vaAdo", 404),
    ("GET", "", ("/exports-api/v1/groups/nobodys/jobs", ""), "------", 0),
];

/// Something to ask with, and what it is: a role, or why it is nothing.
struct Credential {
    what: String,
    /// Its place in [`ROLES`].
    role: Option<usize>,
    secret: Option<String>,
    /// Who the audit log says it was.
    actor: String,
}

fn operations(client: &Client) -> BTreeMap<(String, String), Value> {
    let mut operations = BTreeMap::new();
    for document in DOCUMENTS {
        let document = client.with_authorization(None).get(document).expect(200).json();
        for (path, item) in document["paths"].as_object().expect("paths") {
            for (method, operation) in item.as_object().expect("operations") {
                if METHODS.contains(&method.as_str()) {
                    operations.insert((method.to_uppercase(), path.clone()), operation.clone());
                }
            }
        }
    }
    operations
}

/// Every operation has a row for each of its datasets, and every row its operation.
fn check_table(operations: &BTreeMap<(String, String), Value>) {
    let known: BTreeSet<(&str, &str)> =
        TABLE.iter().filter(|row| !row.1.is_empty()).map(|row| (row.0, row.1)).collect();
    let published: BTreeSet<(&str, &str)> =
        operations.keys().map(|(method, path)| (method.as_str(), path.as_str())).collect();
    let without: Vec<_> = published.difference(&known).collect();
    assert!(without.is_empty(), "operations without a row in the table of rights: {without:?}");
    let gone: Vec<_> = known.difference(&published).collect();
    assert!(gone.is_empty(), "rows of operations that no document names: {gone:?}");
    for ((method, path), operation) in operations {
        let rows = TABLE.iter().filter(|row| (row.0, row.1) == (method.as_str(), path.as_str()));
        let secured = operation["security"].as_array().is_some_and(|schemes| !schemes.is_empty());
        assert!(rows.clone().all(|row| (row.3 != PUBLIC) == secured), "{method} {path}: is it public?");
        assert_eq!(operation["x-tollbook-action"].is_null(), !secured, "{method} {path}");
        if secured {
            check_roles(operation, rows.clone());
        }
        let parameters = operation["parameters"].as_array().map(Vec::as_slice).unwrap_or_default();
        let dataset = parameters.iter().find(|one| one["name"] == "dataset" && one["in"] == "path");
        let datasets = dataset.map(|parameter| parameter["schema"]["enum"].as_array().expect("words"));
        for name in datasets.into_iter().flatten() {
            let segment = format!("/{}/", name.as_str().expect("a word"));
            assert!(rows.clone().any(|row| row.2.0.contains(&segment)), "{method} {path} of {name}");
        }
    }
}

/// Readers of the document are told the same roles: for each dataset, those of any row.
fn check_roles<'r>(operation: &Value, rows: impl Iterator<Item = &'r Row>) {
    let told = &operation["x-tollbook-roles"];
    let mut by_dataset: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (_, _, (path, _), who, _) in rows {
        let dataset = path.split('/').nth(3).expect("below /api/v1");
        let roles = ROLES.iter().zip(who.bytes()).filter(|(_, letter)| *letter != b'-');
        by_dataset.entry(dataset).or_default().extend(roles.map(|(role, _)| *role));
    }
    for (dataset, wanted) in by_dataset {
        let lists: Vec<&Value> = match told {
            Value::Object(lists) if lists.contains_key(dataset) => vec![&lists[dataset]],
            // Which dataset it is about is not known before it is looked up.
            Value::Object(lists) => lists.values().collect(),
            list => vec![list],
        };
        let told = lists.into_iter().flat_map(|list| list.as_array().expect("roles"));
        let told: BTreeSet<&str> = told.filter_map(Value::as_str).collect();
        assert_eq!(told, wanted, "{} of {dataset}", operation["operationId"]);
    }
}

fn credentials(service: &Service) -> Vec<Credential> {
    let admin = &service.client;
    let token = |body: Value| {
        let made = admin.send_json("POST", "/api/v1/tokens", &body).expect(201).json();
        (made["id"].as_str().unwrap().to_owned(), made["secret"].as_str().unwrap().to_owned())
    };
    let ends = SystemClock::new().now_ms() + 700;
    let ends = jiff::Timestamp::from_millisecond(ends).unwrap().to_string();
    let expired = token(json!({"name": "expired", "role": "admin", "expires_at": ends})).1;
    let mut all = Vec::new();
    for (at, role) in ROLES.into_iter().enumerate() {
        let (id, secret) = token(json!({"name": role, "role": role}));
        let actor = format!("token:{id}");
        all.push(Credential {
            what: format!("token of {role}"),
            role: Some(at),
            secret: Some(secret),
            actor,
        });
    }
    for (at, role) in ROLES.into_iter().enumerate().skip(1) {
        let actor = format!("user:{}", user(admin, role, role));
        let secret = Some(log_in(admin, role).access);
        all.push(Credential { what: format!("login of {role}"), role: Some(at), secret, actor });
    }
    let (id, revoked) = token(json!({"name": "revoked", "role": "operator"}));
    admin.send("DELETE", &format!("/api/v1/tokens/{id}"), &[], b"").unwrap().expect(204);
    let elsewhere = token(json!({"name": "elsewhere", "role": "operator", "networks": ["203.0.113.0/24"]})).1;
    let ended = wait_for(PATIENCE, || (admin.with_token(&expired).get("/v3").status == 401).then_some(()));
    assert!(ended.is_some(), "its time ends");
    for (what, secret) in [
        ("nothing", None),
        ("an unknown token", Some(UNKNOWN_TOKEN.to_owned())),
        ("an expired token", Some(expired)),
        ("a revoked token", Some(revoked)),
        ("a token of another network", Some(elsewhere)),
    ] {
        all.push(Credential { what: what.into(), role: None, secret, actor: String::new() });
    }
    all
}

#[test]
fn every_operation_answers_every_credential_as_the_contract_says() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    check_table(&operations(&service.client));
    let credentials = credentials(&service);
    let signed = wait_for(PATIENCE, || {
        (service.client.get("/api/v1/audit-log/checkpoints/latest").status == 200).then_some(())
    });
    assert!(signed.is_some(), "a checkpoint in time");

    let (mut wrong, mut asked) = (Vec::new(), 0);
    let mut refusals: BTreeMap<&str, usize> = BTreeMap::new();
    for (method, _, (path, body), who, status) in TABLE {
        for credential in &credentials {
            let client = service.client.with_authorization(None);
            let client =
                credential.secret.as_ref().map_or(client, |secret| service.client.with_token(secret));
            let headers = [("content-type", "application/json")];
            let headers = if body.is_empty() { &[][..] } else { &headers };
            let answer = client.send(method, path, headers, body.as_bytes()).unwrap();
            let expected = match credential.role {
                _ if who == PUBLIC => status,
                None => 401,
                Some(role) if who.as_bytes()[role] == b'-' => 403,
                Some(_) => status,
            };
            asked += 1;
            // A link that does not hold is nobody's attempt.
            if expected == 403 && who != PUBLIC {
                *refusals.entry(&credential.actor).or_default() += 1;
            }
            if answer.status != expected {
                let body = String::from_utf8_lossy(&answer.body);
                let what = &credential.what;
                wrong.push(format!(
                    "{method} {path} with {what}: {} instead of {expected} {body}",
                    answer.status
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {asked}: {wrong:#?}", wrong.len());
    every_refusal_is_logged(&service, &refusals);
}

fn every_refusal_is_logged(service: &Service, refusals: &BTreeMap<&str, usize>) {
    let log = service.client.get("/api/v1/audit-log/export?from=2020-01-01&format=ndjson").expect(200);
    let mut logged: BTreeMap<String, usize> = BTreeMap::new();
    for line in log.text().lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        if entry["outcome"] == "denied" {
            assert!(entry["actor_role"].is_string() && entry["ip"] == "127.0.0.1", "{entry}");
            *logged.entry(entry["actor"].as_str().unwrap().to_owned()).or_default() += 1;
        }
    }
    let refused: BTreeMap<String, usize> =
        refusals.iter().map(|(actor, times)| ((*actor).to_owned(), *times)).collect();
    assert_eq!(logged, refused, "as many entries as refusals, by whom they were");
}

/// What a client can tell an answer by: everything but what differs from request to request.
fn face(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let id = answer.header("x-request-id").expect("every answer has one").to_owned();
    let passing = ["x-request-id", "date", "ratelimit-remaining", "ratelimit-reset"];
    let headers = answer.headers.iter().filter(|(name, _)| !passing.contains(&name.as_str()));
    (answer.status, headers.cloned().collect(), answer.text().replace(&id, "ID"))
}

#[test]
fn what_is_of_another_tenant_looks_like_what_is_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    let operator = &service.client;
    operator.send_json("POST", "/api/v1/tenants", &json!({"name": "acme"})).expect(201);
    let first = json!({"name": "first", "role": "admin"});
    let first = operator.send_json("POST", "/api/v1/tenants/acme/tokens", &first).expect(201).json();
    let theirs = operator.with_token(first["secret"].as_str().unwrap());
    let (token, user) = (first["id"].as_str().unwrap(), user(&theirs, "anna", "admin"));
    let source =
        json!({"kind": "asterisk-csv", "zone": "UTC", "trunks": [], "extension_pattern": "^1[0-9]{2}$"});
    theirs.send_json("PUT", "/api/v1/sources/theirs", &source).expect(201);
    let signed = "/api/v1/audit-log/export?from=2026-01-01&format=ndjson&sign=manifest";
    let export = |client: &Client| {
        let id = client.get(signed).expect(200).header("tollbook-export-id").expect("its id").to_owned();
        let manifest = format!("/api/v1/exports/{id}/manifest");
        let signed = wait_for(PATIENCE, || (client.get(&manifest).status == 200).then_some(()));
        assert!(signed.is_some(), "a manifest in time");
        id
    };
    let (their_export, own_export) = (export(&theirs), export(operator));
    let job = |client: &Client| {
        let body = json!({"from": "2026-01-01", "format": "ndjson"});
        let made = client.send_json("POST", "/api/v1/audit-log/export-jobs", &body).expect(202).json();
        let path = format!("/api/v1/export-jobs/{}", made["id"].as_str().unwrap());
        let ready = wait_for(PATIENCE, || {
            Some(client.get(&path).expect(200).json()).filter(|job| job["status"] == "ready")
        });
        ready.expect("a job in time")
    };
    let (their_job, own_job) = (job(&theirs), job(operator));
    let their_job_id = their_job["id"].as_str().unwrap();
    let before: Vec<Answer> = ["tokens", "users", "sources", "settings"]
        .map(|path| theirs.get(&format!("/api/v1/{path}")).expect(200))
        .to_vec();

    let malformed = ["x", "0B6B5C1E", "%00", "00000000-0000-0000-0000-000000000000"];
    // Method, path, theirs, what nobody has, and a body.
    type Way<'w> = (&'w str, &'w str, &'w str, &'w [&'w str], Option<Value>);
    let ways: [Way<'_>; 13] = [
        ("GET", "/api/v1/exports/{}/manifest", &their_export, &malformed, None),
        ("GET", "/api/v1/export-jobs/{}", their_job_id, &malformed, None),
        ("GET", "/api/v1/audit-log/export-jobs/{}", their_job_id, &malformed, None),
        ("DELETE", "/api/v1/export-jobs/{}", their_job_id, &malformed, None),
        ("DELETE", "/api/v1/cdr/export-jobs/{}", their_job_id, &malformed, None),
        ("DELETE", "/api/v1/tokens/{}", token, &malformed, None),
        ("GET", "/api/v1/users/{}", &user, &malformed, None),
        ("PATCH", "/api/v1/users/{}", &user, &malformed, Some(json!({"enabled": false}))),
        ("PATCH", "/api/v1/users/{}", &user, &malformed, Some(json!({"password": "another long password"}))),
        ("DELETE", "/api/v1/users/{}", &user, &malformed, None),
        ("GET", "/api/v1/sources/{}", "theirs", &["nobodys"], None),
        ("DELETE", "/api/v1/sources/{}", "theirs", &["nobodys"], None),
        ("POST", "/api/v1/sources/{}/records", "theirs", &["nobodys"], Some(json!({"a": 1}))),
    ];
    let roles =
        ["admin", "analyst", "viewer", "source"].map(|role| operator.with_token(&service.token(role)));
    for client in roles.iter().chain([operator]) {
        for (method, path, foreign, others, body) in &ways {
            let ask = |id: &str| {
                let path = path.replace("{}", id);
                let answer = match body {
                    Some(body) => client.send_json(method, &path, body),
                    None => client.send(method, &path, &[], b"").unwrap(),
                };
                assert!(matches!(answer.status, 403 | 404), "{method} {path}: {}", answer.status);
                face(&answer)
            };
            let seen = ask(foreign);
            for other in others.iter().chain([&NOBODYS_ID]) {
                assert_eq!(seen, ask(other), "{method} {path} {other}");
            }
        }
        let tenants = ["acme", "unknown", "ACME", "a%20b", "default"].map(|name| {
            let named = client.send("GET", "/api/v1/sources", &[("tollbook-tenant", name)], b"").unwrap();
            face(&named)
        });
        assert!(tenants[..4].iter().all(|face| face.0 == 403 && *face == tenants[0]), "{tenants:?}");
    }
    let admin = &roles[0];
    for path in ["", "/close", "/tokens", "/users"] {
        let method = if path.is_empty() { "GET" } else { "POST" };
        let faces = ["acme", "unknown"].map(|name| {
            face(&admin.send(method, &format!("/api/v1/tenants/{name}{path}"), &[], b"").unwrap().expect(403))
        });
        assert_eq!(faces[0], faces[1], "{path}");
    }
    // An analyst may not export the audit log, so whether it was exported is nothing to him.
    let manifests = [own_export.as_str(), NOBODYS_ID]
        .map(|id| face(&roles[1].get(&format!("/api/v1/exports/{id}/manifest")).expect(404)));
    assert_eq!(manifests[0], manifests[1]);
    for method in ["GET", "DELETE"] {
        let jobs = [own_job["id"].as_str().unwrap(), NOBODYS_ID].map(|id| {
            let path = format!("/api/v1/export-jobs/{id}");
            face(&roles[1].send(method, &path, &[], b"").unwrap().expect(404))
        });
        assert_eq!(jobs[0], jobs[1], "{method}");
    }
    // Nothing of it was touched.
    let after = theirs.get(&format!("/api/v1/export-jobs/{their_job_id}")).expect(200).json();
    assert_eq!((&after["status"], &after["rows"]), (&their_job["status"], &their_job["rows"]), "{after}");
    for (path, before) in ["tokens", "users", "sources", "settings"].into_iter().zip(before) {
        let mut after = theirs.get(&format!("/api/v1/{path}")).expect(200).json();
        let mut before = before.json();
        for list in [&mut after, &mut before] {
            for item in list["items"].as_array_mut().into_iter().flatten() {
                // Noted while it was used here.
                item["last_used_at"].take();
            }
        }
        assert_eq!(after, before, "{path}");
    }
}
