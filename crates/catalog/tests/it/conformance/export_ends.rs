//! Promises of the export jobs port about the ends of jobs, their parts, and what is left of them.

use super::export_jobs::{job, key, lease};
use super::export_line::{failure, part};
use super::{NOW_MS, Ports, entry, id, tenant};
use tollbook_kit::fault::Code;
use tollbook_kit::secret::Secret;
use tollbook_model::export_job::{
    Claim, ExportJob, ExportPart, JobError, JobFile, JobProgress, JobState, Lease,
};
use tollbook_model::ports::{JobEnd, LeftoverPart, NewNotification, Ordered};
use uuid::Uuid;

pub(crate) fn notice(number: u128, job: u128, owner: &str) -> NewNotification {
    NewNotification {
        id: id(number),
        tenant: tenant(owner),
        job: id(job),
        receiver: u64::MAX,
        content: Secret::new(format!("planted-notice-{number}")),
        created_at_ms: NOW_MS,
    }
}

fn file(name: &str, rows: u64) -> JobFile {
    JobFile { name: name.to_owned(), bytes: rows * 10, rows, sha256: [rows as u8; 32] }
}

pub(crate) fn ready(expires_at_ms: i64) -> JobEnd {
    JobEnd::Ready {
        files: vec![file("a.csv", 7), file("b.csv", 300)],
        manifest: Some(Secret::new(String::from("planted-job-manifest"))),
        expires_at_ms,
    }
}

async fn notices(ports: &Ports) -> Vec<u128> {
    let due = ports.notifications.due(NOW_MS, &[], 1_000).await.unwrap();
    due.iter().map(|due| due.notification.id.as_u128()).collect()
}

async fn left_over(ports: &Ports) -> Vec<(u128, u32)> {
    let leftovers = ports.export_jobs.leftovers(None, 1_000).await.unwrap();
    leftovers.iter().map(|part| (part.job.as_u128(), part.number)).collect()
}

/// A job of tenant `acme` with two parts.
async fn written(ports: &Ports, number: u128) -> Claim {
    let claim = ports.take_and_claim(number).await;
    for place in 0..2 {
        let part = part(place, &format!("exports/{number}/{place}"));
        assert!(ports.export_jobs.keep_part(claim, part).await.unwrap());
    }
    claim
}

async fn expire(ports: &Ports, number: u128) -> bool {
    ports.export_jobs.expire(&tenant("acme"), id(number), None).await.unwrap()
}

async fn cancel(ports: &Ports, owner: &str, number: u128) -> bool {
    let notices = vec![notice(number + 1_000, number, owner)];
    let act = entry(owner, "export.cancel");
    ports.export_jobs.cancel(&tenant(owner), id(number), NOW_MS, notices, act).await.unwrap()
}

async fn remove(ports: &Ports, owner: &str, number: u128, states: &[JobState]) -> bool {
    let act = entry(owner, "export.remove");
    ports.export_jobs.remove(&tenant(owner), id(number), states, act).await.unwrap()
}

pub(crate) async fn parts_are_kept_in_order(ports: Ports) {
    ports.open_tenants().await;
    let claim = ports.take_and_claim(1).await;
    let empty = ExportPart { path: None, bytes: 0, ..part(1, "") };
    let kept = [part(0, "a"), empty, part(2, "c")];
    for (done, next) in kept.iter().enumerate() {
        for wrong in [0, 1, 2, 3, 9].into_iter().filter(|&number| number != done) {
            let fault = ports.export_jobs.keep_part(claim, part(wrong as u32, "wrong")).await.unwrap_err();
            assert_eq!(fault.code(), Code::Conflict, "{wrong} after {done}");
        }
        assert!(ports.export_jobs.keep_part(claim, next.clone()).await.unwrap());
        assert_eq!(ports.export_jobs.parts(id(1)).await.unwrap(), kept[..=done]);
    }
    assert!(ports.manifest.names_object("a").await.unwrap());
    assert!(!ports.manifest.names_object("wrong").await.unwrap());
    let other = ports.take_and_claim(2).await;
    assert!(ports.export_jobs.keep_part(other, part(0, "a")).await.is_err(), "an object is of one part");
    assert_eq!(ports.export_jobs.parts(id(2)).await.unwrap(), []);

    assert!(ports.export_jobs.start_over(claim).await.unwrap());
    assert_eq!(ports.export_jobs.parts(id(1)).await.unwrap(), []);
    assert!(!ports.manifest.names_object("a").await.unwrap(), "nobody names what it wrote");
    assert_eq!(left_over(&ports).await, []);
    assert!(ports.export_jobs.keep_part(claim, part(0, "anew")).await.unwrap());
}

