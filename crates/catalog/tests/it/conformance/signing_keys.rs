//! Promises of the signing keys port.

use super::{Ports, entry};
use tollbook_kit::fault::Code;
use tollbook_kit::secret::Secret;
use tollbook_model::ports::{KeyPurpose, StoredSigningKey};

fn key(purpose: KeyPurpose, kid: &str, byte: u8, created_at_ms: i64) -> StoredSigningKey {
    StoredSigningKey { purpose, kid: kid.to_owned(), seed: Secret::new([byte; 32]), created_at_ms }
}

pub(crate) async fn keys_come_back_oldest_first(ports: Ports) {
    assert!(ports.signing_keys.list().await.unwrap().is_empty());
    for new in [
        key(KeyPurpose::AuditLog, "b", 1, 30),
        key(KeyPurpose::AccessToken, "c", 2, 20),
        key(KeyPurpose::AuditLog, "a", 3, 10),
    ] {
        ports.signing_keys.create(new, None).await.unwrap();
    }
    let again = ports.signing_keys.create(key(KeyPurpose::AuditLog, "a", 9, 40), None).await;
    assert_eq!(again.unwrap_err().code(), Code::Conflict, "a key that is there is never replaced");
    let keys = ports.signing_keys.list().await.unwrap();
    let told: Vec<_> = keys
        .iter()
        .map(|key| (key.purpose, key.kid.as_str(), key.seed.reveal()[31], key.created_at_ms))
        .collect();
    let expected = [
        (KeyPurpose::AuditLog, "a", 3, 10),
        (KeyPurpose::AccessToken, "c", 2, 20),
        (KeyPurpose::AuditLog, "b", 1, 30),
    ];
    assert_eq!(told, expected);
}

pub(crate) async fn a_removed_key_is_gone(ports: Ports) {
    for (purpose, kid) in
        [(KeyPurpose::DownloadLink, "k1"), (KeyPurpose::DownloadLink, "k2"), (KeyPurpose::Manifest, "k1")]
    {
        ports.signing_keys.create(key(purpose, kid, 1, 10), None).await.unwrap();
    }
    for removed in [true, false] {
        let answer = ports.signing_keys.remove(KeyPurpose::DownloadLink, "k1", None).await.unwrap();
        assert_eq!(answer, removed);
    }
    let left = ports.signing_keys.list().await.unwrap();
    let left: Vec<_> = left.iter().map(|key| (key.purpose, key.kid.as_str())).collect();
    assert_eq!(left, [(KeyPurpose::Manifest, "k1"), (KeyPurpose::DownloadLink, "k2")]);
}

pub(crate) async fn what_somebody_does_to_keys_is_logged(ports: Ports) {
    let told = |action| Some(entry("acme", action));
    let new = || key(KeyPurpose::DownloadLink, "k1", 1, 10);
    ports.signing_keys.create(new(), told("link-key.create")).await.unwrap();
    assert!(ports.signing_keys.create(new(), told("refused")).await.is_err());
    assert!(!ports.signing_keys.remove(KeyPurpose::Manifest, "k1", told("nothing")).await.unwrap());
    assert!(ports.signing_keys.remove(new().purpose, "k1", told("link-key.remove")).await.unwrap());
    ports.signing_keys.create(new(), None).await.unwrap();
    assert_eq!(ports.actions("acme").await, ["link-key.create", "link-key.remove"]);
}
