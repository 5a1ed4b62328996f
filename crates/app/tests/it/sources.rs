//! Configured sources: their definitions, and what the audit log says of them.

use crate::fakes::{World, caller, name};
use crate::put_source;
use serde_json::json;
use std::sync::atomic::Ordering;
use tollbook_app::sources::MOST_SOURCES;
use tollbook_kit::fault::Code;
use tollbook_model::access::{Caller, Role};

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
async fn changes_are_logged_by_id_and_with_the_change_or_not_at_all() {
    let world = World::new();
    let app = world.app().await;
    let admin = caller(Role::Admin);
    put_source(&app, true).await;
    let id = app.sources.get(&admin, "pbx").await.unwrap().id.to_string();
    let put = world.last_entry("default");
    assert_eq!((put.action.as_str(), put.object_type.as_deref()), ("source.put", Some("source")));
    assert_eq!((put.object_id.as_deref(), put.actor), (Some(id.as_str()), admin.actor.to_string()));
    put_source(&app, false).await;
    assert_eq!(world.last_entry("default").object_id.as_deref(), Some(id.as_str()), "its id stays");

    let before = world.audit("default").len();
    let files = Caller::system(name("default"));
    let disabled = json!({"kind": "lines", "enabled": false}).as_object().unwrap().clone();
    assert!(!app.sources.keep(&files, "pbx", disabled).await.unwrap());
    assert_eq!(world.audit("default").len(), before, "an unchanged file is not worth an entry");
    let lines = json!({"kind": "lines"}).as_object().unwrap().clone();
    assert!(app.sources.keep(&files, "pbx", lines).await.unwrap());
    let kept = world.last_entry("default");
    assert_eq!((kept.actor.as_str(), kept.actor_role), ("system", None));

    world.disk_is_full.store(true, Ordering::SeqCst);
    let version = app.sources.get(&admin, "pbx").await.unwrap().version;
    let lines = json!({"kind": "lines", "zone": "CET"}).as_object().unwrap().clone();
    assert_eq!(app.sources.put(&admin, "pbx", lines).await.unwrap_err().code(), Code::StorageFull);
    assert_eq!(app.sources.get(&admin, "pbx").await.unwrap().version, version);
    world.disk_is_full.store(false, Ordering::SeqCst);
    app.sources.remove(&admin, "pbx").await.unwrap();
    let removed = world.last_entry("default");
    assert_eq!((removed.action.as_str(), removed.object_id.as_deref()), ("source.remove", Some(id.as_str())));
    assert!(app.sources.remove(&admin, "pbx").await.is_err());
    assert_eq!(world.last_entry("default").seq, removed.seq, "what was not done is not logged");
    let all = format!("{:?}", world.audit("default"));
    assert!(!all.contains("pbx"), "names of sources are free text");
}

#[tokio::test]
async fn a_tenant_has_a_thousand_sources_at_most() {
    let world = World::new();
    let app = world.app().await;
    let admin = caller(Role::Admin);
    let put = async |alias: &str| {
        let lines = json!({"kind": "lines"}).as_object().unwrap().clone();
        app.sources.put(&admin, alias, lines).await.map_err(|fault| fault.code())
    };
    for number in 0..MOST_SOURCES {
        assert!(put(&format!("pbx-{number}")).await.is_ok());
    }
    assert_eq!(put("one-more").await.unwrap_err(), Code::Conflict);
    assert_eq!(put("pbx-7").await.unwrap().version, 2, "those that are there can be changed");
    app.sources.remove(&admin, "pbx-8").await.unwrap();
    assert!(put("one-more").await.is_ok());
}
