//! Settings of the caller's own tenant.

use super::super::requests::settings;
use super::super::{gate, responses};
use super::{Answer, Shared, members, no_parameters};
use crate::api::Api;
use crate::refusal::Refusal;
use axum::Router;
use axum::extract::{Request, State};
use axum::routing::get;
use http::StatusCode;
use http::request::Parts;
use std::sync::Arc;
use tollbook_model::access::Caller;

pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new().route("/settings", get(show).patch(change))
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
