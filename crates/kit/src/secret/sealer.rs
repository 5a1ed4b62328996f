//! Sealing of secrets at rest: AES-256-GCM-SIV under one key of the installation.

use super::Secret;
use crate::ids::Randomness;
use aes_gcm_siv::aead::{Aead, KeyInit, Payload};
use aes_gcm_siv::{Aes256GcmSiv, Nonce};
use std::fmt;
use std::sync::Arc;

/// Length of a sealing key in bytes.
pub const SEALING_KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 12;
/// Written first, so that a later form can be told from this one.
const VERSION: u8 = 1;

/// Seals and opens secrets. Clones share the key.
#[derive(Clone)]
pub struct Sealer {
    cipher: Aes256GcmSiv,
    randomness: Arc<dyn Randomness>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    /// Seals under this key; nonces come from `randomness`.
    pub fn new(key: &Secret<[u8; SEALING_KEY_BYTES]>, randomness: Arc<dyn Randomness>) -> Self {
        let cipher = Aes256GcmSiv::new_from_slice(key.reveal()).expect("the key has the cipher's length");
        Self { cipher, randomness }
    }

    /// Seals `plain` for one place, such as `pseudonym-key/acme/1`: moved elsewhere it does not open.
    pub fn seal(&self, place: &str, plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0u8; NONCE_BYTES];
        self.randomness.fill(&mut nonce);
        let payload = Payload { msg: plain, aad: place.as_bytes() };
        let hidden = self.cipher.encrypt(&Nonce::from(nonce), payload);
        let hidden = hidden.expect("a secret is far below the cipher's bound");
        [&[VERSION][..], &nonce, &hidden].concat()
    }

    /// Opens what was sealed for `place`; none when it was sealed with another key, for another place, or is damaged.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        let (&version, rest) = sealed.split_first()?;
        let (nonce, hidden) = rest.split_at_checked(NONCE_BYTES)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().ok()?;
        let payload = Payload { msg: hidden, aad: place.as_bytes() };
        (version == VERSION).then(|| self.cipher.decrypt(&Nonce::from(nonce), payload).ok())?
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use super::*;
    use crate::ids::SeededRandomness;

    fn sealer(byte: u8) -> Sealer {
        Sealer::new(&Secret::new([byte; 32]), Arc::new(SeededRandomness::new(1)))
    }

    #[test]
    fn only_the_same_key_and_place_open() {
        let one = sealer(1);
        let sealed = one.seal("a/1", b"secret");
        assert_eq!(one.open("a/1", &sealed).unwrap(), b"secret");
        assert_ne!(one.seal("a/1", b"secret"), sealed, "a nonce is used once");
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_eq!(one.open("a/2", &sealed), None, "another place");
        assert_eq!(sealer(2).open("a/1", &sealed), None, "another key");
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert_eq!(one.open("a/1", &damaged), None, "byte {at}");
            assert_eq!(one.open("a/1", &sealed[..at]), None, "cut at {at}");
        }
    }
}
