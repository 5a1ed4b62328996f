//! Signed exports: what a manifest says, when it is there, who may have it, and for how long.

use crate::fakes::{NOW_MS, World, caller, caller_of};
use crate::query;
use futures::{StreamExt, TryStreamExt};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tollbook_app::App;
use tollbook_app::exports::ExportQuery;
use tollbook_app::settings::SettingsChange;
use tollbook_app::tenants::QuotaChange;
use tollbook_kit::fault::Code;
use tollbook_kit::supervise::Supervisor;
use tollbook_model::access::{Caller, Role};
use tollbook_model::dataset::Dataset;
use tollbook_model::export::{Proof, Signing};
use tollbook_model::format::ExportFormat;
use tollbook_model::jws::JwsKeys;
use tollbook_model::selection::{Filter, FilterField};
use tollbook_model::time_range::TimeRange;
use uuid::Uuid;

fn signed(dataset: Dataset, format: ExportFormat) -> ExportQuery {
    ExportQuery { format, signing: Signing::Manifest, ..query(dataset, Vec::new()) }
}

fn by_trunk(trunk: &str) -> ExportQuery {
    let filter = Filter { field: FilterField::Trunk, values: vec![trunk.into()] };
    ExportQuery { signing: Signing::Manifest, ..query(Dataset::Cdr, vec![filter]) }
}

/// Streams an export to its end; answers its id, and whether it ended cleanly.
async fn stream(app: &App, caller: &Caller, query: ExportQuery) -> (Uuid, bool) {
    let export = app.exports.direct(caller, query).await.unwrap();
    let chunks: Result<Vec<_>, _> = export.stream.chunks.try_collect().await;
    (export.head.id, chunks.is_ok())
}

/// What a manifest says, once it is verified with the published keys.
fn payload(app: &App, jws: &str) -> Value {
    let keys = JwsKeys::from_jwks(&app.audit.published_keys()).unwrap();
    serde_json::from_slice(&keys.verify(jws, "tollbook-manifest+jws").unwrap()).unwrap()
}

#[tokio::test]
async fn a_manifest_says_what_was_asked_for_and_what_came_out() {
    let world = World::new();
    let app = world.app().await;
    let analyst = caller(Role::Analyst);
    let mut asked = signed(Dataset::Cdr, ExportFormat::Ndjson);
    asked.selection.filters = vec![
        Filter { field: FilterField::Trunk, values: vec!["b".into(), "a".into()] },
        Filter { field: FilterField::CallingParty, values: vec!["+44 20 7123 4567".into()] },
    ];
    asked.selection.range = TimeRange::new(1_767_571_200_000, 1_767_657_600_000).unwrap();
    asked.selection.columns = vec![9, 0];
    asked.columns_named = true;
    let (id, whole) = stream(&app, &analyst, asked).await;
    assert!(whole);
    let manifest = app.exports.manifest(&analyst, id).await.unwrap();
    // The tenant hides callers' numbers.
    let caller = app.tenants.of(&analyst).await.unwrap().newest_key().pseudonym("442071234567");
    let wanted = json!({
        "manifest_version": 1,
        "export_id": id.to_string(),
        "tenant": "default",
        "dataset": "cdr",
        "schema": "https://cdr.example.net:8443/api/v1/schemas/cdr/v1.json",
        "format": "ndjson",
        "from": "2026-01-05T00:00:00.000Z",
        "to": "2026-01-06T00:00:00.000Z",
        "tz": "UTC",
        "filters": {"calling_party": [caller], "trunk": ["b", "a"]},
        "columns": ["result", "id"],
        "formula_guard": false,
        "snapshot_at": "2026-06-01T00:00:00.000Z",
        "watermark": 3,
        "created_at": "2026-06-01T00:00:00.000Z",
        "files": [{
            "name": "cdr_2026-01-05_2026-01-05.ndjson", "bytes": 14, "rows": 3, "sha256": "ab".repeat(32),
        }],
        "rows": 3,
        "merkle": {"algorithm": "rfc6962-sha256", "root": "cd".repeat(32)},
    });
    assert_eq!(payload(&app, &manifest).to_string(), wanted.to_string(), "members in this order");
    assert!(!format!("{:?}", world.audit("default")).contains("7123"), "numbers are never logged");

    let mut plain = signed(Dataset::Cdr, ExportFormat::Ndjson);
    plain.selection.timezone = jiff::tz::TimeZone::get("Europe/Paris").unwrap();
    let (id, _) = stream(&app, &analyst, plain).await;
    let said = payload(&app, &app.exports.manifest(&analyst, id).await.unwrap());
    assert_eq!((&said["from"], &said["to"], &said["columns"]), (&Value::Null, &Value::Null, &Value::Null));
    assert_eq!((&said["filters"], &said["tz"]), (&json!({}), &json!("Europe/Paris")));
}

#[tokio::test]
async fn the_data_plane_proves_what_is_signed_and_nothing_else() {
    let world = World::new();
    let app = world.app().await;
    let admin = caller(Role::Admin);
    for signing in Signing::ALL {
        let asked = ExportQuery { signing, ..signed(Dataset::Cdr, ExportFormat::Json) };
        let (id, whole) = stream(&app, &admin, asked).await;
        assert!(whole);
        let manifest = app.exports.manifest(&admin, id).await;
        assert_eq!(manifest.is_ok(), signing != Signing::None, "{signing:?}");
    }
    let exports = world.exports.lock().unwrap();
    let proofs: Vec<&Proof> = exports.iter().map(|(request, _)| &request.proof).collect();
    let [Proof::None, Proof::Digests, Proof::Signatures(key)] = proofs[..] else { panic!("{proofs:?}") };
    let published = JwsKeys::from_jwks(&app.audit.published_keys()).unwrap();
    published.verify_detached(&key.sign_detached(b"{}"), b"{}").unwrap();
    let tokens = JwsKeys::from_jwks(&app.logins.published_keys()).unwrap();
    assert!(!tokens.has(key.kid()), "keys of access tokens sign nothing else");
}

