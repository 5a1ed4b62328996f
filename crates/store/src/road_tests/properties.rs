//! Random histories: submissions, failures, restarts, compaction and sweeping in any order.

use super::*;
use crate::testing::NextAppend;
use proptest::prelude::*;
use std::collections::BTreeSet;
use tollbook_model::ports::Manifest;

#[derive(Debug, Clone)]
enum Step {
    Submit(Vec<Call>),
    SubmitTogether(Vec<Vec<Call>>),
    Compact { force: bool },
    Restart,
    Refused(Vec<Call>),
    ReplyLost(Vec<Call>),
    Killed(Vec<Call>),
    LateSweep,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    prop::collection::vec((0u16..60, 0i64..3).prop_map(|(key, seconds)| Call { key, seconds }), 1..25)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => calls().prop_map(Step::Submit),
        2 => prop::collection::vec(calls(), 2..5).prop_map(Step::SubmitTogether),
        3 => any::<bool>().prop_map(|force| Step::Compact { force }),
        1 => Just(Step::Restart),
        1 => calls().prop_map(Step::Refused),
        1 => calls().prop_map(Step::ReplyLost),
        1 => calls().prop_map(Step::Killed),
        1 => Just(Step::LateSweep),
    ];
    prop::collection::vec(step, 1..14)
}

/// Runs `steps`; `exact` when ingest remembers enough to count every repetition.
async fn run(steps: Vec<Step>, config: StoreConfig, exact: bool) {
    let mut world = World::new(config);
    let mut expected = Expected::default();
    for step in steps {
        match step {
            Step::Submit(calls) => {
                let committed = world.submit(&calls).await.unwrap();
                let due = expected.take(&calls);
                assert_eq!(committed.accepted, due.accepted);
                if exact {
                    assert_eq!(committed, due);
                }
            }
            Step::SubmitTogether(submissions) => together(&world, &mut expected, submissions).await,
            Step::Compact { force: true } => world.compaction.compact_now().await.unwrap(),
            Step::Compact { force: false } => {
                world.compact_when_due().await;
                world.restart().await;
            }
            Step::Restart => world.restart().await,
            Step::Refused(calls) => {
                world.catalog.set_next_append(NextAppend::Refused);
                if world.submit(&calls).await.is_ok() {
                    // All were duplicates, so that nothing had to be appended.
                    world.catalog.set_next_append(NextAppend::Works);
                    expected.take(&calls);
                }
            }
            Step::ReplyLost(calls) => {
                world.catalog.set_next_append(NextAppend::ReplyLost);
                let lost = world.submit(&calls).await.is_err();
                world.catalog.set_next_append(NextAppend::Works);
                expected.take(&calls);
                let again = world.submit(&calls).await.unwrap();
                let due = expected.take(&calls);
                if exact && lost {
                    assert_eq!(again, due);
                }
            }
            Step::Killed(calls) => {
                world.catalog.set_next_append(NextAppend::Hangs);
                let cut = tokio::time::timeout(Duration::from_millis(20), world.submit(&calls)).await;
                if let Ok(done) = cut {
                    done.unwrap();
                    expected.take(&calls);
                }
                world.restart().await;
                // Only now: on a busy machine the append may be asked for just before the end.
                world.catalog.set_next_append(NextAppend::Works);
            }
            Step::LateSweep => sweep_late(&world).await,
        }
        expected.check(&world.read().await);
    }
    finish(&world, &expected, exact).await;
}

/// After a long time the sweep leaves exactly the objects that live rows name; leftovers it has set aside.
async fn sweep_late(world: &World) {
    world.clock.advance(Duration::from_secs(24 * 3600));
    world.sweep.round().await.unwrap();
    for object in world.blobs.list("").unwrap() {
        if object.path.starts_with("set-aside/") {
            continue;
        }
        assert!(world.catalog.names_object(&object.path).await.unwrap(), "{} is garbage", object.path);
    }
    assert_eq!(world.catalog.doomed(i64::MAX, 10).await.unwrap(), []);
}

/// After a last compaction everything is in one settled part per day, however it came there.
async fn finish(world: &World, expected: &Expected, exact: bool) {
    world.compaction.compact_now().await.unwrap();
    let snapshot = world.snapshot().await;
    assert_eq!(snapshot.batches, []);
    let days: BTreeSet<i32> = snapshot.parts.iter().map(|part| part.day).collect();
    assert_eq!(snapshot.parts.len(), days.len(), "one part per day");
    assert!(snapshot.parts.iter().all(|part| !part.unsettled));
    assert_eq!(snapshot.parts.iter().map(|part| part.rows).sum::<u64>(), expected.latest.len() as u64);
    let seen = Seen::of(&snapshot, world.blobs.as_ref()).await;
    expected.check(&seen);
    for (id, (_, revision)) in expected.latest.iter().filter(|_| exact) {
        assert_eq!(seen.latest[id].revision, *revision, "numbers of revisions");
    }
    drop(snapshot);
    let parts: Vec<_> = world.snapshot().await.parts.iter().map(|part| part.id).collect();
    let counted: u64 = world.catalog.rollups(&parts).await.unwrap().iter().map(|(_, one)| one.calls).sum();
    assert_eq!(counted, expected.latest.len() as u64);
    sweep_late(world).await;
    expected.check(&world.read().await);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_each_record_is_seen_once_in_its_latest_form(steps in steps()) {
        block_on(run(steps, small_config(), true));
    }

    #[test]
    fn what_ingest_cannot_remember_is_settled_later(steps in steps(), bound in 0usize..200) {
        block_on(run(steps, StoreConfig { recent_ids: bound, ..small_config() }, false));
    }
}
