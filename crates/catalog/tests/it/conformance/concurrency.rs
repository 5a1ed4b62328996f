//! Promises that only show when many work at once.

use super::{Ports, bare, batch, id, part, swap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinSet;

pub(crate) async fn many_writers_leave_no_gap(ports: Ports) {
    const WRITERS: u128 = 16;
    const APPENDS: u128 = 20;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let ports = ports.clone();
        writers.spawn(async move {
            let mut ranges = Vec::new();
            for append in 0..APPENDS {
                let number = writer * APPENDS + append;
                let rows = 1 + (number % 7) as u64;
                let appended = ports.journal.append(vec![batch(number, rows, 0)]).await.unwrap();
                ranges.push((appended[0].first_sequence, rows, appended[0].id));
            }
            ranges
        });
    }
    let mut ranges = writers.join_all().await.concat();
    ranges.sort_unstable();
    let mut next = 1;
    for (first, rows, _) in &ranges {
        assert_eq!(*first, next, "no gap and no overlap");
        next += rows;
    }
    let seen = ports.everything().await;
    assert_eq!(seen.watermark, next - 1);
    let stored: Vec<_> =
        seen.batches.iter().map(|batch| (batch.first_sequence, batch.rows, batch.id)).collect();
    assert_eq!(stored, ranges, "nothing was lost, and everything has the sequence that was answered");
    let ids: Vec<_> = ranges.iter().map(|(_, _, id)| *id).collect();
    assert_eq!(ports.journal.contents(&ids).await.unwrap().len(), ids.len());
}

pub(crate) async fn one_of_two_swaps_wins(ports: Ports) {
    for round in 0..30u128 {
        let contested = 1000 + round;
        ports.journal.append(vec![batch(contested, 1, 0)]).await.unwrap();
        let mut rivals = JoinSet::new();
        for rival in 0..2u128 {
            let ports = ports.clone();
            rivals.spawn(async move {
                let new = vec![bare(part(10_000 + round * 2 + rival, 0, 1))];
                ports.manifest.replace(swap(&[id(contested)], &[], new, 1)).await.unwrap()
            });
        }
        let wins = rivals.join_all().await.into_iter().filter(|&won| won).count();
        assert_eq!(wins, 1, "round {round}");
    }
    let seen = ports.everything().await;
    assert_eq!((seen.parts.len(), seen.batches.len()), (30, 0));
}

/// Appends, swaps of batches for parts and swaps of two parts for one run while snapshots are taken.
pub(crate) async fn every_snapshot_sees_each_record_once(ports: Ports) {
    const ROUNDS: u128 = 60;
    let done = Arc::new(AtomicBool::new(false));
    let mut readers = JoinSet::new();
    for _ in 0..3 {
        let (ports, done) = (ports.clone(), Arc::clone(&done));
        readers.spawn(async move {
            let mut snapshots = 0;
            while !done.load(Ordering::SeqCst) {
                let seen = ports.everything().await;
                let rows = seen.batches.iter().map(|batch| batch.rows).sum::<u64>()
                    + seen.parts.iter().map(|part| part.rows).sum::<u64>();
                assert_eq!(rows, seen.watermark, "each record up to the watermark is seen exactly once");
                snapshots += 1;
            }
            snapshots
        });
    }
    let mut compacted = None;
    for round in 1..=ROUNDS {
        ports.journal.append(vec![batch(round * 2, 3, 0), batch(round * 2 + 1, 2, 0)]).await.unwrap();
        let rows = round as u64 * 5;
        let old: Vec<_> = compacted.into_iter().collect();
        let new = id(100_000 + round);
        let published = vec![bare(part(new.as_u128(), 0, rows))];
        let batches = [id(round * 2), id(round * 2 + 1)];
        assert!(ports.manifest.replace(swap(&batches, &old, published, round as i64)).await.unwrap());
        compacted = Some(new);
    }
    done.store(true, Ordering::SeqCst);
    let snapshots: u32 = readers.join_all().await.into_iter().sum();
    assert!(snapshots > 3, "only {snapshots} snapshots were taken beside {ROUNDS} swaps");
}
