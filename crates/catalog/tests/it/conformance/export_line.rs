//! Promises of the export jobs port about who works on what, and whose writes count.

use super::export_jobs::{LEASE_MS, job, lease};
use super::{NOW_MS, Ports, entry, id, scope, tenant};
use std::collections::HashSet;
use std::time::Duration;
use tokio::task::JoinSet;
use tollbook_kit::retry::Pending;
use tollbook_model::export_job::{
    Claim, ExportJob, ExportPart, JobError, JobInLine, JobProgress, JobSnapshot, JobState,
};
use tollbook_model::ports::JobEnd;
use tollbook_model::time_range::TimeRange;

fn unclaimed(number: u128) -> Claim {
    Claim { job: id(number), generation: 0 }
}

pub(crate) fn part(number: u32, path: &str) -> ExportPart {
    ExportPart { number, path: Some(path.to_owned()), bytes: 10, state: vec![7, number as u8] }
}

pub(crate) fn failure() -> JobEnd {
    JobEnd::Failed(JobError { code: "internal".into(), message: "it broke".into(), retryable: true })
}

pub(crate) async fn jobs_stand_in_line_oldest_first(ports: Ports) {
    ports.open_tenants().await;
    assert_eq!(ports.export_jobs.in_line().await.unwrap(), []);
    for (number, owner, created_at_ms) in [(1, "acme", 30), (2, "other", 10), (3, "acme", 20), (4, "acme", 5)]
    {
        ports.take(ExportJob { created_at_ms, ..job(number, owner) }).await;
    }
    let claim = ports.claim(unclaimed(3)).await;
    let resting = ports.claim(unclaimed(1)).await;
    let rest = Pending { since_ms: 7, wait_ms: 1_000 };
    assert!(ports.export_jobs.let_go(resting, Some(rest), true).await.unwrap());
    let acme = tenant("acme");
    assert!(ports.export_jobs.cancel(&acme, id(4), 50, vec![], entry("acme", "act")).await.unwrap());
    let waiting = JobInLine {
        claim: unclaimed(2),
        tenant: tenant("other"),
        state: JobState::Queued,
        created_at_ms: 10,
        rows_estimated: 1_000,
        lease: None,
        rests: None,
    };
    let running = JobInLine { claim, tenant: acme, state: JobState::Running, created_at_ms: 20, ..waiting };
    let running = JobInLine { lease: Some(lease(1, NOW_MS)), ..running };
    let rests = JobInLine { claim: resting, created_at_ms: 30, lease: None, ..running.clone() };
    let rests = JobInLine { rests: Some(rest), ..rests };
    let line = ports.export_jobs.in_line().await.unwrap();
    assert_eq!(line[0].tenant, tenant("other"));
    assert_eq!((line[0].claim, line[0].state, line[0].lease), (unclaimed(2), JobState::Queued, None));
    assert_eq!(line[1..], [running, rests]);
}

pub(crate) async fn a_claim_begins_an_attempt(ports: Ports) {
    ports.open_tenants().await;
    ports.take(job(1, "acme")).await;
    let seen = unclaimed(1);
    let (first, claimed) = ports.export_jobs.claim(seen, lease(1, NOW_MS), NOW_MS).await.unwrap().unwrap();
    assert_eq!(first, Claim { generation: 1, ..seen });
    assert_eq!(format!("{claimed:?}"), format!("{:?}", ports.job(1).await));
    assert_eq!((claimed.state, claimed.attempt), (JobState::Running, 1));
    assert_eq!((claimed.started_at_ms, claimed.queue_position), (Some(NOW_MS), None));

    let late = NOW_MS + 5;
    for (what, seen) in [("as it was", seen), ("as it is", first), ("of nobody", unclaimed(9))] {
        let again = ports.export_jobs.claim(seen, lease(2, late), late).await.unwrap();
        assert!(again.is_none(), "{what}");
    }
    let late = NOW_MS + LEASE_MS;
    assert!(ports.export_jobs.claim(seen, lease(2, late), late).await.unwrap().is_none(), "seen too early");
    let (second, claimed) = ports.export_jobs.claim(first, lease(2, late), late).await.unwrap().unwrap();
    assert_eq!((second.generation, claimed.attempt, claimed.started_at_ms), (2, 2, Some(NOW_MS)));
    // A clock that was set back does not keep a job from everybody.
    let early = late - 10;
    assert!(ports.export_jobs.claim(second, lease(3, early), early).await.unwrap().is_some());
}

