//! Export jobs as their users see them: orders, repetitions, what is shown to whom, and taking jobs back.

use crate::fakes::{NOW_MS, World, caller, caller_of, name};
use crate::tasks::until;
use crate::{all_of_cdr, query};
use async_trait::async_trait;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tollbook_app::exports::ExportQuery;
use tollbook_app::jobs::{Idempotency, JobListing, NewJob};
use tollbook_app::settings::SettingsChange;
use tollbook_app::tenants::QuotaChange;
use tollbook_app::users::NewUser;
use tollbook_app::{App, Ports};
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::secret::Secret;
use tollbook_kit::supervise::Supervisor;
use tollbook_model::access::{Caller, Role};
use tollbook_model::dataset::Dataset;
use tollbook_model::export_job::{FileKeeping, JobContacts, JobOrder, JobState};
use tollbook_model::ports::{Mail, Mailer, NewNotification};
use tollbook_model::selection::{Filter, FilterField};
use tollbook_model::time_range::TimeRange;
use uuid::Uuid;

pub(crate) fn order_of(query: ExportQuery) -> NewJob {
    NewJob {
        order: JobOrder { query, from: None, to: None },
        dialect: "native",
        external_reference: None,
        contacts: JobContacts::default(),
        keeping: FileKeeping::TenantSetting,
        dialect_note: None,
        callback_key: None,
        idempotency: None,
    }
}

pub(crate) async fn ordered(app: &App, caller: &Caller) -> Uuid {
    app.jobs.order(caller, order_of(all_of_cdr())).await.unwrap().view.job.id
}

/// Lets workers have whatever can begin, and waits until these jobs have ended.
pub(crate) async fn made(world: &World, app: &App, jobs: &[Uuid]) {
    let supervisor = Supervisor::new();
    app.tasks.run_jobs(&supervisor).await.unwrap();
    until("the end of jobs", || jobs.iter().all(|job| world.state(*job).has_ended())).await;
    assert!(supervisor.stop(Duration::from_secs(20)).await.is_empty());
}

pub(crate) fn all() -> JobListing {
    JobListing {
        datasets: Vec::new(),
        states: Vec::new(),
        dialects: Vec::new(),
        created_from_ms: i64::MIN,
        created_to_ms: i64::MAX,
        limit: 50,
        behind: None,
    }
}

async fn listed(app: &App, caller: &Caller, listing: JobListing) -> Vec<Uuid> {
    app.jobs.list(caller, listing).await.unwrap().jobs.iter().map(|view| view.job.id).collect()
}

#[tokio::test]
async fn an_order_is_a_queued_job_and_an_entry() {
    let world = World::new();
    let app = world.app().await;
    let analyst = caller(Role::Analyst);
    let number = Filter { field: FilterField::CallingParty, values: vec!["+44 20 7123 4567".into()] };
    let mut asked = query(Dataset::Cdr, vec![number]);
    asked.selection.range = TimeRange::new(1_767_225_600_000, 1_769_904_000_000).unwrap();
    let contacts =
        JobContacts { callback_url: Some("https://hook.example/".into()), notify_email: Vec::new() };
    let new = NewJob { external_reference: Some("é".repeat(100)), contacts, ..order_of(asked) };
    let ordered = app.jobs.order(&analyst, new.clone()).await.unwrap();
    let (view, job) = (&ordered.view, &ordered.view.job);
    assert!(!ordered.replayed && view.links.is_none());
    assert_eq!((job.state, job.attempt, job.queue_position), (JobState::Queued, 0, Some(1)));
    assert_eq!((job.created_at_ms, job.progress.rows_estimated, job.progress.percent), (NOW_MS, 3, 0));
    assert_eq!((job.owner.credential, &*job.dialect), (analyst.credential, "native"));
    let pseudonym = app.tenants.of(&analyst).await.unwrap().newest_key().pseudonym("442071234567");
    assert_eq!(view.filters["calling_party"], [pseudonym], "the tenant hides callers' numbers");
    world.clock.advance(Duration::from_millis(1));
    let second = app.jobs.order(&analyst, new).await.unwrap();
    assert_eq!(second.view.job.queue_position, Some(2));

    let entry = world.last_entry("default");
    assert_eq!((&*entry.action, entry.object_type.as_deref()), ("export.create", Some("export_job")));
    assert_eq!(entry.object_id, Some(second.view.job.id.to_string()));
    let reason = "cdr as csv, 2026-01-01T00:00:00.000Z to 2026-02-01T00:00:00.000Z";
    assert_eq!(entry.reason.as_deref(), Some(reason));
    assert!(!format!("{:?}", world.audit("default")).contains("7123"), "numbers are never logged");
}

