//! Promises of the manifest port about what a snapshot shows.

use super::{DAY_MS, Ports, bare, batch, id, part, scope, swap, tenant};
use tollbook_model::dataset::Dataset;
use tollbook_model::ports::{ManifestBatch, NewBatch, Snapshot, SnapshotScope};
use tollbook_model::time_range::TimeRange;

fn range(from_ms: i64, to_ms: i64) -> TimeRange {
    TimeRange::new(from_ms, to_ms).unwrap()
}

pub(crate) async fn an_empty_database_shows_nothing(ports: Ports) {
    assert_eq!(ports.everything().await, Snapshot::default());
    assert_eq!(ports.manifest.scopes().await.unwrap(), []);
    assert_eq!(ports.manifest.doomed(i64::MAX, 10).await.unwrap(), []);
    assert_eq!(ports.manifest.rollups(&[id(1)]).await.unwrap(), []);
}

pub(crate) async fn batches_are_seen_within_their_times(ports: Ports) {
    let spread = NewBatch { time_ms: (1_000, 2_000), revisions: 1, ..batch(1, 4, 0) };
    let unsettled = NewBatch { unsettled: true, ..batch(2, 1, 3_000) };
    let early = batch(3, 1, -5);
    ports.journal.append(vec![spread, unsettled, early]).await.unwrap();
    for (from_ms, to_ms, expected) in [
        (i64::MIN, i64::MAX, vec![1, 2, 3]),
        (0, 1_000, vec![]),
        (0, 1_001, vec![1]),
        (2_000, 2_001, vec![1]),
        (2_001, 3_000, vec![]),
        (1_500, 3_001, vec![1, 2]),
        (i64::MIN, -5, vec![]),
        (-5, -4, vec![3]),
    ] {
        let seen = ports.manifest.snapshot(&scope("acme"), range(from_ms, to_ms)).await.unwrap();
        let ids: Vec<_> = seen.batches.iter().map(|batch| batch.id.as_u128()).collect();
        assert_eq!(ids, expected, "{from_ms}..{to_ms}");
        assert_eq!(seen.watermark, 6, "the watermark does not depend on the range");
    }
    let seen = ports.everything().await.batches;
    let expected = ManifestBatch {
        id: id(1),
        first_sequence: 1,
        rows: 4,
        time_ms: (1_000, 2_000),
        bytes: 3,
        unsettled: true,
        received_at_ms: 5,
    };
    assert_eq!(seen[0], expected);
    assert_eq!([seen[1].unsettled, seen[2].unsettled], [true, false]);
}

pub(crate) async fn parts_are_seen_within_their_days(ports: Ports) {
    let parts = vec![bare(part(13, 2, 8)), bare(part(12, 2, 8)), bare(part(11, 1, 8)), bare(part(10, -1, 8))];
    assert!(ports.manifest.replace(swap(&[], &[], parts, 0)).await.unwrap());
    for (from_ms, to_ms, expected) in [
        (i64::MIN, i64::MAX, vec![10, 11, 12, 13]),
        (0, DAY_MS, vec![]),
        (DAY_MS, DAY_MS + 1, vec![11]),
        (2 * DAY_MS - 1, 2 * DAY_MS, vec![11]),
        (2 * DAY_MS - 1, 2 * DAY_MS + 1, vec![11, 12, 13]),
        (3 * DAY_MS, i64::MAX, vec![]),
        (-1, 0, vec![10]),
    ] {
        let seen = ports.manifest.snapshot(&scope("acme"), range(from_ms, to_ms)).await.unwrap();
        let ids: Vec<_> = seen.parts.iter().map(|part| part.id.as_u128()).collect();
        assert_eq!(ids, expected, "{from_ms}..{to_ms}");
    }
}

pub(crate) async fn parts_come_back_whole(ports: Ports) {
    let mut rich = part(10, 3, 131_073);
    rich.sequences = (17, 900_000);
    rich.unsettled = true;
    rich.layout = 2;
    let mut empty = part(11, 4, 0);
    empty.row_groups.clear();
    let new = vec![bare(rich.clone()), bare(empty.clone())];
    assert!(ports.manifest.replace(swap(&[], &[], new, 0)).await.unwrap());
    assert_eq!(ports.everything().await.parts, [rich.clone(), empty]);
    assert!(ports.manifest.names_object(&rich.path).await.unwrap());
}

pub(crate) async fn scopes_are_those_with_something_live(ports: Ports) {
    let kpis = NewBatch { dataset: Dataset::Kpis, tenant: tenant("b"), ..batch(1, 1, 0) };
    ports.journal.append(vec![kpis, batch(2, 1, 0)]).await.unwrap();
    let kpis = SnapshotScope { tenant: tenant("b"), dataset: Dataset::Kpis };
    let sorted = |mut scopes: Vec<SnapshotScope>| {
        scopes.sort_by(|a, b| (&a.tenant, a.dataset).cmp(&(&b.tenant, b.dataset)));
        scopes
    };
    assert_eq!(sorted(ports.manifest.scopes().await.unwrap()), [scope("acme"), kpis.clone()]);
    assert!(ports.manifest.replace(swap(&[id(2)], &[], vec![bare(part(10, 0, 1))], 0)).await.unwrap());
    assert_eq!(sorted(ports.manifest.scopes().await.unwrap()), [scope("acme"), kpis.clone()]);
    assert!(ports.manifest.replace(swap(&[], &[id(10)], vec![], 0)).await.unwrap());
    assert_eq!(ports.manifest.scopes().await.unwrap(), [kpis]);
    assert_eq!(ports.everything().await.watermark, 1, "sequences outlive their records");
}

pub(crate) async fn scopes_do_not_see_each_other(ports: Ports) {
    ports.journal.append(vec![batch(1, 1, 0)]).await.unwrap();
    assert!(ports.manifest.replace(swap(&[], &[], vec![bare(part(10, 0, 1))], 0)).await.unwrap());
    let foreign = ports.manifest.snapshot(&scope("other"), TimeRange::all()).await.unwrap();
    assert_eq!(foreign, Snapshot::default());
    for (batches, parts) in [(vec![id(1)], vec![]), (vec![], vec![id(10)])] {
        let mut theft = swap(&batches, &parts, vec![], 0);
        theft.scope = scope("other");
        assert!(!ports.manifest.replace(theft).await.unwrap());
    }
    let seen = ports.everything().await;
    assert_eq!((seen.batches.len(), seen.parts.len()), (1, 1));
}