pub(crate) async fn each_job_is_claimed_by_one(ports: Ports) {
    const JOBS: u128 = 200;
    ports.open_tenants().await;
    for number in 1..=JOBS {
        ports.take(ExportJob { created_at_ms: number as i64, ..job(number, "acme") }).await;
    }
    let mut workers = JoinSet::new();
    for worker in 1..=8 {
        let ports = ports.clone();
        workers.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let line = ports.export_jobs.in_line().await.unwrap();
                assert_eq!(line.len(), JOBS as usize, "who runs stays in line");
                let Some(next) = line.iter().find(|job| job.lease.is_none()) else { return mine };
                let taken = ports.export_jobs.claim(next.claim, lease(worker, NOW_MS), NOW_MS).await.unwrap();
                mine.extend(taken.map(|(claim, _)| claim));
            }
        });
    }
    let claims = workers.join_all().await.concat();
    assert_eq!(claims.len(), JOBS as usize);
    assert_eq!(claims.iter().map(|claim| claim.job).collect::<HashSet<_>>().len(), JOBS as usize);
    assert!(claims.iter().all(|claim| claim.generation == 1));
}

/// Everything that a worker writes, and whether it counted.
async fn every_write(ports: &Ports, claim: Claim) -> Vec<(&'static str, bool)> {
    let jobs = &ports.export_jobs;
    let seen = JobSnapshot { at_ms: 1, watermark: 1 };
    vec![
        ("pin", jobs.pin(claim, &scope("acme"), TimeRange::all(), 5).await.unwrap().is_some()),
        ("sight", jobs.keep_sight(claim, seen).await.unwrap().is_some()),
        ("heartbeat", jobs.heartbeat(claim, lease(1, 9), JobProgress::default()).await.unwrap()),
        ("part", jobs.keep_part(claim, part(0, &format!("by {}", claim.generation))).await.unwrap()),
        ("start over", jobs.start_over(claim).await.unwrap()),
        ("let go", jobs.let_go(claim, None, true).await.unwrap()),
        ("end", jobs.end(claim, failure(), NOW_MS, vec![]).await.unwrap()),
    ]
}

/// Job, line and parts in words.
async fn state_of(ports: &Ports) -> String {
    let jobs = &ports.export_jobs;
    let (job, line) = (ports.job(1).await, jobs.in_line().await.unwrap());
    format!("{job:?} {line:?} {:?}", jobs.parts(id(1)).await.unwrap())
}

pub(crate) async fn a_worker_that_was_replaced_writes_nothing(ports: Ports) {
    ports.open_tenants().await;
    let former = ports.take_and_claim(1).await;
    assert!(ports.export_jobs.keep_part(former, part(0, "first")).await.unwrap());
    let late = NOW_MS + LEASE_MS;
    let (current, _) = ports.export_jobs.claim(former, lease(2, late), late).await.unwrap().unwrap();
    let before = state_of(&ports).await;
    for zombie in [former, Claim { generation: 3, ..current }, Claim { job: id(9), ..current }] {
        for (what, counted) in every_write(&ports, zombie).await {
            assert!(!counted, "{what} of {zombie:?}");
        }
    }
    assert_eq!(state_of(&ports).await, before);
    assert!(ports.export_jobs.keep_part(current, part(1, "second")).await.unwrap(), "who replaced him does");

    // So it is with a worker that let go, that was disowned, and whose job has ended.
    assert!(ports.export_jobs.let_go(current, None, true).await.unwrap());
    assert!(every_write(&ports, current).await.iter().all(|(_, counted)| !counted), "let go");
    let third = ports.claim(current).await;
    ports.export_jobs.disown_others(id(77)).await.unwrap();
    assert!(every_write(&ports, third).await.iter().all(|(_, counted)| !counted), "disowned");
    let fourth = ports.claim(third).await;
    let acme = tenant("acme");
    assert!(ports.export_jobs.cancel(&acme, id(1), NOW_MS, vec![], entry("acme", "act")).await.unwrap());
    assert!(every_write(&ports, fourth).await.iter().all(|(_, counted)| !counted), "cancelled");
    assert_eq!(ports.job(1).await.state, JobState::Cancelled);
}

