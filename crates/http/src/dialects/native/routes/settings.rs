//! Settings of the caller's own tenant.

use super::super::described;
use super::super::requests::settings;
use super::super::{gate, responses};
use super::{Answer, Shared, members, no_parameters};
use crate::api::Api;
use crate::openapi::{Methods, Routes};
use crate::refusal::Refusal;
use axum::extract::{Request, State};
use http::StatusCode;
use http::request::Parts;
use tollbook_model::access::Caller;

pub(super) fn routes() -> Routes {
    let both =
        Methods::new().get(show, described::settings::show()).patch(change, described::settings::change());
    Routes::new().at("/settings", both)
}

async fn show(State(api): Shared, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let caller = manager(&api, &parts).await?;
    no_parameters(&parts)?;
    let tenant = api.app.settings.show(&caller).await?;
    Ok(responses::json(StatusCode::OK, &responses::settings::settings(&tenant.settings)))
}

async fn change(State(api): Shared, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let caller = manager(&api, &parts).await?;
    let change = settings::change(members(&api, &caller, &parts, body).await?)?;
    let tenant = api.app.settings.change(&caller, change).await?;
    Ok(responses::json(StatusCode::OK, &responses::settings::settings(&tenant.settings)))
}

/// A caller who may see and change settings.
async fn manager(api: &Api, parts: &Parts) -> Result<Caller, Refusal> {
    let caller = gate::caller(api, parts).await?;
    api.app.settings.permit(&caller).await?;
    Ok(caller)
}