pub(crate) async fn a_job_becomes_ready_as_a_whole(ports: Ports) {
    ports.open_tenants().await;
    let claim = written(&ports, 1).await;
    let before = ports.job(1).await;
    assert!(ports.export_jobs.end(claim, ready(9_000), 500, vec![notice(5, 1, "acme")]).await.unwrap());
    let job = ports.job(1).await;
    assert_eq!((job.state, job.finished_at_ms, job.expires_at_ms), (JobState::Ready, Some(500), Some(9_000)));
    assert_eq!(job.files, [file("a.csv", 7), file("b.csv", 300)]);
    assert_eq!(job.manifest.unwrap().reveal(), "planted-job-manifest");
    let done = JobProgress { rows_done: 307, rows_estimated: 307, percent: 100, eta_s: Some(0) };
    assert_eq!((job.progress, job.error), (done, None));
    assert_eq!((job.created_at_ms, job.started_at_ms), (before.created_at_ms, before.started_at_ms));
    assert_eq!(notices(&ports).await, [5]);
    assert_eq!(ports.export_jobs.in_line().await.unwrap(), []);
    let parts = ports.export_jobs.parts(id(1)).await.unwrap();
    let stateless = |number| ExportPart { state: Vec::new(), ..part(number, &format!("exports/1/{number}")) };
    assert_eq!(parts, [stateless(0), stateless(1)], "nobody goes on behind them");
    assert_eq!(left_over(&ports).await, []);
    assert_eq!(ports.actions("acme").await, ["export.create"], "no user did it");
}

pub(crate) async fn the_key_of_the_call_is_kept_until_the_end(ports: Ports) {
    ports.open_tenants().await;
    let kept = || async {
        let mut keys = Vec::new();
        for number in 1..=5 {
            keys.push(ports.job(number).await.callback_key.map(|key| key.reveal().clone()));
        }
        keys
    };
    for number in 1..=5 {
        let callback_key = Some(Secret::new(format!("key of {number}")));
        ports.take(ExportJob { callback_key, ..job(number, "acme") }).await;
    }
    let mut claims = Vec::new();
    for number in 1..=3 {
        let claim = ports.claim(Claim { job: id(number), generation: 0 }).await;
        assert!(ports.export_jobs.let_go(claim, None, true).await.unwrap());
        let seen = ports.export_jobs.in_line().await.unwrap();
        let seen = seen.into_iter().find(|seen| seen.claim.job == id(number)).unwrap().claim;
        let (claim, again) = ports.export_jobs.claim(seen, lease(1, NOW_MS), NOW_MS).await.unwrap().unwrap();
        let key = again.callback_key.map(|key| key.reveal().clone());
        assert_eq!(key, Some(format!("key of {number}")), "every attempt can tell its end");
        claims.push(claim);
    }
    let twice = vec![notice(5, 1, "acme"), notice(5, 1, "acme")];
    assert!(ports.export_jobs.end(claims[0], ready(9_000), 500, twice).await.is_err());
    assert!(kept().await.iter().all(Option::is_some), "an end that failed is none");

    assert!(ports.export_jobs.end(claims[0], ready(9_000), 500, vec![]).await.unwrap());
    assert!(ports.export_jobs.end(claims[1], failure(), 500, vec![]).await.unwrap());
    assert!(cancel(&ports, "acme", 3).await);
    assert!(cancel(&ports, "acme", 4).await);
    assert_eq!(kept().await, [None, None, None, None, Some(String::from("key of 5"))]);
    assert_eq!(ports.export_jobs.end_all(&tenant("acme"), 900).await.unwrap(), 2);
    assert_eq!(kept().await, [None, None, None, None, None]);
}