#[tokio::test]
async fn storage_that_fails_refuses_no_order() {
    let app = World::new().app().await;
    let filter = Filter { field: FilterField::Trunk, values: vec!["unreadable".into()] };
    let ordered = app.jobs.order(&caller(Role::Analyst), order_of(query(Dataset::Cdr, vec![filter]))).await;
    let job = ordered.unwrap().view.job;
    assert_eq!((job.state, job.progress.rows_estimated), (JobState::Queued, 0));
}

#[tokio::test]
async fn orders_are_refused_for_rights_contacts_quota_and_time() {
    let world = World::new();
    let app = world.app().await;
    for (role, dataset) in [(Role::Viewer, Dataset::Cdr), (Role::Analyst, Dataset::AuditLog)] {
        let fault = app.jobs.order(&caller(role), order_of(query(dataset, Vec::new()))).await.unwrap_err();
        assert_eq!(fault.code(), Code::Forbidden, "{role:?}");
    }
    let analyst = caller(Role::Analyst);
    let wrong = NewJob {
        external_reference: Some("x".repeat(101)),
        contacts: JobContacts {
            callback_url: Some("http://hook.example/".into()),
            notify_email: vec!["somebody@example.net".into()],
        },
        idempotency: Some(Idempotency { path: "/".into(), key: "\u{7f}".into(), request: [0; 32] }),
        ..order_of(all_of_cdr())
    };
    let fault = app.jobs.order(&analyst, wrong).await.unwrap_err();
    let names: Vec<_> = fault.details().iter().map(|detail| detail.name.as_str()).collect();
    assert_eq!(names, ["callback_url", "notify_email", "external_reference", "Idempotency-Key"]);
    assert!(world.jobs.lock().unwrap().rows.is_empty());

    let quota = QuotaChange { queued_jobs: Some(2), ..QuotaChange::default() };
    let operator = caller(Role::Operator);
    app.tenancy.change(&operator, "default", SettingsChange::default(), quota).await.unwrap();
    for _ in 0..2 {
        ordered(&app, &analyst).await;
    }
    let fault = app.jobs.order(&analyst, order_of(all_of_cdr())).await.unwrap_err();
    assert_eq!((fault.code(), fault.retry_after().is_some()), (Code::TooMany, true));

    let (settings, quota) = (SettingsChange::default(), QuotaChange::default());
    app.tenancy.create(&operator, "acme", settings, quota).await.unwrap();
    app.tenancy.close(&operator, "acme").await.unwrap();
    let of_acme = caller_of("acme", Role::Analyst);
    world.clock.advance(Duration::from_secs(30 * 86_400 - 1));
    assert!(app.jobs.order(&of_acme, order_of(all_of_cdr())).await.is_ok(), "exports work 30 days");
    world.clock.advance(Duration::from_secs(1));
    let fault = app.jobs.order(&of_acme, order_of(all_of_cdr())).await.unwrap_err();
    assert_eq!(fault.code(), Code::Gone);
}

#[tokio::test]
async fn who_tells_too_much_that_nobody_hears_orders_without_contacts() {
    let world = World::new();
    let app = world.app().await;
    let analyst = caller(Role::Analyst);
    let job = ordered(&app, &analyst).await;
    let contacts = JobContacts { callback_url: Some("https://hook.example/".into()), ..Default::default() };
    let told = NewJob { contacts, ..order_of(all_of_cdr()) };
    let notice = |tenant: &str| NewNotification {
        id: Uuid::nil(),
        tenant: name(tenant),
        job,
        receiver: 0,
        content: Secret::new(String::new()),
        created_at_ms: NOW_MS,
    };
    let keep = |notice| world.jobs.lock().unwrap().outbox.push(notice);
    (0..9_999).for_each(|_| keep(notice("default")));
    (0..10_000).for_each(|_| keep(notice("acme")));
    assert!(app.jobs.order(&analyst, told.clone()).await.is_ok());
    keep(notice("default"));
    let fault = app.jobs.order(&analyst, told).await.unwrap_err();
    assert_eq!((fault.code(), fault.retry_after().is_some()), (Code::TooMany, true));
    assert!(fault.message().contains("callback_url"), "{fault}");
    ordered(&app, &analyst).await;
}

