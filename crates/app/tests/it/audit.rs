//! Checkpoints of audit logs: when they are signed, and that the published keys prove them.

use crate::fakes::{NOW_MS, World, caller, caller_of};
use serde_json::{Value, json};
use std::time::Duration;
use tollbook_app::App;
use tollbook_app::settings::SettingsChange;
use tollbook_app::tenants::QuotaChange;
use tollbook_kit::fault::Code;
use tollbook_model::access::{Caller, Role};
use tollbook_model::audit::{CHECKPOINT_TYPE, Outcome};
use tollbook_model::jws::JwsKeys;
use tollbook_model::ports::AuditLog;

/// What the latest checkpoint says, proved by the published keys.
async fn proved(app: &App, caller: &Caller) -> Value {
    let jws = app.audit.latest_checkpoint(caller).await.unwrap();
    let keys = JwsKeys::from_jwks(&app.audit.published_keys()).unwrap();
    serde_json::from_slice(&keys.verify(&jws, CHECKPOINT_TYPE).unwrap()).unwrap()
}

async fn append(world: &World, entries: usize) {
    let entry = caller(Role::Admin).entry(NOW_MS, "login", None, Outcome::Success);
    world.append(vec![entry; entries]).await.unwrap();
}

#[tokio::test]
async fn published_keys_prove_the_end_of_each_chain() {
    let world = World::new();
    let app = world.app().await;
    let (operator, auditor) = (caller(Role::Operator), caller_of("acme", Role::Auditor));
    assert_eq!(app.audit.latest_checkpoint(&operator).await.unwrap_err().code(), Code::NotFound);
    app.tenancy.create(&operator, "acme", SettingsChange::default(), QuotaChange::default()).await.unwrap();
    append(&world, 2).await;
    app.tasks.sign_checkpoints().await.unwrap();
    for (reader, tenant) in [(&operator, "default"), (&auditor, "acme")] {
        let last = world.last_entry(tenant);
        let (seq, hash) = (last.seq, hex::encode(last.hash));
        let said = json!({"tenant": tenant, "seq": seq, "hash": hash, "at": "2026-06-01T00:00:00.000Z"});
        assert_eq!(proved(&app, reader).await, said);
    }
    let keys = JwsKeys::from_jwks(&app.audit.published_keys()).unwrap();
    let jws = app.audit.latest_checkpoint(&operator).await.unwrap();
    assert!(keys.verify(&jws.replace('.', ".A"), CHECKPOINT_TYPE).is_err());
    assert!(!app.audit.published_keys().to_string().contains("\"d\""), "only public parts are published");

    let again = world.app().await;
    assert_eq!(again.audit.published_keys(), app.audit.published_keys(), "a restart keeps the keys");
}

#[tokio::test]
async fn a_chain_with_news_is_signed_every_minute_or_after_a_thousand_entries() {
    let world = World::new();
    let app = world.app().await;
    let before = world.audit("default").len();
    let signed = || world.chains.lock().unwrap().values().next().unwrap().checkpoints.len();
    app.tasks.sign_checkpoints().await.unwrap();
    assert_eq!(signed(), 1);
    world.clock.advance(Duration::from_secs(600));
    app.tasks.sign_checkpoints().await.unwrap();
    assert_eq!(signed(), 1, "no news, no checkpoint");
    append(&world, 1).await;
    app.tasks.sign_checkpoints().await.unwrap();
    assert_eq!(signed(), 2, "the last one is older than a minute");
    append(&world, 999).await;
    world.clock.advance(Duration::from_millis(59_999));
    app.tasks.sign_checkpoints().await.unwrap();
    assert_eq!(signed(), 2);
    append(&world, 1).await;
    app.tasks.sign_checkpoints().await.unwrap();
    assert_eq!(signed(), 3, "a thousand entries are too many to wait");
    append(&world, 1).await;
    world.clock.advance(Duration::from_millis(59_999));
    app.tasks.sign_checkpoints().await.unwrap();
    assert_eq!(signed(), 3);
    world.clock.advance(Duration::from_millis(1));
    app.tasks.sign_checkpoints().await.unwrap();
    assert_eq!(signed(), 4);
    assert_eq!(proved(&app, &caller(Role::Admin)).await["seq"], before + 1002);
}
