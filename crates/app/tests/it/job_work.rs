//! The work on export jobs: from the queue to an end, through failures, dead workers, cancels, stops and odd clocks.

use crate::fakes::{NOW_MS, PARTS, World, caller, caller_of, whole_file};
use crate::jobs::{all, made, order_of, ordered};
use crate::tasks::until;
use crate::{all_of_cdr, query};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tollbook_app::App;
use tollbook_app::exports::ExportQuery;
use tollbook_app::jobs::{JobListing, NewJob};
use tollbook_app::settings::SettingsChange;
use tollbook_app::tenants::QuotaChange;
use tollbook_kit::fault::Code;
use tollbook_kit::retry::Pending;
use tollbook_kit::secret::Secret;
use tollbook_kit::supervise::Supervisor;
use tollbook_model::access::Role;
use tollbook_model::dataset::Dataset;
use tollbook_model::export::Signing;
use tollbook_model::export_job::{Claim, FileKeeping, JobContacts, JobState, Lease};
use tollbook_model::format::ExportFormat;
use tollbook_model::jws::JwsKeys;
use tollbook_model::ports::ExportJobs;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(20);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// A service with workers that run as long as it is held.
struct Service {
    world: Arc<World>,
    app: App,
    workers: Supervisor,
}

impl Service {
    async fn start(world: &Arc<World>) -> Self {
        Self { world: world.clone(), app: world.app().await, workers: Supervisor::new() }
    }

    async fn round(&self) {
        self.app.tasks.run_jobs(&self.workers).await.unwrap();
    }

    async fn stop(self) {
        assert!(self.workers.stop(PATIENCE).await.is_empty());
    }

    /// Waits until a job has so many parts.
    async fn until_parts(&self, job: Uuid, parts: usize) {
        until("parts", || self.world.jobs.lock().unwrap().rows[&job].parts.len() == parts).await;
    }

    async fn until_state(&self, job: Uuid, state: JobState) {
        until(state.name(), || self.world.state(job) == state).await;
    }
}

/// What the parts of a ready job make.
fn file_of(world: &World, job: Uuid) -> String {
    let jobs = world.jobs.lock().unwrap();
    let objects = world.objects.lock().unwrap();
    jobs.rows[&job].parts.iter().map(|part| objects[part.path.as_ref().unwrap()].as_str()).collect()
}

fn file_retention(seconds: u32) -> SettingsChange {
    SettingsChange { file_retention_s: Some(seconds), ..SettingsChange::default() }
}

