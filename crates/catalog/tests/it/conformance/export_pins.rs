//! Promises of the export jobs port about what a job sees, whatever becomes of it meanwhile.

use super::export_jobs::{LEASE_MS, lease};
use super::export_line::failure;
use super::{DAY_MS, NOW_MS, Ports, batch, entry, id, part, rollup, scope, swap, tenant};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinSet;
use tollbook_kit::fault::Code;
use tollbook_model::export_job::{Claim, JobSnapshot, Sight};
use tollbook_model::ports::{JobEnd, NewPart, Snapshot};
use tollbook_model::time_range::TimeRange;

async fn pin(ports: &Ports, claim: Claim, range: TimeRange, now_ms: i64) -> (JobSnapshot, Snapshot) {
    match ports.export_jobs.pin(claim, &scope("acme"), range, now_ms).await.unwrap() {
        Some((seen, Sight::Records(snapshot))) => (seen, *snapshot),
        other => panic!("{other:?}"),
    }
}

/// A lake of one part and a journal of one batch.
async fn fill(ports: &Ports) {
    ports.journal.append(vec![batch(10, 3, 0), batch(11, 2, 0)]).await.unwrap();
    let lake = NewPart { part: part(20, 0, 3), rollups: vec![rollup(0, 3)] };
    assert!(ports.manifest.replace(swap(&[id(10)], &[], vec![lake], 1)).await.unwrap());
    ports.manifest.forget(&[id(10)]).await.unwrap();
}

/// Compaction replaces everything, and the sweep comes by.
async fn replace_all(ports: &Ports) {
    let both = NewPart { part: part(30, 0, 5), rollups: vec![rollup(0, 5)] };
    assert!(ports.manifest.replace(swap(&[id(11)], &[id(20)], vec![both], 5)).await.unwrap());
    ports.manifest.forget(&[id(11), id(20)]).await.unwrap();
}

async fn doomed(ports: &Ports) -> Vec<u128> {
    ports.manifest.doomed(i64::MAX, 10).await.unwrap().iter().map(|thing| thing.id.as_u128()).collect()
}

pub(crate) async fn every_attempt_sees_the_same(ports: Ports) {
    ports.open_tenants().await;
    fill(&ports).await;
    let first = ports.take_and_claim(1).await;
    let live = ports.everything().await;
    assert_eq!((live.parts.len(), live.batches.len(), live.watermark), (1, 1, 5));
    let (seen, snapshot) = pin(&ports, first, TimeRange::all(), 77).await;
    assert_eq!((seen, &snapshot), (JobSnapshot { at_ms: 77, watermark: 5 }, &live));
    assert_eq!(ports.job(1).await.snapshot, Some(seen));

    replace_all(&ports).await;
    ports.journal.append(vec![batch(12, 4, 0)]).await.unwrap();
    assert_eq!(pin(&ports, first, TimeRange::all(), 88).await, (seen, live.clone()), "asked again");
    let late = NOW_MS + LEASE_MS;
    let (second, _) = ports.export_jobs.claim(first, lease(2, late), late).await.unwrap().unwrap();
    let narrower = TimeRange::new(DAY_MS, 2 * DAY_MS).unwrap();
    assert_eq!(pin(&ports, second, narrower, 99).await, (seen, live), "by another attempt, and for good");
    assert_ne!(ports.everything().await, snapshot, "though others see what is new");
}

