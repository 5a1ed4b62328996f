//! Completeness reports on the wire: their words, their refusals, and their end when reading fails.

use crate::fakes::TOKEN_PREFIX;
use crate::{Service, problem};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_report_tells_hour_by_hour() {
    let service = Service::start().await;
    let path = "GET /api/v1/cdr/completeness?from=2026-01-01&to=2026-01-31&tz=Europe/Paris";
    let answer = service.as_role("analyst", path, b"").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type").as_deref(), Some("application/json"));
    assert_eq!(answer.header("cache-control").as_deref(), Some("no-store"));
    let told = answer.json();
    let digest = "ab".repeat(32);
    assert_eq!(
        told["hours"][0],
        json!({
            "hour": "2025-11-24T17:00:00.000Z", "records": 2, "first_sequence": 3, "last_sequence": 9, "digest": digest,
        })
    );
    let second = json!({"hour": "2025-11-24T19:00:00.000Z", "records": 1, "digest": digest});
    assert_eq!(told["hours"][1], second, "without sequence numbers where there are none");
    assert_eq!((told["hours"].as_array().unwrap().len(), &told["records"]), (2, &json!(3)));
    assert_eq!(told["from"], "2025-12-31T23:00:00.000Z");
    assert_eq!(told["to"], "2026-01-31T23:00:00.000Z");
    let members: Vec<&str> = told.as_object().unwrap().keys().map(String::as_str).collect();
    let order = ["dataset", "from", "to", "snapshot_at", "watermark", "algorithm", "hours", "records"];
    assert_eq!(members, order);
    assert_eq!(
        (&told["dataset"], &told["watermark"], &told["algorithm"]),
        (&json!("cdr"), &json!(3), &json!("rfc6962-sha256"))
    );
}

#[tokio::test]
async fn refusals_come_in_the_order_of_checks() {
    let service = Service::start().await;
    for (line, role, status) in [
        ("GET /api/v1/faxes/completeness", "viewer", 404),
        ("POST /api/v1/cdr/completeness", "viewer", 405),
        ("GET /api/v1/cdr/completeness", "viewer", 403),
        ("GET /api/v1/audit-log/completeness?from=2026-01-01", "analyst", 403),
        ("GET /api/v1/cdr/completeness", "analyst", 400),
        ("GET /api/v1/agent-configuration/completeness", "auditor", 400),
        ("GET /api/v1/cdr/completeness?from=2026-01-01&format=json", "analyst", 400),
        ("GET /api/v1/cdr/completeness?from=2026-01-01&trunk=a", "analyst", 400),
        ("GET /api/v1/cdr/completeness?from=1970-01-01", "analyst", 503),
        ("HEAD /api/v1/cdr/completeness?from=2026-01-01", "analyst", 200),
        ("GET /api/v1/audit-log/completeness?from=2026-01-01", "auditor", 200),
    ] {
        let answer = service.as_role(role, line, b"").await;
        assert_eq!(answer.status, status, "{line} as {role}");
        if status >= 400 {
            assert_eq!(problem(&answer).0, status, "{line}");
        }
    }
    let without = service.with("GET /api/v1/cdr/completeness", "X: y", b"").await;
    assert_eq!(problem(&without), (401, "unauthorized".to_owned()));
    let unknown = service.as_role("analyst", "GET /api/v1/cdr/completeness?form=2026-01-01", b"").await;
    let names: Vec<_> =
        unknown.json()["errors"].as_array().unwrap().iter().map(|error| error["name"].clone()).collect();
    assert_eq!(names, ["form", "from"]);
}

#[tokio::test]
async fn asking_for_the_head_makes_no_report() {
    let service = Service::start().await;
    let answer = service.as_role("analyst", "HEAD /api/v1/cdr/completeness?from=2026-01-01", b"").await;
    assert_eq!((answer.status, answer.header("content-length")), (200, None));
    assert!(service.world.exports.lock().unwrap().is_empty());
    assert!(service.world.audit("default").iter().all(|entry| entry.action != "export.completeness"));
}

#[tokio::test]
async fn a_report_that_fails_midway_is_reset() {
    let service = Service::start().await;
    for version in ["1.0", "1.1"] {
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        let request = format!(
            "GET /api/v1/cdr/completeness?from=1971-01-01 HTTP/{version}\r\nHost: h\r\nConnection: close\r\n\
             Authorization: Bearer {TOKEN_PREFIX}analyst\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut seen = Vec::new();
        let ended = stream.read_to_end(&mut seen).await;
        let text = String::from_utf8_lossy(&seen);
        assert!(ended.is_err(), "HTTP/{version}: closed as if it were whole: {text}");
        assert!(!text.contains("\"records\":2}\n"), "{text}");
    }
}