pub(crate) async fn a_lease_that_ran_out_is_good_until_somebody_takes_over(ports: Ports) {
    ports.open_tenants().await;
    let claim = ports.take_and_claim(1).await;
    let late = NOW_MS + 10 * LEASE_MS;
    let progress = JobProgress::default();
    assert!(ports.export_jobs.heartbeat(claim, lease(1, late), progress).await.unwrap());
    assert!(
        ports.export_jobs.claim(claim, lease(2, late), late).await.unwrap().is_none(),
        "it was late, but in time"
    );
}

pub(crate) async fn progress_is_told_and_never_falls(ports: Ports) {
    ports.open_tenants().await;
    let claim = ports.take_and_claim(1).await;
    let told = |rows_done, percent, eta_s| JobProgress { rows_done, rows_estimated: 900, percent, eta_s };
    for (told_now, expected) in [
        (told(10, 5, Some(60)), told(10, 5, Some(60))),
        (told(20, 50, None), told(20, 50, None)),
        // An attempt that began again.
        (told(5, 1, Some(90)), told(5, 50, Some(90))),
        (told(30, 100, Some(0)), told(30, 99, Some(0))),
        (told(30, 60, Some(0)), told(30, 99, Some(0))),
    ] {
        assert!(ports.export_jobs.heartbeat(claim, lease(1, NOW_MS), told_now).await.unwrap());
        assert_eq!(ports.job(1).await.progress, expected);
    }
    assert!(ports.export_jobs.let_go(claim, None, true).await.unwrap());
    let again = ports.claim(claim).await;
    assert!(ports.export_jobs.heartbeat(again, lease(1, NOW_MS), told(1, 0, None)).await.unwrap());
    assert_eq!(ports.job(1).await.progress, told(1, 99, None), "not even for another attempt");
}

pub(crate) async fn a_job_that_was_let_go_rests(ports: Ports) {
    ports.open_tenants().await;
    let first = ports.take_and_claim(1).await;
    let rest = Pending::new(NOW_MS, Duration::from_secs(30));
    assert!(ports.export_jobs.let_go(first, Some(rest), true).await.unwrap());
    let resting = ports.job(1).await;
    assert_eq!((resting.state, resting.attempt), (JobState::Running, 1), "what is shown never goes back");
    let soon = NOW_MS + 29_999;
    assert!(ports.export_jobs.claim(first, lease(2, soon), soon).await.unwrap().is_none());
    let then = soon + 1;
    let (second, job) = ports.export_jobs.claim(first, lease(2, then), then).await.unwrap().unwrap();
    assert_eq!((job.attempt, second.generation), (2, 2));
    assert_eq!(ports.export_jobs.in_line().await.unwrap()[0].rests, None);

    assert!(ports.export_jobs.let_go(second, None, false).await.unwrap());
    assert_eq!(ports.job(1).await.attempt, 2, "what is shown never goes back");
    let (third, job) = ports.export_jobs.claim(second, lease(3, then), then).await.unwrap().unwrap();
    assert_eq!((job.attempt, third.generation), (2, 3), "it goes on, but nobody has its generation again");
    assert!(ports.export_jobs.let_go(third, None, true).await.unwrap());
    let fourth = ports.export_jobs.claim(third, lease(3, then), then).await.unwrap().unwrap();
    assert_eq!(fourth.1.attempt, 3, "only once");
}

pub(crate) async fn a_new_process_disowns_those_before_it(ports: Ports) {
    ports.open_tenants().await;
    for (number, owner) in [(1, 1), (2, 2), (3, 2)] {
        ports.take(job(number, "acme")).await;
        ports.export_jobs.claim(unclaimed(number), lease(owner, NOW_MS), NOW_MS).await.unwrap().unwrap();
    }
    for _ in 0..2 {
        ports.export_jobs.disown_others(id(2)).await.unwrap();
        let owners: Vec<_> = ports.export_jobs.in_line().await.unwrap();
        let owners: Vec<_> = owners.iter().map(|job| job.lease.map(|lease| lease.owner)).collect();
        assert_eq!(owners, [None, Some(id(2)), Some(id(2))]);
    }
    let again = ports.claim(Claim { generation: 1, ..unclaimed(1) }).await;
    assert_eq!((again.generation, ports.job(1).await.attempt), (2, 2), "at once, and the attempt counts");
}
