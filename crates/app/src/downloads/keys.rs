//! The keys that sign links to files: HMAC keys that never leave the house.
//!
//! The newest one signs. Keys are rotated by age; an older one stays until no link of it can be alive, so that a rotation
//! ends no link. How they are sealed at rest is the catalog's business.

use super::link_text::{LinkText, signed_text};
use crate::changes::Changes;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::Mutex;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::ids::Randomness;
use tollbook_kit::secret::Secret;
use tollbook_model::audit::AuditEntry;
use tollbook_model::ports::{KeyPurpose, SigningKeys, StoredSigningKey};

/// The longest life that links can be given.
pub const MOST_LINK_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// Age at which a key gets a successor.
const ROTATED_AFTER_MS: i64 = 30 * 86_400_000;
/// How long after its successor was made a key can still be needed, with an hour for clocks that were set.
const NEEDED_MS: i64 = 25 * 3_600_000;

/// A key, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkKey {
    /// Its name: `k` and a number.
    pub kid: String,
    /// When it was made, in milliseconds.
    pub created_at_ms: i64,
    /// Does it sign new links?
    pub signs: bool,
}

#[derive(Debug, Clone)]
struct HeldKey {
    number: u64,
    kid: String,
    created_at_ms: i64,
    seed: Secret<[u8; 32]>,
}

impl HeldKey {
    /// The key of a row; none when its name is not of that form.
    fn of(stored: StoredSigningKey) -> Option<Self> {
        let StoredSigningKey { kid, created_at_ms, seed, .. } = stored;
        let number = kid.strip_prefix('k')?.parse().ok()?;
        Some(Self { number, kid, created_at_ms, seed })
    }

    fn mac(&self, path: &str, exp: &str) -> Hmac<Sha256> {
        let mac = Hmac::<Sha256>::new_from_slice(self.seed.reveal());
        let mut mac = mac.expect("HMAC takes keys of any length");
        mac.update(signed_text(path, exp, &self.kid).as_bytes());
        mac
    }
}

/// All keys of links.
pub(crate) struct LinkKeys {
    port: Arc<dyn SigningKeys>,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    /// By rising number; never empty. Numbers, not times, tell which is the newest: clocks can be set back.
    held: RwLock<Vec<HeldKey>>,
    /// Held while keys change.
    changing: Mutex<()>,
    changes: Changes,
}

impl LinkKeys {
    /// Loads all keys, and makes one where there is none.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`, also for a key with an odd name.
    pub(crate) async fn open(
        port: Arc<dyn SigningKeys>,
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
    ) -> Result<Arc<Self>, Fault> {
        let stored = port.list().await?.into_iter().filter(|key| key.purpose == KeyPurpose::DownloadLink);
        let odd = || Fault::internal("a key of links has a name that is none of ours");
        let held = stored.map(|key| HeldKey::of(key).ok_or_else(odd));
        let mut held = held.collect::<Result<Vec<_>, Fault>>()?;
        held.sort_by_key(|key| key.number);
        let (is_new, changes) = (held.is_empty(), Changes::default());
        let keys =
            Self { port, clock, randomness, held: RwLock::new(held), changing: Mutex::new(()), changes };
        let keys = Arc::new(keys);
        if is_new {
            keys.add(|_| None).await?;
        }
        Ok(keys)
    }

    /// Signs a link with the newest key; answers the key's name and the signature.
    pub(super) fn sign(&self, path: &str, exp: &str) -> (String, String) {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let newest = held.last().expect("a key was made when the keys were loaded, and the newest one stays");
        let signature = newest.mac(path, exp).finalize().into_bytes();
        (newest.kid.clone(), URL_SAFE_NO_PAD.encode(signature))
    }

    /// Did one of the keys sign exactly this text? The comparison takes the same time wherever signatures differ.
    pub(super) fn verify(&self, link: &LinkText<'_>) -> bool {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let Some(key) = held.iter().find(|key| key.kid == link.kid) else { return false };
        // Signatures have one spelling, too: the decoder takes no padding and no spare bits.
        let Ok(signature) = URL_SAFE_NO_PAD.decode(link.sig) else { return false };
        key.mac(link.path, link.exp).verify_slice(&signature).is_ok()
    }