#[tokio::test]
async fn an_order_that_is_durable_is_answered_whatever_comes_after() {
    let world = World::new();
    let app = world.app().await;
    let analyst = caller(Role::Analyst);
    world.look_ups_fail.store(true, Ordering::SeqCst);
    let view = app.jobs.order(&analyst, order_of(all_of_cdr())).await.unwrap().view;
    world.look_ups_fail.store(false, Ordering::SeqCst);
    assert_eq!((view.job.state, view.job.queue_position), (JobState::Queued, None));
    assert_eq!(listed(&app, &analyst, all()).await, [view.job.id]);
}

#[tokio::test]
async fn repetitions_of_an_order_are_one_job() {
    let world = World::new();
    let app = world.app().await;
    let (analyst, admin) = (caller(Role::Analyst), caller(Role::Admin));
    let with = |path: &str, key: &str, request: u8| {
        let idempotency = Idempotency { path: path.into(), key: key.into(), request: [request; 32] };
        NewJob { idempotency: Some(idempotency), ..order_of(all_of_cdr()) }
    };
    let order = async |caller: &Caller, new: NewJob| {
        let ordered = app.jobs.order(caller, new).await.unwrap();
        (ordered.view.job.id, ordered.replayed)
    };
    let (first, replayed) = order(&analyst, with("/cdr", "key", 1)).await;
    assert!(!replayed);
    assert_eq!(order(&analyst, with("/cdr", "key", 1)).await, (first, true));
    let fault = app.jobs.order(&analyst, with("/cdr", "key", 2)).await.unwrap_err();
    assert_eq!(fault.code(), Code::KeyReused);
    for (who, new) in [
        (&analyst, with("/kpis", "key", 1)),
        (&analyst, with("/cdr", "KEY", 1)),
        (&admin, with("/cdr", "key", 1)),
    ] {
        let (id, replayed) = order(who, new).await;
        assert!(id != first && !replayed, "another path, key or credential");
    }
    made(&world, &app, &[first]).await;
    let again = app.jobs.order(&analyst, with("/cdr", "key", 1)).await.unwrap();
    assert!(again.replayed && again.view.links.is_some(), "as it is now");
    world.clock.advance(Duration::from_secs(86_400));
    assert!(!order(&analyst, with("/cdr", "key", 2)).await.1, "kept 24 hours");
}

#[tokio::test]
async fn callers_see_the_jobs_of_their_tenant_and_datasets_only() {
    let world = World::new();
    let app = world.app().await;
    let operator = caller(Role::Operator);
    let (settings, quota) = (SettingsChange::default(), QuotaChange::default());
    app.tenancy.create(&operator, "acme", settings, quota).await.unwrap();
    let (analyst, auditor) = (caller(Role::Analyst), caller(Role::Auditor));
    let calls = ordered(&app, &analyst).await;
    world.clock.advance(Duration::from_millis(1));
    let of_log = order_of(query(Dataset::AuditLog, Vec::new()));
    let log = app.jobs.order(&auditor, of_log).await.unwrap().view.job.id;
    let code = async |who: &Caller, id| app.jobs.find(who, id).await.err().map(|fault| fault.code());
    for (who, id, wanted) in [
        (&analyst, calls, None),
        (&auditor, calls, None),
        (&auditor, log, None),
        (&analyst, log, Some(Code::NotFound)),
        (&analyst, Uuid::nil(), Some(Code::NotFound)),
        (&caller_of("acme", Role::Admin), calls, Some(Code::NotFound)),
        (&caller(Role::Viewer), calls, Some(Code::Forbidden)),
        (&caller(Role::Viewer), Uuid::nil(), Some(Code::Forbidden)),
    ] {
        assert_eq!(code(who, id).await, wanted, "{who:?} {id}");
        let renamed = app.jobs.rename(who, id, None).await.err().map(|fault| fault.code());
        assert_eq!(renamed, wanted, "{who:?} {id}");
    }
    assert_eq!(listed(&app, &analyst, all()).await, [calls]);
    assert_eq!(listed(&app, &auditor, all()).await, [log, calls], "newest first");
    let of_log = JobListing { datasets: vec![Dataset::AuditLog], ..all() };
    assert_eq!(listed(&app, &auditor, of_log.clone()).await, [log]);
    assert!(listed(&app, &analyst, of_log).await.is_empty());
    assert!(listed(&app, &caller_of("acme", Role::Admin), all()).await.is_empty());
    let refused = app.jobs.list(&caller(Role::Source), all()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Forbidden);
}

