//! Promises of the port of signed manifests.

use super::{Ports, id, tenant};
use tollbook_model::dataset::Dataset;
use tollbook_model::ports::{MOST_MANIFESTS, StoredManifest};

pub(crate) fn manifest(number: u128, owner: &str, created_at_ms: i64) -> StoredManifest {
    StoredManifest {
        tenant: tenant(owner),
        export_id: id(number),
        dataset: Dataset::AuditLog,
        created_at_ms,
        jws: format!("header.planted-manifest-{number}.signature"),
    }
}

pub(crate) async fn a_manifest_is_found_by_its_own_tenant_alone(ports: Ports) {
    ports.open_tenants().await;
    let nobody = manifest(9, "nobody", 5);
    assert!(
        ports.export_manifests.keep(nobody).await.is_err(),
        "nothing is made for a tenant that is not there"
    );
    let (mine, other) = (manifest(1, "acme", 10), manifest(2, "other", 20));
    for kept in [&mine, &other] {
        ports.export_manifests.keep(kept.clone()).await.unwrap();
    }
    let found = |owner, number| ports.export_manifests.find(owner, id(number));
    let (acme, globex) = (tenant("acme"), tenant("other"));
    assert_eq!(found(&acme, 1).await.unwrap(), Some(mine));
    assert_eq!(found(&globex, 2).await.unwrap(), Some(other));
    assert_eq!(found(&globex, 1).await.unwrap(), None);
    assert_eq!(found(&acme, 3).await.unwrap(), None);
    assert!(ports.export_manifests.keep(manifest(1, "other", 30)).await.is_err(), "an export has one");
    assert_eq!(found(&acme, 1).await.unwrap().map(|kept| kept.created_at_ms), Some(10));
}

pub(crate) async fn a_tenant_has_the_newest_manifests(ports: Ports) {
    ports.open_tenants().await;
    ports.export_manifests.keep(manifest(1, "other", 1)).await.unwrap();
    let most = MOST_MANIFESTS as u128;
    for number in 0..=most {
        ports.export_manifests.keep(manifest(10 + number, "acme", 10 + number as i64)).await.unwrap();
    }
    let acme = tenant("acme");
    assert_eq!(ports.export_manifests.find(&acme, id(10)).await.unwrap(), None, "the oldest gave way");
    assert!(ports.export_manifests.find(&acme, id(11)).await.unwrap().is_some());
    assert!(ports.export_manifests.find(&acme, id(10 + most)).await.unwrap().is_some());
    assert!(
        ports.export_manifests.find(&tenant("other"), id(1)).await.unwrap().is_some(),
        "others keep theirs"
    );
}

pub(crate) async fn old_manifests_are_forgotten(ports: Ports) {
    ports.open_tenants().await;
    for number in 0..20 {
        ports.export_manifests.keep(manifest(number, "acme", 1_000 + number as i64)).await.unwrap();
    }
    assert_eq!(ports.export_manifests.forget_signed_before(1_005).await.unwrap(), 5);
    assert_eq!(ports.export_manifests.forget_signed_before(1_005).await.unwrap(), 0);
    let acme = tenant("acme");
    assert_eq!(ports.export_manifests.find(&acme, id(4)).await.unwrap(), None);
    assert!(
        ports.export_manifests.find(&acme, id(5)).await.unwrap().is_some(),
        "old, but not from before then"
    );
}
