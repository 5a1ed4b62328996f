//! An outside identity provider whose access tokens are taken (OpenID Connect).

use async_trait::async_trait;
use serde_json::{Map, Value};
use tollbook_kit::fault::Fault;

/// Verifies access tokens of one configured issuer.
#[async_trait]
pub trait TokenIssuer: Send + Sync {
    /// The issuer, exactly as in the claim `iss` of its tokens.
    fn issuer(&self) -> &str;

    /// The claims of a JWT that this issuer signed and that holds now: signature by `kid` with an algorithm of the fixed
    /// list, `iss`, `exp`, `nbf`, `sub`, and `aud` where one is configured.
    ///
    /// # Errors
    /// `unauthenticated`, saying no more than that; `unavailable` when the issuer's keys cannot be fetched and none of
    /// the known ones fits.
    async fn verify(&self, token: &str) -> Result<Map<String, Value>, Fault>;
}
