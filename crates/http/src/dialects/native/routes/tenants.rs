//! What the operator does with tenants, and the first credentials that he makes for them.

use super::super::described::tenants;
use super::super::requests::{tenant, token, user};
use super::super::{gate, responses};
use super::{Answer, Segment, Shared, members, no_parameters, segment};
use crate::api::Api;
use crate::openapi::{Methods, Routes};
use crate::refusal::Refusal;
use axum::extract::{Request, State};
use http::StatusCode;
use http::request::Parts;
use tollbook_model::access::Caller;

pub(super) fn routes() -> Routes {
    Routes::new()
        .at("/tenants", Methods::new().get(list, tenants::list()).post(create, tenants::create()))
        .at("/tenants/{tenant}", Methods::new().get(show, tenants::show()).patch(change, tenants::change()))
        .at("/tenants/{tenant}/close", Methods::new().post(close, tenants::close()))
        .at("/tenants/{tenant}/tokens", Methods::new().post(create_token, tenants::create_token()))
        .at("/tenants/{tenant}/users", Methods::new().post(create_user, tenants::create_user()))
}

async fn list(State(api): Shared, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let caller = operator(&api, &parts).await?;
    no_parameters(&parts)?;
    let all = api.app.tenancy.list(&caller).await?;
    Ok(responses::list(&all, responses::tenant::tenant))
}

async fn create(State(api): Shared, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let caller = operator(&api, &parts).await?;
    let (name, settings, quota) = tenant::new_tenant(members(&api, &caller, &parts, body).await?)?;
    let made = api.app.tenancy.create(&caller, &name, settings, quota).await?;
    Ok(responses::json(StatusCode::CREATED, &responses::tenant::tenant(&made)))
}

async fn show(State(api): Shared, name: Segment, request: Request) -> Answer {
    let name = segment(name)?;
    let (parts, _) = request.into_parts();
    let caller = operator(&api, &parts).await?;
    no_parameters(&parts)?;
    let found = api.app.tenancy.find(&caller, &name).await?;
    Ok(responses::json(StatusCode::OK, &responses::tenant::tenant(&found)))
}

async fn change(State(api): Shared, name: Segment, request: Request) -> Answer {
    let name = segment(name)?;
    let (parts, body) = request.into_parts();
    let caller = operator(&api, &parts).await?;
    let (settings, quota) = tenant::change(members(&api, &caller, &parts, body).await?)?;
    let changed = api.app.tenancy.change(&caller, &name, settings, quota).await?;
    Ok(responses::json(StatusCode::OK, &responses::tenant::tenant(&changed)))
}

async fn close(State(api): Shared, name: Segment, request: Request) -> Answer {
    let name = segment(name)?;
    let (parts, _) = request.into_parts();
    let caller = operator(&api, &parts).await?;
    no_parameters(&parts)?;
    let closing = api.app.tenancy.close(&caller, &name).await?;
    Ok(responses::json(StatusCode::OK, &responses::tenant::tenant(&closing)))
}

async fn create_token(State(api): Shared, name: Segment, request: Request) -> Answer {
    let name = segment(name)?;
    let (parts, body) = request.into_parts();
    let caller = operator(&api, &parts).await?;
    let new = token::new_token(members(&api, &caller, &parts, body).await?)?;
    let (token, secret) = api.app.tokens.create_for(&caller, &name, new).await?;
    Ok(responses::json(StatusCode::CREATED, &responses::token::with_secret(&token, &secret)))
}

async fn create_user(State(api): Shared, name: Segment, request: Request) -> Answer {
    let name = segment(name)?;
    let (parts, body) = request.into_parts();
    let caller = operator(&api, &parts).await?;
    let new = user::new_user(members(&api, &caller, &parts, body).await?)?;
    let user = api.app.users.create_for(&caller, &name, new).await?;
    Ok(responses::json(StatusCode::CREATED, &responses::user::user(&user)))
}

/// The operator.
async fn operator(api: &Api, parts: &Parts) -> Result<Caller, Refusal> {
    let caller = gate::caller(api, parts).await?;
    api.app.tenancy.permit(&caller).await?;
    Ok(caller)
}
