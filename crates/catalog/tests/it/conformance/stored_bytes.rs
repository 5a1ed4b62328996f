//! Promises of the stored bytes port.

use super::{Ports, bare, batch, id, part, swap, tenant};
use tollbook_model::dataset::Dataset;
use tollbook_model::ports::NewBatch;

pub(crate) async fn only_what_is_live_counts(ports: Ports) {
    let stored = async |name| ports.stored_bytes.stored_bytes(&tenant(name)).await.unwrap();
    assert_eq!(stored("acme").await, 0);
    let large = NewBatch { bytes: 1000, dataset: Dataset::Kpis, ..batch(2, 1, 0) };
    let foreign = NewBatch { bytes: 77, tenant: tenant("other"), ..batch(3, 1, 0) };
    ports.journal.append(vec![batch(1, 1, 0), large, foreign]).await.unwrap();
    assert_eq!((stored("acme").await, stored("other").await), (1003, 77), "of every dataset");
    assert!(ports.manifest.replace(swap(&[id(1)], &[], vec![bare(part(10, 0, 8))], 5)).await.unwrap());
    assert_eq!(stored("acme").await, 1000 + 8 * 40, "a doomed batch does not count");
    assert!(ports.manifest.replace(swap(&[], &[id(10)], vec![bare(part(11, 0, 4))], 6)).await.unwrap());
    assert_eq!(stored("acme").await, 1000 + 4 * 40, "nor does a doomed part");
}
