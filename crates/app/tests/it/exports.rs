//! Exports and estimates: places, what the data plane is given, and what the audit log says.

use crate::fakes::{NOW_MS, World, caller, caller_of};
use crate::{all_of_cdr, put_source, query};
use futures::{StreamExt, TryStreamExt};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tollbook_app::exports::DirectExport;
use tollbook_app::settings::SettingsChange;
use tollbook_app::tenants::QuotaChange;
use tollbook_kit::fault::Code;
use tollbook_model::access::{Actor, Caller, Role};
use tollbook_model::audit::Outcome;
use tollbook_model::dataset::Dataset;
use tollbook_model::ports::AuditLog;
use tollbook_model::selection::{Filter, FilterField};
use tollbook_model::time_range::TimeRange;
use uuid::Uuid;

fn filter(field: FilterField, value: &str) -> Filter {
    Filter { field, values: vec![value.into()] }
}

#[tokio::test]
async fn a_credential_has_as_many_direct_exports_at_once_as_its_tenants_quota() {
    let world = World::new();
    let app = world.app().await;
    let analyst = caller(Role::Analyst);
    let mut running = Vec::new();
    for _ in 0..4 {
        running.push(app.exports.direct(&analyst, query(Dataset::Cdr, Vec::new())).await.unwrap());
    }
    let Err(fifth) = app.exports.direct(&analyst, query(Dataset::Cdr, Vec::new())).await else {
        panic!("a fifth export must wait");
    };
    assert_eq!(fifth.code(), Code::TooMany);
    assert!(app.exports.direct(&caller(Role::Admin), all_of_cdr()).await.is_ok(), "each for itself");
    let ended = running.pop().unwrap();
    assert_eq!(ended.stream.chunks.count().await, 3);
    running.push(app.exports.direct(&analyst, all_of_cdr()).await.unwrap());

    let quota = QuotaChange { direct_exports: Some(5), ..QuotaChange::default() };
    let operator = caller(Role::Operator);
    app.tenancy.change(&operator, "default", SettingsChange::default(), quota).await.unwrap();
    running.push(app.exports.direct(&analyst, all_of_cdr()).await.unwrap());
    let sixth = app.exports.direct(&analyst, all_of_cdr()).await.err().unwrap();
    assert_eq!((sixth.code(), sixth.retry_after()), (Code::TooMany, Some(Duration::from_secs(5))));
    assert!(sixth.message().contains("has 5 direct exports under way"), "{sixth}");
}

#[tokio::test]
async fn requests_carry_normal_forms_and_the_rows_that_the_use_case_holds() {
    let world = World::new();
    let app = world.app().await;
    put_source(&app, true).await;
    let admin = caller(Role::Admin);
    let number = Filter { field: FilterField::CallingParty, values: vec!["+44 20 7123 4567".into()] };
    app.exports.direct(&admin, query(Dataset::Cdr, vec![number])).await.unwrap();
    app.exports.direct(&admin, query(Dataset::AgentConfiguration, Vec::new())).await.unwrap();
    let exports = world.exports.lock().unwrap();
    let values = &exports[0].0.selection.filters[0].values;
    assert!(values.len() == 2 && values[0] == "442071234567" && values[1].starts_with("p1_"), "{values:?}");
    assert_eq!(exports[0].0.schema_id, "https://cdr.example.net:8443/api/v1/schemas/cdr/v1.json");
    assert_eq!((exports[0].1, exports[1].1), (0, 1));
}

#[tokio::test]
async fn a_third_estimate_waits_until_one_is_dropped() {
    let world = World::new();
    let app = world.app().await;
    let (analyst, admin) = (caller(Role::Analyst), caller(Role::Admin));
    // From here on the tenant is remembered, and an estimate begins with its first poll.
    app.tenants.of(&analyst).await.unwrap();
    let endless = || {
        let filter = Filter { field: FilterField::Trunk, values: vec!["endless".into()] };
        app.exports.estimate(&analyst, query(Dataset::Cdr, vec![filter]))
    };
    let mut running = [Box::pin(endless()), Box::pin(endless())];
    for estimate in &mut running {
        assert!(futures::poll!(estimate.as_mut()).is_pending());
    }
    let third = app.exports.estimate(&analyst, query(Dataset::Cdr, Vec::new())).await.unwrap_err();
    assert_eq!((third.code(), third.retry_after()), (Code::TooMany, Some(Duration::from_secs(5))));
    assert!(
        app.exports.estimate(&admin, query(Dataset::Cdr, Vec::new())).await.is_ok(),
        "each credential for itself"
    );
    drop(running);
    assert!(app.exports.estimate(&analyst, query(Dataset::Cdr, Vec::new())).await.is_ok());
}

