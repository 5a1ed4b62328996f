//! Hashing of passwords: argon2id, off the async threads, no more at once than there are cores.
//!
//! A hash costs 19 MiB and tens of milliseconds, so a crowd at the door must neither fill the memory nor keep other
//! work from the cores: who finds the queue full is told to come back.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tollbook_kit::fault::{Code, Fault, ResultExt};
use tollbook_kit::ids::Randomness;
use tollbook_kit::secret::Secret;

/// Memory per hash in KiB, passes, and lanes: the first recommendation of OWASP's cheat sheet with 19 MiB.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
/// How many may wait for their turn.
const MOST_WAITING: usize = 64;
/// Judged in place of the hash of a user who does not exist, so that he takes as long. No password is known for it,
/// and one that fits would be refused all the same.
const NOBODY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Hashes and verifies passwords.
#[derive(Debug)]
pub(crate) struct PasswordHashing {
    randomness: Arc<dyn Randomness>,
    /// One per core.
    turns: Arc<Semaphore>,
    /// One per turn and one per place in the queue.
    places: Arc<Semaphore>,
}

impl PasswordHashing {
    /// Hashing on all cores; salts come from `randomness`.
    pub(crate) fn new(randomness: Arc<dyn Randomness>) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self::bounded(randomness, cores, MOST_WAITING)
    }

    fn bounded(randomness: Arc<dyn Randomness>, turns: usize, waiting: usize) -> Self {
        let places = Arc::new(Semaphore::new(turns + waiting));
        Self { randomness, turns: Arc::new(Semaphore::new(turns)), places }
    }

    /// The PHC text of the password's hash under a new salt.
    ///
    /// # Errors
    /// `unavailable` when too many are waiting; `internal`.
    pub(crate) async fn hash(&self, password: Secret<String>) -> Result<Secret<String>, Fault> {
        let mut salt = [0u8; SALT_BYTES];
        self.randomness.fill(&mut salt);
        self.in_turn(move || {
            let hash: PasswordHash = argon2()?
                .hash_password_with_salt(password.reveal().as_bytes(), &salt)
                .fault("hashing a password")?;
            Ok(Secret::new(hash.to_string()))
        })
        .await
    }

    /// Is it the password of this hash? Where there is no hash, as nobody has that name, the answer is no and takes
    /// as long.
    ///
    /// # Errors
    /// `unavailable` when too many are waiting; `internal` for a hash that is none.
    pub(crate) async fn verify(
        &self,
        password: Secret<String>,
        hash: Option<Secret<String>>,
    ) -> Result<bool, Fault> {
        self.in_turn(move || {
            let text = hash.as_ref().map_or(NOBODY, |hash| hash.reveal());
            let parsed = PasswordHash::new(text).fault("reading the hash of a password")?;
            match argon2()?.verify_password(password.reveal().as_bytes(), &parsed) {
                Ok(()) => Ok(hash.is_some()),
                Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
                Err(error) => Err(error).fault("verifying a password"),
            }
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| {
            Fault::new(Code::Unavailable, "too many logins are waiting; try again in a moment")
                .with_retry_after(Duration::from_secs(1))
        })?;
        let turn = self.turns.clone().acquire_owned().await.fault("waiting for a turn to hash")?;
        // The permits go with the work: a request that is given up does not make room before its hash has ended.
        let held: (OwnedSemaphorePermit, OwnedSemaphorePermit) = (place, turn);
        let work = move || {
            let outcome = work();
            drop(held);
            outcome
        };
        tokio::task::spawn_blocking(work).await.fault("hashing a password")?
    }
}

fn argon2() -> Result<Argon2<'static>, Fault> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).fault("parameters of argon2id")?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use super::*;
    use tollbook_kit::ids::SeededRandomness;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_fits_its_own_hash_alone() {
        let hashing = PasswordHashing::new(Arc::new(SeededRandomness::new(1)));
        let hash = hashing.hash(secret("correct horse")).await.unwrap();
        assert!(hash.reveal().starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.reveal());
        assert_ne!(hashing.hash(secret("correct horse")).await.unwrap(), hash, "every hash has its own salt");
        assert!(hashing.verify(secret("correct horse"), Some(hash.clone())).await.unwrap());
        assert!(!hashing.verify(secret("battery staple"), Some(hash)).await.unwrap());
        assert!(!hashing.verify(secret("correct horse"), None).await.unwrap());
        let broken = hashing.verify(secret("x"), Some(secret("$argon2id$"))).await.unwrap_err();
        assert_eq!(broken.code(), Code::Internal);
    }

    #[tokio::test]
    async fn nobodys_hash_costs_as_much_as_everybodys() {
        let hashing = PasswordHashing::new(Arc::new(SeededRandomness::new(1)));
        let hash = hashing.hash(secret("correct horse")).await.unwrap();
        let cost = |text: &str| {
            let hash = PasswordHash::new(text).unwrap();
            let output = hash.hash.unwrap().as_bytes().len();
            (hash.algorithm.to_string(), hash.version, hash.params.to_string(), output)
        };
        assert_eq!(cost(NOBODY), cost(hash.reveal()));
    }

    #[tokio::test]
    async fn who_finds_the_queue_full_is_told_to_come_back() {
        let hashing = PasswordHashing::bounded(Arc::new(SeededRandomness::new(1)), 1, 1);
        let turn = hashing.turns.clone().acquire_owned().await.unwrap();
        let _place = hashing.places.clone().acquire_owned().await.unwrap();
        let mut waiting = Box::pin(hashing.verify(secret("a"), None));
        assert!(futures::poll!(&mut waiting).is_pending());
        let fault = hashing.verify(secret("a"), None).await.unwrap_err();
        assert_eq!((fault.code(), fault.retry_after()), (Code::Unavailable, Some(Duration::from_secs(1))));
        drop(turn);
        assert!(!waiting.await.unwrap());
    }
}
