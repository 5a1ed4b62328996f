//! Tokens: who makes and revokes which, and what is told of it.

use crate::fakes::{NOW_MS, World, caller, caller_of};
use tollbook_app::tokens::{MOST_TOKENS, NewToken};
use tollbook_kit::fault::Code;
use tollbook_kit::secret::Secret;
use tollbook_model::access::Role;
use tollbook_model::audit::Outcome;
use tollbook_model::privacy::PseudonymKey;
use tollbook_model::tenant::{Tenant, TenantState};
use uuid::Uuid;

pub(crate) fn new_token(role: Role) -> NewToken {
    NewToken {
        name: "nightly".into(),
        role,
        expires_at_ms: None,
        value: None,
        networks: Vec::new(),
        api_version: None,
    }
}

/// Puts a tenant where tenants are kept.
pub(crate) fn put_tenant(world: &World, tenant: &str, state: TenantState) {
    let mut tenant = Tenant::new(crate::fakes::name(tenant), vec![PseudonymKey::new(1, [1; 32])], NOW_MS);
    tenant.state = state;
    world.tenants.lock().unwrap().insert(tenant.name.clone(), tenant);
}

#[tokio::test]
async fn an_admin_makes_lists_and_revokes_the_tokens_of_his_tenant() {
    let world = World::new();
    let app = world.app().await;
    put_tenant(&world, "acme", TenantState::Open);
    let (admin, stranger) = (caller_of("acme", Role::Admin), caller(Role::Operator));
    let (token, secret) = app.tokens.create(&admin, new_token(Role::Source)).await.unwrap();
    assert!(secret.reveal().starts_with("tb_"));
    let entry = world.last_entry("acme");
    assert_eq!((entry.action.as_str(), entry.object_id), ("token.create", Some(token.id.to_string())));
    assert_eq!(app.tokens.list(&admin).await.unwrap(), std::slice::from_ref(&token));
    assert!(!app.tokens.list(&stranger).await.unwrap().contains(&token));

    let foreign = app.tokens.revoke(&stranger, token.id).await.unwrap_err();
    let unknown = app.tokens.revoke(&stranger, Uuid::from_u128(1)).await.unwrap_err();
    assert_eq!((foreign.code(), foreign.message()), (unknown.code(), unknown.message()));
    assert_eq!(foreign.code(), Code::NotFound);
    app.tokens.revoke(&admin, token.id).await.unwrap();
    let entry = world.last_entry("acme");
    assert_eq!((entry.action.as_str(), entry.object_id), ("token.revoke", Some(token.id.to_string())));
    assert_eq!(app.tokens.revoke(&admin, token.id).await.unwrap_err().code(), Code::NotFound);

    for role in [Role::Source, Role::Viewer, Role::Analyst, Role::Auditor] {
        let caller = caller_of("acme", role);
        let refused = [
            app.tokens.create(&caller, new_token(Role::Viewer)).await.err(),
            app.tokens.list(&caller).await.err(),
            app.tokens.revoke(&caller, token.id).await.err(),
        ];
        for fault in refused {
            assert_eq!(fault.unwrap().code(), Code::Forbidden, "{role:?}");
            assert_eq!(world.last_entry("acme").outcome, Outcome::Denied);
        }
    }
}

#[tokio::test]
async fn a_value_of_ones_own_is_taken_once() {
    let world = World::new();
    let app = world.app().await;
    put_tenant(&world, "acme", TenantState::Open);
    let own = || {
        let value = Some(Secret::new("a-key-from-the-former-system".to_owned()));
        NewToken { value, ..new_token(Role::Analyst) }
    };
    let (_, secret) = app.tokens.create(&caller(Role::Admin), own()).await.unwrap();
    assert!(app.identities.authenticate(secret.reveal(), None).await.is_ok());
    for admin in [caller(Role::Admin), caller_of("acme", Role::Admin)] {
        assert_eq!(app.tokens.create(&admin, own()).await.unwrap_err().code(), Code::Conflict);
    }
    let mut wrong = own();
    (wrong.name, wrong.value) = ("bootstrap".into(), Some(Secret::new("short".into())));
    let fault = app.tokens.create(&caller(Role::Admin), wrong).await.unwrap_err();
    let names: Vec<&str> = fault.details().iter().map(|detail| detail.name.as_str()).collect();
    assert_eq!(names, ["name", "value"], "all faults in one answer");
}

