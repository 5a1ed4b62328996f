//! Promises of the tenants port.

use super::{Ports, tenant};
use tollbook_model::privacy::PseudonymKey;
use tollbook_model::tenant::{CallerNumbers, Tenant};

fn with_keys(name: &str, keys: &[(u32, u8)]) -> Tenant {
    Tenant::new(
        tenant(name),
        keys.iter().map(|&(generation, byte)| PseudonymKey::new(generation, [byte; 32])).collect(),
        0,
    )
    .with_cdr_days(365)
}

fn told(tenant: &Tenant) -> (String, CallerNumbers, u32, Vec<(u32, u8)>) {
    let keys = tenant.pseudonym_keys.iter().map(|key| {
        let bytes = key.bytes().reveal();
        assert_eq!(bytes, &[bytes[0]; 32]);
        (key.generation(), bytes[0])
    });
    (tenant.name.to_string(), tenant.caller_numbers, tenant.settings.cdr_days, keys.collect())
}

pub(crate) async fn tenants_come_back_with_their_keys(ports: Ports) {
    assert!(ports.tenants.find(&tenant("acme")).await.unwrap().is_none());
    assert!(ports.tenants.list().await.unwrap().is_empty());
    ports.tenants.put(with_keys("zeta", &[(1, 9)])).await.unwrap();
    ports.tenants.put(with_keys("acme", &[(2, 7), (1, 8), (10, 6)])).await.unwrap();
    let acme = ports.tenants.find(&tenant("acme")).await.unwrap().unwrap();
    let expected = (String::from("acme"), CallerNumbers::Pseudonym, 365, vec![(1, 8), (2, 7), (10, 6)]);
    assert_eq!(told(&acme), expected, "generations rise");
    let listed: Vec<_> = ports.tenants.list().await.unwrap().iter().map(told).collect();
    let zeta = (String::from("zeta"), CallerNumbers::Pseudonym, 365, vec![(1, 9)]);
    assert_eq!(listed, [expected, zeta]);
}

pub(crate) async fn a_change_replaces_policy_and_keys(ports: Ports) {
    ports.tenants.put(with_keys("acme", &[(1, 8), (2, 7)])).await.unwrap();
    let mut change = with_keys("acme", &[(2, 7), (3, 5)]);
    change.caller_numbers = CallerNumbers::Plain;
    change.cdr_retention_days = u32::MAX;
    ports.tenants.put(change).await.unwrap();
    let acme = ports.tenants.find(&tenant("acme")).await.unwrap().unwrap();
    assert_eq!(told(&acme), (String::from("acme"), CallerNumbers::Plain, u32::MAX, vec![(2, 7), (3, 5)]));
}

pub(crate) async fn a_tenant_without_key_is_refused(ports: Ports) {
    ports.tenants.put(with_keys("acme", &[(1, 8)])).await.unwrap();
    assert!(ports.tenants.put(with_keys("acme", &[])).await.is_err());
    assert!(
        ports.tenants.put(with_keys("acme", &[(2, 1), (2, 2)])).await.is_err(),
        "a generation given twice"
    );
    let acme = ports.tenants.find(&tenant("acme")).await.unwrap().unwrap();
    assert_eq!(told(&acme).3, [(1, 8)], "a refused change takes nothing away");
}
