//! Tokens: who a secret belongs to, and the first one.
//!
//! Only hashes are kept. Creating, listing and revoking tokens through the API are not here yet.

use crate::remembered::Remembered;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::ids::{IdSource, Randomness};
use tollbook_kit::secret::Secret;
use tollbook_model::access::{Caller, Role};
use tollbook_model::ports::{TokenHolder, Tokens};
use tollbook_model::tenant::TenantName;

/// Length of a token in characters, from and to.
pub const TOKEN_LENGTH: std::ops::RangeInclusive<usize> = 20..=200;
/// How long a revoked token may still work.
const HOLDER_LIFE: Duration = Duration::from_secs(2);
const MOST_HOLDERS: usize = 4096;
/// Name of the one token that the operator, or else the first start, brings in.
const BOOTSTRAP: &str = "bootstrap";
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
const RANDOM_CHARACTERS: usize = 40;
const CHECK_CHARACTERS: usize = 6;

/// Turns secrets into callers.
pub struct TokenCheck {
    tokens: Arc<dyn Tokens>,
    ids: IdSource,
    randomness: Arc<dyn Randomness>,
    remembered: Remembered<[u8; 32], Caller>,
}

impl TokenCheck {
    pub(crate) fn new(
        tokens: Arc<dyn Tokens>,
        ids: IdSource,
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
    ) -> Self {
        Self { tokens, ids, randomness, remembered: Remembered::new(clock, HOLDER_LIFE, MOST_HOLDERS) }
    }

    /// The caller that this secret stands for.
    ///
    /// # Errors
    /// `unauthenticated` for a secret nobody holds; `unavailable` or `internal`.
    pub async fn authenticate(&self, secret: &str) -> Result<Caller, Fault> {
        if !is_token(secret) {
            return Err(refused());
        }
        let hash = hash_of(secret);
        if let Some(caller) = self.remembered.get(&hash) {
            return Ok(caller);
        }
        let holder = self.tokens.holder(hash).await?.ok_or_else(refused)?;
        let caller = Caller { tenant: holder.tenant, role: holder.role, token: holder.id };
        self.remembered.keep(hash, caller.clone());
        Ok(caller)
    }

    /// Sees to it that somebody can get in: takes the operator's own token, or, when there is none at all, makes one
    /// and answers it, to be shown once. For the start of the process.
    ///
    /// There is one such token: an own one replaces the former, given or made, from the next request on.
    ///
    /// # Errors
    /// `invalid` when the operator's token has a wrong form; `storage_full`, `unavailable` or `internal`.
    pub async fn bootstrap(&self, own: Option<&Secret<String>>) -> Result<Option<Secret<String>>, Fault> {
        if let Some(own) = own {
            if !is_token(own.reveal()) {
                return Err(Fault::parameter(
                    "bootstrap token",
                    "must be 20 to 200 printable ASCII characters",
                ));
            }
            self.set_bootstrap(own.reveal()).await?;
            return Ok(None);
        }
        if self.tokens.count().await? > 0 {
            return Ok(None);
        }
        let token = self.make();
        self.set_bootstrap(token.reveal()).await?;
        Ok(Some(token))
    }

    async fn set_bootstrap(&self, token: &str) -> Result<(), Fault> {
        let holder = TokenHolder {
            id: self.ids.next_id(),
            tenant: TenantName::default_tenant(),
            role: Role::Admin,
            name: BOOTSTRAP.into(),
        };
        self.tokens.put_only(hash_of(token), holder).await?;
        // Holders of the former one must not get in for as long as they would be remembered.
        self.remembered.forget_all();
        Ok(())
    }

    /// A new token: `tb_`, 200 random bits, and a checksum by which scanners of source code tell it from other text.
    fn make(&self) -> Secret<String> {
        let mut bytes = [0u8; RANDOM_CHARACTERS];
        self.randomness.fill(&mut bytes);
        let mut token = String::from("tb_");
        token.extend(bytes.iter().map(|&byte| letter(byte)));
        let digest = Sha256::digest(token.as_bytes());
        token.extend(digest.iter().take(CHECK_CHARACTERS).map(|&byte| letter(byte)));
        Secret::new(token)
    }
}

fn letter(byte: u8) -> char {
    char::from(ALPHABET[usize::from(byte % 32)])
}

fn is_token(text: &str) -> bool {
    TOKEN_LENGTH.contains(&text.len()) && text.bytes().all(|byte| (0x20..=0x7E).contains(&byte))
}

fn hash_of(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

fn refused() -> Fault {
    Fault::new(
        Code::Unauthenticated,
        "the token is unknown or revoked; send a valid one as Authorization: Bearer",
    )
}