#[tokio::test]
async fn operators_are_made_and_ended_by_operators_in_their_own_tenant() {
    let world = World::new();
    let app = world.app().await;
    put_tenant(&world, "acme", TenantState::Open);
    let (admin, operator) = (caller(Role::Admin), caller(Role::Operator));
    let claimed = app.tokens.create(&admin, new_token(Role::Operator)).await.unwrap_err();
    assert_eq!(claimed.code(), Code::Forbidden);
    assert_eq!(world.last_entry("default").outcome, Outcome::Denied);
    let elsewhere = app.tokens.create_for(&operator, "acme", new_token(Role::Operator)).await.unwrap_err();
    assert_eq!((elsewhere.code(), elsewhere.details()[0].name.as_str()), (Code::Invalid, "role"));
    let (token, _) = app.tokens.create(&operator, new_token(Role::Operator)).await.unwrap();
    assert_eq!(app.tokens.revoke(&admin, token.id).await.unwrap_err().code(), Code::Forbidden);
    app.tokens.revoke(&operator, token.id).await.unwrap();
}

#[tokio::test]
async fn the_operator_lets_the_first_people_of_a_tenant_in_and_its_log_shows_it() {
    let world = World::new();
    let app = world.app().await;
    put_tenant(&world, "acme", TenantState::Open);
    put_tenant(&world, "closing", TenantState::Closing { ends_at_ms: NOW_MS + 1 });
    put_tenant(&world, "over", TenantState::Closing { ends_at_ms: NOW_MS });
    put_tenant(&world, "closed", TenantState::Closed);
    let operator = caller(Role::Operator);
    let own = world.audit("default").len();
    let (token, _) = app.tokens.create_for(&operator, "acme", new_token(Role::Admin)).await.unwrap();
    assert_eq!(token.tenant.as_str(), "acme");
    let entry = world.last_entry("acme");
    assert_eq!((entry.actor, entry.actor_role.as_deref()), (operator.actor.to_string(), Some("operator")));
    let told = world.last_entry("default");
    assert_eq!((told.seq, told.action.as_str()), (own as u64 + 1, "token.create"));
    assert_eq!((told.object_type.as_deref(), told.object_id.as_deref()), (Some("tenant"), Some("acme")));
    let reason = format!("token {}, with the role admin", token.id);
    assert_eq!(told.reason, Some(reason), "the operator's own log remembers it when acme is erased");
    for (tenant, code) in [
        ("closing", None),
        ("over", Some(Code::Conflict)),
        ("closed", Some(Code::Conflict)),
        ("nobody", Some(Code::NotFound)),
        ("no name/", Some(Code::NotFound)),
    ] {
        let made = app.tokens.create_for(&operator, tenant, new_token(Role::Admin)).await;
        assert_eq!(made.err().map(|fault| fault.code()), code, "{tenant}");
    }
    let admin = app.tokens.create_for(&caller(Role::Admin), "nobody", new_token(Role::Admin)).await;
    assert_eq!(admin.unwrap_err().code(), Code::Forbidden, "before anything is looked up");
}

#[tokio::test]
async fn a_tenant_has_a_thousand_tokens_at_most() {
    let world = World::new();
    let app = world.app().await;
    let admin = caller(Role::Admin);
    let known = app.tokens.list(&admin).await.unwrap().len();
    for _ in known..MOST_TOKENS {
        app.tokens.create(&admin, new_token(Role::Source)).await.unwrap();
    }
    assert_eq!(app.tokens.create(&admin, new_token(Role::Source)).await.unwrap_err().code(), Code::Conflict);
    let last = app.tokens.list(&admin).await.unwrap()[MOST_TOKENS - 1].id;
    app.tokens.revoke(&admin, last).await.unwrap();
    assert!(app.tokens.create(&admin, new_token(Role::Source)).await.is_ok());
}

#[tokio::test]
async fn the_bootstrap_token_is_the_operators_and_replaces_its_former_one() {
    let world = World::new();
    let app = world.app().await;
    world.tokens.lock().unwrap().clear();
    let made = app.tokens.bootstrap(None).await.unwrap().expect("there was none");
    let identity = app.identities.authenticate(made.reveal(), None).await.unwrap();
    assert_eq!(identity.caller(None).unwrap().role, Role::Operator);
    assert_eq!(world.last_entry("default").actor, "system");
    assert!(app.tokens.bootstrap(None).await.unwrap().is_none(), "there is one");

    let own = Secret::new("a-value-of-the-operators-own".to_owned());
    app.tokens.bootstrap(Some(&own)).await.unwrap();
    assert!(app.identities.authenticate(made.reveal(), None).await.is_err(), "replaced at once");
    let credential = app.identities.authenticate(own.reveal(), None).await.unwrap().credential();
    let entry = world.last_entry("default");
    assert_eq!(entry.object_id, Some(credential.to_string()));
    assert_eq!(world.audit("default")[entry.seq as usize - 2].action, "token.revoke", "of the former one");
    let entries = world.audit("default").len();
    app.tokens.bootstrap(Some(&own)).await.unwrap();
    assert_eq!(world.audit("default").len(), entries, "nothing new at the next start");
    for wrong in ["short", " a-value-of-the-operators-own"] {
        let fault = app.tokens.bootstrap(Some(&Secret::new(wrong.into()))).await.unwrap_err();
        assert_eq!(fault.code(), Code::Invalid);
    }
}
