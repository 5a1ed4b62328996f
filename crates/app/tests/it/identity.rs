//! Identities: what credentials are taken, and that nothing that was ended is taken any longer.

use crate::fakes::{NOW_MS, World, caller, caller_of};
use crate::logins::{ISSUER, PASSWORD, log_in, new_user};
use crate::tokens::new_token;
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tollbook_app::settings::SettingsChange;
use tollbook_app::tenants::QuotaChange;
use tollbook_app::users::UserChange;
use tollbook_app::{App, Ports};
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::secret::Secret;
use tollbook_kit::supervise::Supervisor;
use tollbook_model::access::{Action, Actor, Caller, Role};
use tollbook_model::audit::AuditEntry;
use tollbook_model::jws::JwsKey;
use tollbook_model::ports::{KeyPurpose, TokenIssuer, Tokens};
use tollbook_model::tenant::TenantName;
use tollbook_model::token::Token;
use uuid::Uuid;

/// The words with which everything that does not hold is refused.
const REFUSED: &str = "the credential is unknown, expired or revoked; send a valid one";
const OUTSIDE: &str = "https://id.example/realms/people";

async fn is_taken(app: &App, secret: &str) -> bool {
    match app.identities.authenticate(secret, None).await {
        Ok(_) => true,
        Err(fault) => {
            assert_eq!((fault.code(), fault.message()), (Code::Unauthenticated, REFUSED));
            false
        }
    }
}

async fn create_tenant(app: &App, name: &str) {
    let (settings, quota) = (SettingsChange::default(), QuotaChange::default());
    app.tenancy.create(&caller(Role::Operator), name, settings, quota).await.unwrap();
}

#[tokio::test]
async fn a_token_stands_for_its_tenant_and_role() {
    let world = World::new();
    let app = world.app().await;
    create_tenant(&app, "acme").await;
    let (token, secret) =
        app.tokens.create(&caller_of("acme", Role::Admin), new_token(Role::Analyst)).await.unwrap();
    let address: IpAddr = "192.0.2.7".parse().unwrap();
    let identity = app.identities.authenticate(secret.reveal(), Some(address)).await.unwrap();
    assert_eq!(identity.credential(), token.id);
    let found = identity.caller(None).unwrap();
    assert_eq!(
        (found.tenant.as_str(), found.role, found.actor),
        ("acme", Role::Analyst, Actor::Token(token.id))
    );
    assert_eq!((found.credential, found.address), (token.id, Some(address)));
    assert_eq!(identity.caller_of_group("acme").unwrap().role, Role::Analyst);
    assert_eq!(identity.caller_of_group("default").unwrap_err().code(), Code::Forbidden);

    let long = "x".repeat(5000);
    for wrong in ["", "short", "x".repeat(40).as_str(), &format!("{} ", secret.reveal()), "a.b.c", &long] {
        assert!(!is_taken(&app, wrong).await, "{wrong}");
    }
}

#[tokio::test]
async fn what_is_remembered_is_judged_anew_at_every_use() {
    let world = World::new();
    let app = world.app().await;
    let mut new = new_token(Role::Analyst);
    new.expires_at_ms = Some(NOW_MS + 1000);
    new.networks = vec!["192.0.2.0/24".parse().unwrap()];
    let (_, secret) = app.tokens.create(&caller(Role::Admin), new).await.unwrap();
    let taken = async |address: &str| {
        let from = (!address.is_empty()).then(|| address.parse().unwrap());
        app.identities.authenticate(secret.reveal(), from).await.is_ok()
    };
    for (address, good) in
        [("192.0.2.1", true), ("192.0.3.1", false), ("", false), ("::ffff:192.0.2.9", true)]
    {
        assert_eq!(taken(address).await, good, "{address}");
    }
    let look_ups = world.token_look_ups.load(Ordering::SeqCst);
    world.clock.advance(Duration::from_millis(999));
    assert!(taken("192.0.2.1").await);
    world.clock.advance(Duration::from_millis(1));
    assert!(!taken("192.0.2.1").await, "expired");
    assert_eq!(world.token_look_ups.load(Ordering::SeqCst), look_ups, "without another look-up");
}

