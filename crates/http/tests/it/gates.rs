//! The order of checks in each dialect, and where each looks for credentials.

use crate::connection::Answer;
use crate::fakes::TOKEN_PREFIX;
use crate::{NDJSON, Service, problem, unlimited};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tollbook_http::{HttpConfig, RateConfig};
use tollbook_kit::fault::Fault;
use tollbook_model::ports::TokenIssuer;

/// Rates of which one request leaves nothing.
fn least() -> RateConfig {
    RateConfig {
        native_per_second: 1,
        native_burst: 1,
        ingest_per_second: 1,
        public_per_second: 1,
        didww_per_second: 1,
        group_permits: 1,
        ..RateConfig::default()
    }
}

async fn tight() -> Service {
    Service::with_config(HttpConfig { limits: least(), ..HttpConfig::default() }).await
}

fn bearer(role: &str) -> String {
    format!("Authorization: Bearer {TOKEN_PREFIX}{role}")
}

/// The one error of the DIDWW dialect, as (title, detail, code).
fn didww(answer: &Answer) -> (u16, String, String, String) {
    assert_eq!(answer.header("content-type").as_deref(), Some("application/vnd.api+json"));
    let document = answer.json();
    let [error] = document["errors"].as_array().unwrap().as_slice() else { panic!("one error: {document}") };
    assert_eq!(document.as_object().unwrap().len(), 1, "no other member");
    let text = |name: &str| error[name].as_str().unwrap_or("").to_owned();
    assert_eq!(text("status"), answer.status.to_string());
    (answer.status, text("title"), text("detail"), text("code"))
}