#[tokio::test]
async fn a_job_becomes_a_signed_file_that_is_kept_for_a_while() {
    let world = World::new();
    let app = world.app().await;
    let analyst = caller(Role::Analyst);
    app.settings.change(&caller(Role::Admin), file_retention(7200)).await.unwrap();
    let contacts =
        JobContacts { callback_url: Some("https://hook.example/".into()), notify_email: Vec::new() };
    let asked = ExportQuery { format: ExportFormat::Ndjson, signing: Signing::Manifest, ..all_of_cdr() };
    let callback_key = Some(Secret::new("planted-callback-key".to_owned()));
    let new = NewJob { contacts, callback_key, ..order_of(asked) };
    let id = app.jobs.order(&analyst, new).await.unwrap().view.job.id;
    world.clock.advance(Duration::from_secs(1));
    made(&world, &app, &[id]).await;
    let view = app.jobs.find(&analyst, id).await.unwrap();
    let job = &view.job;
    assert_eq!((job.state, job.attempt, job.started_at_ms), (JobState::Ready, 1, Some(NOW_MS + 1000)));
    assert_eq!(job.expires_at_ms, Some(NOW_MS + 1000 + 7_200_000));
    assert_eq!((job.progress.percent, job.progress.eta_s), (100, Some(0)));
    let whole = whole_file(id, 0);
    assert_eq!(file_of(&world, id), whole);
    let [file] = &job.files[..] else { panic!("one file") };
    assert_eq!(
        (&*file.name, file.bytes, file.rows),
        ("cdr_2026-06-01_2026-06-01.ndjson", whole.len() as u64, 4)
    );
    let told = world.told();
    assert!(told.len() == 1 && told[0].contains("Ready ready 1"), "{told:?}");
    assert!(told[0].contains("planted-callback-key"), "the notice has it from now on");

    let keys = JwsKeys::from_jwks(&app.audit.published_keys()).unwrap();
    let jws = job.manifest.as_ref().unwrap().reveal();
    let manifest: Value =
        serde_json::from_slice(&keys.verify(jws, "tollbook-manifest+jws").unwrap()).unwrap();
    assert_eq!(manifest["export_id"], id.to_string());
    assert_eq!(manifest["files"][0]["sha256"], hex::encode(file.sha256));
    assert_eq!(manifest["snapshot_at"], "2026-06-01T00:00:01.000Z");

    world.clock.advance(Duration::from_secs(7199));
    app.tasks.sweep_jobs().await.unwrap();
    assert_eq!(world.state(id), JobState::Ready);
    world.clock.advance(Duration::from_secs(1));
    let view = app.jobs.find(&analyst, id).await.unwrap();
    assert_eq!((view.job.state, view.links), (JobState::Expired, None), "no link outlives the files");
    assert_eq!(world.state(id), JobState::Ready, "the sweep comes later");
    let of = |state| JobListing { states: vec![state], ..all() };
    assert!(app.jobs.list(&analyst, of(JobState::Ready)).await.unwrap().jobs.is_empty());
    app.tasks.sweep_jobs().await.unwrap();
    assert_eq!(world.state(id), JobState::Expired);
    assert!(world.objects().is_empty());
    world.clock.advance(90 * DAY);
    app.tasks.sweep_jobs().await.unwrap();
    assert_eq!(app.jobs.find(&analyst, id).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn every_dataset_can_be_a_job() {
    let world = World::new();
    let app = world.app().await;
    crate::put_source(&app, true).await;
    let admin = caller(Role::Admin);
    let mut jobs = Vec::new();
    for dataset in Dataset::ALL {
        let new = NewJob { keeping: FileKeeping::CalendarMonth, ..order_of(query(dataset, Vec::new())) };
        jobs.push(app.jobs.order(&admin, new).await.unwrap().view.job.id);
    }
    made(&world, &app, &jobs).await;
    for (dataset, id) in Dataset::ALL.into_iter().zip(jobs) {
        let job = world.job(id);
        assert_eq!(job.state, JobState::Ready, "{dataset}: {:?}", job.error);
        assert_eq!(job.expires_at_ms, Some(NOW_MS + 30 * 86_400_000), "June has 30 days");
        let lines = file_of(&world, id).lines().count();
        match dataset {
            Dataset::AuditLog => {
                let seen = job.snapshot.unwrap().watermark;
                assert_eq!(lines as u64, seen, "up to the entry that was the last one then");
                assert!(seen as usize >= Dataset::ALL.len());
            }
            Dataset::AgentConfiguration => assert_eq!(lines, 1),
            Dataset::Cdr | Dataset::Kpis => assert_eq!(lines, PARTS as usize),
        }
    }
}

#[tokio::test]
async fn failed_attempts_rest_go_on_behind_their_parts_and_end_with_a_reason() {
    let world = World::new();
    let service = Service::start(&world).await;
    let id = ordered(&service.app, &caller(Role::Analyst)).await;
    world.hold_parts();
    let rests = [1, 5, 30, 120].map(Duration::from_secs);
    for (attempt, rest) in (1..).zip(rests) {
        service.round().await;
        world.allow_parts(1);
        if attempt == 1 {
            service.until_parts(id, 1).await;
            world.allow_parts(1);
        }
        world.part_faults.lock().unwrap().push_back(Code::StorageFull);
        until("a rest", || world.jobs.lock().unwrap().rows[&id].rests.is_some()).await;
        assert_eq!((world.state(id), world.job(id).attempt), (JobState::Running, attempt));
        world.clock.advance(rest - Duration::from_millis(1));
        service.round().await;
        assert_eq!(world.job(id).attempt, attempt, "it rests");
        world.clock.advance(Duration::from_millis(1));
    }
    world.part_faults.lock().unwrap().push_back(Code::StorageFull);
    world.allow_parts(1);
    service.round().await;
    service.until_state(id, JobState::Failed).await;
    let error = world.job(id).error.unwrap();
    assert_eq!((&*error.code, error.retryable, world.job(id).attempt), ("storage-full", true, 5));
    let kept: Vec<_> = world.writes.lock().unwrap().iter().map(|(_, kept)| *kept).collect();
    assert_eq!(kept[0], 0);
    assert!(kept[1..].iter().all(|kept| *kept >= 1), "no attempt begins again from zero: {kept:?}");
    service.app.tasks.sweep_jobs().await.unwrap();
    assert!(world.objects().is_empty(), "nothing is left of it");
    service.stop().await;
}

#[tokio::test]
async fn what_will_stay_so_fails_at_once() {
    let world = World::new();
    let app = world.app().await;
    let id = ordered(&app, &caller(Role::Analyst)).await;
    world.part_faults.lock().unwrap().push_back(Code::Gone);
    made(&world, &app, &[id]).await;
    assert_eq!((world.state(id), world.job(id).attempt), (JobState::Failed, 1));
    assert_eq!(world.job(id).error.unwrap().code, "gone");
}

#[tokio::test]
async fn a_dead_workers_job_is_taken_over_when_its_lease_is_over() {
    let world = World::new();
    let service = Service::start(&world).await;
    let id = ordered(&service.app, &caller(Role::Analyst)).await;
    // This process is alone already when another one takes the job: it disowns no more.
    world.tamper(id, |row| row.rests = Some(Pending::new(NOW_MS, DAY)));
    service.round().await;
    world.tamper(id, |row| {
        let holds = Pending::new(NOW_MS, MINUTE);
        row.lease = Some(Lease { owner: Uuid::from_u128(99), holds });
        (row.rests, row.generation, row.job.attempt) = (None, 7, 1);
        row.job.state = JobState::Running;
    });
    world.clock.advance(MINUTE - Duration::from_millis(1));
    service.round().await;
    assert_eq!(world.jobs.lock().unwrap().rows[&id].generation, 7, "its worker may be alive");
    world.clock.advance(Duration::from_millis(1));
    service.round().await;
    service.until_state(id, JobState::Ready).await;
    assert_eq!(world.job(id).attempt, 2);
    assert!(
        !world.end_late(Claim { job: id, generation: 7 }).await,
        "who comes back is refused, and the job stays as it is"
    );
    service.stop().await;
}

#[tokio::test]
async fn a_new_process_takes_over_at_once_and_gives_up_what_always_dies() {
    let world = World::new();
    world.hold_parts();
    let id = ordered(&world.app().await, &caller(Role::Analyst)).await;
    for attempt in 1..=5 {
        let service = Service::start(&world).await;
        service.round().await;
        until("an attempt", || world.writes.lock().unwrap().len() == attempt as usize).await;
        if attempt == 1 {
            world.allow_parts(1);
        }
        service.until_parts(id, 1).await;
        service.stop().await;
        // What a killed process leaves behind: a lease that holds, and an attempt that counts.
        world.tamper(id, |row| {
            let holds = Pending::new(NOW_MS, MINUTE);
            (row.lease, row.goes_on) = (Some(Lease { owner: Uuid::from_u128(99), holds }), false);
        });
    }
    let last = Service::start(&world).await;
    last.round().await;
    last.until_state(id, JobState::Failed).await;
    let view = last.app.jobs.find(&caller(Role::Analyst), id).await.unwrap();
    assert_eq!((view.job.attempt, &*view.job.error.unwrap().code), (5, "unavailable"));
    assert_eq!(world.writes.lock().unwrap().iter().filter(|(_, kept)| *kept == 1).count(), 4);
    last.stop().await;
}

#[tokio::test]
async fn a_worker_whose_job_was_taken_over_writes_nothing_more() {
    let world = World::new();
    let (old, new) = (Service::start(&world).await, Service::start(&world).await);
    let id = ordered(&old.app, &caller(Role::Analyst)).await;
    world.hold_parts();
    old.round().await;
    world.allow_parts(1);
    old.until_parts(id, 1).await;
    new.round().await;
    until("the take-over", || world.job(id).attempt == 2).await;
    // Both make parts now; only those of the new one count.
    world.allow_parts(2 * PARTS as usize);
    new.until_state(id, JobState::Ready).await;
    old.stop().await;
    new.stop().await;
    assert_eq!(file_of(&world, id), whole_file(id, 0));
    let kept = world.jobs.lock().unwrap().rows[&id].parts.len();
    assert_eq!((kept, world.objects().len()), (PARTS as usize, kept), "late parts are erased");
}

#[tokio::test]
async fn damaged_parts_are_made_again() {
    let world = World::new();
    let service = Service::start(&world).await;
    let id = ordered(&service.app, &caller(Role::Analyst)).await;
    world.hold_parts();
    service.round().await;
    world.allow_parts(2);
    service.until_parts(id, 2).await;
    service.stop().await;
    assert_eq!((world.state(id), world.job(id).attempt), (JobState::Running, 1), "it goes on");
    world.objects.lock().unwrap().pop_first();
    let service = Service::start(&world).await;
    world.allow_parts(PARTS as usize);
    service.round().await;
    service.until_state(id, JobState::Ready).await;
    assert_eq!(file_of(&world, id), whole_file(id, 0));
    assert_eq!(*world.writes.lock().unwrap(), [(id, 0), (id, 2), (id, 0)]);
    service.stop().await;
}

#[tokio::test]
async fn a_stopped_process_lets_go_and_the_next_one_goes_on() {
    let world = World::new();
    let service = Service::start(&world).await;
    let id = ordered(&service.app, &caller(Role::Analyst)).await;
    world.hold_parts();
    service.round().await;
    world.allow_parts(3);
    service.until_parts(id, 3).await;
    service.stop().await;
    assert!(world.jobs.lock().unwrap().rows[&id].lease.is_none());
    world.committed.lock().unwrap().push("a record that came later".into());
    let service = Service::start(&world).await;
    world.allow_parts(1);
    service.round().await;
    service.until_state(id, JobState::Ready).await;
    assert_eq!((file_of(&world, id), world.job(id).attempt), (whole_file(id, 0), 1));
    assert_eq!(world.writes.lock().unwrap().last(), Some(&(id, 3)));
    service.stop().await;
}

#[tokio::test]
async fn a_cancel_stops_the_work_at_once() {
    let world = World::new();
    let service = Service::start(&world).await;
    let analyst = caller(Role::Analyst);
    let id = ordered(&service.app, &analyst).await;
    world.hold_parts();
    service.round().await;
    world.allow_parts(1);
    service.until_parts(id, 1).await;
    service.app.jobs.remove(&analyst, id).await.unwrap();
    assert_eq!(world.state(id), JobState::Cancelled);
    // Stopped by the signal, long before the next sign of life.
    until("the end of the work", || idle(&world)).await;
    world.allow_parts(PARTS as usize);
    service.app.tasks.sweep_jobs().await.unwrap();
    assert!(world.objects().is_empty());
    assert_eq!(world.state(id), JobState::Cancelled);
    service.stop().await;
}

/// Does nobody wait for a permit to make a part?
fn idle(world: &World) -> bool {
    world.allow_parts(1);
    world.part_permits.try_acquire().is_ok_and(|permit| {
        permit.forget();
        true
    })
}

#[tokio::test]
async fn a_cancel_elsewhere_is_heard_of_by_the_sign_of_life() {
    let world = World::new();
    let service = Service::start(&world).await;
    let other = world.app().await;
    let analyst = caller(Role::Analyst);
    let id = ordered(&service.app, &analyst).await;
    world.hold_parts();
    service.round().await;
    until("the work", || !world.writes.lock().unwrap().is_empty()).await;
    let cancelled = std::pin::pin!(tokio::time::timeout(Duration::from_secs(5), async {
        other.jobs.remove(&analyst, id).await.unwrap();
        until("the end of the work", || idle(&world)).await;
    }));
    cancelled.await.expect("within five seconds");
    service.stop().await;
}

#[tokio::test]
async fn signs_of_life_tell_progress_that_never_falls() {
    let world = World::new();
    let service = Service::start(&world).await;
    let id = ordered(&service.app, &caller(Role::Analyst)).await;
    world.hold_parts();
    service.round().await;
    world.allow_parts(3);
    until("75 percent", || world.job(id).progress.percent == 75).await;
    assert_eq!(world.job(id).progress.rows_done, 3);
    let told = world.jobs.lock().unwrap().rows[&id].told.clone();
    assert!(told.is_sorted(), "{told:?}");
    let since = world.jobs.lock().unwrap().rows[&id].lease.unwrap().holds.since_ms;
    world.clock.advance(MINUTE);
    until("a renewed lease", || world.jobs.lock().unwrap().rows[&id].lease.unwrap().holds.since_ms > since)
        .await;
    world.allow_parts(1);
    service.until_state(id, JobState::Ready).await;
    service.stop().await;
}

#[tokio::test]
async fn a_job_is_given_up_after_a_day_wherever_it_is() {
    let world = World::new();
    let service = Service::start(&world).await;
    let analyst = caller(Role::Analyst);
    let quota = QuotaChange { running_jobs: Some(2), ..QuotaChange::default() };
    let operator = caller(Role::Operator);
    service.app.tenancy.change(&operator, "default", SettingsChange::default(), quota).await.unwrap();
    let mut jobs = Vec::new();
    for _ in 0..3 {
        jobs.push(ordered(&service.app, &analyst).await);
        world.clock.advance(Duration::from_millis(1));
    }
    world.hold_parts();
    service.round().await;
    until("two at work", || world.writes.lock().unwrap().len() == 2).await;
    world.part_faults.lock().unwrap().push_back(Code::Unavailable);
    world.allow_parts(1);
    until("one rests", || world.jobs.lock().unwrap().rows.values().any(|row| row.rests.is_some())).await;
    assert_eq!(world.state(jobs[2]), JobState::Queued);
    world.clock.advance(DAY - Duration::from_millis(3));
    // The one that rests is overdue in a moment; the one at work hears of it with its next sign of life.
    world.clock.advance(Duration::from_millis(3));
    service.round().await;
    until("the end of all", || jobs.iter().all(|job| world.state(*job) == JobState::Failed)).await;
    for job in jobs {
        let error = world.job(job).error.unwrap();
        assert_eq!((&*error.code, error.retryable), ("timeout", true));
    }
    service.stop().await;
}

#[tokio::test]
async fn clocks_that_are_set_hold_up_nothing() {
    let world = World::new();
    let service = Service::start(&world).await;
    let analyst = caller(Role::Analyst);
    // Set back while a job rests: the rest is over.
    let resting = ordered(&service.app, &analyst).await;
    world.part_faults.lock().unwrap().push_back(Code::Unavailable);
    service.round().await;
    until("a rest", || world.jobs.lock().unwrap().rows[&resting].rests.is_some()).await;
    world.clock.set_wall(NOW_MS - 86_400_000);
    service.round().await;
    service.until_state(resting, JobState::Ready).await;
    // Set forward while a job is worked on: our own worker is not dead, whatever its lease says.
    let running = ordered(&service.app, &analyst).await;
    world.hold_parts();
    service.round().await;
    until("the work", || world.state(running) == JobState::Running).await;
    world.clock.set_wall(NOW_MS - 86_400_000 + 3_600_000);
    service.round().await;
    assert_eq!(world.job(running).attempt, 1);
    world.clock.set_wall(NOW_MS - 2 * 86_400_000);
    service.round().await;
    assert_eq!(world.job(running).attempt, 1);
    world.allow_parts(PARTS as usize);
    service.until_state(running, JobState::Ready).await;
    assert_eq!(world.job(running).attempt, 1);
    service.stop().await;
}

#[tokio::test]
async fn workers_and_quotas_bound_what_runs_and_everybody_gets_a_turn() {
    let world = World::new();
    let service = Service::start(&world).await;
    let operator = caller(Role::Operator);
    for tenant in ["many", "single"] {
        let (settings, quota) = (SettingsChange::default(), QuotaChange::default());
        service.app.tenancy.create(&operator, tenant, settings, quota).await.unwrap();
    }
    let (many, single) = (caller_of("many", Role::Analyst), caller_of("single", Role::Analyst));
    world.hold_parts();
    for _ in 0..100 {
        ordered(&service.app, &many).await;
    }
    let running = || {
        let jobs = world.jobs.lock().unwrap();
        jobs.rows.values().filter(|row| row.job.state == JobState::Running).count()
    };
    service.round().await;
    assert_eq!(running(), 4, "as many as there are workers");
    let alone = ordered(&service.app, &single).await;
    service.round().await;
    assert_eq!(running(), 4);
    world.allow_parts(PARTS as usize * 4);
    until("a free worker", || running() < 4).await;
    service.round().await;
    assert_ne!(world.state(alone), JobState::Queued, "the single job goes before 96 older ones");
    service.stop().await;
}

#[tokio::test]
async fn large_jobs_leave_a_worker_to_small_ones() {
    let world = World::new();
    let service = Service::start(&world).await;
    let analyst = caller(Role::Analyst);
    world.hold_parts();
    world.estimated_rows.store(2_000_001, Ordering::SeqCst);
    for _ in 0..5 {
        ordered(&service.app, &analyst).await;
    }
    world.estimated_rows.store(2_000_000, Ordering::SeqCst);
    let small = ordered(&service.app, &analyst).await;
    service.round().await;
    assert_eq!(world.state(small), JobState::Running);
    let jobs = world.jobs.lock().unwrap().rows.values().map(|row| row.job.state).collect::<Vec<_>>();
    assert_eq!(jobs.iter().filter(|state| **state == JobState::Running).count(), 4);
    service.stop().await;
}

#[tokio::test]
async fn what_cannot_be_erased_keeps_nothing_else_from_it() {
    let world = World::new();
    let app = world.app().await;
    let analyst = caller(Role::Analyst);
    let mut jobs = Vec::new();
    for _ in 0..100 {
        jobs.push(ordered(&app, &analyst).await);
        made(&world, &app, &jobs[jobs.len() - 1..]).await;
    }
    // More than are looked at together, those that come first; and one of the last job.
    let stuck: BTreeSet<String> = world.objects().into_iter().take(300).collect();
    let last = world.objects().pop().unwrap();
    world.unerasable.lock().unwrap().extend(stuck.iter().cloned().chain([last.clone()]));
    world.clock.advance(30 * DAY);
    assert_eq!(app.tasks.sweep_jobs().await.unwrap_err().code(), Code::Internal);
    assert_eq!(world.objects(), stuck.into_iter().chain([last]).collect::<Vec<_>>());
    world.unerasable.lock().unwrap().clear();
    app.tasks.sweep_jobs().await.unwrap();
    assert!(world.objects().is_empty(), "the next round tries again");
}

#[tokio::test]
async fn nothing_is_left_of_the_jobs_of_a_tenant_that_is_erased() {
    let world = World::new();
    let service = Service::start(&world).await;
    let (app, operator) = (&service.app, caller(Role::Operator));
    app.tenancy.create(&operator, "acme", SettingsChange::default(), QuotaChange::default()).await.unwrap();
    let of_acme = caller_of("acme", Role::Analyst);
    let ready = ordered(app, &of_acme).await;
    service.round().await;
    service.until_state(ready, JobState::Ready).await;
    app.tenancy.close(&operator, "acme").await.unwrap();
    world.clock.advance(30 * DAY - Duration::from_secs(1));
    world.hold_parts();
    let running = ordered(app, &of_acme).await;
    service.round().await;
    until("the work", || world.writes.lock().unwrap().len() == 2).await;
    world.clock.advance(Duration::from_secs(1));
    app.tasks.erase_closed_tenants().await.unwrap();
    assert_eq!((world.state(ready), world.state(running)), (JobState::Expired, JobState::Cancelled));
    until("the end of the work", || idle(&world)).await;
    assert!(world.objects().is_empty());
    service.stop().await;
}

#[tokio::test]
async fn the_tasks_make_jobs_from_the_order_on() {
    let world = World::new();
    let app = world.app().await;
    let supervisor = Supervisor::new();
    app.start_tasks(&supervisor);
    let id = ordered(&app, &caller(Role::Analyst)).await;
    until("the file", || world.state(id) == JobState::Ready).await;
    assert!(supervisor.stop(PATIENCE).await.is_empty());
}

impl World {
    /// Does what a worker does that comes back late; was it heard?
    async fn end_late(&self, claim: Claim) -> bool {
        let end = tollbook_model::ports::JobEnd::Failed(tollbook_model::export_job::JobError {
            code: "late".into(),
            message: String::new(),
            retryable: false,
        });
        self.end(claim, end, NOW_MS, Vec::new()).await.unwrap()
    }
}

#[tokio::test]
async fn a_job_that_cannot_be_read_keeps_no_other_from_its_turn() {
    let world = World::new();
    let service = Service::start(&world).await;
    let mut jobs = Vec::new();
    for second in 0..3 {
        world.clock.advance(Duration::from_secs(second));
        jobs.push(ordered(&service.app, &caller(Role::Analyst)).await);
    }
    // The first one waits for its turn, the second is overdue: both come before the third.
    world.tamper(jobs[0], |row| row.is_unreadable = true);
    world.tamper(jobs[1], |row| {
        row.is_unreadable = true;
        row.job.created_at_ms = NOW_MS - 86_400_000;
    });
    service.round().await;
    service.until_state(jobs[2], JobState::Ready).await;
    let states: Vec<_> = jobs[..2].iter().map(|&id| world.state(id)).collect();
    assert_eq!(states, [JobState::Queued, JobState::Failed], "in the end it fails, unread");
    let error = world.job(jobs[1]).error.unwrap();
    assert_eq!((&*error.code, world.job(jobs[1]).attempt), ("timeout", 0));
    service.stop().await;
}
