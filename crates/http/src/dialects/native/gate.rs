//! What every native request with a credential passes first: credential, rate, tenant, in this order (`natalia.md`
//! section 2). The role is judged next, by the use case's `permit`.

use crate::api::Api;
use crate::auth::{self, Schemes};
use crate::exchange::Exchange;
use crate::limits::Budget;
use crate::refusal::Refusal;
use http::request::Parts;
use tollbook_kit::fault::{Code, Fault};
use tollbook_model::access::Caller;

/// The caller of an ordinary request.
///
/// # Errors
/// `unauthenticated`; `rate_limited`; `forbidden` when it is not clear for which tenant; `unavailable` or `internal`.
pub(super) async fn caller(api: &Api, parts: &Parts) -> Result<Caller, Refusal> {
    Ok(passed(api, parts, Schemes::Bearer, Budget::Calls).await?)
}

/// The caller of a request with records.
///
/// # Errors
/// As [`caller`].
pub(super) async fn sender(api: &Api, parts: &Parts) -> Result<Caller, Refusal> {
    Ok(passed(api, parts, Schemes::Bearer, Budget::Ingest).await?)
}

/// The caller of a request with records of a source, which may have sent a password instead of a token.
///
/// # Errors
/// As [`caller`].
pub(super) async fn source(api: &Api, parts: &Parts) -> Result<Caller, Refusal> {
    passed(api, parts, Schemes::BearerOrBasic, Budget::Ingest).await.map_err(|fault| {
        if fault.code() != Code::Unauthenticated {
            return fault.into();
        }
        let text =
            "send a valid token as Authorization: Bearer <token>, or as the password of Authorization: Basic";
        Refusal::from(Fault::new(Code::Unauthenticated, text).with_source(fault)).or_basic()
    })
}

async fn passed(api: &Api, parts: &Parts, schemes: Schemes, budget: Budget) -> Result<Caller, Fault> {
    let exchange = Exchange::of(&parts.extensions)?;
    let secret = auth::native(&parts.headers, schemes)?;
    let identity = api.app.identities.authenticate(secret.reveal(), exchange.address).await?;
    let named = auth::named_tenant(&parts.headers);
    exchange.would_come_from(&identity, &named);
    api.limits.native(exchange, identity.credential(), budget)?;
    api.app.rights.enter(&identity, named?).await
}
