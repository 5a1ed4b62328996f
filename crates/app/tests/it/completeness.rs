//! Completeness reports: a direct export's right, place and end, and what the audit log says of them.

use crate::all_of_cdr;
use crate::fakes::{NOW_MS, World, caller, caller_of};
use futures::TryStreamExt;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tollbook_app::settings::SettingsChange;
use tollbook_app::tenants::QuotaChange;
use tollbook_kit::fault::Code;
use tollbook_model::access::Action;
use tollbook_model::access::{Caller, Role, permitted};
use tollbook_model::audit::Outcome;
use tollbook_model::dataset::Dataset;
use tollbook_model::format::ExportFormat;
use tollbook_model::schema::Schema;
use tollbook_model::time_range::TimeRange;

fn january() -> TimeRange {
    TimeRange::new(1_767_225_600_000, 1_769_904_000_000).unwrap()
}

#[tokio::test]
async fn whoever_may_export_may_have_the_report_and_nobody_else() {
    let world = World::new();
    let app = world.app().await;
    for role in Role::ALL {
        for dataset in Dataset::ALL {
            let report = app.exports.completeness(&caller(role), dataset, january()).await;
            let allowed = permitted(role, Action::Export(dataset));
            assert_eq!(report.as_ref().map_err(|fault| fault.code()).is_ok(), allowed, "{role:?}, {dataset}");
            let entry = world.last_entry("default");
            if let Err(fault) = report {
                assert_eq!((fault.code(), entry.outcome), (Code::Forbidden, Outcome::Denied));
            } else {
                assert_eq!(entry.action, "export.completeness");
            }
        }
    }
}

#[tokio::test]
async fn a_report_takes_the_place_of_a_direct_export_until_it_ends() {
    let world = World::new();
    let app = world.app().await;
    let analyst = caller(Role::Analyst);
    let report = || app.exports.completeness(&analyst, Dataset::Cdr, january());
    let mut running = Vec::new();
    for _ in 0..3 {
        running.push(report().await.unwrap());
    }
    let export = app.exports.direct(&analyst, all_of_cdr()).await.unwrap();
    assert_eq!(report().await.err().unwrap().code(), Code::TooMany);
    assert_eq!(app.exports.direct(&analyst, all_of_cdr()).await.err().unwrap().code(), Code::TooMany);
    drop(export);
    running.push(report().await.unwrap());
    assert_eq!(report().await.err().unwrap().code(), Code::TooMany);
    let hours: Vec<_> = running.pop().unwrap().hours.try_collect().await.unwrap();
    assert_eq!((hours.len(), hours[0].records), (2, 2));
    assert!(report().await.is_ok());
}

#[tokio::test]
async fn a_report_is_logged_before_its_first_hour() {
    let world = World::new();
    let app = world.app().await;
    let analyst = Caller { address: Some([192, 0, 2, 7].into()), ..caller(Role::Analyst) };
    app.exports.completeness(&analyst, Dataset::Cdr, january()).await.unwrap();
    let entry = world.last_entry("default");
    assert_eq!((entry.action.as_str(), entry.outcome), ("export.completeness", Outcome::Success));
    assert_eq!((entry.object_type.as_deref(), entry.object_id.as_deref()), (Some("dataset"), Some("cdr")));
    assert_eq!(entry.reason.as_deref(), Some("2026-01-01T00:00:00.000Z to 2026-02-01T00:00:00.000Z"));
    assert_eq!(entry.ip.as_deref(), Some("192.0.2.7"));

    let refused = TimeRange::new(0, 1).unwrap();
    let fault = app.exports.completeness(&analyst, Dataset::Cdr, refused).await.err().unwrap();
    assert_eq!(fault.code(), Code::Unavailable);
    let [.., begun, failed] = &world.audit("default")[..] else { panic!("two entries") };
    assert_eq!((begun.outcome, failed.outcome), (Outcome::Success, Outcome::Error));
    assert_eq!(failed.action, "export.completeness");

    let before = world.exports.lock().unwrap().len();
    world.disk_is_full.store(true, Ordering::SeqCst);
    let unlogged = app.exports.completeness(&analyst, Dataset::Cdr, january()).await.err().unwrap();
    assert_eq!(unlogged.code(), Code::StorageFull);
    assert_eq!(world.exports.lock().unwrap().len(), before, "what cannot be logged is not reported");
}

#[tokio::test]
async fn the_data_plane_is_asked_for_a_plain_export() {
    let world = World::new();
    let app = world.app().await;
    let auditor = caller(Role::Auditor);
    let report = app.exports.completeness(&auditor, Dataset::AuditLog, january()).await.unwrap();
    let told = world.audit("default").len() as u64;
    assert_eq!(report.watermark, told, "its own entry is the last one");
    let exports = world.exports.lock().unwrap();
    let (request, _) = exports.last().unwrap();
    assert_eq!(request.selection.range, january());
    assert_eq!((request.format, request.selection.filters.len()), (ExportFormat::Ndjson, 0));
    assert_eq!(request.selection.columns, Schema::of(Dataset::AuditLog).default_columns());
}

#[tokio::test]
async fn of_a_closed_tenant_there_are_reports_until_its_time_is_over() {
    let world = World::new();
    let app = world.app().await;
    let operator = caller(Role::Operator);
    app.tenancy.create(&operator, "acme", SettingsChange::default(), QuotaChange::default()).await.unwrap();
    app.tenancy.close(&operator, "acme").await.unwrap();
    let admin = caller_of("acme", Role::Admin);
    world.clock.advance(Duration::from_secs(30 * 86_400 - 1));
    assert!(app.exports.completeness(&admin, Dataset::Cdr, january()).await.is_ok());
    world.clock.advance(Duration::from_secs(1));
    let fault = app.exports.completeness(&admin, Dataset::Cdr, january()).await.err().unwrap();
    assert_eq!(fault.code(), Code::Gone);
    assert_eq!(world.last_entry("acme").at_ms, NOW_MS + (30 * 86_400 - 1) * 1000);
}
