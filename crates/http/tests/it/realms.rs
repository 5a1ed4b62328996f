//! The token endpoint, logout and keys.

use crate::connection::Answer;
use crate::fakes::TOKEN_PREFIX;
use crate::{Service, unlimited};
use serde_json::{Value, json};
use tollbook_http::HttpConfig;

const PASSWORD: &str = "correct horse battery";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded";
const JSON: &str = "Content-Type: application/json; charset=utf-8";
const LOGIN: &str = "grant_type=password&client_id=ocp&username=Alice&password=correct+horse%20battery";

async fn service(client_credentials: bool) -> Service {
    let config = HttpConfig { limits: unlimited(), client_credentials, ..HttpConfig::default() };
    let service = Service::with_config(config).await;
    let alice = json!({"username": "alice", "password": PASSWORD, "role": "analyst"});
    let made = service.as_admin("POST /api/v1/users", alice.to_string().as_bytes()).await;
    assert_eq!(made.status, 201, "{made:?}");
    service
}

async fn ask(service: &Service, call: &str, header: &str, body: &str) -> Answer {
    let line = format!("POST /auth/realms/{call}");
    service.with(&line, header, body.as_bytes()).await
}

async fn token(service: &Service, header: &str, body: &str) -> Answer {
    ask(service, "master/protocol/openid-connect/token", header, body).await
}

