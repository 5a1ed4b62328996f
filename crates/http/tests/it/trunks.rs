//! Trunks on the wire.

use crate::{Service, problem};
use serde_json::json;

#[tokio::test]
async fn trunks_are_listed_by_id_and_name() {
    let service = Service::start().await;
    let answer = service.as_role("analyst", "GET /api/v1/trunks", b"").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type").as_deref(), Some("application/json"));
    let told = answer.json();
    assert_eq!(told["items"][1], json!({"id": "t-1", "name": "desk"}));
    let made = told["items"][0]["id"].as_str().unwrap();
    assert!(
        told["items"][0]["name"] == "carrier" && made.as_bytes()[14] == b'5',
        "a UUID of version 5: {made}"
    );
    for (line, role, status) in [
        ("GET /api/v1/trunks", "viewer", 403),
        ("GET /api/v1/trunks?page=1", "viewer", 403),
        ("GET /api/v1/trunks?page=1", "auditor", 400),
        ("POST /api/v1/trunks", "analyst", 405),
    ] {
        assert_eq!(problem(&service.as_role(role, line, b"").await).0, status, "{line} as {role}");
    }
}
