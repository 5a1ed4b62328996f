//! The keys that sign links to files. They are the operator's.

use super::super::described::link_keys;
use super::super::{gate, responses};
use super::{Answer, Segment, Shared, no_parameters, segment};
use crate::api::Api;
use crate::openapi::{Methods, Routes};
use crate::refusal::Refusal;
use axum::extract::{Request, State};
use http::StatusCode;
use http::request::Parts;
use tollbook_model::access::Caller;

pub(super) fn routes() -> Routes {
    Routes::new()
        .at("/link-keys", Methods::new().get(list, link_keys::list()).post(rotate, link_keys::rotate()))
        .at("/link-keys/{kid}", Methods::new().delete(remove, link_keys::remove()))
}

async fn list(State(api): Shared, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let caller = operator(&api, &parts).await?;
    let all = api.app.link_keys.list(&caller).await?;
    Ok(responses::list(&all, responses::link_key::link_key))
}

async fn rotate(State(api): Shared, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let caller = operator(&api, &parts).await?;
    let made = api.app.link_keys.rotate(&caller).await?;
    Ok(responses::json(StatusCode::CREATED, &responses::link_key::link_key(&made)))
}

async fn remove(State(api): Shared, kid: Segment, request: Request) -> Answer {
    let kid = segment(kid)?;
    let (parts, _) = request.into_parts();
    let caller = operator(&api, &parts).await?;
    api.app.link_keys.remove(&caller, &kid).await?;
    Ok(responses::done())
}

/// The operator, on a route without parameters.
async fn operator(api: &Api, parts: &Parts) -> Result<Caller, Refusal> {
    let caller = gate::caller(api, parts).await?;
    api.app.link_keys.permit(&caller).await?;
    no_parameters(parts)?;
    Ok(caller)
}