pub(crate) async fn what_a_job_sees_stays_until_it_ends(ports: Ports) {
    ports.open_tenants().await;
    let acme = tenant("acme");
    for (round, end) in ["ready", "failed", "cancelled", "all ended"].into_iter().enumerate() {
        fill(&ports).await;
        let number = round as u128 + 1;
        let claim = ports.take_and_claim(number).await;
        pin(&ports, claim, TimeRange::all(), 1).await;
        replace_all(&ports).await;
        assert_eq!(doomed(&ports).await, [0u128; 0], "{end}: what is pinned is not to be swept");
        assert_eq!(ports.journal.contents(&[id(11)]).await.unwrap().len(), 1, "{end}");
        assert_eq!(ports.manifest.rollups(&[id(20)]).await.unwrap().len(), 1, "{end}");
        assert!(ports.manifest.names_object(&part(20, 0, 3).path).await.unwrap(), "{end}");

        let ready = JobEnd::Ready { files: vec![], manifest: None, expires_at_ms: i64::MAX };
        assert!(match end {
            "ready" => ports.export_jobs.end(claim, ready, 5, vec![]).await.unwrap(),
            "failed" => ports.export_jobs.end(claim, failure(), 5, vec![]).await.unwrap(),
            "cancelled" => {
                let act = entry("acme", "act");
                ports.export_jobs.cancel(&acme, id(number), 5, vec![], act).await.unwrap()
            }
            _ => ports.export_jobs.end_all(&acme, 5).await.unwrap() == 2,
        });
        assert_eq!(doomed(&ports).await, [11, 20], "{end}");
        ports.manifest.forget(&[id(11), id(20)]).await.unwrap();
        assert_eq!(ports.journal.contents(&[id(11)]).await.unwrap_err().code(), Code::Internal, "{end}");
        assert_eq!(doomed(&ports).await, [0u128; 0], "{end}");
        // For the next round.
        assert!(ports.manifest.replace(swap(&[], &[id(30)], vec![], 6)).await.unwrap());
        ports.manifest.forget(&[id(30)]).await.unwrap();
    }
}

pub(crate) async fn what_two_jobs_see_stays_for_both(ports: Ports) {
    ports.open_tenants().await;
    fill(&ports).await;
    let (one, two) = (ports.take_and_claim(1).await, ports.take_and_claim(2).await);
    pin(&ports, one, TimeRange::all(), 1).await;
    pin(&ports, two, TimeRange::all(), 1).await;
    replace_all(&ports).await;
    assert!(ports.export_jobs.end(one, failure(), 5, vec![]).await.unwrap());
    assert_eq!(doomed(&ports).await, [0u128; 0]);
    assert!(ports.export_jobs.let_go(two, None, true).await.unwrap());
    assert_eq!(doomed(&ports).await, [0u128; 0], "a job that rests still sees it");
    let two = ports.claim(two).await;
    assert!(ports.export_jobs.end(two, failure(), 5, vec![]).await.unwrap());
    assert_eq!(doomed(&ports).await, [11, 20]);
}

pub(crate) async fn only_what_a_job_may_need_is_held(ports: Ports) {
    ports.open_tenants().await;
    ports.journal.append(vec![batch(10, 1, 0), batch(11, 1, DAY_MS)]).await.unwrap();
    let parts = [(20, 0), (21, 1), (22, 2)]
        .map(|(number, day)| NewPart { part: part(number, day, 1), rollups: Vec::new() });
    assert!(ports.manifest.replace(swap(&[], &[], parts.to_vec(), 1)).await.unwrap());
    let claim = ports.take_and_claim(1).await;
    let second_day = TimeRange::new(DAY_MS, 2 * DAY_MS).unwrap();
    let (seen, snapshot) = pin(&ports, claim, second_day, 1).await;
    assert_eq!(seen.watermark, 2);
    assert_eq!(snapshot, ports.manifest.snapshot(&scope("acme"), second_day).await.unwrap());
    assert_eq!((snapshot.parts.len(), snapshot.batches.len()), (1, 1));
    let all = swap(&[id(10), id(11)], &[id(20), id(21), id(22)], vec![], 5);
    assert!(ports.manifest.replace(all).await.unwrap());
    assert_eq!(doomed(&ports).await, [10, 20, 22]);

    let foreign = ports.take_and_claim(2).await;
    let other = ports.export_jobs.pin(foreign, &scope("other"), TimeRange::all(), 1).await.unwrap();
    let Some((_, Sight::Records(nothing))) = other else { panic!("{other:?}") };
    assert_eq!(*nothing, Snapshot::default());
}