#[tokio::test]
async fn a_manifest_is_there_when_the_stream_has_ended_and_not_before() {
    let world = World::new();
    let app = world.app().await;
    let admin = caller(Role::Admin);
    let mut running = app.exports.direct(&admin, signed(Dataset::Cdr, ExportFormat::Csv)).await.unwrap();
    let id = running.head.id;
    for _ in 0..3 {
        running.stream.chunks.next().await.unwrap().unwrap();
        assert_eq!(app.exports.manifest(&admin, id).await.unwrap_err().code(), Code::NotFound);
    }
    assert!(running.stream.chunks.next().await.is_none());
    assert!(app.exports.manifest(&admin, id).await.is_ok());
    assert_eq!(running.stream.file.await.unwrap().rows, 3);

    let (broken, whole) = stream(&app, &admin, by_trunk("broken")).await;
    assert!(!whole);
    assert_eq!(app.exports.manifest(&admin, broken).await.unwrap_err().code(), Code::NotFound);
    let abandoned = app.exports.direct(&admin, by_trunk("endless")).await.unwrap().head.id;
    assert_eq!(app.exports.manifest(&admin, abandoned).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_stream_whose_manifest_cannot_be_kept_breaks_off() {
    let world = World::new();
    let app = world.app().await;
    let admin = caller(Role::Admin);
    let export = app.exports.direct(&admin, signed(Dataset::Cdr, ExportFormat::Json)).await.unwrap();
    world.disk_is_full.store(true, Ordering::SeqCst);
    let chunks: Vec<_> = export.stream.chunks.collect().await;
    let (last, before) = chunks.split_last().unwrap();
    assert!(before.len() == 3 && before.iter().all(Result::is_ok));
    assert_eq!(last.as_ref().unwrap_err().code(), Code::StorageFull);
    assert!(export.stream.file.await.is_err());
    world.disk_is_full.store(false, Ordering::SeqCst);
    assert_eq!(app.exports.manifest(&admin, export.head.id).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn who_may_export_a_dataset_may_have_its_manifests() {
    let world = World::new();
    let app = world.app().await;
    app.tenancy
        .create(&caller(Role::Operator), "acme", SettingsChange::default(), QuotaChange::default())
        .await
        .unwrap();
    let auditor = caller(Role::Auditor);
    let (calls, _) = stream(&app, &auditor, signed(Dataset::Cdr, ExportFormat::Json)).await;
    let (log, _) = stream(&app, &auditor, signed(Dataset::AuditLog, ExportFormat::Json)).await;
    let answer = |caller: Caller, id| {
        let exports = &app.exports;
        async move { exports.manifest(&caller, id).await.map_err(|fault| fault.code()).map(drop) }
    };
    for (who, id, wanted) in [
        (caller(Role::Analyst), calls, Ok(())),
        (caller(Role::Analyst), log, Err(Code::NotFound)),
        (caller(Role::Admin), log, Ok(())),
        (caller(Role::Viewer), calls, Err(Code::Forbidden)),
        (caller(Role::Viewer), Uuid::nil(), Err(Code::Forbidden)),
        (caller(Role::Source), calls, Err(Code::Forbidden)),
        (caller_of("acme", Role::Admin), calls, Err(Code::NotFound)),
        (caller(Role::Admin), Uuid::nil(), Err(Code::NotFound)),
    ] {
        assert_eq!(answer(who.clone(), id).await, wanted, "{who:?} {id}");
    }
    let denied =
        world.audit("default").into_iter().rfind(|entry| entry.object_id.as_deref() == Some("audit-log"));
    assert_eq!(denied.unwrap().actor_role.as_deref(), Some("analyst"), "a hidden refusal is logged too");
}

#[tokio::test]
async fn manifests_are_kept_for_a_day_and_then_forgotten() {
    const DAY: Duration = Duration::from_secs(86_400);
    let world = World::new();
    let app = world.app().await;
    let admin = caller(Role::Admin);
    let (first, _) = stream(&app, &admin, signed(Dataset::Cdr, ExportFormat::Json)).await;
    world.clock.advance(Duration::from_secs(3600));
    let (second, _) = stream(&app, &admin, signed(Dataset::Cdr, ExportFormat::Parquet)).await;
    world.clock.advance(DAY - Duration::from_secs(3600));
    assert!(app.exports.manifest(&admin, first).await.is_ok(), "24 hours to the millisecond");
    world.clock.advance(Duration::from_millis(1));
    assert_eq!(app.exports.manifest(&admin, first).await.unwrap_err().code(), Code::NotFound);
    let kept =
        || world.export_manifests.lock().unwrap().iter().map(|kept| kept.export_id).collect::<Vec<_>>();
    assert_eq!(kept(), [first, second]);
    app.tasks.sweep_manifests().await.unwrap();
    assert_eq!(kept(), [second]);
    assert_eq!(world.export_manifests.lock().unwrap()[0].created_at_ms, NOW_MS + 3_600_000);

    world.clock.advance(DAY);
    let supervisor = Supervisor::new();
    app.start_tasks(&supervisor);
    let swept = async {
        while !kept().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), swept).await.expect("the background task sweeps too");
    assert!(supervisor.stop(Duration::from_secs(20)).await.is_empty());
}
