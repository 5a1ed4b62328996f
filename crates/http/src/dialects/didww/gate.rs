//! What every request of this dialect passes first: credential, rate, role, in this order (`didww.md` section 2).

use super::versions::ApiVersion;
use crate::api::Api;
use crate::auth;
use crate::exchange::Exchange;
use crate::refusal::Refusal;
use http::request::Parts;
use tollbook_kit::secret::Secret;
use tollbook_model::access::Caller;
use tollbook_model::dataset::Dataset;

/// Who asks, and what follows from how he does.
#[derive(Debug)]
pub(super) struct Visitor {
    /// Who it is.
    pub(super) caller: Caller,
    /// The version that answers him.
    pub(super) version: ApiVersion,
    /// His key, if his credential is one and not a login: it signs callbacks where the tenant has no secret.
    pub(super) key: Option<Secret<String>>,
    /// What links begin with, without a slash at its end.
    pub(super) base: String,
}

/// The visitor of a request. Who may export calls may do everything in this dialect; others nothing.
///
/// # Errors
/// `unauthenticated`, `rate_limited`, `forbidden`; `unavailable` or `internal`.
pub(super) async fn gate(api: &Api, parts: &Parts) -> Result<Visitor, Refusal> {
    let exchange = Exchange::of(&parts.extensions)?;
    let secret = auth::didww(&parts.headers)?;
    let identity = api.app.identities.authenticate(secret.reveal(), exchange.address).await?;
    let named = auth::named_tenant(&parts.headers);
    exchange.would_come_from(&identity, &named);
    api.limits.didww(exchange, identity.credential())?;
    let caller = api.app.rights.enter(&identity, named?).await?;
    api.app.exports.permit(&caller, Dataset::Cdr).await?;
    Ok(Visitor {
        caller,
        version: ApiVersion::of(&parts.headers, identity.api_version()),
        key: identity.is_token().then_some(secret),
        base: api.base_for(parts),
    })
}