pub(crate) async fn an_end_that_fails_changes_nothing(ports: Ports) {
    ports.open_tenants().await;
    let claim = written(&ports, 1).await;
    let before = format!("{:?}", ports.job(1).await);
    let twice = vec![notice(5, 1, "acme"), notice(5, 1, "acme")];
    assert!(ports.export_jobs.end(claim, ready(9_000), 500, twice.clone()).await.is_err());
    let act = entry("acme", "export.cancel");
    assert!(ports.export_jobs.cancel(&tenant("acme"), id(1), 500, twice, act).await.is_err());
    assert_eq!(format!("{:?}", ports.job(1).await), before);
    assert_eq!((notices(&ports).await, left_over(&ports).await), (vec![], vec![]));
    assert!(ports.export_jobs.end(claim, ready(9_000), 500, vec![]).await.unwrap(), "the claim still holds");
}

pub(crate) async fn a_job_that_failed_says_why(ports: Ports) {
    ports.open_tenants().await;
    let claim = written(&ports, 1).await;
    let progress = JobProgress { rows_done: 3, rows_estimated: 9, percent: 30, eta_s: Some(4) };
    assert!(ports.export_jobs.heartbeat(claim, lease(1, NOW_MS), progress).await.unwrap());
    assert!(ports.export_jobs.end(claim, failure(), 500, vec![notice(5, 1, "acme")]).await.unwrap());
    let job = ports.job(1).await;
    let error = JobError { code: "internal".into(), message: "it broke".into(), retryable: true };
    assert_eq!((job.state, job.finished_at_ms, job.error), (JobState::Failed, Some(500), Some(error)));
    assert_eq!(job.progress, JobProgress { eta_s: None, ..progress });
    assert!(job.files.is_empty() && job.manifest.is_none() && job.expires_at_ms.is_none());
    assert_eq!((notices(&ports).await, left_over(&ports).await), (vec![5], vec![(1, 0), (1, 1)]));
}

pub(crate) async fn a_cancelled_job_stays_cancelled(ports: Ports) {
    ports.open_tenants().await;
    ports.take(job(1, "acme")).await;
    let running = written(&ports, 2).await;
    assert!(!cancel(&ports, "other", 1).await, "a foreign job is unknown");
    assert!(!cancel(&ports, "acme", 9).await);
    for number in [1, 2] {
        assert!(cancel(&ports, "acme", number).await);
        assert!(!cancel(&ports, "acme", number).await, "once");
        let job = ports.job(number).await;
        assert_eq!((job.state, job.finished_at_ms), (JobState::Cancelled, Some(NOW_MS)));
    }
    assert!(!ports.export_jobs.end(running, ready(1), 5, vec![notice(5, 2, "acme")]).await.unwrap());
    let unclaimed = Claim { job: id(1), generation: 0 };
    assert!(ports.export_jobs.claim(unclaimed, lease(1, NOW_MS), NOW_MS).await.unwrap().is_none());
    assert_eq!(notices(&ports).await, [1_001, 1_002]);
    assert_eq!(left_over(&ports).await, [(2, 0), (2, 1)]);
    let told = ["export.create", "export.create", "export.cancel", "export.cancel"];
    assert_eq!(ports.actions("acme").await, told);
    assert!(ports.chain("other").await.is_empty());
}

