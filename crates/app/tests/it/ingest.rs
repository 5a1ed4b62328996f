//! Records in: what is kept of a body, who may post, and which tenants take nothing.

use crate::fakes::{World, caller, caller_of};
use crate::{put_source, sent};
use bytes::Bytes;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tollbook_app::ingest::OnError;
use tollbook_app::settings::SettingsChange;
use tollbook_app::tenants::QuotaChange;
use tollbook_kit::fault::Code;
use tollbook_model::access::Role;
use tollbook_model::format::RecordForm;

#[tokio::test]
async fn a_body_with_bad_rows_is_kept_in_part_or_not_at_all() {
    let world = World::new();
    let app = world.app().await;
    let admin = caller(Role::Admin);
    let body = Bytes::from_static(b"a\n!\nb\n!\n");
    let fault =
        app.ingest.native(&admin, RecordForm::Ndjson, body.clone(), OnError::Reject).await.unwrap_err();
    let names: Vec<_> = fault.details().iter().map(|detail| detail.name.as_str()).collect();
    assert_eq!(names, ["line 2", "line 4", "body"]);
    assert!(world.committed.lock().unwrap().is_empty());

    let outcome = app.ingest.native(&admin, RecordForm::Ndjson, body.clone(), OnError::Skip).await.unwrap();
    assert_eq!((outcome.accepted, outcome.rejected, outcome.duplicates), (2, 2, 0));
    assert_eq!((outcome.first_sequence, outcome.last_sequence), (Some(1), Some(2)));
    assert_eq!(outcome.reasons.len(), 2);

    let again = app.ingest.native(&admin, RecordForm::Ndjson, body, OnError::Skip).await.unwrap();
    assert_eq!((again.accepted, again.duplicates, again.first_sequence), (2, 2, None));
    let broken = app.ingest.native(&admin, RecordForm::Ndjson, Bytes::from_static(b"?"), OnError::Skip).await;
    assert_eq!(broken.unwrap_err().code(), Code::Invalid);
}

#[tokio::test]
async fn sources_are_noted_seldom_and_a_failed_note_costs_nothing() {
    let world = World::new();
    let app = world.app().await;
    let pbx = caller(Role::Source);
    put_source(&app, true).await;
    for _ in 0..3 {
        app.ingest.from_source(&pbx, "pbx", sent("a"), OnError::Reject).await.unwrap();
    }
    assert_eq!(world.seen.load(Ordering::SeqCst), 1);
    world.clock.advance(Duration::from_secs(10));
    app.ingest.from_source(&pbx, "pbx", sent("a"), OnError::Reject).await.unwrap();
    assert_eq!(world.seen.load(Ordering::SeqCst), 2);
    put_source(&app, false).await;
    let fault = app.ingest.from_source(&pbx, "pbx", sent("b"), OnError::Reject).await.unwrap_err();
    assert_eq!(fault.code(), Code::Conflict);
}

#[tokio::test]
async fn a_tenant_with_a_quota_takes_nothing_beyond_it_and_exports_go_on() {
    let world = World::new();
    let app = world.app().await;
    let operator = caller(Role::Operator);
    let post = || app.ingest.native(&operator, RecordForm::Ndjson, Bytes::from_static(b"a"), OnError::Reject);
    let quota = |bytes| QuotaChange { stored_bytes: Some(bytes), ..QuotaChange::default() };
    let change = |bytes| app.tenancy.change(&operator, "default", SettingsChange::default(), quota(bytes));
    world.stored_bytes.store(1_000_000, Ordering::SeqCst);
    post().await.unwrap();
    change(Some(1_000_001)).await.unwrap();
    post().await.unwrap();
    world.stored_bytes.store(1_000_001, Ordering::SeqCst);
    world.clock.advance(Duration::from_secs(5));
    let fault = post().await.unwrap_err();
    assert_eq!(fault.code(), Code::StorageFull);
    assert!(fault.message().contains("quota") && fault.message().contains("operator"), "{fault}");
    assert_eq!(app.ingest.permit(&operator).await.unwrap_err().code(), Code::StorageFull, "before the body");
    assert!(app.exports.direct(&operator, crate::all_of_cdr()).await.is_ok());
    change(Some(1_000_002)).await.unwrap();
    post().await.expect("a raised quota counts at once");
    change(Some(0)).await.unwrap();
    assert_eq!(post().await.unwrap_err().code(), Code::StorageFull);
    change(None).await.unwrap();
    post().await.unwrap();
}

#[tokio::test]
async fn a_closing_tenant_takes_nothing_from_that_moment_on() {
    let world = World::new();
    let app = world.app().await;
    let operator = caller(Role::Operator);
    let (settings, quota) = (SettingsChange::default(), QuotaChange::default());
    app.tenancy.create(&operator, "acme", settings, quota).await.unwrap();
    let pbx = caller_of("acme", Role::Source);
    let post = || app.ingest.native(&pbx, RecordForm::Ndjson, Bytes::from_static(b"a"), OnError::Reject);
    post().await.unwrap();
    app.tenancy.close(&operator, "acme").await.unwrap();
    let fault = post().await.unwrap_err();
    assert_eq!(fault.code(), Code::Conflict);
    assert!(fault.message().contains("closing"), "{fault}");
    assert_eq!(app.ingest.permit(&pbx).await.unwrap_err().code(), Code::Conflict, "before the body");
    let unknown = app.ingest.from_source(&pbx, "pbx", sent("a"), OnError::Skip).await.unwrap_err();
    assert_eq!(unknown.code(), Code::Conflict, "before the source is looked up");
    assert_eq!(world.committed.lock().unwrap().len(), 1);
    let other = caller(Role::Source);
    assert!(app.ingest.permit(&other).await.is_ok(), "other tenants go on");
}
