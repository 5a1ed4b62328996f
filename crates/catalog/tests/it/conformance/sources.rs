//! Promises of the sources port.

use super::{Ports, entry, id, tenant};
use serde_json::json;
use tollbook_model::source::Source;

fn source(number: u128, pbx_alias: &str) -> Source {
    let settings = json!({"zone": "Europe/Paris", "trunks": ["b", "a"], "nested": {"z": 1, "a": null}});
    Source {
        id: id(number),
        pbx_alias: pbx_alias.to_owned(),
        kind: String::from("csv"),
        settings: settings.as_object().unwrap().clone(),
        enabled: true,
        version: 1,
        last_seen_at_ms: None,
        updated_at_ms: 100,
    }
}

pub(crate) async fn a_source_keeps_its_id_and_counts_its_changes(ports: Ports) {
    ports.open_tenants().await;
    let acme = tenant("acme");
    assert_eq!(ports.sources.find(&acme, "pbx").await.unwrap(), None);
    assert_eq!(
        ports.sources.put(&acme, source(1, "pbx"), entry("acme", "source.put")).await.unwrap(),
        source(1, "pbx")
    );
    let mut change = source(2, "pbx");
    change.kind = String::from("asterisk-csv");
    change.settings.clear();
    change.enabled = false;
    change.version = 77;
    change.updated_at_ms = 200;
    let expected = Source { id: id(1), version: 2, ..change.clone() };
    assert_eq!(ports.sources.put(&acme, change, entry("acme", "source.put")).await.unwrap(), expected);
    assert_eq!(ports.sources.find(&acme, "pbx").await.unwrap(), Some(expected));
    assert!(ports.sources.remove(&acme, "pbx", entry("acme", "source.remove")).await.unwrap());
    assert!(!ports.sources.remove(&acme, "pbx", entry("acme", "source.remove")).await.unwrap());
    assert_eq!(ports.sources.find(&acme, "pbx").await.unwrap(), None);
    assert_eq!(
        ports.sources.put(&acme, source(3, "pbx"), entry("acme", "source.put")).await.unwrap(),
        source(3, "pbx"),
        "it is new again"
    );
}

pub(crate) async fn sources_are_listed_by_name_within_their_tenant(ports: Ports) {
    ports.open_tenants().await;
    for (number, owner, alias) in [(1, "acme", "zürich"), (2, "acme", "berlin"), (3, "other", "berlin")] {
        ports.sources.put(&tenant(owner), source(number, alias), entry(owner, "source.put")).await.unwrap();
    }
    let names = |sources: Vec<Source>| sources.into_iter().map(|source| source.pbx_alias).collect::<Vec<_>>();
    assert_eq!(names(ports.sources.list(&tenant("acme")).await.unwrap()), ["berlin", "zürich"]);
    assert!(ports.sources.remove(&tenant("acme"), "berlin", entry("acme", "source.remove")).await.unwrap());
    assert_eq!(ports.sources.list(&tenant("other")).await.unwrap(), [source(3, "berlin")]);
    assert_eq!(ports.sources.list(&tenant("nobody")).await.unwrap(), []);
}

pub(crate) async fn the_latest_sign_of_life_stays(ports: Ports) {
    ports.open_tenants().await;
    let acme = tenant("acme");
    ports.sources.seen(&acme, "unknown", 5).await.unwrap();
    ports.sources.put(&acme, source(1, "pbx"), entry("acme", "source.put")).await.unwrap();
    for (at_ms, expected) in [(50, 50), (40, 50), (60, 60)] {
        ports.sources.seen(&acme, "pbx", at_ms).await.unwrap();
        let stored = ports.sources.find(&acme, "pbx").await.unwrap().unwrap();
        assert_eq!((stored.last_seen_at_ms, stored.version), (Some(expected), 1));
    }
    for (given, expected) in [(None, 60), (Some(55), 60), (Some(70), 70)] {
        let change = Source { last_seen_at_ms: given, ..source(1, "pbx") };
        let stored = ports.sources.put(&acme, change, entry("acme", "source.put")).await.unwrap();
        assert_eq!(
            stored.last_seen_at_ms,
            Some(expected),
            "a change of settings does not turn the clock back"
        );
    }
}

pub(crate) async fn every_change_of_a_source_is_logged(ports: Ports) {
    ports.open_tenants().await;
    let acme = tenant("acme");
    for _ in 0..2 {
        ports.sources.put(&acme, source(1, "pbx"), entry("acme", "source.put")).await.unwrap();
    }
    let taken = Source { pbx_alias: String::from("other"), ..source(1, "pbx") };
    assert!(ports.sources.put(&acme, taken, entry("acme", "refused")).await.is_err(), "an id used twice");
    assert!(ports.sources.remove(&acme, "pbx", entry("acme", "source.remove")).await.unwrap());
    assert!(!ports.sources.remove(&acme, "pbx", entry("acme", "nothing")).await.unwrap());
    ports.sources.seen(&acme, "pbx", 5).await.unwrap();
    assert_eq!(ports.actions("acme").await, ["source.put", "source.put", "source.remove"]);
}
