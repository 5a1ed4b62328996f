//! Tokens of the caller's own tenant.

use super::super::described::tokens;
use super::super::requests::token::new_token;
use super::super::{gate, responses};
use super::{Answer, Segment, Shared, id, members, no_parameters, segment};
use crate::api::Api;
use crate::openapi::{Methods, Routes};
use crate::refusal::Refusal;
use axum::extract::{Request, State};
use http::StatusCode;
use http::request::Parts;
use tollbook_model::access::Caller;

pub(super) fn routes() -> Routes {
    Routes::new()
        .at("/tokens", Methods::new().get(list, tokens::list()).post(create, tokens::create()))
        .at("/tokens/{id}", Methods::new().delete(revoke, tokens::revoke()))
}

async fn list(State(api): Shared, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let caller = manager(&api, &parts).await?;
    no_parameters(&parts)?;
    let all = api.app.tokens.list(&caller).await?;
    Ok(responses::list(&all, responses::token::token))
}

async fn create(State(api): Shared, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let caller = manager(&api, &parts).await?;
    let new = new_token(members(&api, &caller, &parts, body).await?)?;
    let (token, secret) = api.app.tokens.create(&caller, new).await?;
    Ok(responses::json(StatusCode::CREATED, &responses::token::with_secret(&token, &secret)))
}

async fn revoke(State(api): Shared, token: Segment, request: Request) -> Answer {
    let token = segment(token)?;
    let (parts, _) = request.into_parts();
    let caller = manager(&api, &parts).await?;
    no_parameters(&parts)?;
    api.app.tokens.revoke(&caller, id(&token)).await?;
    Ok(responses::done())
}

/// A caller who may see and change tokens.
async fn manager(api: &Api, parts: &Parts) -> Result<Caller, Refusal> {
    let caller = gate::caller(api, parts).await?;
    api.app.tokens.permit(&caller).await?;
    Ok(caller)
}
