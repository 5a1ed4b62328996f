//! Export jobs: of one dataset, and of all of them.

use super::super::described::jobs;
use super::super::requests::{job, job_list};
use super::super::{gate, responses};
use super::{Answer, Segment, Segments, Shared, dataset, id, no_dataset, no_parameters, object, segment};
use crate::api::Api;
use crate::openapi::{Methods, Routes};
use crate::query::Parameters;
use crate::refusal::Refusal;
use axum::extract::{Path, Request, State};
use http::StatusCode;
use http::request::Parts;
use tollbook_app::jobs::JobView;
use tollbook_kit::fault::{Detail, Fault};
use tollbook_model::access::Caller;
use tollbook_model::dataset::Dataset;
use uuid::Uuid;

pub(super) fn routes() -> Routes {
    let of_dataset = Methods::refused_by(no_method).get(list, jobs::list()).post(order, jobs::order());
    let one = Methods::refused_by(no_method_of_one).get(show, jobs::show()).delete(remove, jobs::remove());
    let of_any = Methods::new().get(list_all, jobs::list_all());
    let one_of_any = Methods::new().get(show_any, jobs::show_any()).delete(remove_any, jobs::remove_any());
    Routes::new()
        .at("/{dataset}/export-jobs", of_dataset)
        .at("/{dataset}/export-jobs/{id}", one)
        .at("/export-jobs", of_any)
        .at("/export-jobs/{id}", one_of_any)
}

async fn order(State(api): Shared, name: Segment, request: Request) -> Answer {
    let dataset = dataset(name)?;
    let (parts, body) = request.into_parts();
    let caller = gate::caller(&api, &parts).await?;
    api.app.jobs.permit(&caller, dataset).await?;
    let object = object(&api, &caller, &parts, body).await?;
    // The one spelling of this path.
    let path = format!("/api/v1/{dataset}/export-jobs");
    let draft = job::Draft::read(dataset, &parts.headers, &object, api.clock.now_ms());
    let more = if draft.is_wrong() { more_faults(&api, &caller, &draft).await? } else { Vec::new() };
    let new = draft.finish(path, &object, more)?;
    Ok(responses::job::ordered(api.app.jobs.order(&caller, new).await?))
}

/// What only the use case finds wrong with an order.
async fn more_faults(api: &Api, caller: &Caller, draft: &job::Draft) -> Result<Vec<Detail>, Fault> {
    let jobs = &api.app.jobs;
    let mut faults = jobs.contact_faults(caller, job::DIALECT, &draft.contacts).await?;
    faults.extend(draft.external_reference.as_deref().and_then(|name| jobs.reference_fault(name)));
    Ok(faults)
}

async fn list(State(api): Shared, name: Segment, request: Request) -> Answer {
    let dataset = dataset(name)?;
    let (parts, _) = request.into_parts();
    let caller = gate::caller(&api, &parts).await?;
    api.app.jobs.permit(&caller, dataset).await?;
    page(&api, &caller, Some(dataset), &parts).await
}

async fn list_all(State(api): Shared, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let caller = gate::caller(&api, &parts).await?;
    api.app.jobs.permit_any(&caller).await?;
    page(&api, &caller, None, &parts).await
}

async fn page(api: &Api, caller: &Caller, of: Option<Dataset>, parts: &Parts) -> Answer {
    let page = match job_list::listing(of, Parameters::parse(parts.uri.query()))? {
        Some(listing) => Some(api.app.jobs.list(caller, listing).await?),
        None => None,
    };
    Ok(responses::job::page(page))
}

async fn show(State(api): Shared, path: Segments, request: Request) -> Answer {
    let (dataset, id) = place(path)?;
    let (parts, _) = request.into_parts();
    let caller = of_dataset(&api, &parts, dataset).await?;
    Ok(responses::job::job(StatusCode::OK, found(&api, &caller, dataset, id).await?))
}

async fn remove(State(api): Shared, path: Segments, request: Request) -> Answer {
    let (dataset, id) = place(path)?;
    let (parts, _) = request.into_parts();
    let caller = of_dataset(&api, &parts, dataset).await?;
    found(&api, &caller, dataset, id).await?;
    api.app.jobs.remove(&caller, id).await?;
    Ok(responses::done())
}

async fn show_any(State(api): Shared, job: Segment, request: Request) -> Answer {
    let job = segment(job)?;
    let (parts, _) = request.into_parts();
    let caller = of_any(&api, &parts).await?;
    Ok(responses::job::job(StatusCode::OK, api.app.jobs.find(&caller, id(&job)).await?))
}

async fn remove_any(State(api): Shared, job: Segment, request: Request) -> Answer {
    let job = segment(job)?;
    let (parts, _) = request.into_parts();
    let caller = of_any(&api, &parts).await?;
    api.app.jobs.remove(&caller, id(&job)).await?;
    Ok(responses::done())
}

/// A caller who may have jobs of this dataset, on a route without parameters.
async fn of_dataset(api: &Api, parts: &Parts, dataset: Dataset) -> Result<Caller, Refusal> {
    let caller = gate::caller(api, parts).await?;
    api.app.jobs.permit(&caller, dataset).await?;
    no_parameters(parts)?;
    Ok(caller)
}

/// A caller who may have jobs at all, on a route without parameters.
async fn of_any(api: &Api, parts: &Parts) -> Result<Caller, Refusal> {
    let caller = gate::caller(api, parts).await?;
    api.app.jobs.permit_any(&caller).await?;
    no_parameters(parts)?;
    Ok(caller)
}

/// The job of that id, if it is one of this dataset; of another it is answered like none.
async fn found(api: &Api, caller: &Caller, dataset: Dataset, id: Uuid) -> Result<JobView, Refusal> {
    let view = api.app.jobs.find(caller, id).await?;
    if view.job.order.query.selection.dataset == dataset {
        return Ok(view);
    }
    Err(Refusal::not_found("no such export; list the exports that there are"))
}

/// The dataset and the id that a path names.
fn place(path: Segments) -> Result<(Dataset, Uuid), Refusal> {
    let Path((name, job)) = path.map_err(|_| Refusal::not_found("there is nothing at this path"))?;
    Ok((Dataset::from_name(&name).ok_or_else(no_dataset)?, id(&job)))
}

/// A path that names nothing is not found, whatever the method: so the name is looked at before the method is refused.
async fn no_method(name: Segment) -> Refusal {
    dataset(name).map_or_else(|refusal| refusal, |_| Refusal::allowed_are("GET,HEAD,POST"))
}

async fn no_method_of_one(path: Segments) -> Refusal {
    place(path).map_or_else(|refusal| refusal, |_| Refusal::allowed_are("GET,HEAD,DELETE"))
}