#[tokio::test]
async fn whatever_is_ended_is_refused_by_the_next_request() {
    let world = World::new();
    let app = world.app().await;
    let (admin, operator) = (caller(Role::Admin), caller(Role::Operator));
    let (token, secret) = app.tokens.create(&admin, new_token(Role::Analyst)).await.unwrap();
    let exchanged = app.logins.exchange(ISSUER.into(), "ocp".into(), secret.reveal(), None).await.unwrap();
    assert!(is_taken(&app, secret.reveal()).await && is_taken(&app, exchanged.access_token.reveal()).await);
    app.tokens.revoke(&admin, token.id).await.unwrap();
    assert!(!is_taken(&app, secret.reveal()).await, "a revoked token");
    assert!(!is_taken(&app, exchanged.access_token.reveal()).await, "what was exchanged for it");

    let user = app.users.create(&admin, new_user("eve", Role::Analyst)).await.unwrap();
    for change in [
        UserChange { role: Some(Role::Viewer), ..UserChange::default() },
        UserChange { password: Some(Secret::new(PASSWORD.into())), ..UserChange::default() },
        UserChange { enabled: Some(false), ..UserChange::default() },
    ] {
        let grant = log_in(&app, "eve", PASSWORD).await.unwrap();
        assert!(is_taken(&app, grant.access_token.reveal()).await);
        let told = format!("{change:?}");
        app.users.change(&admin, user.id, change).await.unwrap();
        assert!(!is_taken(&app, grant.access_token.reveal()).await, "{told}");
    }
    let enabled = UserChange { enabled: Some(true), ..UserChange::default() };
    app.users.change(&admin, user.id, enabled).await.unwrap();
    let grant = log_in(&app, "eve", PASSWORD).await.unwrap();
    for (on, is_kept) in [(false, true), (true, false), (false, false)] {
        let factor = UserChange { second_factor: Some(on), ..UserChange::default() };
        app.users.change(&admin, user.id, factor).await.unwrap();
        let kept = is_taken(&app, grant.access_token.reveal()).await;
        assert_eq!(kept, is_kept, "a second factor, on: {on}; there was none to switch off at first");
    }
    let grant = log_in(&app, "eve", PASSWORD).await.unwrap();
    assert!(is_taken(&app, grant.access_token.reveal()).await);
    let (refresh, _) = grant.refresh.unwrap();
    app.logins.log_out(refresh.reveal(), None).await.unwrap();
    assert!(!is_taken(&app, grant.access_token.reveal()).await, "after logging out");
    let grant = log_in(&app, "eve", PASSWORD).await.unwrap();
    assert!(is_taken(&app, grant.access_token.reveal()).await);
    app.users.remove(&admin, user.id).await.unwrap();
    assert!(!is_taken(&app, grant.access_token.reveal()).await, "a removed user");

    create_tenant(&app, "acme").await;
    let (_, of_acme) = app.tokens.create_for(&operator, "acme", new_token(Role::Admin)).await.unwrap();
    app.users.create_for(&operator, "acme", new_user("adam", Role::Admin)).await.unwrap();
    assert!(is_taken(&app, of_acme.reveal()).await);
    app.tenancy.close(&operator, "acme").await.unwrap();
    assert!(is_taken(&app, of_acme.reveal()).await, "a closing tenant can still be exported");
    assert!(log_in(&app, "adam", PASSWORD).await.is_ok());
    world.clock.advance(Duration::from_secs(30 * 86_400));
    assert!(!is_taken(&app, of_acme.reveal()).await, "its time is over");
    assert_eq!(log_in(&app, "adam", PASSWORD).await.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn an_access_token_ends_with_its_session_and_after_its_life() {
    let world = World::new();
    let app = world.app().await;
    let user = app.users.create(&caller(Role::Admin), new_user("eve", Role::Auditor)).await.unwrap();
    let (other, grant) =
        (log_in(&app, "eve", PASSWORD).await.unwrap(), log_in(&app, "eve", PASSWORD).await.unwrap());
    let of_other = app.identities.authenticate(other.access_token.reveal(), None).await.unwrap();
    assert_eq!(of_other.credential(), user.id, "limits count by the user, however often he logs in");
    let identity = app.identities.authenticate(grant.access_token.reveal(), None).await.unwrap();
    let found = identity.caller(Some("default")).unwrap();
    assert_eq!((found.role, found.actor, found.credential), (Role::Auditor, Actor::User(user.id), user.id));
    world.clock.advance(Duration::from_secs(329));
    assert!(is_taken(&app, grant.access_token.reveal()).await, "within the leeway");
    world.clock.advance(Duration::from_secs(2));
    assert!(!is_taken(&app, grant.access_token.reveal()).await, "31 s after its end");

    world.clock.advance(Duration::from_secs(1800 - 331 - 10));
    let (refresh, left) = grant.refresh.unwrap();
    assert_eq!(left, Duration::from_secs(1800));
    let late = app.logins.refresh(ISSUER.into(), "ocp".into(), refresh.reveal()).await.unwrap();
    assert_eq!(late.expires_in, Duration::from_secs(10), "no longer than the session");
    assert!(is_taken(&app, late.access_token.reveal()).await);
    world.clock.advance(Duration::from_secs(10));
    assert!(!is_taken(&app, late.access_token.reveal()).await, "the session is over, leeway or not");
}

#[tokio::test]
async fn genuine_tokens_of_other_purposes_and_subjects_are_refused() {
    let world = World::new();
    let app = world.app().await;
    app.users.create(&caller(Role::Admin), new_user("eve", Role::Auditor)).await.unwrap();
    let grant = log_in(&app, "eve", PASSWORD).await.unwrap();
    let payload = grant.access_token.reveal().split('.').nth(1).unwrap().to_owned();
    let claims: Map<String, Value> =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
    let key = |purpose: KeyPurpose| {
        let keys = world.signing_keys.lock().unwrap();
        JwsKey::from_seed(&keys.iter().find(|key| key.purpose == purpose).unwrap().seed)
    };
    let signed = |key: &JwsKey, claims: &Map<String, Value>| {
        key.sign("JWT", Value::Object(claims.clone()).to_string().as_bytes())
    };
    assert!(is_taken(&app, &signed(&key(KeyPurpose::AccessToken), &claims)).await);
    assert!(!is_taken(&app, &signed(&key(KeyPurpose::AuditLog), &claims)).await, "the audit log's key");
    for (name, value) in [("sid", Uuid::from_u128(9)), ("sub", Uuid::from_u128(9))] {
        let mut changed = claims.clone();
        changed[name] = value.to_string().into();
        assert!(!is_taken(&app, &signed(&key(KeyPurpose::AccessToken), &changed)).await, "{name}");
    }
    // Tenant and role come from the session, whatever a token claims.
    let mut changed = claims.clone();
    changed["groups"] = json!(["acme"]);
    changed["realm_access"] = json!({"roles": ["operator"]});
    let secret = signed(&key(KeyPurpose::AccessToken), &changed);
    let found = app.identities.authenticate(&secret, None).await.unwrap().caller(None).unwrap();
    assert_eq!((found.tenant.as_str(), found.role), ("default", Role::Auditor));
}

/// Tokens whose look-ups wait, once they have read, until they are let go, and whose revocations wait before they begin.
struct SlowTokens {
    world: Arc<World>,
    slow: AtomicBool,
    slow_to_revoke: AtomicBool,
    has_read: Notify,
    go: Notify,
}

#[async_trait]
impl Tokens for SlowTokens {
    async fn by_hash(&self, hash: [u8; 32]) -> Result<Option<Token>, Fault> {
        let found = Tokens::by_hash(&*self.world, hash).await;
        if self.slow.load(Ordering::SeqCst) {
            self.has_read.notify_one();
            self.go.notified().await;
        }
        found
    }
    async fn find(&self, tenant: &TenantName, id: Uuid) -> Result<Option<Token>, Fault> {
        Tokens::find(&*self.world, tenant, id).await
    }
    async fn list(&self, tenant: &TenantName) -> Result<Vec<Token>, Fault> {
        Tokens::list(&*self.world, tenant).await
    }
    async fn create(&self, hash: [u8; 32], token: Token, audit: AuditEntry) -> Result<(), Fault> {
        Tokens::create(&*self.world, hash, token, audit).await
    }
    async fn put_only(&self, hash: [u8; 32], token: Token, audit: AuditEntry) -> Result<(), Fault> {
        self.world.put_only(hash, token, audit).await
    }
    async fn revoke(&self, tenant: &TenantName, id: Uuid, audit: AuditEntry) -> Result<bool, Fault> {
        if self.slow_to_revoke.load(Ordering::SeqCst) {
            self.has_read.notify_one();
            self.go.notified().await;
        }
        self.world.revoke(tenant, id, audit).await
    }
    async fn used(&self, id: Uuid, at_ms: i64) -> Result<(), Fault> {
        self.world.used(id, at_ms).await
    }
    async fn count(&self) -> Result<u64, Fault> {
        self.world.count().await
    }
}

async fn slow_tokens(world: &Arc<World>) -> (Arc<SlowTokens>, App) {
    let slow = Arc::new(SlowTokens {
        world: world.clone(),
        slow: AtomicBool::new(false),
        slow_to_revoke: AtomicBool::new(false),
        has_read: Notify::new(),
        go: Notify::new(),
    });
    let app = App::open(Ports { tokens: slow.clone(), ..world.ports() }).await.unwrap();
    app.tenants.bootstrap().await.unwrap();
    (slow, app)
}

#[tokio::test]
async fn a_revocation_counts_at_once_when_whoever_asked_for_it_has_gone() {
    let world = World::new();
    let (slow, app) = slow_tokens(&world).await;
    let admin = caller(Role::Admin);
    let (token, secret) = app.tokens.create(&admin, new_token(Role::Analyst)).await.unwrap();
    slow.slow_to_revoke.store(true, Ordering::SeqCst);
    let mut revocation = Box::pin(app.tokens.revoke(&admin, token.id));
    tokio::select! {
        _ = &mut revocation => panic!("it waits"),
        () = slow.has_read.notified() => {}
    }
    drop(revocation);
    assert!(is_taken(&app, secret.reveal()).await, "it is not done yet, and this look-up is remembered");
    slow.go.notify_one();
    let ended = tokio::time::timeout(Duration::from_secs(20), async {
        while is_taken(&app, secret.reveal()).await {
            tokio::task::yield_now().await;
        }
        assert!(world.tokens.lock().unwrap().values().all(|known| known.id != token.id));
    });
    ended.await.expect("no clock moves: what is remembered does not fade by itself");
}

#[tokio::test]
async fn a_look_up_under_way_does_not_outlive_a_revocation() {
    let world = World::new();
    let (slow, app) = slow_tokens(&world).await;
    let admin = caller(Role::Admin);
    let (token, secret) = app.tokens.create(&admin, new_token(Role::Analyst)).await.unwrap();
    slow.slow.store(true, Ordering::SeqCst);
    let request = app.identities.authenticate(secret.reveal(), None);
    let revocation = async {
        slow.has_read.notified().await;
        app.tokens.revoke(&admin, token.id).await.unwrap();
        slow.slow.store(false, Ordering::SeqCst);
        slow.go.notify_one();
    };
    let (overtaken, ()) = tokio::join!(request, revocation);
    assert!(overtaken.is_ok(), "it began before the revocation was answered");
    assert!(!is_taken(&app, secret.reveal()).await, "and is not remembered");
}

#[tokio::test]
async fn the_last_use_is_noted_once_a_minute_and_its_failure_costs_nothing() {
    let world = World::new();
    let app = world.app().await;
    let supervisor = Supervisor::new();
    app.start_tasks(&supervisor);
    let (token, secret) = app.tokens.create(&caller(Role::Admin), new_token(Role::Analyst)).await.unwrap();
    let last_used = || {
        let tokens = world.tokens.lock().unwrap();
        tokens.values().find(|known| known.id == token.id).unwrap().last_used_at_ms
    };
    let noted = async |at_ms: i64| {
        let bound = tokio::time::timeout(Duration::from_secs(20), async {
            while last_used() != Some(at_ms) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        bound.await.expect("noted in time");
    };
    world.disk_is_full.store(true, Ordering::SeqCst);
    assert!(is_taken(&app, secret.reveal()).await, "a full disk keeps nobody from reading");
    world.clock.advance(Duration::from_secs(60));
    world.disk_is_full.store(false, Ordering::SeqCst);
    assert!(is_taken(&app, secret.reveal()).await);
    noted(NOW_MS + 60_000).await;
    world.clock.advance(Duration::from_secs(59));
    assert!(is_taken(&app, secret.reveal()).await);
    assert!(supervisor.stop(Duration::from_secs(20)).await.is_empty());
    assert_eq!(last_used(), Some(NOW_MS + 60_000), "not again within the minute, not even at the stop");
}

/// An issuer that takes every text whose claims do not say `bad` and gives these claims back.
#[derive(Default)]
struct Outside {
    asked: AtomicUsize,
    unreachable: AtomicBool,
}

#[async_trait]
impl TokenIssuer for Outside {
    fn issuer(&self) -> &str {
        OUTSIDE
    }
    async fn verify(&self, token: &str) -> Result<Map<String, Value>, Fault> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.unreachable.load(Ordering::SeqCst) {
            return Err(Fault::new(Code::Unavailable, "the issuer cannot be reached"));
        }
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let claims: Map<String, Value> = serde_json::from_slice(&payload).unwrap();
        if claims.contains_key("bad") {
            return Err(Fault::new(Code::Unauthenticated, "the signature is wrong"));
        }
        Ok(claims)
    }
}

fn jwt(more: Value) -> String {
    let mut claims = json!({"iss": OUTSIDE, "sub": "f:people:eve"});
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode(claims.to_string()))
}

async fn outside() -> (Arc<World>, Arc<Outside>, App) {
    let (world, issuer) = (World::new(), Arc::new(Outside::default()));
    let app = world.app_with(Some(issuer.clone())).await;
    create_tenant(&app, "acme").await;
    create_tenant(&app, "Other").await;
    (world, issuer, app)
}

#[tokio::test]
async fn an_outside_subject_has_the_tenants_of_his_groups_and_his_highest_role() {
    let (_, _, app) = outside().await;
    let callers = async |more: Value| {
        let identity = app.identities.authenticate(&jwt(more), None).await.unwrap();
        let role = |caller: Result<Caller, Fault>| caller.ok().map(|caller| caller.role);
        ["acme", "Other", "default", "nobody"].map(|group| role(identity.caller_of_group(group)))
    };
    let (admin, viewer) = (Some(Role::Admin), Some(Role::Viewer));
    let roles = json!({"roles": ["offline_access", "Viewer", "Owner"]});
    for (more, wanted) in [
        (json!({"groups": ["/acme"], "realm_access": roles}), [admin, None, None, None]),
        (json!({"groups": "customers/acme,Other", "roles": ["Developer"]}), [viewer, viewer, None, None]),
        (json!({"groups": ["other", "nobody"], "roles": ["admin"]}), [None; 4]),
        (json!({"groups": ["acme"], "roles": ["operator", "source"]}), [None; 4]),
        (json!({"groups": ["acme"]}), [None; 4]),
        (json!({"roles": ["admin"]}), [None; 4]),
    ] {
        assert_eq!(callers(more.clone()).await, wanted, "{more}");
    }
    let identity =
        app.identities.authenticate(&jwt(json!({"groups": ["acme"], "roles": "admin"})), None).await.unwrap();
    let caller = identity.caller(None).unwrap();
    assert_eq!(caller.actor.to_string(), "subject:f:people:eve");
    assert_eq!(caller.credential.get_version_num(), 8);
    let number = json!({"groups": ["acme"], "roles": "admin", "sub": "+442071234567"});
    let caller = app.identities.authenticate(&jwt(number), None).await.unwrap().caller(None).unwrap();
    assert_eq!(caller.actor.to_string(), format!("subject:{}", caller.credential), "numbers are not named");
}

#[tokio::test]
async fn an_outside_admin_of_the_operators_tenant_is_no_operator() {
    let (_, _, app) = outside().await;
    for role in ["operator", "admin", "Owner"] {
        let secret = jwt(json!({"groups": ["default"], "realm_access": {"roles": [role, "Owner"]}}));
        let caller = app.identities.authenticate(&secret, None).await.unwrap().caller(None).unwrap();
        assert_eq!(caller.role, Role::Admin, "{role}");
        assert_eq!(
            app.rights.require(&caller, Action::ManageTenants).await.unwrap_err().code(),
            Code::Forbidden
        );
    }
}

#[tokio::test]
async fn tenants_that_come_and_go_are_seen_at_once() {
    let (world, _, app) = outside().await;
    let secret = jwt(json!({"groups": ["late"], "roles": ["admin"]}));
    let tenants = async || app.identities.authenticate(&secret, None).await.unwrap().caller(None).is_ok();
    assert!(!tenants().await);
    create_tenant(&app, "late").await;
    assert!(tenants().await, "that there was none is forgotten");
    app.tenancy.close(&caller(Role::Operator), "late").await.unwrap();
    assert!(tenants().await);
    world.clock.advance(Duration::from_secs(30 * 86_400));
    assert!(!tenants().await);
}

#[tokio::test]
async fn only_tokens_that_claim_the_issuer_reach_it_and_its_refusals_are_ours() {
    let (_, issuer, app) = outside().await;
    let fake = |claims: Value| format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()));
    for secret in [
        "x".repeat(300),
        fake(json!({"iss": "https://other.example"})),
        fake(json!({"iss": [OUTSIDE]})),
        fake(json!({"iss": format!("{OUTSIDE}/")})),
        jwt(json!({"padding": "x".repeat(40_000)})),
    ] {
        assert!(!is_taken(&app, &secret).await);
    }
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 0);
    assert!(!is_taken(&app, &jwt(json!({"bad": true}))).await);
    assert_eq!(issuer.asked.load(Ordering::SeqCst), 1);
    issuer.unreachable.store(true, Ordering::SeqCst);
    let fault = app.identities.authenticate(&jwt(json!({})), None).await.unwrap_err();
    assert_eq!(fault.code(), Code::Unavailable, "a good token must not be called bad");
}
