//! Tokens, users, settings, tenants and checkpoints over the wire.

use crate::connection::Answer;
use crate::{Service, problem};
use serde_json::{Value, json};

async fn call(service: &Service, token: &str, line: &str, body: &Value) -> Answer {
    let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
    service.with(line, &format!("Authorization: Bearer {token}"), &body).await
}

/// An open tenant `acme` and the token of an admin of it.
async fn acme(service: &Service) -> String {
    let tenant = json!({"name": "acme", "settings": {"retention": {"cdr_days": 30}}});
    let made = service.as_role("operator", "POST /api/v1/tenants", tenant.to_string().as_bytes()).await;
    assert_eq!((made.status, made.json()["settings"]["retention"]["cdr_days"].as_u64()), (201, Some(30)));
    let token = json!({"name": "first", "role": "admin"});
    let line = "POST /api/v1/tenants/acme/tokens";
    let made = service.as_role("operator", line, token.to_string().as_bytes()).await;
    assert_eq!(made.status, 201);
    made.json()["secret"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn tokens_are_made_shown_once_listed_and_revoked() {
    let service = Service::start().await;
    let new = json!({"name": "nightly", "role": "analyst", "expires_at": "2027-01-01T00:00:00Z",
        "networks": ["127.0.0.0/8"], "api_version": "2026-11-19"});
    let made = service.as_admin("POST /api/v1/tokens", new.to_string().as_bytes()).await;
    assert_eq!((made.status, made.header("cache-control").as_deref()), (201, Some("no-store")));
    let view = made.json();
    let secret = view["secret"].as_str().unwrap().to_owned();
    let names: Vec<_> = view.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "id",
            "name",
            "role",
            "created_at",
            "expires_at",
            "last_used_at",
            "networks",
            "api_version",
            "secret"
        ]
    );
    assert_eq!(view["api_version"], "2026-11-19");
    assert_eq!(view["expires_at"], "2027-01-01T00:00:00.000Z");
    let export = "GET /api/v1/cdr/export?from=2026-01-01";
    assert_eq!(call(&service, &secret, export, &Value::Null).await.status, 200);
    let list = service.as_admin("GET /api/v1/tokens", b"").await;
    let listed = list.json()["items"].as_array().unwrap().iter().any(|item| item["id"] == view["id"]);
    assert!(listed && !list.text().contains(&secret) && !list.text().contains("\"secret\""));
    let revoke = format!("DELETE /api/v1/tokens/{}", view["id"].as_str().unwrap());
    assert_eq!(service.as_admin(&revoke, b"").await.status, 204);
    assert_eq!(call(&service, &secret, export, &Value::Null).await.status, 401, "at once");
    assert_eq!(service.as_admin(&revoke, b"").await.status, 404);
    let own = json!({"name": "old", "role": "source", "value": "a key of many years ago"});
    let made = service.as_admin("POST /api/v1/tokens", own.to_string().as_bytes()).await;
    assert_eq!((made.status, made.json()["secret"].as_str()), (201, Some("a key of many years ago")));
    assert_eq!(made.json().get("api_version"), Some(&Value::Null), "the API's own default");
    let again = service.as_admin("POST /api/v1/tokens", own.to_string().as_bytes()).await;
    assert_eq!(problem(&again), (409, "conflict".into()));
}

#[tokio::test]
async fn users_are_made_changed_and_removed() {
    let service = Service::start().await;
    let new = json!({"username": "Bob", "password": "correct horse battery", "role": "viewer"});
    let made = service.as_admin("POST /api/v1/users", new.to_string().as_bytes()).await;
    let view = made.json();
    let wanted = json!({"id": view["id"], "username": "bob", "email": null, "role": "viewer", "enabled": true,
        "second_factor": false, "created_at": "2026-06-01T00:00:00.000Z", "last_login_at": null});
    assert_eq!((made.status, &view), (201, &wanted));
    let path = format!("/api/v1/users/{}", view["id"].as_str().unwrap());
    assert_eq!(service.as_admin(&format!("GET {path}"), b"").await.json(), wanted);
    let change = json!({"email": "bob@example.net", "role": "analyst", "second_factor": true});
    let changed = service.as_admin(&format!("PATCH {path}"), change.to_string().as_bytes()).await;
    let view = changed.json();
    assert_eq!(
        (changed.status, &view["email"], &view["role"]),
        (200, &json!("bob@example.net"), &json!("analyst"))
    );
    assert!(view["otpauth_uri"].as_str().unwrap().starts_with("otpauth://totp/"));
    assert_eq!(changed.header("cache-control").as_deref(), Some("no-store"));
    let shown = service.as_admin(&format!("GET {path}"), b"").await;
    assert!(shown.json().get("otpauth_uri").is_none() && shown.json()["second_factor"] == true, "shown once");
    let wrong = json!({"username": "x", "role": "king", "enabled": "yes", "password": null});
    let wrong = service.as_admin(&format!("PATCH {path}"), wrong.to_string().as_bytes()).await;
    assert_eq!(problem(&wrong), (400, "unknown-parameter".into()));
    assert_eq!(wrong.json()["errors"].as_array().unwrap().len(), 4);
    let list = service.as_admin("GET /api/v1/users", b"").await.json();
    assert_eq!(list["items"][0]["username"], "bob");
    assert!(!list.to_string().contains("argon2"));
    assert_eq!(service.as_admin(&format!("DELETE {path}"), b"").await.status, 204);
    assert_eq!(service.as_admin(&format!("DELETE {path}"), b"").await.status, 404);
}

