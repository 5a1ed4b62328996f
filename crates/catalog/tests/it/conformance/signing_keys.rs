//! Promises of the signing keys port.

use super::Ports;
use tollbook_kit::secret::Secret;
use tollbook_model::ports::{KeyPurpose, StoredSigningKey};

pub(crate) async fn keys_come_back_oldest_first(ports: Ports) {
    let key = |purpose, kid: &str, byte, created_at_ms| StoredSigningKey {
        purpose,
        kid: kid.to_owned(),
        seed: Secret::new([byte; 32]),
        created_at_ms,
    };
    assert!(ports.signing_keys.list().await.unwrap().is_empty());
    for new in [
        key(KeyPurpose::AuditLog, "b", 1, 30),
        key(KeyPurpose::AccessToken, "c", 2, 20),
        key(KeyPurpose::AuditLog, "a", 3, 10),
    ] {
        ports.signing_keys.create(new, None).await.unwrap();
    }
    let again = ports.signing_keys.create(key(KeyPurpose::AuditLog, "a", 9, 40), None).await;
    assert!(again.is_err(), "a key that is there is never replaced");
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
