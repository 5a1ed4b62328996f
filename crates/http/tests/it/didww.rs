//! The DIDWW dialect over the wire: its exports, from being ordered to being removed.

mod callbacks;
mod faults;
mod files;
mod lists;

use crate::connection::Answer;
use crate::fakes::{TOKEN_PREFIX, World};
use crate::shelf::{FILE, make_ready};
use crate::{Service, unlimited};
use serde_json::{Value, json};
use std::sync::Arc;
use tollbook_app::tokens::NewToken;
use tollbook_app::{App, Ports};
use tollbook_http::HttpConfig;
use tollbook_kit::secret::Secret;
use tollbook_model::access::{Caller, Role};
use tollbook_model::export_job::JobState;
use tollbook_model::selection::FilterField;
use tollbook_model::tenant::TenantName;
use tollbook_model::time_range::parse_instant;
use uuid::Uuid;

/// The moment at which section 9 of the contract asks.
const NOW: &str = "2026-04-20T12:00:00Z";
const BASE: &str = "https://cdr.example.net:8443";
const JSON_API: &str = "application/vnd.api+json";
const OLD: &str = "2026-04-16";
const NEW: &str = "2026-11-19";

/// A service that knows this dialect's sheets and callbacks, at the moment of section 9.
async fn service() -> Service {
    let (world, app) = app().await;
    start(world, app).await
}

async fn app() -> (Arc<World>, App) {
    let world = World::new();
    world.clock.set_wall(parse_instant(NOW).unwrap());
    let (callback_forms, sheets) = (tollbook_http::callback_forms(), tollbook_http::sheets());
    let app = world.app_on(Ports { callback_forms, sheets, ..world.ports() }).await;
    (world, app)
}

async fn start(world: Arc<World>, app: App) -> Service {
    let config = HttpConfig { limits: unlimited(), client_credentials: true, ..HttpConfig::default() };
    Service::over(world, app, config, None).await
}

/// Header lines of a request by a role's key, with a body of the right type.
fn headers(role: &str) -> String {
    format!("Api-Key: {TOKEN_PREFIX}{role}\r\nContent-Type: {JSON_API}\r\nAccept: {JSON_API}")
}

impl Service {
    async fn v3(&self, line: &str, body: &str) -> Answer {
        self.v3_as("analyst", line, body).await
    }

    async fn v3_as(&self, role: &str, line: &str, body: &str) -> Answer {
        self.with(line, &headers(role), body.as_bytes()).await
    }

    /// Makes an export of March with these attributes besides.
    async fn export(&self, attributes: Value) -> Value {
        let answer = self.v3("POST /v3/exports", &order(attributes)).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["data"].take()
    }

    /// The same, completed.
    async fn completed(&self, attributes: Value) -> Value {
        let id = id_of(&self.export(attributes).await);
        make_ready(&self.world, id, FILE.len() as u64);
        for (at, text) in [&FILE[..10], &FILE[10..]].into_iter().enumerate() {
            self.world.objects.lock().unwrap().insert(format!("{id}-{at}"), text.to_owned());
        }
        self.v3(&format!("GET /v3/exports/{id}"), "").await.json()["data"].take()
    }
}

/// The document of an order of March with these attributes besides.
fn order(attributes: Value) -> String {
    let mut all = json!({
        "export_type": "cdr_in", "filters": {"from": "2026-03-01 00:00:00", "to": "2026-04-01 00:00:00"},
    });
    all.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
    json!({"data": {"type": "exports", "attributes": all}}).to_string()
}

fn id_of(export: &Value) -> Uuid {
    export["id"].as_str().unwrap().parse().unwrap()
}

/// Codes and details of an answer's errors, which all have its status.
fn errors(answer: &Answer) -> Vec<(String, String)> {
    assert_eq!(answer.header("content-type").as_deref(), Some(JSON_API), "{answer:?}");
    let document = answer.json();
    assert_eq!(document.as_object().unwrap().len(), 1, "no other member");
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap().to_owned();
    let entries = document["errors"].as_array().unwrap().iter();
    entries
        .map(|entry| {
            assert_eq!(text(entry, "status"), answer.status.to_string());
            (text(entry, "code"), text(entry, "detail"))
        })
        .collect()
}

/// The path of an address of ours.
fn path(url: &Value) -> String {
    url.as_str().unwrap().strip_prefix(BASE).unwrap().to_owned()
}