#[tokio::test]
async fn lists_are_paged_and_filtered() {
    let world = World::new();
    let app = world.app().await;
    let analyst = caller(Role::Analyst);
    let mut jobs = Vec::new();
    for at in 0..5 {
        jobs.push(ordered(&app, &analyst).await);
        if at % 2 == 0 {
            world.clock.advance(Duration::from_millis(1));
        }
    }
    // Of the same millisecond by falling id.
    jobs.sort_by(|one, other| other.cmp(one));
    let (mut seen, mut behind, mut sizes) = (Vec::new(), None, Vec::new());
    loop {
        let page = app.jobs.list(&analyst, JobListing { limit: 2, behind, ..all() }).await.unwrap();
        sizes.push(page.jobs.len());
        seen.extend(page.jobs.iter().map(|view| view.job.id));
        behind = page.next;
        if behind.is_none() {
            break;
        }
    }
    assert_eq!((seen, sizes), (jobs.clone(), vec![2, 2, 1]));
    let exact = app.jobs.list(&analyst, JobListing { limit: 5, ..all() }).await.unwrap();
    assert_eq!((exact.jobs.len(), exact.next), (5, None), "a full page without another one");
    app.jobs.remove(&analyst, jobs[1]).await.unwrap();
    let cancelled = JobListing { states: vec![JobState::Cancelled], ..all() };
    assert_eq!(listed(&app, &analyst, cancelled).await, [jobs[1]]);
    let foreign = JobListing { dialects: vec!["other".into()], ..all() };
    assert!(listed(&app, &analyst, foreign).await.is_empty());
    let early = JobListing { created_to_ms: NOW_MS + 1, ..all() };
    assert_eq!(listed(&app, &analyst, early).await, [jobs[4]]);
}

#[tokio::test]
async fn a_job_is_renamed_and_that_is_logged() {
    let world = World::new();
    let app = world.app().await;
    let analyst = caller(Role::Analyst);
    let id = ordered(&app, &analyst).await;
    let view = app.jobs.rename(&analyst, id, Some("mine".into())).await.unwrap();
    assert_eq!(view.job.external_reference.as_deref(), Some("mine"));
    assert_eq!(world.last_entry("default").action, "export.rename");
    let entries = world.audit("default").len();
    app.jobs.rename(&analyst, id, Some("mine".into())).await.unwrap();
    assert_eq!(world.audit("default").len(), entries, "what changes nothing is not logged");
    let fault = app.jobs.rename(&analyst, id, Some("x".repeat(101))).await.unwrap_err();
    assert_eq!(fault.details()[0].name, "external_reference");
}

#[tokio::test]
async fn jobs_are_taken_back_by_their_owners_and_admins() {
    let world = World::new();
    let app = world.app().await;
    let (analyst, auditor, admin) = (caller(Role::Analyst), caller(Role::Auditor), caller(Role::Admin));
    let hooked = NewJob {
        contacts: JobContacts {
            callback_url: Some("https://hook.example/".into()),
            notify_email: Vec::new(),
        },
        ..order_of(all_of_cdr())
    };
    let id = app.jobs.order(&analyst, hooked).await.unwrap().view.job.id;
    assert_eq!(app.jobs.remove(&auditor, id).await.unwrap_err().code(), Code::Forbidden);
    assert_eq!(app.jobs.remove(&auditor, Uuid::nil()).await.unwrap_err().code(), Code::NotFound);
    let denied = world.last_entry("default");
    assert_eq!((&*denied.action, denied.actor), ("exports.remove", auditor.actor.to_string()));
    app.jobs.remove(&analyst, id).await.unwrap();
    assert_eq!(world.state(id), JobState::Cancelled);
    let entry = world.last_entry("default");
    assert_eq!((&*entry.action, entry.object_id), ("export.cancel", Some(id.to_string())));
    let told = world.told();
    assert!(told.len() == 1 && told[0].contains("Cancelled cancelled 0"), "{told:?}");
    let entries = world.audit("default").len();
    app.jobs.remove(&analyst, id).await.unwrap();
    assert_eq!((world.audit("default").len(), world.told().len()), (entries, 1), "once is enough");

    let id = ordered(&app, &analyst).await;
    made(&world, &app, &[id]).await;
    assert_eq!((world.state(id), world.objects().len()), (JobState::Ready, 4));
    app.jobs.remove(&admin, id).await.unwrap();
    assert_eq!(world.state(id), JobState::Expired);
    assert!(world.objects().is_empty(), "files are removed at once");
    assert_eq!(world.last_entry("default").action, "export.delete");
    let view = app.jobs.find(&analyst, id).await.unwrap();
    assert!(view.links.is_none() && view.job.files.len() == 1, "what there was is still told");
    assert_eq!(view.job.progress.percent, 100);

    world.disk_is_full.store(true, Ordering::SeqCst);
    assert!(app.jobs.order(&analyst, order_of(all_of_cdr())).await.is_err(), "what cannot be logged");
}

