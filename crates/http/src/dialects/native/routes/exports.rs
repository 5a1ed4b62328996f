//! Direct exports, their manifests, and estimates.

use super::super::described::exports;
use super::super::requests::{completeness, export};
use super::super::{gate, responses};
use super::{Answer, Segment, Shared, dataset, id, no_parameters, segment};
use crate::api::Api;
use crate::breaker::Breaker;
use crate::openapi::{Methods, Routes};
use crate::query::Parameters;
use crate::refusal::Refusal;
use axum::extract::{Request, State};
use http::request::Parts;
use http::{Method, StatusCode};
use tollbook_app::exports::ExportQuery;
use tollbook_model::access::Caller;
use tollbook_model::dataset::Dataset;

pub(super) fn routes() -> Routes {
    let file = Methods::refused_by(no_method).get(get, exports::get()).head(head, exports::head());
    Routes::new()
        .at("/{dataset}/export", file)
        .at("/{dataset}/export/estimate", Methods::refused_by(no_method).get(estimate, exports::estimate()))
        .at("/{dataset}/completeness", Methods::refused_by(no_method).get(report, exports::report()))
        .at("/trunks", Methods::new().get(trunks, exports::trunks()))
        .at("/exports/{id}/manifest", Methods::new().get(manifest, exports::manifest()))
}

async fn get(State(api): Shared, dataset: Segment, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let (caller, query) = query(&api, dataset, &parts).await?;
    let (format, formula_guard) = (query.format, query.formula_guard);
    let export = api.app.exports.direct(&caller, query).await?;
    let breaker = parts.extensions.get::<Breaker>().cloned();
    Ok(responses::export::export(export, format, formula_guard, breaker))
}

async fn head(State(api): Shared, dataset: Segment, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let (caller, query) = query(&api, dataset, &parts).await?;
    let head = api.app.exports.head(&caller, &query).await?;
    Ok(responses::export::head(&head, query.format, query.formula_guard))
}

async fn estimate(State(api): Shared, dataset: Segment, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let (caller, query) = query(&api, dataset, &parts).await?;
    Ok(responses::export::estimate(api.app.exports.estimate(&caller, query).await?))
}

async fn report(State(api): Shared, name: Segment, request: Request) -> Answer {
    let dataset = dataset(name)?;
    let (parts, _) = request.into_parts();
    let caller = gate::caller(&api, &parts).await?;
    api.app.exports.permit(&caller, dataset).await?;
    let range = completeness::decode(Parameters::parse(parts.uri.query()), api.clock.now_ms())?;
    if parts.method == Method::HEAD {
        return Ok(responses::completeness::head());
    }
    let report = api.app.exports.completeness(&caller, dataset, range).await?;
    let breaker = parts.extensions.get::<Breaker>().cloned();
    Ok(responses::completeness::report(dataset, range, report, breaker)?)
}

async fn manifest(State(api): Shared, export: Segment, request: Request) -> Answer {
    let export = id(&segment(export)?);
    let (parts, _) = request.into_parts();
    let caller = gate::caller(&api, &parts).await?;
    api.app.exports.permit_any(&caller).await?;
    no_parameters(&parts)?;
    let manifest = api.app.exports.manifest(&caller, export).await?;
    Ok(responses::unkept(StatusCode::OK, "application/jose", manifest))
}

async fn trunks(State(api): Shared, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let caller = gate::caller(&api, &parts).await?;
    api.app.exports.permit(&caller, Dataset::Cdr).await?;
    no_parameters(&parts)?;
    let trunks = api.app.exports.trunks(&caller).await?;
    Ok(responses::list(&trunks, responses::trunk::trunk))
}

async fn query(api: &Api, name: Segment, parts: &Parts) -> Result<(Caller, ExportQuery), Refusal> {
    let dataset = dataset(name)?;
    let caller = gate::caller(api, parts).await?;
    api.app.exports.permit(&caller, dataset).await?;
    let query = export::decode(dataset, Parameters::parse(parts.uri.query()), api.clock.now_ms())?;
    Ok((caller, query))
}

/// A path that names nothing is not found, whatever the method: so the name is looked at before the method is refused.
async fn no_method(name: Segment) -> Refusal {
    dataset(name).map_or_else(|refusal| refusal, |_| Refusal::allowed_are("GET,HEAD"))
}