pub(crate) async fn files_expire_once(ports: Ports) {
    ports.open_tenants().await;
    for (number, expires_at_ms) in [(1, 300), (2, 200), (3, 100)] {
        let claim = written(&ports, number).await;
        assert!(ports.export_jobs.end(claim, ready(expires_at_ms), 50, vec![]).await.unwrap());
    }
    let acme = tenant("acme");
    for (now_ms, limit, expected) in
        [(99, 9, vec![]), (100, 9, vec![3]), (299, 9, vec![3, 2]), (300, 9, vec![3, 2, 1]), (300, 1, vec![3])]
    {
        let due = ports.export_jobs.due_to_expire(now_ms, limit).await.unwrap();
        let expected: Vec<_> = expected.into_iter().map(|number| (acme.clone(), id(number))).collect();
        assert_eq!(due, expected, "{now_ms}");
    }
    let other = tenant("other");
    assert!(!ports.export_jobs.expire(&other, id(1), Some(entry("other", "act"))).await.unwrap());
    assert!(ports.export_jobs.expire(&acme, id(1), Some(entry("acme", "export.delete"))).await.unwrap());
    assert!(!ports.export_jobs.expire(&acme, id(1), Some(entry("acme", "export.delete"))).await.unwrap());
    assert!(expire(&ports, 3).await);
    let expired = ports.job(3).await;
    assert_eq!((expired.state, expired.finished_at_ms), (JobState::Expired, Some(50)));
    assert_eq!((expired.files.len(), expired.progress.percent), (2, 100), "what it was stays told");
    assert_eq!(ports.export_jobs.due_to_expire(i64::MAX, 9).await.unwrap(), [(acme, id(2))]);
    assert_eq!(left_over(&ports).await, [(1, 0), (1, 1), (3, 0), (3, 1)]);
    let told = ["export.create", "export.create", "export.create", "export.delete"];
    assert_eq!(ports.actions("acme").await, told, "age has no entry");
}

/// Brings a job of tenant `acme` into that state.
async fn bring_to(ports: &Ports, number: u128, state: JobState) -> Claim {
    if state == JobState::Queued {
        ports.take(job(number, "acme")).await;
        return Claim { job: id(number), generation: 0 };
    }
    let claim = written(ports, number).await;
    assert!(match state {
        JobState::Ready => ports.export_jobs.end(claim, ready(1), 5, vec![]).await.unwrap(),
        JobState::Failed => ports.export_jobs.end(claim, failure(), 5, vec![]).await.unwrap(),
        JobState::Cancelled => cancel(ports, "acme", number).await,
        JobState::Expired => {
            ports.export_jobs.end(claim, ready(1), 5, vec![]).await.unwrap() && expire(ports, number).await
        }
        JobState::Queued | JobState::Running => true,
    });
    claim
}

pub(crate) async fn no_change_is_made_that_the_table_does_not_know(ports: Ports) {
    ports.open_tenants().await;
    let mut number = 0;
    for from in JobState::ALL {
        for to in JobState::ALL {
            number += 1;
            let claim = bring_to(&ports, number, from).await;
            let changed = match to {
                JobState::Queued => continue,
                JobState::Running => {
                    let lease: Lease = lease(2, NOW_MS);
                    ports.export_jobs.claim(claim, lease, NOW_MS).await.unwrap().is_some()
                }
                JobState::Ready => ports.export_jobs.end(claim, ready(1), 6, vec![]).await.unwrap(),
                JobState::Failed => ports.export_jobs.end(claim, failure(), 6, vec![]).await.unwrap(),
                JobState::Cancelled => cancel(&ports, "acme", number).await,
                JobState::Expired => expire(&ports, number).await,
            };
            // Only a worker says that a job failed, and he has claimed it before.
            let is_known =
                from.followers().contains(&to) && (from, to) != (JobState::Queued, JobState::Failed);
            assert_eq!(changed, is_known, "{from:?} to {to:?}");
            let expected = if is_known { to } else { from };
            assert_eq!(ports.job(number).await.state, expected, "{from:?} to {to:?}");
        }
    }
}

