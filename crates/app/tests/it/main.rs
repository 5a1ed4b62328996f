//! The use cases over stand-ins for their ports: rights, what is kept of a body, places, bootstrap.

#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod fakes;

use bytes::Bytes;
use fakes::{World, caller};
use futures::StreamExt;
use jiff::tz::TimeZone;
use serde_json::json;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tollbook_app::App;
use tollbook_app::exports::ExportQuery;
use tollbook_app::ingest::{OnError, SentBody};
use tollbook_kit::fault::Code;
use tollbook_kit::secret::Secret;
use tollbook_model::access::Role;
use tollbook_model::dataset::Dataset;
use tollbook_model::format::{ExportFormat, RecordForm};
use tollbook_model::selection::{Filter, FilterField, Interval, Selection};
use tollbook_model::time_range::TimeRange;

fn query(dataset: Dataset, filters: Vec<Filter>) -> ExportQuery {
    let selection = Selection {
        dataset,
        range: TimeRange::all(),
        filters,
        columns: vec![0],
        timezone: TimeZone::UTC,
        interval: Interval::Day,
    };
    ExportQuery { selection, format: ExportFormat::Csv, formula_guard: false }
}

fn sent(text: &'static str) -> SentBody {
    SentBody { bytes: Bytes::from_static(text.as_bytes()), content_type: None, query: Vec::new() }
}

async fn put_source(app: &App, enabled: bool) {
    let definition = json!({"kind": "lines", "enabled": enabled}).as_object().unwrap().clone();
    app.sources.put(&caller(Role::Admin), "pbx", definition).await.unwrap();
}

#[tokio::test]
async fn rights_are_judged_before_anything_is_looked_up() {
    let world = World::new();
    let app = world.app().await;
    for role in Role::ALL {
        let caller = caller(role);
        let may_post = matches!(role, Role::Admin | Role::Source);
        let native = app.ingest.native(&caller, RecordForm::Ndjson, Bytes::new(), OnError::Reject).await;
        assert_eq!(native.is_ok(), may_post, "{role:?}");
        let unknown = app.ingest.from_source(&caller, "nobody", sent(""), OnError::Reject).await.unwrap_err();
        assert_eq!(unknown.code(), if may_post { Code::NotFound } else { Code::Forbidden }, "{role:?}");
        let source = app.sources.get(&caller, "nobody").await.unwrap_err();
        assert_eq!(
            source.code(),
            if role == Role::Admin { Code::NotFound } else { Code::Forbidden },
            "{role:?}"
        );
        for dataset in Dataset::ALL {
            let may_export = match role {
                Role::Admin | Role::Auditor => true,
                Role::Analyst => dataset != Dataset::AgentConfiguration,
                Role::Viewer | Role::Source => false,
            };
            let direct = app.exports.direct(&caller, query(dataset, Vec::new())).await;
            assert_eq!(direct.is_ok(), may_export, "{role:?} {dataset}");
            let estimate = app.exports.estimate(&caller, query(dataset, Vec::new())).await;
            assert_eq!(estimate.is_ok(), may_export, "{role:?} {dataset}");
        }
    }
}

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
async fn definitions_of_sources_are_checked_whole_and_completed() {
    let world = World::new();
    let app = world.app().await;
    let admin = caller(Role::Admin);
    let definition = |value: serde_json::Value| value.as_object().unwrap().clone();
    for (alias, value, names) in [
        ("pbx", json!({}), vec!["kind"]),
        ("pbx", json!({"kind": "telepathy", "enabled": 1}), vec!["enabled", "kind"]),
        ("p/bx", json!({"kind": "lines", "zon": "UTC"}), vec!["pbx_alias", "zon"]),
        ("pbx", json!({"kind": 5}), vec!["kind"]),
    ] {
        let fault = app.sources.put(&admin, alias, definition(value.clone())).await.unwrap_err();
        let named: Vec<_> = fault.details().iter().map(|detail| detail.name.as_str()).collect();
        assert_eq!(named, names, "{alias} {value}");
    }
    let lines = definition(json!({"kind": "lines"}));
    let stored = app.sources.put(&admin, "pbx", lines.clone()).await.unwrap();
    assert_eq!((stored.settings["zone"].as_str(), stored.enabled, stored.version), (Some("UTC"), true, 1));
    assert!(
        !app.sources.keep(&admin, "pbx", lines.clone()).await.unwrap(),
        "an unchanged file changes nothing"
    );
    assert!(
        app.sources.keep(&admin, "pbx", definition(json!({"kind": "lines", "zone": "CET"}))).await.unwrap()
    );
    app.sources.remove(&admin, "pbx").await.unwrap();
    assert_eq!(app.sources.remove(&admin, "pbx").await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_token_has_four_direct_exports_at_once() {
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
    let ended = running.pop().unwrap();
    assert_eq!(ended.stream.chunks.count().await, 3);
    assert!(app.exports.direct(&analyst, query(Dataset::Cdr, Vec::new())).await.is_ok());
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
async fn the_first_token_is_made_once_and_an_own_one_replaces_it() {
    let world = World::new();
    let app = App::new(world.ports());
    app.tenants.bootstrap().await.unwrap();
    let made = app.tokens.bootstrap(None).await.unwrap().expect("nobody could get in otherwise");
    assert!(made.reveal().starts_with("tb_") && made.reveal().len() == 49, "{}", made.reveal().len());
    assert!(app.tokens.bootstrap(None).await.unwrap().is_none(), "it is shown once");
    assert_eq!(app.tokens.authenticate(made.reveal()).await.unwrap().role, Role::Admin);
    let former = Secret::new("a-former-token-of-the-operator".to_owned());
    let own = Secret::new("a-token-of-the-operator".to_owned());
    assert!(app.tokens.bootstrap(Some(&former)).await.unwrap().is_none());
    let id = app.tokens.authenticate(former.reveal()).await.unwrap().token;
    app.tokens.bootstrap(Some(&former)).await.unwrap();
    assert_eq!(
        app.tokens.authenticate(former.reveal()).await.unwrap().token,
        id,
        "the same value changes nothing"
    );
    app.tokens.bootstrap(Some(&own)).await.unwrap();
    assert!(app.tokens.bootstrap(None).await.unwrap().is_none());
    assert_eq!(app.tokens.authenticate(own.reveal()).await.unwrap().role, Role::Admin);
    // The clock stands still: both former ones would still be remembered.
    for wrong in
        [made.reveal(), former.reveal(), "", "short", "a-token-of-somebody-else", "ünïcode-is-not-taken-here"]
    {
        assert_eq!(
            app.tokens.authenticate(wrong).await.unwrap_err().code(),
            Code::Unauthenticated,
            "{wrong}"
        );
    }
    let short = Secret::new("short".to_owned());
    assert_eq!(app.tokens.bootstrap(Some(&short)).await.unwrap_err().code(), Code::Invalid);
    let before = world.token_look_ups.load(Ordering::SeqCst);
    app.tokens.authenticate(own.reveal()).await.unwrap();
    assert_eq!(world.token_look_ups.load(Ordering::SeqCst), before, "a fresh holder is remembered");
}

#[tokio::test]
async fn a_third_estimate_waits_until_one_is_dropped() {
    let world = World::new();
    let app = world.app().await;
    let (analyst, admin) = (caller(Role::Analyst), caller(Role::Admin));
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
        "each token for itself"
    );
    drop(running);
    assert!(app.exports.estimate(&analyst, query(Dataset::Cdr, Vec::new())).await.is_ok());
}
