//! Routes that need no credential: what counts their requests before their handlers run.

use crate::api::Api;
use crate::exchange::Exchange;
use crate::refusal::Refusal;
use axum::extract::FromRequestParts;
use http::request::Parts;
use std::sync::Arc;

/// Proof that a request of a public route was counted; the first argument of such a route's handler.
pub(crate) struct Public;

impl FromRequestParts<Arc<Api>> for Public {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Refusal> {
        api.limits.public(Exchange::of(&parts.extensions)?.address)?;
        Ok(Self)
    }
}
