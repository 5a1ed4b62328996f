//! The keys that sign with Ed25519: loaded at the start, and made where one is missing.
//!
//! Keys of links to files are of another kind: see [`downloads`](crate::downloads).
//!
//! They are read once: a key that is added takes effect at the next start. How they are kept and sealed is the
//! catalog's; what they sign is decided by whoever asks for one.

use serde_json::{Value, json};
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::Fault;
use tollbook_kit::ids::Randomness;
use tollbook_kit::secret::Secret;
use tollbook_model::jws::{JwsKey, JwsKeys, SEED_BYTES};
use tollbook_model::ports::{KeyPurpose, SigningKeys, StoredSigningKey};

/// What these keys sign.
const PURPOSES: [KeyPurpose; 3] = [KeyPurpose::AuditLog, KeyPurpose::AccessToken, KeyPurpose::Manifest];

/// All keys; each of these purposes has at least one.
#[derive(Debug)]
pub(crate) struct SigningKeyRing {
    /// Oldest first.
    keys: Vec<(KeyPurpose, JwsKey)>,
}

impl SigningKeyRing {
    /// Loads all keys, and makes and keeps one for each purpose that has none.
    ///
    /// # Errors
    /// `internal` for a key that is not the one of its name; `storage_full` or `unavailable`.
    pub(crate) async fn open(
        port: &dyn SigningKeys,
        clock: &dyn Clock,
        randomness: &dyn Randomness,
    ) -> Result<Self, Fault> {
        let mut stored = port.list().await?;
        stored.retain(|key| PURPOSES.contains(&key.purpose));
        for purpose in PURPOSES {
            if !stored.iter().any(|key| key.purpose == purpose) {
                let key = make(purpose, clock.now_ms(), randomness);
                port.create(key.clone(), None).await?;
                stored.push(key);
            }
        }
        let keys = stored.into_iter().map(|stored| {
            let key = JwsKey::from_seed(&stored.seed);
            if key.kid() == stored.kid {
                Ok((stored.purpose, key))
            } else {
                Err(Fault::internal(format!("the signing key {} is not the one of that name", stored.kid)))
            }
        });
        Ok(Self { keys: keys.collect::<Result<_, _>>()? })
    }

    /// The key that signs for this purpose.
    pub(crate) fn newest(&self, purpose: KeyPurpose) -> &JwsKey {
        self.of(purpose).last().expect("a key of each purpose was made when the ring was opened")
    }

    /// The public keys by which signatures of this purpose are verified.
    pub(crate) fn verifying(&self, purpose: KeyPurpose) -> JwsKeys {
        JwsKeys::of(self.of(purpose))
    }

    /// The same of several purposes as a JWK Set, for publication; of each purpose newest first.
    pub(crate) fn published(&self, purposes: &[KeyPurpose]) -> Value {
        let keys = purposes.iter().flat_map(|purpose| self.of(*purpose).rev());
        json!({ "keys": keys.map(JwsKey::public_jwk).collect::<Vec<Value>>() })
    }

    fn of(&self, purpose: KeyPurpose) -> impl DoubleEndedIterator<Item = &JwsKey> {
        self.keys.iter().filter(move |(of, _)| *of == purpose).map(|(_, key)| key)
    }
}

fn make(purpose: KeyPurpose, created_at_ms: i64, randomness: &dyn Randomness) -> StoredSigningKey {
    let mut seed = [0u8; SEED_BYTES];
    randomness.fill(&mut seed);
    let seed = Secret::new(seed);
    let kid = JwsKey::from_seed(&seed).kid().to_owned();
    StoredSigningKey { purpose, kid, seed, created_at_ms }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use std::sync::Mutex;
    use tollbook_kit::clock::ManualClock;
    use tollbook_kit::ids::SeededRandomness;
    use tollbook_model::audit::AuditEntry;

    #[derive(Default)]
    struct Stored(Mutex<Vec<StoredSigningKey>>);

    #[async_trait]
    impl SigningKeys for Stored {
        async fn list(&self) -> Result<Vec<StoredSigningKey>, Fault> {
            Ok(self.0.lock().unwrap().clone())
        }
        async fn create(&self, key: StoredSigningKey, _: Option<AuditEntry>) -> Result<(), Fault> {
            self.0.lock().unwrap().push(key);
            Ok(())
        }
        async fn remove(&self, _: KeyPurpose, _: &str, _: Option<AuditEntry>) -> Result<bool, Fault> {
            Ok(false)
        }
    }

    #[tokio::test]
    async fn missing_keys_are_made_once_and_the_newest_signs() {
        let (stored, clock, randomness) = (Stored::default(), ManualClock::at(5), SeededRandomness::new(1));
        let first = SigningKeyRing::open(&stored, &clock, &randomness).await.unwrap();
        assert_eq!(stored.0.lock().unwrap().len(), PURPOSES.len());
        let [audit, access, manifest] = PURPOSES.map(|purpose| first.newest(purpose).kid().to_owned());
        assert!(audit != access && access != manifest && manifest != audit);

        let newer = make(KeyPurpose::AccessToken, 6, &randomness);
        stored.0.lock().unwrap().push(newer.clone());
        let second = SigningKeyRing::open(&stored, &clock, &randomness).await.unwrap();
        assert_eq!(stored.0.lock().unwrap().len(), PURPOSES.len() + 1);
        assert_eq!(second.newest(KeyPurpose::AuditLog).kid(), audit);
        assert_eq!(second.newest(KeyPurpose::AccessToken).kid(), newer.kid);

        let old = first.newest(KeyPurpose::AccessToken).sign("t", b"payload");
        assert!(
            second.verifying(KeyPurpose::AccessToken).verify(&old, "t").is_ok(),
            "older keys still verify"
        );
        assert!(
            second.verifying(KeyPurpose::AuditLog).verify(&old, "t").is_err(),
            "another purpose's do not"
        );
        let published = second.published(&[KeyPurpose::AccessToken, KeyPurpose::Manifest]);
        let kids: Vec<_> = published["keys"].as_array().unwrap().iter().map(|key| &key["kid"]).collect();
        assert_eq!(kids, [&newer.kid, &access, &manifest]);
    }

    #[tokio::test]
    async fn a_key_under_anothers_name_stops_the_start() {
        let (stored, clock, randomness) = (Stored::default(), ManualClock::at(5), SeededRandomness::new(1));
        let mut key = make(KeyPurpose::AuditLog, 0, &randomness);
        key.kid.push('x');
        stored.0.lock().unwrap().push(key);
        assert!(SigningKeyRing::open(&stored, &clock, &randomness).await.is_err());
    }
}
