//! Configured sources.

use super::super::described::sources;
use super::super::{gate, responses};
use super::{Answer, Segment, Shared, no_parameters, object, segment};
use crate::api::Api;
use crate::openapi::{Methods, Routes};
use crate::refusal::Refusal;
use axum::extract::{Request, State};
use http::StatusCode;
use http::request::Parts;
use tollbook_model::access::Caller;

pub(super) fn routes() -> Routes {
    let one = Methods::new().put(store, sources::store()).get(show, sources::show());
    Routes::new()
        .at("/sources", Methods::new().get(list, sources::list()))
        .at("/sources/{pbx_alias}", one.delete(remove, sources::remove()))
}

async fn list(State(api): Shared, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let caller = manager(&api, &parts).await?;
    no_parameters(&parts)?;
    let all = api.app.sources.list(&caller).await?;
    Ok(responses::list(&all, responses::source::source))
}

async fn store(State(api): Shared, pbx_alias: Segment, request: Request) -> Answer {
    let pbx_alias = segment(pbx_alias)?;
    let (parts, body) = request.into_parts();
    let caller = manager(&api, &parts).await?;
    let definition = object(&api, &caller, &parts, body).await?;
    let stored = api.app.sources.put(&caller, &pbx_alias, definition).await?;
    let status = if stored.version == 1 { StatusCode::CREATED } else { StatusCode::OK };
    Ok(responses::json(status, &responses::source::source(&stored)))
}

async fn show(State(api): Shared, pbx_alias: Segment, request: Request) -> Answer {
    let pbx_alias = segment(pbx_alias)?;
    let (parts, _) = request.into_parts();
    let caller = manager(&api, &parts).await?;
    no_parameters(&parts)?;
    let found = api.app.sources.get(&caller, &pbx_alias).await?;
    Ok(responses::json(StatusCode::OK, &responses::source::source(&found)))
}

async fn remove(State(api): Shared, pbx_alias: Segment, request: Request) -> Answer {
    let pbx_alias = segment(pbx_alias)?;
    let (parts, _) = request.into_parts();
    let caller = manager(&api, &parts).await?;
    no_parameters(&parts)?;
    api.app.sources.remove(&caller, &pbx_alias).await?;
    Ok(responses::done())
}

/// A caller who may see and change sources.
async fn manager(api: &Api, parts: &Parts) -> Result<Caller, Refusal> {
    let caller = gate::caller(api, parts).await?;
    api.app.sources.permit(&caller).await?;
    Ok(caller)
}