#[tokio::test]
async fn an_export_lives_as_the_contract_says() {
    let service = service().await;
    let body = order(json!({"external_reference_id": "march", "callback_method": "get",
        "filters": {"from": "2026-03-01T00:00:00Z", "did_number": "+44 20", "to": "2026-03-02T02:00:00+02:00"}}));
    let answer = service.v3("POST /v3/exports", &body).await;
    let id = id_of(&answer.json()["data"]);
    let wanted = json!({
        "data": {"id": id, "type": "exports", "attributes": {
            "export_type": "cdr_in", "status": "pending", "url": null,
            "filters": {"from": "2026-03-01 00:00:00", "did_number": "+44 20", "to": "2026-03-02 00:00:00"},
            "callback_url": null, "callback_method": "get", "external_reference_id": "march",
            "created_at": "2026-04-20T12:00:00.000Z"}},
        "meta": {"api_version": OLD},
    });
    assert_eq!((answer.status, answer.text()), (201, wanted.to_string().as_str()));
    assert_eq!(answer.header("content-type").as_deref(), Some(JSON_API));
    assert_eq!(answer.header("cache-control").as_deref(), Some("max-age=0, private, must-revalidate"));
    assert!(answer.header("x-request-id").is_some());
    let line = format!("GET /v3/exports/{id}");
    let shown = service.v3(&line, "").await;
    assert_eq!((shown.status, shown.text()), (200, answer.text()));
    let head = service.v3(&format!("HEAD /v3/exports/{id}"), "").await;
    assert_eq!(
        (head.status, head.text(), head.header("content-length")),
        (200, "", shown.header("content-length"))
    );

    let attributes = async || service.v3(&line, "").await.json()["data"]["attributes"].take();
    service.world.tamper(id, |row| row.job.state = JobState::Running);
    let running = attributes().await;
    assert_eq!((&running["status"], &running["url"]), (&json!("processing"), &Value::Null));
    make_ready(&service.world, id, FILE.len() as u64);
    let ready = attributes().await;
    assert_eq!(ready["status"], "completed");
    let url = ready["url"].as_str().unwrap();
    let name = url.strip_prefix(&format!("{BASE}/v3/exports/")).unwrap().strip_suffix(".csv.gz").unwrap();
    assert_ne!(Uuid::parse_str(name).unwrap(), id);
    service.world.tamper(id, |row| row.job.state = JobState::Failed);
    let failed = attributes().await;
    assert_eq!((&failed["status"], &failed["url"]), (&json!("failed"), &Value::Null));
    service.world.clock.set_wall(parse_instant("2026-07-01T00:00:00.002Z").unwrap());
    assert_eq!(service.v3(&line, "").await.status, 404, "a month after its end");
    service.world.tamper(id, |row| row.job.state = JobState::Cancelled);
    assert_eq!(service.v3(&line, "").await.status, 404);
}

#[tokio::test]
async fn an_order_becomes_a_job_that_keeps_all_it_needs() {
    let service = service().await;
    let export = service
        .export(json!({"export_type": "cdr_out", "callback_url": "https://app.example.org/hook",
            "filters": {"from": "2026-03-01 00:00:00", "to": "2026-03-02 00:00:00",
                "voice_out_trunk_id": "5c0d7c3c-2c0e-4f5b-8d0a-1b1b6a8f3c11"}}))
        .await;
    assert_eq!(export["attributes"]["callback_method"], "post");
    assert_eq!(export["attributes"]["filters"]["voice_out_trunk.id"], "5c0d7c3c-2c0e-4f5b-8d0a-1b1b6a8f3c11");
    let job = service.world.job(id_of(&export));
    let query = &job.order.query;
    assert_eq!((job.dialect.as_str(), query.sheet.as_deref()), ("didww", Some("cdr_out")));
    let range = query.selection.range;
    let ms = |text| parse_instant(text).unwrap();
    assert_eq!((range.from_ms(), range.to_ms()), (ms("2026-03-01T00:00:00Z"), ms("2026-03-02T00:00:00Z")));
    let filters: Vec<_> = query.selection.filters.iter().map(|f| (f.field, f.values.join("|"))).collect();
    let trunk = "5c0d7c3c-2c0e-4f5b-8d0a-1b1b6a8f3c11".to_owned();
    assert_eq!(filters, [(FilterField::Direction, "outbound".to_owned()), (FilterField::TrunkId, trunk)]);
    assert!(!format!("{job:?}").contains(TOKEN_PREFIX), "the key is kept, but not shown");
}