#[tokio::test]
async fn settings_are_shown_and_changed_without_the_secret() {
    let service = Service::start().await;
    let shown = service.as_admin("GET /api/v1/settings", b"").await.json();
    let wanted = json!({"caller_numbers": "pseudonym", "callback_secret_set": false,
        "retention": {"cdr_days": 400, "event_days": 60, "audit_months": 13},
        "native": {"file_retention": "7d"}});
    assert_eq!(shown, wanted);
    let change = json!({"callback_secret": "hush hush hush", "native": {"file_retention": "36h"},
        "retention": {"event_days": 61}});
    let changed = service.as_admin("PATCH /api/v1/settings", change.to_string().as_bytes()).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let view = changed.json();
    assert_eq!(
        (&view["callback_secret_set"], &view["native"]["file_retention"]),
        (&json!(true), &json!("36h"))
    );
    assert_eq!((&view["retention"]["event_days"], &view["retention"]["cdr_days"]), (&json!(61), &json!(400)));
    assert!(!changed.text().contains("hush"));
    let wrong =
        json!({"retention": {"cdr_days": 0}, "native": {"file_retention": "1m"}, "callback_secret": "x"});
    let wrong = service.as_admin("PATCH /api/v1/settings", wrong.to_string().as_bytes()).await;
    assert_eq!(problem(&wrong), (400, "invalid-parameter".into()));
    assert_eq!(wrong.json()["errors"].as_array().unwrap().len(), 3);
    let cleared = service.as_admin("PATCH /api/v1/settings", b"{\"callback_secret\":null}").await.json();
    assert_eq!(cleared["callback_secret_set"], false);
    assert_eq!(service.as_role("auditor", "GET /api/v1/settings", b"").await.status, 403);
}

#[tokio::test]
async fn the_operator_keeps_tenants() {
    let service = Service::start().await;
    let token = acme(&service).await;
    let user = json!({"username": "carol", "password": "correct horse battery", "role": "admin"});
    let line = "POST /api/v1/tenants/acme/users";
    assert_eq!(service.as_role("operator", line, user.to_string().as_bytes()).await.status, 201);
    assert_eq!(
        call(&service, &token, "GET /api/v1/users", &Value::Null).await.json()["items"][0]["username"],
        "carol"
    );
    let change = json!({"quota": {"direct_exports": 1, "stored_bytes": 1000}});
    let line = "PATCH /api/v1/tenants/acme";
    let changed = service.as_role("operator", line, change.to_string().as_bytes()).await.json();
    let quota = json!({"direct_exports": 1, "running_jobs": 4, "queued_jobs": 100, "stored_bytes": 1000});
    assert_eq!(changed["quota"], quota);
    let closing = service.as_role("operator", "POST /api/v1/tenants/acme/close", b"").await;
    assert_eq!((closing.status, &closing.json()["state"]), (200, &json!("closing")));
    assert_eq!(closing.json()["closes_at"], "2026-07-01T00:00:00.000Z");
    let again = service.as_role("operator", "POST /api/v1/tenants/acme/close", b"").await;
    assert_eq!(problem(&again), (409, "conflict".into()));
    let list = service.as_role("operator", "GET /api/v1/tenants", b"").await.json();
    let names: Vec<_> = list["items"].as_array().unwrap().iter().map(|item| &item["name"]).collect();
    assert_eq!(names, ["acme", "default"]);
    for line in ["GET /api/v1/tenants/none", "POST /api/v1/tenants/none/close", "PATCH /api/v1/tenants/a%20b"]
    {
        let body = if line.starts_with("PATCH") { "{}" } else { "" };
        let answer = service.as_role("operator", line, body.as_bytes()).await;
        assert_eq!(problem(&answer), (404, "not-found".into()), "{line}");
        assert_eq!(service.as_admin(line, b"").await.status, 403, "{line}: an admin learns nothing");
    }
}