pub(crate) async fn a_removed_job_leaves_its_parts_to_be_erased(ports: Ports) {
    ports.open_tenants().await;
    for (number, state) in (1..).zip(JobState::ALL) {
        let claim = bring_to(&ports, number, state).await;
        let others: Vec<_> = JobState::ALL.into_iter().filter(|other| *other != state).collect();
        assert!(!remove(&ports, "acme", number, &others).await, "{state:?}");
        assert_eq!(ports.job(number).await.state, state);
        assert!(!remove(&ports, "other", number, &[state]).await, "a foreign job is unknown");
        assert!(remove(&ports, "acme", number, &JobState::ALL).await, "{state:?}");
        assert!(!remove(&ports, "acme", number, &JobState::ALL).await, "once");
        let ended = ports.export_jobs.end(claim, ready(1), 6, vec![notice(900 + number, number, "acme")]);
        assert!(!ended.await.unwrap(), "nobody works on what is not there");
        assert!(ports.export_jobs.find(id(number)).await.unwrap().is_none(), "{state:?}");
        let is_named = ports.manifest.names_object(&format!("exports/{number}/0")).await.unwrap();
        assert_eq!(is_named, state != JobState::Queued, "{state:?}");
    }
    assert_eq!(notices(&ports).await, [0u128; 0], "nobody is told of what is not there");
    let with_parts = [2, 3, 4, 5, 6];
    let expected: Vec<_> = with_parts.into_iter().flat_map(|number| [(number, 0), (number, 1)]).collect();
    assert_eq!(left_over(&ports).await, expected);
    let told = ports.actions("acme").await;
    assert_eq!(told.iter().filter(|action| *action == "export.remove").count(), 6);
}

pub(crate) async fn leftovers_are_named_until_they_are_forgotten(ports: Ports) {
    ports.open_tenants().await;
    bring_to(&ports, 1, JobState::Failed).await;
    let alive = bring_to(&ports, 2, JobState::Running).await;
    bring_to(&ports, 3, JobState::Ready).await;
    let leftovers = ports.export_jobs.leftovers(None, 9).await.unwrap();
    let left =
        |job, number| LeftoverPart { job: id(job), number, path: Some(format!("exports/{job}/{number}")) };
    assert_eq!(leftovers, [left(1, 0), left(1, 1)]);
    assert_eq!(ports.export_jobs.leftovers(None, 1).await.unwrap(), [left(1, 0)]);
    for (behind, rest) in [((id(0), 9), 0), ((id(1), 0), 1), ((id(1), 1), 2)] {
        let found = ports.export_jobs.leftovers(Some(behind), 9).await.unwrap();
        assert_eq!(found, leftovers[rest..], "behind {behind:?}");
    }

    let another = LeftoverPart { path: Some("elsewhere".into()), ..left(1, 1) };
    ports.export_jobs.forget_parts(&[left(1, 0), another, left(2, 0), left(3, 0)]).await.unwrap();
    for (path, is_named) in
        [("exports/1/0", false), ("exports/1/1", true), ("exports/2/0", true), ("exports/3/0", true)]
    {
        assert_eq!(ports.manifest.names_object(path).await.unwrap(), is_named, "{path}");
    }
    assert_eq!(ports.export_jobs.leftovers(None, 9).await.unwrap(), [left(1, 1)]);
    ports.export_jobs.forget_parts(&[left(1, 0), left(1, 1)]).await.unwrap();
    assert_eq!(ports.export_jobs.leftovers(None, 9).await.unwrap(), []);
    assert!(ports.export_jobs.keep_part(alive, part(2, "exports/2/2")).await.unwrap(), "others go on");
}

pub(crate) async fn jobs_are_forgotten_when_nothing_is_left_of_them(ports: Ports) {
    ports.open_tenants().await;
    for (number, state) in (1..).zip(JobState::ALL) {
        bring_to(&ports, number, state).await;
    }
    // Failed, cancelled and expired are 4 to 6; the cancelled one ended at another time.
    assert_eq!(ports.export_jobs.forget_ended_before(NOW_MS).await.unwrap(), 0, "parts are left");
    let leftovers = ports.export_jobs.leftovers(None, 100).await.unwrap();
    assert_eq!(leftovers.len(), 6);
    ports.export_jobs.forget_parts(&leftovers).await.unwrap();
    assert_eq!(ports.export_jobs.forget_ended_before(5).await.unwrap(), 0, "not from before then");
    assert_eq!(ports.export_jobs.forget_ended_before(6).await.unwrap(), 2);
    assert_eq!(ports.export_jobs.forget_ended_before(i64::MAX).await.unwrap(), 1);
    let mut there = Vec::new();
    for number in 1..=6 {
        there.push(ports.export_jobs.find(id(number)).await.unwrap().is_some());
    }
    assert_eq!(there, [true, true, true, false, false, false], "what waits, runs or has files stays");
    assert_eq!(notices(&ports).await, [0u128; 0]);
}

