//! An outside identity provider (OpenID Connect) whose access tokens are taken: their signature, by keys that it
//! publishes, and their claims.
//!
//! `token` reads and judges, `keys` verifies, `published` fetches. Which tenant and role follow from the claims is
//! decided by `app`.

mod keys;
mod published;
mod token;

use crate::egress::EgressClient;
use async_trait::async_trait;
use keys::NotVouched;
use published::PublishedKeys;
use serde_json::{Map, Value};
use std::sync::Arc;
use token::{Expected, Reason, Unverified};
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Code, Fault};
use tollbook_model::ports::TokenIssuer;

/// Which issuer, and for whom its tokens must be.
#[derive(Debug, Clone)]
pub struct IssuerConfig {
    /// Its URL, exactly as in the claim `iss` and in its discovery document.
    pub issuer: String,
    /// A token must name one of these in `aud`; with none, every access token of the issuer is taken, also those that
    /// it made for other services.
    pub audience: Vec<String>,
}

/// Verifies access tokens of one issuer with the keys that it publishes.
///
/// The keys are fetched at the first token, again every ten minutes while they go on serving, and when a token names one
/// that is unknown; never more than twice in a minute. They outlast failures of the issuer by a day.
/// Tokens may be handed in at any length: those over 16 KiB are refused unread.
#[derive(Debug)]
pub struct OpenIdIssuer {
    config: IssuerConfig,
    clock: Arc<dyn Clock>,
    keys: Arc<PublishedKeys>,
}

impl OpenIdIssuer {
    /// A verifier for this issuer. Nothing is fetched yet: an issuer that is down does not keep us from starting. That
    /// no audience is configured is logged as a warning.
    ///
    /// # Errors
    /// `invalid`, parameter `auth.issuer`: it is no URL that the egress policy lets pass.
    pub fn new(config: IssuerConfig, client: EgressClient, clock: Arc<dyn Clock>) -> Result<Self, Fault> {
        let keys = Arc::new(PublishedKeys::new(&config.issuer, client, clock.clone())?);
        if config.audience.is_empty() {
            tracing::warn!(
                issuer = config.issuer,
                "auth.audience names nobody, so access tokens that the issuer made for other services are taken too: \
                 set it to what the issuer writes into `aud` of the tokens for this one"
            );
        }
        Ok(Self { config, clock, keys })
    }
}

#[async_trait]
impl TokenIssuer for OpenIdIssuer {
    fn issuer(&self) -> &str {
        &self.config.issuer
    }

    async fn verify(&self, token: &str) -> Result<Map<String, Value>, Fault> {
        // Everything that needs no key comes first, so that only tokens that could hold make us fetch keys. None of it
        // is believed before a key has vouched for it.
        let token = Unverified::read(token).map_err(refused)?;
        let IssuerConfig { issuer, audience } = &self.config;
        token.check_claims(&Expected { issuer, audience, now_ms: self.clock.now_ms() }).map_err(refused)?;

        let mut known = self.keys.known();
        if known.is_due {
            // Nobody waits for it whose key is known.
            self.keys.begin(known.attempts);
        }
        let mut vouched = known.vouch_for(&token);
        if vouched == Err(NotVouched::UnknownKey) {
            self.keys.renew(known.attempts).await;
            known = self.keys.known();
            vouched = known.vouch_for(&token);
        }
        match vouched {
            Ok(()) => Ok(token.claims),
            Err(NotVouched::UnknownKey) if known.last_failed || known.keys.is_none() => Err(no_keys()),
            Err(NotVouched::UnknownKey) => Err(refused("it names a key that the issuer does not publish")),
            Err(NotVouched::OtherAlgorithm) => Err(refused("its key does not sign with its algorithm")),
            Err(NotVouched::WrongSignature) => Err(refused("its key has not signed it")),
        }
    }
}

impl published::Known {
    fn vouch_for(&self, token: &Unverified<'_>) -> Result<(), NotVouched> {
        self.keys.as_ref().map_or(Err(NotVouched::UnknownKey), |keys| keys.vouch_for(token))
    }
}

/// The one answer to every token that does not hold: who forges tokens learns nothing from it.
fn refused(reason: Reason) -> Fault {
    tracing::debug!(reason, "refused an access token of the outside issuer");
    Fault::new(Code::Unauthenticated, "the credential does not hold: get a new one").with_context(reason)
}

fn no_keys() -> Fault {
    Fault::new(Code::Unavailable, "the identity provider cannot be reached for now: try again")
}
