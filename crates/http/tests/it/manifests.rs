//! Signed manifests of exports over the wire.

use crate::connection::Answer;
use crate::{Service, problem};

async fn export(service: &Service, asked: &str) -> (Answer, String) {
    let answer = service.as_admin(&format!("GET /api/v1/cdr/export?from=2026-01-05{asked}"), b"").await;
    assert_eq!(answer.status, 200, "{asked}");
    let id = answer.header("tollbook-export-id").unwrap();
    (answer, format!("GET /api/v1/exports/{id}/manifest"))
}

#[tokio::test]
async fn a_manifest_can_be_fetched_when_its_export_has_ended_whole() {
    let service = Service::start().await;
    for (asked, is_signed) in [
        ("", false),
        ("&sign=manifest", true),
        ("&format=json", true),
        ("&format=ndjson&sign=records", true),
        ("&format=ndjson&sign=none", false),
        ("&sign=manifest&trunk=broken", false),
    ] {
        let (answer, line) = export(&service, asked).await;
        assert_eq!(answer.whole, !asked.contains("broken"), "{asked}");
        let manifest = service.as_admin(&line, b"").await;
        if !is_signed {
            assert_eq!(problem(&manifest), (404, "not-found".into()), "{asked}");
            continue;
        }
        assert_eq!(manifest.status, 200, "{asked}");
        assert_eq!(manifest.header("content-type").as_deref(), Some("application/jose"));
        assert_eq!(manifest.header("cache-control").as_deref(), Some("no-store"));
        assert_eq!(manifest.text(), service.world.export_manifests.lock().unwrap().last().unwrap().jws);
    }
}

#[tokio::test]
async fn rights_are_judged_before_parameters_and_ids() {
    let service = Service::start().await;
    let (_, line) = export(&service, "&format=json").await;
    let unknown = "GET /api/v1/exports/0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01/manifest";
    for (role, line, status, kind) in [
        ("viewer", format!("{unknown}?x=1"), 403, "forbidden"),
        ("source", line.clone(), 403, "forbidden"),
        ("analyst", format!("{unknown}?x=1"), 400, "unknown-parameter"),
        ("analyst", unknown.to_owned(), 404, "not-found"),
        ("analyst", "GET /api/v1/exports/none/manifest".to_owned(), 404, "not-found"),
    ] {
        let answer = service.as_role(role, &line, b"").await;
        assert_eq!(problem(&answer), (status, kind.into()), "{role} {line}");
    }
    assert_eq!(service.with(&line, "X: y", b"").await.status, 401);
    assert_eq!(service.as_role("analyst", &line, b"").await.status, 200);
}