pub(crate) async fn rows_that_are_handed_over_are_fixed_once(ports: Ports) {
    ports.open_tenants().await;
    fill(&ports).await;
    let claim = ports.take_and_claim(1).await;
    let (first, later) = (JobSnapshot { at_ms: 5, watermark: 40 }, JobSnapshot { at_ms: 6, watermark: 50 });
    assert_eq!(ports.export_jobs.keep_sight(claim, first).await.unwrap(), Some(first));
    assert_eq!(ports.export_jobs.keep_sight(claim, later).await.unwrap(), Some(first));
    assert_eq!(ports.job(1).await.snapshot, Some(first));
    let pinned = ports.export_jobs.pin(claim, &scope("acme"), TimeRange::all(), 7).await.unwrap();
    assert!(matches!(pinned, Some((seen, Sight::Given { watermark: 40 })) if seen == first), "{pinned:?}");
    replace_all(&ports).await;
    assert_eq!(doomed(&ports).await, [0u128; 0], "it holds nothing of the lake, and the sweep had all");
    assert!(ports.journal.contents(&[id(11)]).await.is_err());
}

/// Ingest, compaction and sweep go on while jobs begin and end.
pub(crate) async fn jobs_beside_compaction_see_each_record_once(ports: Ports) {
    const ROUNDS: u128 = 60;
    ports.open_tenants().await;
    let done = Arc::new(AtomicBool::new(false));
    let mut workers = JoinSet::new();
    for worker in 1..=2u128 {
        let (ports, done) = (ports.clone(), Arc::clone(&done));
        workers.spawn(async move {
            let mut jobs = 0;
            while !done.load(Ordering::SeqCst) {
                jobs += 1;
                see_all(&ports, worker * 1_000_000 + jobs).await;
            }
            jobs
        });
    }
    let mut compacted = None;
    for round in 1..=ROUNDS {
        ports.journal.append(vec![batch(round * 2, 3, 0), batch(round * 2 + 1, 2, 0)]).await.unwrap();
        let old: Vec<_> = compacted.into_iter().collect();
        let new = part(100_000 + round, 0, round as u64 * 5);
        compacted = Some(new.id);
        let new = NewPart { part: new, rollups: vec![rollup(0, 1)] };
        let batches = [id(round * 2), id(round * 2 + 1)];
        assert!(ports.manifest.replace(swap(&batches, &old, vec![new], round as i64)).await.unwrap());
        let swept = ports.manifest.doomed(i64::MAX, 100).await.unwrap();
        let swept: Vec<_> = swept.iter().map(|thing| thing.id).collect();
        ports.manifest.forget(&swept).await.unwrap();
    }
    done.store(true, Ordering::SeqCst);
    let jobs: u128 = workers.join_all().await.into_iter().sum();
    assert!(jobs > 4, "only {jobs} jobs began beside {ROUNDS} swaps");
    let doomed = ports.manifest.doomed(i64::MAX, 1_000).await.unwrap();
    let doomed: Vec<_> = doomed.iter().map(|thing| thing.id).collect();
    ports.manifest.forget(&doomed).await.unwrap();
    assert!(ports.journal.contents(&[id(2)]).await.is_err(), "what nobody sees any more is swept");
}

async fn see_all(ports: &Ports, number: u128) {
    let claim = ports.take_and_claim(number).await;
    let (seen, snapshot) = pin(ports, claim, TimeRange::all(), 1).await;
    let rows = snapshot.batches.iter().map(|batch| batch.rows).sum::<u64>()
        + snapshot.parts.iter().map(|part| part.rows).sum::<u64>();
    assert_eq!(rows, seen.watermark, "each record up to the watermark is seen exactly once");
    let batches: Vec<_> = snapshot.batches.iter().map(|batch| batch.id).collect();
    for _ in 0..5 {
        assert_eq!(ports.journal.contents(&batches).await.unwrap().len(), batches.len());
        for part in &snapshot.parts {
            assert!(ports.manifest.names_object(&part.path).await.unwrap(), "its object is not swept");
            assert_eq!(ports.manifest.rollups(&[part.id]).await.unwrap().len(), 1);
        }
    }
    assert_eq!(pin(ports, claim, TimeRange::all(), 2).await, (seen, snapshot), "nothing of it went away");
    assert!(ports.export_jobs.end(claim, failure(), 5, vec![]).await.unwrap());
}
