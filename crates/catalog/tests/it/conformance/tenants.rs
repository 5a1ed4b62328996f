//! Promises of the tenants port. Erasing is in `erasure`.

use super::{Ports, entry, tenant};
use tollbook_kit::fault::Code;
use tollbook_kit::secret::Secret;
use tollbook_model::privacy::PseudonymKey;
use tollbook_model::tenant::{CallerNumbers, Tenant, TenantQuota, TenantSettings, TenantState};

pub(crate) fn with_keys(name: &str, keys: &[(u32, u8)]) -> Tenant {
    let keys = keys.iter().map(|&(generation, byte)| PseudonymKey::new(generation, [byte; 32])).collect();
    Tenant::new(tenant(name), keys, 40)
}

/// No field as it is by default.
pub(crate) fn unusual(name: &str) -> Tenant {
    Tenant {
        settings: TenantSettings {
            caller_numbers: CallerNumbers::Plain,
            callback_secret: Some(Secret::new(String::from("callback-secret"))),
            cdr_days: 1,
            event_days: 2,
            audit_months: 3,
            file_retention_s: u32::MAX,
        },
        quota: TenantQuota {
            direct_exports: 5,
            running_jobs: 6,
            queued_jobs: 0,
            stored_bytes: Some(i64::MAX as u64),
        },
        state: TenantState::Closing { ends_at_ms: 99 },
        ..with_keys(name, &[(1, 8), (2, 7)])
    }
}

pub(crate) fn keys(tenant: &Tenant) -> Vec<(u32, u8)> {
    let told = tenant.pseudonym_keys.iter().map(|key| {
        let bytes = key.bytes().reveal();
        assert_eq!(bytes, &[bytes[0]; 32]);
        (key.generation(), bytes[0])
    });
    told.collect()
}

fn same(one: &Tenant, other: &Tenant) {
    assert_eq!(one.name, other.name);
    assert_eq!((&one.settings, one.quota, one.state), (&other.settings, other.quota, other.state));
    assert_eq!((keys(one), one.created_at_ms), (keys(other), other.created_at_ms));
}

pub(crate) async fn tenants_come_back_with_everything(ports: Ports) {
    assert!(ports.tenants.find(&tenant("acme")).await.unwrap().is_none());
    assert!(ports.tenants.list().await.unwrap().is_empty());
    ports.tenants.create(unusual("zeta"), entry("default", "tenant.create")).await.unwrap();
    let acme = with_keys("acme", &[(2, 7), (1, 8), (10, 6)]);
    ports.tenants.create(acme, entry("default", "tenant.create")).await.unwrap();
    let acme = with_keys("acme", &[(1, 8), (2, 7), (10, 6)]);
    same(&ports.tenants.find(&tenant("acme")).await.unwrap().unwrap(), &acme);
    let listed = ports.tenants.list().await.unwrap();
    assert_eq!(listed.len(), 2);
    same(&listed[0], &acme);
    same(&listed[1], &unusual("zeta"));
    assert_eq!(ports.actions("default").await, ["tenant.create"; 2]);
}

pub(crate) async fn a_change_replaces_all_but_name_and_beginning(ports: Ports) {
    ports.tenants.create(with_keys("acme", &[(1, 8), (3, 5)]), entry("acme", "tenant.create")).await.unwrap();
    let change = Tenant { created_at_ms: 77, ..unusual("acme") };
    assert!(ports.tenants.change(change, entry("acme", "tenant.change")).await.unwrap());
    same(&ports.tenants.find(&tenant("acme")).await.unwrap().unwrap(), &unusual("acme"));
    assert!(!ports.tenants.change(unusual("nobody"), entry("acme", "nothing")).await.unwrap());
    assert!(ports.tenants.find(&tenant("nobody")).await.unwrap().is_none());
    let plain = with_keys("acme", &[(2, 7)]);
    assert!(ports.tenants.change(plain.clone(), entry("acme", "tenant.change")).await.unwrap());
    same(&ports.tenants.find(&tenant("acme")).await.unwrap().unwrap(), &plain);
    assert_eq!(ports.actions("acme").await, ["tenant.create", "tenant.change", "tenant.change"]);
}

pub(crate) async fn a_tenant_without_key_is_refused(ports: Ports) {
    ports.tenants.create(with_keys("acme", &[(1, 8)]), entry("acme", "tenant.create")).await.unwrap();
    for keys in [&[][..], &[(2, 1), (2, 2)]] {
        let refused = ports.tenants.change(with_keys("acme", keys), entry("acme", "refused")).await;
        assert!(refused.is_err(), "no key, or a generation given twice");
        let refused = ports.tenants.create(with_keys("new", keys), entry("acme", "refused")).await;
        assert!(refused.is_err());
    }
    let acme = ports.tenants.find(&tenant("acme")).await.unwrap().unwrap();
    assert_eq!(keys(&acme), [(1, 8)], "a refused change takes nothing away");
    assert!(ports.tenants.find(&tenant("new")).await.unwrap().is_none());
    assert_eq!(ports.actions("acme").await, ["tenant.create"]);
}

pub(crate) async fn names_that_differ_only_in_case_are_one(ports: Ports) {
    ports.tenants.create(with_keys("Acme", &[(1, 8)]), entry("default", "tenant.create")).await.unwrap();
    for name in ["Acme", "acme", "ACME"] {
        let refused = ports.tenants.create(with_keys(name, &[(1, 9)]), entry("default", "refused")).await;
        assert_eq!(refused.unwrap_err().code(), Code::Conflict, "{name}");
    }
    assert!(ports.tenants.find(&tenant("acme")).await.unwrap().is_none(), "but they are looked up exactly");
    assert_eq!(keys(&ports.tenants.find(&tenant("Acme")).await.unwrap().unwrap()), [(1, 8)]);
    assert_eq!(ports.actions("default").await, ["tenant.create"]);
}