/// Status and message of an error of the Omilia dialect.
fn omilia(answer: &Answer, path: &str) -> (u16, String) {
    assert_eq!(answer.header("content-type").as_deref(), Some("application/json"));
    let document = answer.json();
    let names: Vec<_> = document.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(names, ["timestamp", "status", "error", "message", "path"]);
    let timestamp = document["timestamp"].as_str().unwrap();
    assert!(timestamp.starts_with("2026-06-01T00:0") && timestamp.ends_with("00Z"), "{timestamp}");
    assert_eq!((document["status"].as_u64(), &document["path"]), (Some(answer.status.into()), &json!(path)));
    (answer.status, document["message"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn the_native_order_is_401_429_403_413_415_400_404() {
    let service = tight().await;
    let post = "POST /api/v1/tokens?x=1";
    let large = vec![b' '; 64 * 1024 + 1];
    let ask = async |role: &str, line: &str, header: &str, body: &[u8], status: u16, kind: &str| {
        let answer = service.with(line, &format!("{}{header}", bearer(role)), body).await;
        assert_eq!(problem(&answer), (status, kind.to_owned()), "{role} {line}");
        answer
    };
    let rested = || service.world.clock.advance(std::time::Duration::from_secs(60));
    ask("nobody", "POST /api/v1/tokenz", "", b"", 404, "not-found").await;
    ask("nobody", "PUT /api/v1/tokens", "", b"", 405, "method-not-allowed").await;
    ask("nobody", post, "", &large, 401, "unauthorized").await;
    ask("viewer", post, "\r\nTollbook-Tenant: elsewhere", &large, 403, "forbidden").await;
    ask("viewer", post, "\r\nTollbook-Tenant: elsewhere", &large, 429, "rate-limited").await;
    ask("analyst", post, "\r\nContent-Type: text/xml", &large, 403, "forbidden").await;
    ask("admin", post, "\r\nContent-Type: text/xml", b"{", 415, "unsupported-media-type").await;
    for (header, body, status, kind) in [
        ("", large.as_slice(), 413, "body-too-large"),
        ("\r\nContent-Encoding: gzip", b"{}", 415, "unsupported-media-type"),
        ("\r\nContent-Type: text/plain", b"{", 400, "malformed-body"),
        ("\r\nContent-Type: application/json", b"{}", 400, "unknown-parameter"),
    ] {
        rested();
        ask("admin", post, header, body, status, kind).await;
    }
    rested();
    let answer = ask("admin", "POST /api/v1/tokens", "", b"{\"rule\":1}", 400, "unknown-parameter").await;
    assert_eq!(answer.json()["errors"].as_array().unwrap().len(), 3, "all faults in one answer");
    rested();
    ask("admin", "DELETE /api/v1/tokens/nothing", "", b"", 404, "not-found").await;
}

#[tokio::test]
async fn the_didww_order_is_401_429_403_404() {
    let service = tight().await;
    let get = async |header: &str| service.with("GET /v3/nothing?x=1", header, b"").await;
    let nobody = get("X: y").await;
    let wanted = (401, "Unauthorized".into(), "Authorization failed".into(), "401".into());
    assert_eq!(didww(&nobody), wanted);
    assert!(nobody.header("www-authenticate").is_some() && nobody.header("x-request-id").is_some());
    let viewer = get(&bearer("viewer")).await;
    assert_eq!(didww(&viewer), (403, "Forbidden".into(), "Not allowed".into(), "403".into()));
    let exhausted = get(&bearer("viewer")).await;
    assert_eq!(exhausted.status, 429, "before the role");
    assert_eq!(exhausted.text(), "{\"errors\":[{\"status\":\"429\",\"detail\":\"Too Many Requests\"}]}");
    assert_eq!(exhausted.header("retry-after").as_deref(), Some("1"));
    assert_eq!(exhausted.header("content-type").as_deref(), Some("application/vnd.api+json"));
    let analyst = get(&format!("Api-Key: {TOKEN_PREFIX}analyst")).await;
    let wanted = (404, "Not found".into(), "The requested path does not exist.".into(), "404".into());
    assert_eq!(didww(&analyst), wanted);
    assert_eq!(analyst.header("cache-control").as_deref(), Some("max-age=0, private, must-revalidate"));
    for path in ["GET /v3", "POST /v3/", "DELETE /v3/nothing/at/%FF/all"] {
        assert_eq!(didww(&service.with(path, "X: y", b"").await).0, 401, "{path}");
    }
}

#[tokio::test]
async fn the_omilia_order_is_401_403_429_404() {
    let service = tight().await;
    let path = "/exports-api/v1/groups/default/jobs";
    let get = async |header: &str| omilia(&service.with(&format!("GET {path}?x=1"), header, b"").await, path);
    assert_eq!(get("X: y").await.0, 401);
    assert_eq!(get(&bearer("source")).await.0, 403, "too low a role");
    let refused = "the credential is not good for this group; use one that is";
    for group in ["elsewhere", "a%20b", "%FF", "", "default%2520", "..%2Fdefault", "DEFAULT"] {
        for _ in 0..3 {
            let path = format!("/exports-api/v1/groups/{group}/jobs");
            let answer = service.with(&format!("GET {path}"), &bearer("admin"), b"").await;
            assert_eq!(omilia(&answer, &path), (403, refused.to_owned()), "{group}");
        }
    }
    assert_eq!(get(&bearer("viewer")).await.0, 404, "all those refusals took nothing from the group");
    assert_eq!(get(&bearer("source")).await.0, 403, "before the rate");
    let exhausted = service.with(&format!("GET {path}"), &bearer("admin"), b"").await;
    assert_eq!((omilia(&exhausted, path).0, exhausted.header("retry-after").as_deref()), (429, Some("60")));
    service.world.clock.advance(std::time::Duration::from_millis(59_500));
    let nearly = service.with(&format!("POST {path}"), &bearer("admin"), b"{}").await;
    assert_eq!((nearly.status, nearly.header("retry-after").as_deref()), (429, Some("1")));
    service.world.clock.advance(std::time::Duration::from_millis(500));
    assert_eq!(get(&bearer("admin")).await.0, 404);
    let outside = service.with("GET /exports-api/v2", "X: y", b"").await;
    assert_eq!(omilia(&outside, "/exports-api/v2").0, 404, "no group, no gate");
}

#[tokio::test]
async fn each_dialect_takes_its_own_headers_and_never_a_query_or_a_cookie() {
    let service = Service::start().await;
    let (native, didww, omilia) =
        ("GET /api/v1/tokens", "GET /v3/exports", "GET /exports-api/v1/groups/default/jobs");
    let token = format!("{TOKEN_PREFIX}admin");
    let good = |name: &str| format!("{name}: {token}");
    let (key, pat) = (good("Api-Key"), good("X-OCP-PERSONAL-ACCESS-TOKEN"));
    let (bearer, bad) = (bearer("admin"), "Authorization: Bearer no-such-token-anywhere");
    let basic = "Authorization: Basic cGJ4OnRva2VuLW9mLXRoZS1yb2xlLWNhbGxlZC1hZG1pbg==";
    for (line, headers, status) in [
        (native, vec![bearer.as_str()], 200),
        (native, vec![key.as_str()], 401),
        (native, vec![pat.as_str()], 401),
        (native, vec![basic], 401),
        (native, vec![bearer.as_str(), bearer.as_str()], 401),
        (didww, vec![key.as_str()], 200),
        (didww, vec![bearer.as_str()], 200),
        (didww, vec![bad, key.as_str()], 200),
        (didww, vec![bearer.as_str(), "Api-Key: no-such-token-anywhere"], 401),
        (didww, vec![pat.as_str()], 401),
        (omilia, vec![bearer.as_str()], 404),
        (omilia, vec![pat.as_str()], 404),
        (omilia, vec![bad, pat.as_str()], 401),
        (omilia, vec![basic, pat.as_str()], 401),
        (omilia, vec![bearer.as_str(), "X-OCP-PERSONAL-ACCESS-TOKEN: bad"], 404),
        (omilia, vec![key.as_str()], 401),
    ] {
        let answer = service.with(line, &headers.join("\r\n"), b"").await;
        assert_eq!(answer.status, status, "{line} {headers:?}");
    }
    for line in [native, didww, omilia] {
        let queried = format!("{line}?access_token={token}&token={token}&api_key={token}");
        let cookie = format!("Cookie: token={token}; access_token={token}; session={token}");
        assert_eq!(service.with(&queried, &cookie, b"").await.status, 401, "{line}");
    }
}

#[tokio::test]
async fn a_wrong_password_is_told_of_both_schemes() {
    let service = Service::start().await;
    let line = "POST /api/v1/sources/pbx/records";
    for header in
        ["X: y", "Authorization: Basic cGJ4Om5vLXN1Y2gtdG9rZW4tYW55d2hlcmU=", "Authorization: Bearer x"]
    {
        let answer = service.with(line, header, b"a").await;
        assert_eq!(problem(&answer), (401, "unauthorized".into()), "{header}");
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("Bearer") && detail.contains("Basic"), "{detail}");
        let challenge = answer.header("www-authenticate").unwrap();
        assert!(challenge.contains("Bearer") && challenge.contains("Basic realm="), "{challenge}");
    }
    let forbidden = service.with(line, &bearer("viewer"), b"a").await;
    assert_eq!(problem(&forbidden), (403, "forbidden".into()));
    assert_eq!(forbidden.header("www-authenticate"), None);
}

#[tokio::test]
async fn a_refused_request_changes_nothing_and_is_in_the_audit_log() {
    let service = Service::start().await;
    let before = service.world.audit("default").len();
    let answer = service.with("POST /v3/exports", &bearer("viewer"), b"{}").await;
    assert_eq!(answer.status, 403);
    let denied = service.world.last_entry("default");
    assert_eq!((denied.action.as_str(), denied.outcome.name()), ("export", "denied"));
    assert_eq!(denied.ip.as_deref(), Some("127.0.0.1"));
    assert_eq!(service.world.audit("default").len(), before + 1);
    let headers = format!("{}\r\n{NDJSON}", bearer("viewer"));
    let posted = service.with("POST /api/v1/cdr/records", &headers, b"a\n").await;
    assert_eq!(posted.status, 403);
    assert!(service.world.committed.lock().unwrap().is_empty());
    assert_eq!(service.world.seen.load(Ordering::SeqCst), 0);
}

/// An identity provider whose every token says the same.
struct Provider(Value);

#[async_trait]
impl TokenIssuer for Provider {
    fn issuer(&self) -> &str {
        "https://id.example.net"
    }
    async fn verify(&self, _: &str) -> Result<Map<String, Value>, Fault> {
        Ok(self.0.as_object().unwrap().clone())
    }
}

#[tokio::test]
async fn a_subject_of_several_tenants_names_one() {
    let claims = json!({"iss": "https://id.example.net", "sub": "eve", "groups": ["default", "acme", "none"],
        "roles": ["admin"]});
    let payload = URL_SAFE_NO_PAD.encode(claims.to_string());
    let config = HttpConfig { limits: unlimited(), ..HttpConfig::default() };
    let service = Service::with_issuer(config, Some(Arc::new(Provider(claims)))).await;
    let made = service.as_role("operator", "POST /api/v1/tenants", b"{\"name\":\"acme\"}").await;
    assert_eq!(made.status, 201);
    let bearer = format!("Authorization: Bearer e30.{payload}.c2ln");
    let get = async |header: &str| {
        let answer = service.with("GET /api/v1/tokens", &format!("{bearer}{header}"), b"").await;
        (answer.status, answer.json())
    };
    let (status, refused) = get("").await;
    assert_eq!(status, 403);
    assert!(refused["detail"].as_str().unwrap().contains("Tollbook-Tenant"), "{refused}");
    let tokens = async |tenant: &str| {
        let (status, view) = get(&format!("\r\nTollbook-Tenant: {tenant}")).await;
        (status, view["items"].as_array().map(Vec::len))
    };
    assert_eq!(tokens("default").await, (200, Some(6)));
    assert_eq!(tokens("acme").await, (200, Some(0)));
    for wrong in ["none", "ACME", "other", "default, acme", "default\r\nTollbook-Tenant: default"] {
        assert_eq!(tokens(wrong).await, (403, None), "{wrong}");
    }
    for (group, status) in [("default", 404), ("acme", 404), ("none", 403), ("other", 403)] {
        let line = format!("GET /exports-api/v1/groups/{group}/jobs");
        assert_eq!(service.with(&line, &bearer, b"").await.status, status, "{group}");
    }
    let keyed = service.with("GET /v3/exports", &format!("{bearer}\r\nTollbook-Tenant: acme"), b"").await;
    assert_eq!(keyed.status, 200);
}