/// Status and word of an error.
fn error(answer: &Answer) -> (u16, String) {
    assert_eq!(answer.header("content-type").as_deref(), Some("application/json"));
    assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
    let document = answer.json();
    let names: Vec<_> = document.as_object().unwrap().keys().cloned().collect();
    assert_eq!(names, ["error", "error_description"]);
    assert!(!answer.text().contains("correct horse"), "no password in an answer");
    (answer.status, document["error"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_login_gives_all_eight_members_as_form_and_as_json() {
    let service = service(false).await;
    let json = json!({
        "grant_type": "password", "client_id": "ocp", "username": "alice", "password": PASSWORD, "x": [1]
    });
    let junk = format!("{JSON}\r\nAuthorization: Basic junk");
    for (header, body) in [(FORM, LOGIN.to_owned()), (&junk, json.to_string()), ("X: y", LOGIN.to_owned())] {
        let answer = token(&service, header, &body).await;
        assert_eq!(answer.status, 200, "{header} {answer:?}");
        assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
        let view = answer.json();
        let names: Vec<_> = view.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(
            names,
            [
                "access_token",
                "expires_in",
                "refresh_expires_in",
                "refresh_token",
                "token_type",
                "not-before-policy",
                "session_state",
                "scope"
            ]
        );
        assert_eq!((&view["expires_in"], &view["refresh_expires_in"]), (&json!(300), &json!(1800)));
        assert_eq!((&view["token_type"], &view["scope"]), (&json!("bearer"), &json!("openid")));
        let header = format!("Authorization: Bearer {}", view["access_token"].as_str().unwrap());
        let export = service.with("GET /api/v1/cdr/export?from=2026-01-01", &header, b"").await;
        assert_eq!(export.status, 200, "the token is good everywhere");
        assert_eq!(service.with("GET /api/v1/sources", &header, b"").await.status, 403, "in its user's role");
        let group = service.with("GET /exports-api/v1/groups/default/jobs", &header, b"").await;
        assert_eq!(group.status, 404);
        assert_eq!(service.with("GET /exports-api/v1/groups/other/jobs", &header, b"").await.status, 403);
        assert_eq!(service.with("GET /v3/exports", &header, b"").await.status, 200);
    }
}

#[tokio::test]
async fn a_session_is_refreshed_until_it_is_left() {
    let service = service(false).await;
    let view = token(&service, FORM, LOGIN).await.json();
    let refresh = view["refresh_token"].as_str().unwrap();
    service.world.clock.advance(std::time::Duration::from_secs(200));
    let form = format!("grant_type=refresh_token&client_id=ocp&refresh_token={refresh}");
    let again = token(&service, FORM, &form).await;
    assert_eq!(again.status, 200, "{again:?}");
    let second = again.json();
    assert_eq!((&second["refresh_token"], &second["refresh_expires_in"]), (&json!(refresh), &json!(1600)));
    assert_eq!(second["session_state"], view["session_state"]);
    let leave = format!("client_id=ocp&refresh_token={refresh}");
    let left = ask(&service, "ocp/protocol/openid-connect/logout", FORM, &leave).await;
    assert_eq!((left.status, left.body.len()), (204, 0));
    assert_eq!(error(&token(&service, FORM, &form).await), (401, "invalid_grant".into()));
    let header = format!("Authorization: Bearer {}", second["access_token"].as_str().unwrap());
    assert_eq!(service.with("GET /api/v1/sources", &header, b"").await.status, 401, "left at once");
    let unknown = ask(&service, "ocp/protocol/openid-connect/logout", FORM, &leave).await;
    assert_eq!(unknown.status, 204, "whether it was known is not told");
}

#[tokio::test]
async fn what_is_wrong_is_told_in_the_words_of_oauth() {
    let service = service(false).await;
    for (header, body, status, word) in [
        (FORM, "", 400, "invalid_request"),
        (FORM, "client_id=ocp", 400, "invalid_request"),
        (FORM, "grant_type=&client_id=ocp", 400, "invalid_request"),
        (FORM, "grant_type=implicit&client_id=ocp", 400, "unsupported_grant_type"),
        (FORM, "grant_type=password", 400, "invalid_request"),
        (FORM, "grant_type=password&client_id=admin-cli&username=a&password=b", 401, "invalid_client"),
        (FORM, "grant_type=password&client_id=ocp&username=alice", 400, "invalid_request"),
        (FORM, "grant_type=password&client_id=ocp&password=x", 400, "invalid_request"),
        (FORM, "grant_type=password&client_id=ocp&username=a&username=b&password=x", 400, "invalid_request"),
        (FORM, "grant_type=password&grant_type=password&client_id=ocp", 400, "invalid_request"),
        (FORM, "grant_type=password&client_id=ocp&username=alice&password=wrong", 401, "invalid_grant"),
        (FORM, "grant_type=password&client_id=ocp&username=nobody&password=wrong", 401, "invalid_grant"),
        (FORM, "grant_type=refresh_token&client_id=ocp", 400, "invalid_request"),
        (FORM, "grant_type=refresh_token&client_id=ocp&refresh_token=x", 401, "invalid_grant"),
        (FORM, "grant_type=client_credentials&client_id=ocp&client_secret=x", 400, "unauthorized_client"),
        (FORM, "%FF=%FF&grant_type=password&client_id=ocp", 400, "invalid_request"),
        (JSON, "{\"grant_type\":", 400, "invalid_request"),
        (JSON, "[]", 400, "invalid_request"),
        (JSON, "{\"grant_type\":1}", 400, "invalid_request"),
        ("Content-Type: text/xml", LOGIN, 415, "invalid_request"),
    ] {
        let answer = token(&service, header, body).await;
        assert_eq!(error(&answer), (status, word.to_owned()), "{body}");
    }
    let wrong = async |user: &str| {
        token(&service, FORM, &format!("grant_type=password&client_id=ocp&username={user}&password=wrong"))
            .await
    };
    assert_eq!(wrong("alice").await.text(), wrong("nobody").await.text(), "who is known is not told");
    let large = format!("{LOGIN}&x={}", "x".repeat(64 * 1024));
    assert_eq!(error(&token(&service, FORM, &large).await), (413, "invalid_request".into()));
    for (line, status) in [
        ("POST /auth/realms/other/protocol/openid-connect/token", 404),
        ("GET /auth/realms/other/protocol/openid-connect/token", 404),
        ("POST /auth/realms/master/protocol/openid-connect/userinfo", 404),
        ("GET /auth/realms/master/protocol/openid-connect/token", 405),
        ("POST /auth/realms/master/protocol/openid-connect/certs", 405),
    ] {
        let answer = service.with(line, FORM, LOGIN.as_bytes()).await;
        assert_eq!(error(&answer).0, status, "{line}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{line}");
    }
}

#[tokio::test]
async fn ten_failures_close_the_door_for_a_while() {
    let service = service(false).await;
    let wrong = "grant_type=password&client_id=ocp&username=alice&password=wrong";
    for _ in 0..10 {
        assert_eq!(token(&service, FORM, wrong).await.status, 401);
    }
    let closed = token(&service, FORM, LOGIN).await;
    assert_eq!(error(&closed), (429, "too_many_requests".into()));
    let wait: u64 = closed.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=300).contains(&wait), "{wait}");
    service.world.clock.advance(std::time::Duration::from_secs(wait));
    assert_eq!(token(&service, FORM, LOGIN).await.status, 200);
}

#[tokio::test]
async fn a_token_is_exchanged_where_that_is_switched_on() {
    let service = service(true).await;
    let form = format!("grant_type=client_credentials&client_id=ocp&client_secret={TOKEN_PREFIX}auditor");
    let answer = token(&service, FORM, &form).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let view = answer.json();
    assert_eq!((view.get("refresh_token"), &view["refresh_expires_in"]), (None, &json!(0)));
    let header = format!("Authorization: Bearer {}", view["access_token"].as_str().unwrap());
    let export = service.with("GET /api/v1/audit-log/export?from=2026-01-01", &header, b"").await;
    assert_eq!(export.status, 200);
    let wrong = token(&service, FORM, "grant_type=client_credentials&client_id=ocp&client_secret=x").await;
    assert_eq!(error(&wrong), (401, "invalid_grant".into()));
}

#[tokio::test]
async fn keys_are_published_apart_by_what_they_sign() {
    let service = service(false).await;
    let keys = async |line: &str| -> Value {
        let answer = service.with(line, "X: y", b"").await;
        assert_eq!(answer.header("cache-control").as_deref(), Some("public, max-age=300"));
        answer.json()["keys"][0].clone()
    };
    let ours = keys("GET /auth/realms/master/protocol/openid-connect/certs").await;
    let audit = keys("GET /.well-known/jwks.json").await;
    assert_eq!((&ours["kty"], &audit["crv"]), (&json!("OKP"), &json!("Ed25519")));
    assert_ne!(ours["kid"], audit["kid"]);
    assert!(ours.get("d").is_none() && audit.get("d").is_none(), "the secret part stays inside");
}