    /// All keys, newest first.
    pub(super) fn list(&self) -> Vec<LinkKey> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let newest = held.last().map(|key| key.number);
        let shown = held.iter().rev().map(|key| LinkKey {
            kid: key.kid.clone(),
            created_at_ms: key.created_at_ms,
            signs: Some(key.number) == newest,
        });
        shown.collect()
    }

    /// Makes a key, which signs from now on; `audit` makes its entry, if somebody asked for it. Goes on to its end when
    /// nobody waits for it any more.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    pub(super) async fn add(
        self: &Arc<Self>,
        audit: impl FnOnce(&str) -> Option<AuditEntry> + Send + 'static,
    ) -> Result<LinkKey, Fault> {
        let keys = self.clone();
        let added = async move {
            let _alone = keys.changing.lock().await;
            let number = keys.newest().map_or(1, |newest| newest.number + 1);
            let (kid, created_at_ms) = (format!("k{number}"), keys.clock.now_ms());
            let mut seed = [0; 32];
            keys.randomness.fill(&mut seed);
            let seed = Secret::new(seed);
            let purpose = KeyPurpose::DownloadLink;
            let stored = StoredSigningKey { purpose, kid: kid.clone(), seed: seed.clone(), created_at_ms };
            keys.port.create(stored, audit(&kid)).await?;
            let key = HeldKey { number, kid: kid.clone(), created_at_ms, seed };
            keys.held.write().unwrap_or_else(PoisonError::into_inner).push(key);
            Ok(LinkKey { kid, created_at_ms, signs: true })
        };
        self.changes.carry(added).await
    }

    /// Removes a key: its links end. Goes on to its end when nobody waits for it any more.
    ///
    /// # Errors
    /// `conflict` for the one that signs; `not_found`; `storage_full`, `unavailable` or `internal`.
    pub(super) async fn remove(
        self: &Arc<Self>,
        kid: String,
        audit: Option<AuditEntry>,
    ) -> Result<(), Fault> {
        let keys = self.clone();
        let removed = async move {
            let _alone = keys.changing.lock().await;
            if keys.newest().is_some_and(|newest| newest.kid == kid) {
                let words = "this key signs new links; make another one first, then remove this one";
                return Err(Fault::new(Code::Conflict, words));
            }
            let removed = keys.port.remove(KeyPurpose::DownloadLink, &kid, audit).await?;
            keys.held.write().unwrap_or_else(PoisonError::into_inner).retain(|key| key.kid != kid);
            let unknown = || Fault::new(Code::NotFound, "no such key; list the keys of links");
            if removed { Ok(()) } else { Err(unknown()) }
        };
        self.changes.carry(removed).await
    }

    /// Makes a new key when the newest one is 30 days old, and removes those of which no link can be alive.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    pub(crate) async fn rotate_by_age(self: &Arc<Self>) -> Result<(), Fault> {
        let now_ms = self.clock.now_ms();
        if self.newest().is_some_and(|newest| now_ms.saturating_sub(newest.created_at_ms) >= ROTATED_AFTER_MS)
        {
            let key = self.add(|_| None).await?;
            tracing::info!(kid = key.kid, "a new key signs links to files");
        }
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner).clone();
        // A key signed its last link when its successor was made.
        let over = held.windows(2).filter_map(|pair| {
            let [former, successor] = pair else { return None };
            let is_over = now_ms.saturating_sub(successor.created_at_ms) >= NEEDED_MS;
            is_over.then(|| former.kid.clone())
        });
        for kid in over {
            match self.remove(kid, None).await {
                // Somebody was faster.
                Err(fault) if fault.code() == Code::NotFound => {}
                removed => removed?,
            }
        }
        Ok(())
    }

    fn newest(&self) -> Option<HeldKey> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).last().cloned()
    }
}