pub(crate) async fn everything_of_a_tenant_ends(ports: Ports) {
    ports.open_tenants().await;
    for (number, state) in (1..).zip(JobState::ALL) {
        bring_to(&ports, number, state).await;
    }
    // More than one step.
    for number in 100..520 {
        ports.take(job(number, "acme")).await;
    }
    ports.take(job(20, "other")).await;
    ports.take(job(21, "other")).await;
    assert!(cancel(&ports, "other", 21).await);
    assert_eq!(notices(&ports).await, [1_005, 1_021]);
    let told = ports.actions("acme").await;

    assert_eq!(ports.export_jobs.end_all(&tenant("acme"), 900).await.unwrap(), 3 + 420);
    assert_eq!(ports.export_jobs.end_all(&tenant("acme"), 901).await.unwrap(), 0);
    use JobState::{Cancelled, Expired, Failed};
    for (number, state, finished_at_ms) in [
        (1, Cancelled, 900),
        (2, Cancelled, 900),
        (3, Expired, 5),
        (4, Failed, 5),
        (5, Cancelled, NOW_MS),
        (6, Expired, 5),
        (519, Cancelled, 900),
    ] {
        let job = ports.job(number).await;
        assert_eq!((job.state, job.finished_at_ms), (state, Some(finished_at_ms)), "{number}");
    }
    assert_eq!(left_over(&ports).await.len(), 10, "all parts, as nobody has files any more");
    assert_eq!(notices(&ports).await, [1_021], "others are told of theirs");
    let line = ports.export_jobs.in_line().await.unwrap();
    assert_eq!(line.iter().map(|job| job.claim.job).collect::<Vec<Uuid>>(), [id(20)]);
    assert_eq!(ports.actions("acme").await, told, "no user did it");
}

pub(crate) async fn a_job_that_ended_answers_its_repeated_request(ports: Ports) {
    ports.open_tenants().await;
    let order = |number| {
        let audit = entry("acme", "act");
        ports.export_jobs.order(job(number, "acme"), 9, Some(key("a", 1)), audit)
    };
    assert!(matches!(order(1).await.unwrap(), Ordered::New));
    let claim = ports.claim(Claim { job: id(1), generation: 0 }).await;
    assert!(ports.export_jobs.end(claim, ready(9_000), 500, vec![]).await.unwrap());
    let Ordered::Before(before) = order(2).await.unwrap() else { panic!("it was ordered before") };
    assert_eq!(format!("{before:?}"), format!("{:?}", ports.job(1).await), "as it is now");
}

pub(crate) async fn a_range_of_a_file_names_the_parts_that_hold_it(ports: Ports) {
    ports.open_tenants().await;
    let claim = ports.take_and_claim(1).await;
    // The bytes 0 to 10, none, 10 to 15, 15 to 35.
    for (number, bytes) in (0..).zip([10, 0, 5, 20]) {
        let part = ExportPart { bytes, ..part(number, &format!("exports/1/{number}")) };
        assert!(ports.export_jobs.keep_part(claim, part).await.unwrap());
    }
    let whole = ports.export_jobs.parts(id(1)).await.unwrap();
    for (range, numbers, before) in [
        (0..35, &[0, 2, 3][..], 0),
        (0..1, &[0], 0),
        (9..10, &[0], 0),
        (9..11, &[0, 2], 0),
        (10..15, &[2], 10),
        (14..16, &[2, 3], 10),
        (15..16, &[3], 15),
        (34..35, &[3], 15),
        (35..40, &[], 0),
        (7..7, &[0], 0),
    ] {
        let found = ports.export_jobs.parts_of_range(id(1), range.clone()).await.unwrap();
        assert_eq!((found.before, found.whole), (before, 35), "{range:?}");
        let wanted: Vec<_> = numbers
            .iter()
            .map(|number: &usize| ExportPart { state: Vec::new(), ..whole[*number].clone() })
            .collect();
        assert_eq!(found.parts, wanted, "{range:?}");
    }
    let nothing = ports.export_jobs.parts_of_range(id(2), 0..1).await.unwrap();
    assert_eq!((nothing.parts.len(), nothing.whole), (0, 0));
}