#[tokio::test]
async fn a_discarded_job_is_as_if_it_had_never_been() {
    let world = World::new();
    let app = world.app().await;
    let (analyst, auditor, admin) = (caller(Role::Analyst), caller(Role::Auditor), caller(Role::Admin));
    let keyed = NewJob {
        contacts: JobContacts {
            callback_url: Some("https://hook.example/".into()),
            notify_email: Vec::new(),
        },
        idempotency: Some(Idempotency { path: "/".into(), key: "k".into(), request: [0; 32] }),
        ..order_of(all_of_cdr())
    };
    let id = app.jobs.order(&analyst, keyed.clone()).await.unwrap().view.job.id;
    assert_eq!(app.jobs.discard(&auditor, id).await.unwrap_err().code(), Code::Forbidden);
    app.jobs.discard(&analyst, id).await.unwrap();
    assert_eq!(world.last_entry("default").action, "export.cancel");
    for fault in
        [app.jobs.find(&analyst, id).await.unwrap_err(), app.jobs.discard(&analyst, id).await.unwrap_err()]
    {
        assert_eq!(fault.code(), Code::NotFound);
    }
    let again = app.jobs.order(&analyst, keyed).await.unwrap();
    assert!(!again.replayed, "its key went with it");

    let id = again.view.job.id;
    made(&world, &app, &[id]).await;
    assert_eq!((world.objects().len(), world.told().len()), (4, 1));
    app.jobs.discard(&admin, id).await.unwrap();
    assert_eq!(world.last_entry("default").action, "export.delete");
    assert!(world.objects().is_empty(), "files are removed at once");
    assert!(world.told().is_empty(), "what was not told yet is not told any more");
    assert!(listed(&app, &analyst, all()).await.is_empty());

    let (waiting, taken_back) = (ordered(&app, &analyst).await, ordered(&app, &analyst).await);
    app.jobs.remove(&analyst, taken_back).await.unwrap();
    app.jobs.discard(&analyst, taken_back).await.unwrap();
    world.disk_is_full.store(true, Ordering::SeqCst);
    assert!(app.jobs.discard(&analyst, waiting).await.is_err(), "what cannot be logged");
    assert_eq!(listed(&app, &analyst, all()).await, [waiting]);
}

/// A mail server that nobody finds.
struct Lost;

#[async_trait]
impl Mailer for Lost {
    async fn send(&self, _: &Mail) -> Result<(), Fault> {
        Err(Fault::new(Code::Unavailable, "no mail today"))
    }
}

#[tokio::test]
async fn a_repeated_order_is_answered_though_whom_it_mails_is_gone() {
    let world = World::new();
    let ports = Ports { mailer: Some(Arc::new(Lost)), ..world.ports() };
    let app = App::open(ports).await.unwrap();
    app.tenants.bootstrap().await.unwrap();
    let admin = caller(Role::Admin);
    let new = NewUser {
        username: "ann".into(),
        password: Secret::new("a long and good password".into()),
        role: Role::Viewer,
        email: Some("ann@acme.example".into()),
    };
    let user = app.users.create(&admin, new).await.unwrap();
    let mailed = NewJob {
        contacts: JobContacts { callback_url: None, notify_email: vec!["ann@acme.example".into()] },
        idempotency: Some(Idempotency { path: "/".into(), key: "k".into(), request: [0; 32] }),
        ..order_of(all_of_cdr())
    };
    let first = app.jobs.order(&admin, mailed.clone()).await.unwrap();
    app.users.remove(&admin, user.id).await.unwrap();
    let second = app.jobs.order(&admin, mailed.clone()).await.unwrap();
    assert!(second.replayed && second.view.job.id == first.view.job.id);
    let other = NewJob {
        idempotency: Some(Idempotency { path: "/".into(), key: "k".into(), request: [1; 32] }),
        ..mailed
    };
    assert_eq!(app.jobs.order(&admin, other).await.unwrap_err().details()[0].name, "notify_email");
}