#[tokio::test]
async fn versions_are_those_of_header_and_key() {
    let (world, app) = app().await;
    let value = "key-that-is-of-the-newer-version";
    let token = NewToken {
        name: "newer".into(),
        role: Role::Analyst,
        expires_at_ms: None,
        value: Some(Secret::new(value.to_owned())),
        networks: Vec::new(),
        api_version: Some(NEW.to_owned()),
    };
    app.tokens.create(&Caller::system(TenantName::default_tenant()), token).await.unwrap();
    let service = start(world, app).await;
    let old = format!("{TOKEN_PREFIX}analyst");
    for (key, version, served) in [
        (old.as_str(), None, OLD),
        (&old, Some(OLD), OLD),
        (&old, Some(NEW), NEW),
        (&old, Some("1999-12-31"), OLD),
        (&old, Some(""), OLD),
        (value, None, NEW),
        (value, Some(OLD), NEW),
        (value, Some("latest"), NEW),
    ] {
        let header = version.map(|version| format!("\r\nx-didww-API-version: {version}")).unwrap_or_default();
        let header = format!("Authorization: Bearer {key}\r\nContent-Type: {JSON_API}{header}");
        let list = service.with("GET /v3/exports", &header, b"").await;
        assert_eq!((list.status, &list.json()["meta"]["api_version"]), (200, &json!(served)), "{version:?}");
        let filters = json!({"filters": {"from": "2026-03-01 00:00:00", "to": "2026-03-02 00:00:00",
            "source_number": "15550001111"}});
        let made = service.with("POST /v3/exports", &header, order(filters).as_bytes()).await;
        if served == OLD {
            assert_eq!(errors(&made), [("100".into(), "filters - source_number not allowed".into())]);
            continue;
        }
        assert_eq!((made.status, &made.json()["meta"]["api_version"]), (201, &json!(NEW)));
        let id = id_of(&made.json()["data"]);
        let older = service.v3(&format!("GET /v3/exports/{id}"), "").await.json();
        assert_eq!(older["data"], made.json()["data"], "whoever reads it");
        assert_eq!(older["meta"]["api_version"], OLD);
    }
}

#[tokio::test]
async fn a_reference_is_changed_and_nothing_else() {
    let service = service().await;
    let export = service.export(json!({"external_reference_id": "one"})).await;
    let id = id_of(&export);
    let change = async |method: &str, attributes: Value| {
        let body = json!({"data": {"type": "exports", "id": id, "attributes": attributes}}).to_string();
        service.v3(&format!("{method} /v3/exports/{id}"), &body).await
    };
    for (method, attributes, reference) in [
        ("PATCH", json!({"external_reference_id": "two"}), json!("two")),
        ("PATCH", json!({}), json!("two")),
        ("PATCH", json!({"filters": []}), json!("two")),
        ("PATCH", json!({"external_reference_id": null}), Value::Null),
        ("PUT", json!({"external_reference_id": "three", "filters": []}), json!("three")),
    ] {
        let answer = change(method, attributes).await;
        let mut wanted = export.clone();
        wanted["attributes"]["external_reference_id"] = reference;
        assert_eq!((answer.status, &answer.json()["data"]), (200, &wanted));
        assert_eq!(answer.json()["meta"]["api_version"], OLD);
    }
    let long = "x".repeat(101);
    let detail = "external_reference_id - is too long (maximum is 100 characters)";
    let too_long = change("PATCH", json!({"external_reference_id": long})).await;
    assert_eq!((too_long.status, errors(&too_long)), (422, vec![("100".into(), detail.into())]));
    assert_eq!(change("PATCH", json!({"external_reference_id": 5})).await.status, 422);
    assert_eq!(change("PATCH", json!({"export_type": "cdr_in"})).await.status, 400);
}

#[tokio::test]
async fn a_removed_export_is_gone() {
    let service = service().await;
    let (pending, running, failed) =
        (service.export(json!({})).await, service.export(json!({})).await, service.export(json!({})).await);
    service.world.tamper(id_of(&running), |row| row.job.state = JobState::Running);
    service.world.tamper(id_of(&failed), |row| row.job.state = JobState::Failed);
    let completed = service.completed(json!({"callback_url": "https://app.example.org/hook"})).await;
    let file = path(&completed["attributes"]["url"]);
    assert_eq!(service.v3(&format!("GET {file}"), "").await.status, 200);
    for export in [&pending, &running, &failed, &completed] {
        let line = format!("/v3/exports/{}", id_of(export));
        let others = service.v3_as("auditor", &format!("DELETE {line}"), "").await;
        assert_eq!(others.status, 403, "somebody else's");
        let removed = service.v3(&format!("DELETE {line}"), "").await;
        assert_eq!((removed.status, removed.text()), (204, ""));
        assert!(removed.header("x-request-id").is_some());
        for method in ["GET", "DELETE"] {
            assert_eq!(service.v3(&format!("{method} {line}"), "").await.status, 404, "{method} {line}");
        }
    }
    let nothing = service.v3(&format!("GET {file}"), "").await;
    assert_eq!((nothing.status, nothing.text()), (404, ""));
    assert!(service.world.told().is_empty(), "nobody hears of it");
    let of_others = id_of(&service.export(json!({})).await);
    assert_eq!(service.v3_as("admin", &format!("DELETE /v3/exports/{of_others}"), "").await.status, 204);
}
