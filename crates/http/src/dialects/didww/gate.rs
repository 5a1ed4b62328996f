//! What every request of this dialect passes first: credential, rate, role, in this order (`didww.md` section 2).

use crate::api::Api;
use crate::auth;
use crate::exchange::Exchange;
use crate::refusal::Refusal;
use http::request::Parts;
use tollbook_model::access::Caller;
use tollbook_model::dataset::Dataset;

/// The caller of a request. Who may export calls may do everything in this dialect; others nothing.
///
/// # Errors
/// `unauthenticated`, `rate_limited`, `forbidden`; `unavailable` or `internal`.
pub(crate) async fn gate(api: &Api, parts: &Parts) -> Result<Caller, Refusal> {
    let exchange = Exchange::of(&parts.extensions)?;
    let secret = auth::didww(&parts.headers)?;
    let identity = api.app.identities.authenticate(secret.reveal(), exchange.address).await?;
    let named = auth::named_tenant(&parts.headers);
    exchange.would_come_from(&identity, &named);
    api.limits.didww(exchange, identity.credential())?;
    let caller = api.app.rights.enter(&identity, named?).await?;
    api.app.exports.permit(&caller, Dataset::Cdr).await?;
    Ok(caller)
}