#[tokio::test]
async fn an_export_is_logged_before_its_first_byte_without_what_it_looks_for() {
    let world = World::new();
    let app = world.app().await;
    let analyst = Caller { address: Some([192, 0, 2, 7].into()), ..caller(Role::Analyst) };
    let mut asked = query(Dataset::Cdr, vec![filter(FilterField::CalledParty, "+442071234567")]);
    asked.selection.range = TimeRange::new(1_767_225_600_000, 1_769_904_000_000).unwrap();
    let export = app.exports.direct(&analyst, asked).await.unwrap();
    let entry = world.last_entry("default");
    assert_eq!((entry.action.as_str(), entry.outcome), ("export.direct", Outcome::Success));
    assert_eq!(entry.object_type.as_deref(), Some("export"));
    assert_eq!(entry.object_id, Some(export.head.id.to_string()));
    assert_eq!((entry.ip.as_deref(), entry.actor_role.as_deref()), (Some("192.0.2.7"), Some("analyst")));
    let reason = "cdr as csv, 2026-01-01T00:00:00.000Z to 2026-02-01T00:00:00.000Z";
    assert_eq!(entry.reason.as_deref(), Some(reason));
    assert!(!format!("{:?}", world.audit("default")).contains("2071234567"), "numbers are never logged");

    let refused = query(Dataset::Cdr, vec![filter(FilterField::Trunk, "refused")]);
    assert!(app.exports.direct(&analyst, refused).await.is_err());
    let [.., begun, failed] = &world.audit("default")[..] else { panic!("two entries") };
    assert_eq!((begun.outcome, failed.outcome), (Outcome::Success, Outcome::Error));
    assert_eq!(begun.object_id, failed.object_id);
    assert_eq!(failed.reason.as_deref(), Some("cdr as csv, the beginning to the end"));

    let before = world.exports.lock().unwrap().len();
    world.disk_is_full.store(true, Ordering::SeqCst);
    let unlogged = app.exports.direct(&analyst, all_of_cdr()).await.err().unwrap();
    assert_eq!(unlogged.code(), Code::StorageFull);
    assert_eq!(world.exports.lock().unwrap().len(), before, "what cannot be logged is not exported");
}

/// The lines of an export, and in how many chunks they came.
async fn lines(export: DirectExport) -> (Vec<String>, usize) {
    let chunks: Vec<_> = export.stream.chunks.try_collect().await.unwrap();
    let text = chunks.iter().map(|chunk| std::str::from_utf8(chunk).unwrap()).collect::<String>();
    (text.lines().map(str::to_owned).collect(), chunks.len())
}

#[tokio::test]
async fn the_audit_log_is_exported_in_pages_up_to_its_own_entry() {
    let world = World::new();
    let app = world.app().await;
    let auditor = caller(Role::Auditor);
    let other = Actor::User(Uuid::from_u128(99));
    let entry = |at: i64| {
        let actor = if at % 5_000 == 0 { other.clone() } else { auditor.actor.clone() };
        let action = if at == 7 { "login" } else { "token.create" };
        Caller { actor, ..auditor.clone() }.entry(NOW_MS + at, action, None, Outcome::Success)
    };
    world.append((0..10_000).map(entry).collect()).await.unwrap();
    let told = world.audit("default").len();

    let estimate = app.exports.estimate(&auditor, query(Dataset::AuditLog, Vec::new())).await.unwrap();
    assert_eq!(estimate.rows, told as u64);
    let export = app.exports.direct(&auditor, query(Dataset::AuditLog, Vec::new())).await.unwrap();
    assert_eq!(export.stream.watermark, told as u64 + 1, "its own entry is the last one");
    world.append(vec![entry(1)]).await.unwrap();
    let (rows, pages) = lines(export).await;
    assert_eq!((rows.len(), pages), (told + 1, 3), "what comes later is not in");
    for (row, record) in rows.iter().zip(world.audit("default")) {
        let cells: Vec<_> = row.split('|').collect();
        assert_eq!((cells[0], cells[11]), (&*record.seq.to_string(), &*hex::encode(record.hash)));
    }
    assert!(rows.last().unwrap().contains("|export.direct|export|"), "{:?}", rows.last());

    for (filters, range, wanted) in [
        (vec![filter(FilterField::Action, "login")], TimeRange::all(), 1),
        (vec![filter(FilterField::Actor, &other.to_string())], TimeRange::all(), 2),
        (vec![filter(FilterField::Actor, "nobody")], TimeRange::all(), 0),
        (Vec::new(), TimeRange::new(NOW_MS + 10, NOW_MS + 30).unwrap(), 20),
    ] {
        let mut asked = query(Dataset::AuditLog, filters);
        asked.selection.range = range;
        let (rows, _) = lines(app.exports.direct(&auditor, asked.clone()).await.unwrap()).await;
        assert_eq!(rows.len(), wanted, "{asked:?}");
    }
}

#[tokio::test]
async fn a_closing_tenant_is_exported_until_its_time_is_over() {
    let world = World::new();
    let app = world.app().await;
    let operator = caller(Role::Operator);
    app.tenancy.create(&operator, "acme", SettingsChange::default(), QuotaChange::default()).await.unwrap();
    app.tenancy.close(&operator, "acme").await.unwrap();
    let admin = caller_of("acme", Role::Admin);
    world.clock.advance(Duration::from_secs(30 * 86_400 - 1));
    for dataset in Dataset::ALL {
        assert!(app.exports.direct(&admin, query(dataset, Vec::new())).await.is_ok(), "{dataset}");
    }
    world.clock.advance(Duration::from_secs(1));
    for dataset in Dataset::ALL {
        let fault = app.exports.direct(&admin, query(dataset, Vec::new())).await.err().unwrap();
        assert_eq!(fault.code(), Code::Gone, "{dataset}");
        let fault = app.exports.estimate(&admin, query(dataset, Vec::new())).await.unwrap_err();
        assert_eq!(fault.code(), Code::Gone, "{dataset}");
    }
    let last = world.last_entry("acme");
    assert_eq!((last.action.as_str(), last.at_ms), ("export.direct", NOW_MS + (30 * 86_400 - 1) * 1000));
}

#[tokio::test]
async fn trunks_are_listed_to_who_may_export_calls() {
    let world = World::new();
    let app = world.app().await;
    let trunks = app.exports.trunks(&caller(Role::Analyst)).await.unwrap();
    assert_eq!(trunks.iter().map(|trunk| &*trunk.name).collect::<Vec<_>>(), ["carrier", "desk"]);
    let fault = app.exports.trunks(&caller(Role::Viewer)).await.unwrap_err();
    assert_eq!(fault.code(), Code::Forbidden);
}