#[tokio::test]
async fn a_foreign_id_looks_like_an_unknown_one() {
    let service = Service::start().await;
    let token = acme(&service).await;
    let new = json!({"name": "n", "role": "viewer"});
    let theirs = service.as_admin("POST /api/v1/tokens", new.to_string().as_bytes()).await.json();
    let user = json!({"username": "dora", "password": "correct horse battery", "role": "viewer"});
    let user = service.as_admin("POST /api/v1/users", user.to_string().as_bytes()).await.json();
    service.as_admin("PUT /api/v1/sources/pbx", b"{\"kind\":\"lines\"}").await;
    let told = |answer: Answer| {
        assert_eq!(answer.status, 404);
        let mut document = answer.json();
        document["instance"] = Value::Null;
        document
    };
    let (token_id, user_id) = (theirs["id"].as_str().unwrap(), user["id"].as_str().unwrap());
    let unknown = "0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01";
    for (method, noun, foreign) in [
        ("DELETE", "tokens", token_id),
        ("GET", "users", user_id),
        ("PATCH", "users", user_id),
        ("DELETE", "users", user_id),
        ("GET", "sources", "pbx"),
        ("DELETE", "sources", "pbx"),
    ] {
        let body = if method == "PATCH" { json!({"enabled": false}) } else { Value::Null };
        let ask = async |id: &str| {
            told(call(&service, &token, &format!("{method} /api/v1/{noun}/{id}"), &body).await)
        };
        let unknown = ask(unknown).await;
        assert_eq!(ask(foreign).await, unknown, "{method} {noun}");
        assert_eq!(ask("nonsense").await, unknown, "{method} {noun}");
    }
    assert_eq!(service.as_admin(&format!("GET /api/v1/users/{user_id}"), b"").await.json()["enabled"], true);
    let refused = service.as_role("viewer", "DELETE /api/v1/tokens/nonsense", b"").await;
    assert_eq!(problem(&refused), (403, "forbidden".into()), "the role is judged before the id");
}

#[tokio::test]
async fn roles_open_exactly_what_the_matrix_says() {
    let service = Service::start().await;
    let roles = ["source", "viewer", "analyst", "auditor", "admin", "operator"];
    for (line, row) in [
        ("GET /api/v1/cdr/export/estimate?from=2026-01-01", "--yyyy"),
        ("GET /api/v1/kpis/export/estimate?from=2026-01-01", "--yyyy"),
        ("GET /api/v1/audit-log/export/estimate?from=2026-01-01", "---yyy"),
        ("GET /api/v1/agent-configuration/export/estimate", "---yyy"),
        ("GET /api/v1/audit-log/checkpoints/latest", "---yyy"),
        ("POST /api/v1/cdr/records", "y---yy"),
        ("POST /api/v1/sources/none/records", "y---yy"),
        ("GET /api/v1/sources", "----yy"),
        ("PUT /api/v1/sources/none", "----yy"),
        ("GET /api/v1/sources/none", "----yy"),
        ("DELETE /api/v1/sources/none", "----yy"),
        ("GET /api/v1/tokens", "----yy"),
        ("POST /api/v1/tokens", "----yy"),
        ("DELETE /api/v1/tokens/none", "----yy"),
        ("GET /api/v1/users", "----yy"),
        ("POST /api/v1/users", "----yy"),
        ("GET /api/v1/users/none", "----yy"),
        ("PATCH /api/v1/users/none", "----yy"),
        ("DELETE /api/v1/users/none", "----yy"),
        ("GET /api/v1/settings", "----yy"),
        ("PATCH /api/v1/settings", "----yy"),
        ("GET /api/v1/tenants", "-----y"),
        ("POST /api/v1/tenants", "-----y"),
        ("GET /api/v1/tenants/none", "-----y"),
        ("PATCH /api/v1/tenants/none", "-----y"),
        ("POST /api/v1/tenants/none/close", "-----y"),
        ("POST /api/v1/tenants/none/tokens", "-----y"),
        ("POST /api/v1/tenants/none/users", "-----y"),
        ("GET /v3/exports", "--yyyy"),
        ("GET /exports-api/v1/groups/default/jobs", "-yyyyy"),
    ] {
        for (role, wanted) in roles.iter().zip(row.chars()) {
            let answer = service.as_role(role, line, b"").await;
            assert_ne!(answer.status, 401, "{role} {line}");
            assert_eq!(answer.status != 403, wanted == 'y', "{role} {line}: {}", answer.status);
        }
        assert_eq!(service.with(line, "X: y", b"").await.status, 401, "{line}");
    }
}

#[tokio::test]
async fn checkpoints_are_compact_jws() {
    let service = Service::start().await;
    let line = "GET /api/v1/audit-log/checkpoints/latest";
    assert_eq!(problem(&service.as_admin(line, b"").await), (404, "not-found".into()), "none yet");
    let name = tollbook_model::tenant::TenantName::default_tenant();
    let checkpoint = (1, 0, "a.b.c".to_owned());
    service.world.chains.lock().unwrap().entry(name).or_default().checkpoints.push(checkpoint);
    let answer = service.as_role("auditor", line, b"").await;
    assert_eq!((answer.status, answer.text()), (200, "a.b.c"));
    assert_eq!(answer.header("content-type").as_deref(), Some("application/jose"));
}
