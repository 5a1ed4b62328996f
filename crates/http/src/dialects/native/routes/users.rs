//! Users of the caller's own tenant.

use super::super::described::users;
use super::super::requests::user;
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
    let one = Methods::new().get(show, users::show()).patch(change, users::change());
    Routes::new()
        .at("/users", Methods::new().get(list, users::list()).post(create, users::create()))
        .at("/users/{id}", one.delete(remove, users::remove()))
}

async fn list(State(api): Shared, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let caller = manager(&api, &parts).await?;
    no_parameters(&parts)?;
    let all = api.app.users.list(&caller).await?;
    Ok(responses::list(&all, responses::user::user))
}

async fn create(State(api): Shared, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let caller = manager(&api, &parts).await?;
    let new = user::new_user(members(&api, &caller, &parts, body).await?)?;
    let user = api.app.users.create(&caller, new).await?;
    Ok(responses::json(StatusCode::CREATED, &responses::user::user(&user)))
}

async fn show(State(api): Shared, user: Segment, request: Request) -> Answer {
    let segment = segment(user)?;
    let (parts, _) = request.into_parts();
    let caller = manager(&api, &parts).await?;
    no_parameters(&parts)?;
    let found = api.app.users.find(&caller, id(&segment)).await?;
    Ok(responses::json(StatusCode::OK, &responses::user::user(&found)))
}

async fn change(State(api): Shared, user: Segment, request: Request) -> Answer {
    let segment = segment(user)?;
    let (parts, body) = request.into_parts();
    let caller = manager(&api, &parts).await?;
    let change = user::change(members(&api, &caller, &parts, body).await?)?;
    let changed = api.app.users.change(&caller, id(&segment), change).await?;
    Ok(responses::json(StatusCode::OK, &responses::user::changed(&changed)))
}

async fn remove(State(api): Shared, user: Segment, request: Request) -> Answer {
    let segment = segment(user)?;
    let (parts, _) = request.into_parts();
    let caller = manager(&api, &parts).await?;
    no_parameters(&parts)?;
    api.app.users.remove(&caller, id(&segment)).await?;
    Ok(responses::done())
}

/// A caller who may see and change users.
async fn manager(api: &Api, parts: &Parts) -> Result<Caller, Refusal> {
    let caller = gate::caller(api, parts).await?;
    api.app.users.permit(&caller).await?;
    Ok(caller)
}
