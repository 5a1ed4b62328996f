//! Background tasks, round by round, and all of them as they run.

use crate::fakes::{NOW_MS, World, caller, caller_of, name};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tollbook_app::settings::SettingsChange;
use tollbook_app::tenants::QuotaChange;
use tollbook_kit::fault::Code;
use tollbook_kit::supervise::Supervisor;
use tollbook_model::access::Role;
use tollbook_model::audit::Outcome;
use tollbook_model::ports::AuditLog;
use tollbook_model::tenant::TenantState;
use tollbook_model::user::{Session, SessionHolder};
use uuid::Uuid;

const DAY_MS: i64 = 86_400_000;
const PATIENCE: Duration = Duration::from_secs(20);

fn audit_months(months: u32) -> SettingsChange {
    SettingsChange { audit_months: Some(months), ..SettingsChange::default() }
}

/// Entries as many days ago as said.
async fn append(world: &World, tenant: &str, days_ago: &[i64]) {
    let admin = caller_of(tenant, Role::Admin);
    let entry = |days: &i64| admin.entry(NOW_MS - days * DAY_MS, "login", None, Outcome::Success);
    world.append(days_ago.iter().map(entry).collect()).await.unwrap();
}

#[tokio::test]
async fn audit_logs_are_kept_for_the_months_of_their_tenant() {
    let world = World::new();
    let app = world.app().await;
    let operator = caller(Role::Operator);
    app.tenancy.create(&operator, "acme", audit_months(1), QuotaChange::default()).await.unwrap();
    let left = |tenant| world.audit(tenant).iter().filter(|entry| entry.action == "login").count();
    for tenant in ["default", "acme"] {
        append(&world, tenant, &[500, 397, 395, 40, 32, 30, 0]).await;
    }
    app.tasks.shorten_audit_logs().await.unwrap();
    // 13 months before the first of June 2026 are 396 days, one month is 31 days.
    assert_eq!((left("default"), left("acme")), (5, 2));
    world.clock.advance(Duration::from_secs(4000 * 86_400));
    app.tasks.shorten_audit_logs().await.unwrap();
    assert_eq!(world.audit("acme").len(), 1, "the last entry stays, for the next one to follow it");
}

#[tokio::test]
async fn sessions_that_are_over_are_swept() {
    let world = World::new();
    let app = world.app().await;
    for (id, expires_at_ms) in [(1, NOW_MS - 1), (2, NOW_MS + 1)] {
        let id = Uuid::from_u128(id);
        let session = Session { id, holder: SessionHolder::User(id), created_at_ms: 0, expires_at_ms };
        world.sessions.lock().unwrap().insert(id, (session, None));
    }
    app.tasks.sweep_sessions().await.unwrap();
    assert_eq!(world.sessions.lock().unwrap().keys().collect::<Vec<_>>(), [&Uuid::from_u128(2)]);
}

#[tokio::test]
async fn a_closed_tenant_is_erased_when_its_time_is_over_and_its_records_are_gone() {
    let world = World::new();
    let app = world.app().await;
    let operator = caller(Role::Operator);
    let (settings, quota) = (SettingsChange::default(), QuotaChange::default());
    app.tenancy.create(&operator, "acme", settings.clone(), quota.clone()).await.unwrap();
    app.tenancy.create(&operator, "other", settings.clone(), quota.clone()).await.unwrap();
    app.tenancy.close(&operator, "acme").await.unwrap();
    let state = |tenant: &str| world.tenants.lock().unwrap()[&name(tenant)].state;
    let closing = state("acme");
    world.clock.advance(Duration::from_secs(30 * 86_400 - 1));
    app.tasks.erase_closed_tenants().await.unwrap();
    assert_eq!(state("acme"), closing, "exports still work");
    world.clock.advance(Duration::from_secs(1));
    world.holds_records.store(true, Ordering::SeqCst);
    app.tasks.erase_closed_tenants().await.unwrap();
    assert_eq!(state("acme"), closing, "there are records still");
    world.holds_records.store(false, Ordering::SeqCst);
    app.tasks.erase_closed_tenants().await.unwrap();
    assert_eq!((state("acme"), state("other")), (TenantState::Closed, TenantState::Open));
    assert!(world.audit("acme").is_empty());
    let told = world.last_entry("default");
    assert_eq!((told.action.as_str(), told.actor.as_str()), ("tenant.erase", "system"));
    assert_eq!(told.object_id.as_deref(), Some("acme"));
    world.disk_is_full.store(true, Ordering::SeqCst);
    app.tasks.erase_closed_tenants().await.expect("a tenant is erased once");
    world.disk_is_full.store(false, Ordering::SeqCst);
    let fault = app.tenancy.create(&operator, "acme", settings, quota).await.unwrap_err();
    assert_eq!(fault.code(), Code::Conflict, "its name stays taken");
}

/// Waits until it holds.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let polled = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, polled).await.unwrap_or_else(|_| panic!("in vain: {what}"));
}

#[tokio::test]
async fn tasks_run_from_the_start_on_obey_changes_at_once_and_stop() {
    let world = World::new();
    let app = world.app().await;
    append(&world, "default", &[40, 0]).await;
    let logins = || world.audit("default").iter().filter(|entry| entry.action == "login").count();
    let supervisor = Supervisor::new();
    app.start_tasks(&supervisor);
    let signed = || world.chains.lock().unwrap()[&name("default")].checkpoints.len();
    until("the first checkpoint", || signed() == 1).await;
    assert_eq!(logins(), 2);
    app.settings.change(&caller(Role::Admin), audit_months(1)).await.unwrap();
    until("the shorter audit log", || logins() == 1).await;
    assert!(supervisor.stop(PATIENCE).await.is_empty());
}
