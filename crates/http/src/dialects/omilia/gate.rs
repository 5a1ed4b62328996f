//! What every request of this dialect passes first: credential, group and role, rate, in this order (`omilia.md`
//! section 2.1). So a stranger cannot use up a group's rate.

use crate::api::Api;
use crate::auth;
use crate::exchange::Exchange;
use crate::refusal::Refusal;
use http::request::Parts;
use tollbook_model::access::{Action, Caller};

/// The caller of a request to this group, who may do this. The group is a segment of the path, decoded once; an empty one
/// stands for what cannot be decoded.
///
/// # Errors
/// `unauthenticated`; `forbidden`, which looks the same for groups that are not his, unknown or malformed;
/// `rate_limited`; `unavailable` or `internal`.
pub(crate) async fn gate(api: &Api, parts: &Parts, group: &str, action: Action) -> Result<Caller, Refusal> {
    let exchange = Exchange::of(&parts.extensions)?;
    let secret = auth::omilia(&parts.headers)?;
    let identity = api.app.identities.authenticate(secret.reveal(), exchange.address).await?;
    let caller = api.app.rights.enter_group(&identity, group).await?;
    exchange.came_from(&caller);
    api.app.rights.require(&caller, action).await?;
    api.limits.group(exchange, &caller.tenant)?;
    Ok(caller)
}
