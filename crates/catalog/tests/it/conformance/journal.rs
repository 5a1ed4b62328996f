//! Promises of the journal port.

use super::{Ports, batch, id, tenant};
use bytes::Bytes;
use tollbook_kit::fault::Code;
use tollbook_model::dataset::Dataset;
use tollbook_model::ports::{BatchContent, NewBatch, SnapshotScope};
use tollbook_model::time_range::TimeRange;

pub(crate) async fn sequences_are_gapless_per_tenant_and_dataset(ports: Ports) {
    let other_tenant = NewBatch { tenant: tenant("other"), ..batch(2, 7, 0) };
    let other_dataset = NewBatch { dataset: Dataset::Kpis, ..batch(3, 9, 0) };
    let first = ports
        .journal
        .append(vec![batch(1, 5, 0), other_tenant, other_dataset, batch(4, 2, 0)])
        .await
        .unwrap();
    let second = ports.journal.append(vec![batch(5, 1, 0)]).await.unwrap();
    let sequences: Vec<_> =
        first.iter().chain(&second).map(|appended| (appended.id, appended.first_sequence)).collect();
    assert_eq!(sequences, [(id(1), 1), (id(2), 1), (id(3), 1), (id(4), 6), (id(5), 8)]);
    assert_eq!(ports.everything().await.watermark, 8);
    for (tenant_name, dataset, watermark) in [("other", Dataset::Cdr, 7), ("acme", Dataset::Kpis, 9)] {
        let scope = SnapshotScope { tenant: tenant(tenant_name), dataset };
        assert_eq!(ports.manifest.snapshot(&scope, TimeRange::all()).await.unwrap().watermark, watermark);
    }
    assert_eq!(ports.journal.append(Vec::new()).await.unwrap(), []);
}

pub(crate) async fn contents_come_back_in_the_order_asked(ports: Ports) {
    let large = Bytes::from((0..700_000u32).map(|n| (n % 251) as u8).collect::<Vec<u8>>());
    let inline = NewBatch { content: BatchContent::Inline(large.clone()), ..batch(1, 1, 0) };
    let empty = NewBatch { content: BatchContent::Inline(Bytes::new()), ..batch(2, 1, 0) };
    let object = NewBatch { content: BatchContent::Object("journal/3".into()), ..batch(3, 1, 0) };
    ports.journal.append(vec![inline, empty, object]).await.unwrap();
    let contents = ports.journal.contents(&[id(3), id(1), id(2), id(3)]).await.unwrap();
    let object = BatchContent::Object("journal/3".into());
    assert_eq!(
        contents,
        [object.clone(), BatchContent::Inline(large), BatchContent::Inline(Bytes::new()), object]
    );
    assert_eq!(ports.journal.contents(&[id(1), id(99)]).await.unwrap_err().code(), Code::Internal);
    assert_eq!(ports.journal.contents(&[]).await.unwrap(), []);
    assert!(ports.manifest.names_object("journal/3").await.unwrap());
    assert!(!ports.manifest.names_object("journal/4").await.unwrap());
}

pub(crate) async fn a_known_batch_id_is_refused_and_nothing_is_kept(ports: Ports) {
    ports.journal.append(vec![batch(1, 5, 0)]).await.unwrap();
    let before = ports.everything().await;
    let refused = ports.journal.append(vec![batch(2, 3, 0), batch(1, 5, 0)]).await.unwrap_err();
    assert_eq!(refused.code(), Code::Internal);
    assert_eq!(ports.everything().await, before);
    let next = ports.journal.append(vec![batch(3, 1, 0)]).await.unwrap();
    assert_eq!(next[0].first_sequence, 6, "the refused append left no gap");
}

pub(crate) async fn impossible_batches_change_nothing(ports: Ports) {
    for impossible in [batch(1, 0, 0), batch(1, u64::MAX, 0), batch(1, i64::MAX as u64, 0)] {
        let refused = ports.journal.append(vec![batch(2, 1, 0), impossible]).await.unwrap_err();
        assert_eq!(refused.code(), Code::Internal);
    }
    assert_eq!(ports.everything().await.watermark, 0);
    assert_eq!(ports.journal.append(vec![batch(3, 1, 0)]).await.unwrap()[0].first_sequence, 1);
}
