//! Tenants and their settings: what is created, changed and closed, and what their audit logs say of it.

use crate::fakes::{NOW_MS, World, caller, caller_of, name};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tollbook_app::settings::SettingsChange;
use tollbook_app::tenants::{MOST_TENANTS, QuotaChange};
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::secret::Secret;
use tollbook_model::access::Role;
use tollbook_model::tenant::{CallerNumbers, Tenant, TenantState};

const END_MS: i64 = NOW_MS + 30 * 86_400_000;

fn names(fault: &Fault) -> Vec<&str> {
    fault.details().iter().map(|detail| detail.name.as_str()).collect()
}

fn nothing() -> (SettingsChange, QuotaChange) {
    (SettingsChange::default(), QuotaChange::default())
}

fn cdr_days(days: u32) -> SettingsChange {
    SettingsChange { cdr_days: Some(days), ..SettingsChange::default() }
}

#[tokio::test]
async fn a_tenant_is_created_with_what_is_given_and_a_key_of_its_own() {
    let world = World::new();
    let app = world.app().await;
    let operator = caller(Role::Operator);
    let quota = QuotaChange { running_jobs: Some(9), ..QuotaChange::default() };
    let made = app.tenancy.create(&operator, "acme", cdr_days(30), quota).await.unwrap();
    assert_eq!((made.settings.cdr_days, made.settings.event_days, made.quota.running_jobs), (30, 60, 9));
    assert_eq!((made.state, made.created_at_ms), (TenantState::Open, NOW_MS));
    let (settings, quota) = nothing();
    let other = app.tenancy.create(&operator, "other", settings, quota).await.unwrap();
    let default = app.tenancy.find(&operator, "default").await.unwrap();
    let keys = [&made, &other, &default].map(|tenant| tenant.newest_key().bytes().reveal().to_vec());
    assert!(keys[0] != keys[1] && keys[1] != keys[2] && keys[0] != keys[2], "each has a key of its own");

    let entry = world.last_entry("acme");
    assert_eq!((entry.seq, entry.action.as_str()), (1, "tenant.create"));
    assert_eq!((entry.object_type.as_deref(), entry.object_id.as_deref()), (Some("tenant"), Some("acme")));
    assert_eq!((entry.actor, entry.actor_role.as_deref()), (operator.actor.to_string(), Some("operator")));
    let reason = "retention.cdr_days from 400 to 30; quota.running_jobs from 4 to 9";
    assert_eq!(entry.reason.as_deref(), Some(reason));
    let own: Vec<_> =
        world.audit("default").into_iter().filter(|told| told.action == "tenant.create").collect();
    let of: Vec<_> = own.iter().map(|told| told.object_id.as_deref().unwrap()).collect();
    assert_eq!(
        of,
        ["default", "acme", "other"],
        "the operator's own log has them all, and his own tenant once"
    );
    assert_eq!((&own[1].actor, own[1].reason.as_deref()), (&operator.actor.to_string(), Some(reason)));
    let all = app.tenancy.list(&operator).await.unwrap();
    assert_eq!(
        all.iter().map(|tenant| tenant.name.as_str()).collect::<Vec<_>>(),
        ["acme", "default", "other"]
    );

    for taken in ["acme", "ACME", "default"] {
        let (settings, quota) = nothing();
        let fault = app.tenancy.create(&operator, taken, settings, quota).await.unwrap_err();
        assert_eq!(fault.code(), Code::Conflict, "{taken}");
    }
    assert_eq!(app.tenancy.find(&operator, "nobody").await.unwrap_err().code(), Code::NotFound);
    assert_eq!(app.tenancy.find(&operator, "a/b").await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn everything_that_is_wrong_is_named_in_one_answer() {
    let world = World::new();
    let app = world.app().await;
    let operator = caller(Role::Operator);
    let before = world.audit("default").len();
    let settings = SettingsChange {
        callback_secret: Some(Some(Secret::new("short".to_owned()))),
        file_retention_s: Some(1),
        ..cdr_days(0)
    };
    let quota = QuotaChange { queued_jobs: Some(0), ..QuotaChange::default() };
    let fault = app.tenancy.create(&operator, "a b", settings.clone(), quota.clone()).await.unwrap_err();
    let of_settings = ["retention.cdr_days", "native.file_retention", "callback_secret"];
    assert_eq!(names(&fault), [&["name"], &of_settings[..], &["quota.queued_jobs"]].concat());
    let fault = app.tenancy.change(&operator, "default", settings.clone(), quota).await.unwrap_err();
    assert_eq!(names(&fault), [&of_settings[..], &["quota.queued_jobs"]].concat());
    let fault = app.settings.change(&operator, settings).await.unwrap_err();
    assert_eq!(names(&fault), of_settings);
    assert!(!format!("{fault:?}").contains("short"), "a secret is never repeated");
    assert_eq!(world.audit("default").len(), before, "what was not done is not logged");
}

#[tokio::test]
async fn settings_count_at_once_and_are_logged_without_secrets() {
    let world = World::new();
    let app = world.app().await;
    let admin = caller(Role::Admin);
    assert_eq!(app.settings.show(&admin).await.unwrap().settings.cdr_days, 400);
    let change = SettingsChange {
        caller_numbers: Some(CallerNumbers::Plain),
        callback_secret: Some(Some(Secret::new("hush-hush".to_owned()))),
        ..cdr_days(30)
    };
    let changed = app.settings.change(&admin, change.clone()).await.unwrap();
    assert_eq!(changed.settings.cdr_days, 30);
    let shown = app.settings.show(&admin).await.unwrap();
    assert_eq!((shown.settings.cdr_days, shown.settings.caller_numbers), (30, CallerNumbers::Plain));
    let entry = world.last_entry("default");
    assert_eq!((entry.action.as_str(), entry.object_id.as_deref()), ("settings.change", Some("default")));
    let reason = "caller_numbers now plain; callback_secret set; retention.cdr_days from 400 to 30";
    assert_eq!(entry.reason.as_deref(), Some(reason));
    app.settings.change(&admin, change).await.unwrap();
    assert_eq!(world.last_entry("default").seq, entry.seq, "what changes nothing is not logged");
}

#[tokio::test]
async fn a_tenant_is_closed_once_and_for_good() {
    let world = World::new();
    let app = world.app().await;
    let operator = caller(Role::Operator);
    let (settings, quota) = nothing();
    app.tenancy.create(&operator, "acme", settings, quota).await.unwrap();
    let closing = TenantState::Closing { ends_at_ms: END_MS };
    assert_eq!(app.tenancy.close(&operator, "acme").await.unwrap().state, closing);
    let entry = world.last_entry("acme");
    assert_eq!((entry.action.as_str(), entry.actor), ("tenant.close", operator.actor.to_string()));
    assert_eq!(entry.reason.as_deref(), Some("exports work until 2026-07-01T00:00:00.000Z"));
    let told = world.last_entry("default");
    assert_eq!((told.action.as_str(), told.object_id.as_deref()), ("tenant.close", Some("acme")));
    for (tenant, code) in [("acme", Code::Conflict), ("default", Code::Conflict), ("nobody", Code::NotFound)]
    {
        let fault = app.tenancy.close(&operator, tenant).await.unwrap_err();
        assert_eq!(fault.code(), code, "{tenant}");
    }
    let changed = app.tenancy.change(&operator, "acme", cdr_days(10), QuotaChange::default()).await.unwrap();
    assert_eq!((changed.state, changed.settings.cdr_days), (closing, 10));
    assert_eq!(world.last_entry("default").action, "tenant.change");
    let (admin, own) = (caller_of("acme", Role::Admin), world.audit("default").len());
    assert_eq!(app.settings.change(&admin, cdr_days(20)).await.unwrap().state, closing);
    assert_eq!(world.audit("default").len(), own, "what a tenant does itself is its own affair");
    world.tenants.lock().unwrap().get_mut(&name("acme")).unwrap().state = TenantState::Closed;
    let fault =
        app.tenancy.change(&operator, "acme", cdr_days(11), QuotaChange::default()).await.unwrap_err();
    assert_eq!(fault.code(), Code::Conflict);
    assert_eq!(app.tenancy.close(&operator, "acme").await.unwrap_err().code(), Code::Conflict);
}

#[tokio::test]
async fn a_change_at_the_same_time_does_not_open_a_tenant_again() {
    let world = World::new();
    let app = world.app().await;
    let operator = caller(Role::Operator);
    let (settings, quota) = nothing();
    app.tenancy.create(&operator, "acme", settings, quota).await.unwrap();
    let admin = caller_of("acme", Role::Admin);
    let (closed, changed) =
        tokio::join!(app.tenancy.close(&operator, "acme"), app.settings.change(&admin, cdr_days(10)));
    closed.unwrap();
    changed.unwrap();
    let tenant = app.tenancy.find(&operator, "acme").await.unwrap();
    assert_eq!(tenant.state, TenantState::Closing { ends_at_ms: END_MS });
    assert_eq!(tenant.settings.cdr_days, 10);
}

#[tokio::test]
async fn there_are_ten_thousand_tenants_at_most() {
    let world = World::new();
    let app = world.app().await;
    let operator = caller(Role::Operator);
    let create = async |tenant| {
        let (settings, quota) = nothing();
        app.tenancy.create(&operator, tenant, settings, quota).await.map_err(|fault| fault.code())
    };
    let like = world.tenants.lock().unwrap()[&name("default")].clone();
    for number in 2..MOST_TENANTS {
        let tenant = Tenant { name: name(&format!("tenant-{number}")), ..like.clone() };
        world.tenants.lock().unwrap().insert(tenant.name.clone(), tenant);
    }
    assert!(create("last").await.is_ok());
    assert_eq!(create("one-more").await.unwrap_err(), Code::Conflict);
}

#[tokio::test]
async fn readiness_asks_the_database_once_a_second() {
    let world = World::new();
    let app = world.app().await;
    let asked = world.tenant_counts.load(Ordering::SeqCst);
    for (wait, wanted) in [(0, 1), (999, 1), (1, 2), (0, 2)] {
        world.clock.advance(Duration::from_millis(wait));
        app.tenants.reachable().await.unwrap();
        assert_eq!(world.tenant_counts.load(Ordering::SeqCst) - asked, wanted);
    }
}
