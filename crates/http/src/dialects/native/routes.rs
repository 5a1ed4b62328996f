//! The routes of the native dialect: which use case each path and method leads to.
//!
//! The order of checks is the contract's: route, credential, role, size and type, syntax, parameters, look-up, state.

use super::requests::{export, ingest, source};
use super::responses;
use crate::api::Api;
use crate::auth::{self, Schemes};
use crate::body::{ContentCoding, JSON_BODY_BYTES, RECORD_BODY_BYTES, RequestBody};
use crate::breaker::Breaker;
use crate::query::Parameters;
use crate::refusal::Refusal;
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::response::Response;
use axum::routing::{any, get, post, put};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use std::sync::Arc;
use tollbook_app::datasets::SchemaForm;
use tollbook_app::exports::ExportQuery;
use tollbook_app::ingest::{IngestOutcome, SentBody};
use tollbook_model::access::Caller;
use tollbook_model::dataset::Dataset;

type Shared = State<Arc<Api>>;
type Segment = Result<Path<String>, PathRejection>;
type Segments = Result<Path<(String, String)>, PathRejection>;
type Answer = Result<Response, Refusal>;

/// Every native route, below `/api/v1`.
pub(crate) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/sources", get(list_sources))
        .route("/sources/{pbx_alias}", put(put_source).get(get_source).delete(remove_source))
        .route("/sources/{pbx_alias}/records", post(post_source_records))
        .route("/schemas", get(schema_index))
        .route("/schemas/{file}", any(no_schema_method).get(newest_schema))
        .route("/schemas/{dataset}/{version}", any(no_version_method).get(schema_version))
        .route("/{dataset}/records", any(no_records_method).post(post_records))
        .route("/{dataset}/export", any(no_export_method).get(get_export).head(head_export))
        .route("/{dataset}/export/estimate", any(no_export_method).get(get_estimate))
        // Bodies are bounded where they are read; the framework's own bound is lower than ours.
        .layer(DefaultBodyLimit::disable())
}

async fn get_export(State(api): Shared, dataset: Segment, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let (caller, query) = export_query(&api, dataset, &parts).await?;
    let (format, formula_guard) = (query.format, query.formula_guard);
    let export = api.app.exports.direct(&caller, query).await?;
    Ok(responses::export(export, format, formula_guard, parts.extensions.get::<Breaker>().cloned()))
}

async fn head_export(State(api): Shared, dataset: Segment, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let (caller, query) = export_query(&api, dataset, &parts).await?;
    let head = api.app.exports.head(&caller, &query)?;
    Ok(responses::export_head(&head, query.format, query.formula_guard))
}

async fn get_estimate(State(api): Shared, dataset: Segment, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let (caller, query) = export_query(&api, dataset, &parts).await?;
    Ok(responses::estimate(api.app.exports.estimate(&caller, query).await?))
}

async fn export_query(api: &Api, dataset: Segment, parts: &Parts) -> Result<(Caller, ExportQuery), Refusal> {
    let dataset = exported(dataset)?;
    let caller = auth::caller(api, &parts.headers, Schemes::Bearer).await?;
    api.app.exports.permit(&caller, dataset)?;
    let query = export::decode(dataset, Parameters::parse(parts.uri.query()), api.clock.now_ms())?;
    Ok((caller, query))
}

async fn post_records(State(api): Shared, dataset: Segment, request: Request) -> Answer {
    posted(dataset)?;
    let (parts, body) = request.into_parts();
    let mut body = RequestBody::new(body, &parts.headers, &api.body_memory);
    let outcome = native_records(&api, &parts, &mut body).await;
    if outcome.is_err() {
        body.discard().await;
    }
    Ok(responses::ingested(&outcome?))
}

async fn native_records(api: &Api, parts: &Parts, body: &mut RequestBody) -> Result<IngestOutcome, Refusal> {
    let caller = auth::caller(api, &parts.headers, Schemes::Bearer).await?;
    api.app.ingest.permit(&caller)?;
    let coding = ContentCoding::of(&parts.headers)?;
    let bytes = body.read_unpacked(coding, RECORD_BODY_BYTES).await?;
    let form = ingest::record_form(content_type(&parts.headers), &bytes)?;
    let mut given = Parameters::parse(parts.uri.query());
    given.refuse_unknown(|name| name == ingest::ON_ERROR);
    let on_error = ingest::on_error(&mut given);
    given.finish()?;
    Ok(api.app.ingest.native(&caller, form, bytes, on_error).await?)
}

async fn post_source_records(State(api): Shared, pbx_alias: Segment, request: Request) -> Answer {
    let pbx_alias = segment(pbx_alias)?;
    let (parts, body) = request.into_parts();
    let mut body = RequestBody::new(body, &parts.headers, &api.body_memory);
    let outcome = source_records(&api, &pbx_alias, &parts, &mut body).await;
    if outcome.is_err() {
        body.discard().await;
    }
    outcome.map(|outcome| responses::ingested(&outcome)).map_err(Refusal::or_basic)
}

async fn source_records(
    api: &Api,
    pbx_alias: &str,
    parts: &Parts,
    body: &mut RequestBody,
) -> Result<IngestOutcome, Refusal> {
    let caller = auth::caller(api, &parts.headers, Schemes::BearerOrBasic).await?;
    api.app.ingest.permit(&caller)?;
    let coding = ContentCoding::of(&parts.headers)?;
    let bytes = body.read_unpacked(coding, RECORD_BODY_BYTES).await?;
    // Switches add parameters of their own (and twice the `?`): what they mean is the connector's business.
    let mut given = Parameters::parse(parts.uri.query());
    let on_error = ingest::on_error(&mut given);
    let query = given.pairs().to_vec();
    given.finish()?;
    let content_type = content_type(&parts.headers).map(str::to_owned);
    let sent = SentBody { bytes, content_type, query };
    Ok(api.app.ingest.from_source(&caller, pbx_alias, sent, on_error).await?)
}

async fn put_source(State(api): Shared, pbx_alias: Segment, request: Request) -> Answer {
    let pbx_alias = segment(pbx_alias)?;
    let (parts, body) = request.into_parts();
    let mut body = RequestBody::new(body, &parts.headers, &api.body_memory);
    let stored = stored_source(&api, &pbx_alias, &parts, &mut body).await;
    if stored.is_err() {
        body.discard().await;
    }
    let stored = stored?;
    let status = if stored.version == 1 { StatusCode::CREATED } else { StatusCode::OK };
    Ok(responses::json(status, &responses::source(&stored)))
}

async fn stored_source(
    api: &Api,
    pbx_alias: &str,
    parts: &Parts,
    body: &mut RequestBody,
) -> Result<tollbook_model::source::Source, Refusal> {
    let caller = manager(api, &parts.headers).await?;
    source::check_json_type(&parts.headers)?;
    if ContentCoding::of(&parts.headers)? != ContentCoding::Identity {
        let text = "a source's definition is not taken packed; send it as plain JSON";
        return Err(tollbook_kit::fault::Fault::new(tollbook_kit::fault::Code::UnsupportedMedia, text).into());
    }
    let definition = source::json_object(&body.read(JSON_BODY_BYTES).await?)?;
    no_parameters(parts)?;
    Ok(api.app.sources.put(&caller, pbx_alias, definition).await?)
}

async fn get_source(State(api): Shared, pbx_alias: Segment, request: Request) -> Answer {
    let pbx_alias = segment(pbx_alias)?;
    let (parts, _) = request.into_parts();
    let caller = manager(&api, &parts.headers).await?;
    no_parameters(&parts)?;
    let found = api.app.sources.get(&caller, &pbx_alias).await?;
    Ok(responses::json(StatusCode::OK, &responses::source(&found)))
}

async fn list_sources(State(api): Shared, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let caller = manager(&api, &parts.headers).await?;
    no_parameters(&parts)?;
    let all = api.app.sources.list(&caller).await?;
    Ok(responses::list(all.iter().map(responses::source).collect()))
}

async fn remove_source(State(api): Shared, pbx_alias: Segment, request: Request) -> Answer {
    let pbx_alias = segment(pbx_alias)?;
    let (parts, _) = request.into_parts();
    let caller = manager(&api, &parts.headers).await?;
    no_parameters(&parts)?;
    api.app.sources.remove(&caller, &pbx_alias).await?;
    let mut response = Response::default();
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(response)
}

async fn schema_index(State(api): Shared, headers: HeaderMap) -> Response {
    responses::schema(api.app.datasets.index(), &headers)
}

async fn newest_schema(State(api): Shared, file: Segment, headers: HeaderMap) -> Answer {
    let (dataset, form) = schema_file(file)?;
    Ok(responses::schema(api.app.datasets.view(dataset, form), &headers))
}

async fn schema_version(State(api): Shared, path: Segments, headers: HeaderMap) -> Answer {
    let view = api.app.datasets.view(version_file(path)?, SchemaForm::JsonSchema);
    Ok(responses::schema(view, &headers))
}

// A path that names nothing is not found, whatever the method: so these look at the name before they refuse the method.

async fn no_export_method(dataset: Segment) -> Refusal {
    exported(dataset).map_or_else(|refusal| refusal, |_| Refusal::allowed_are("GET,HEAD"))
}

async fn no_records_method(dataset: Segment) -> Refusal {
    posted(dataset).map_or_else(|refusal| refusal, |()| Refusal::allowed_are("POST"))
}

async fn no_schema_method(file: Segment) -> Refusal {
    schema_file(file).map_or_else(|refusal| refusal, |_| Refusal::allowed_are("GET,HEAD"))
}

async fn no_version_method(path: Segments) -> Refusal {
    version_file(path).map_or_else(|refusal| refusal, |_| Refusal::allowed_are("GET,HEAD"))
}

/// The dataset of an export.
fn exported(dataset: Segment) -> Result<Dataset, Refusal> {
    Dataset::from_name(&segment(dataset)?).ok_or_else(no_dataset)
}

/// Only calls can be posted; the other datasets follow from them or from settings.
fn posted(dataset: Segment) -> Result<(), Refusal> {
    if exported(dataset)? == Dataset::Cdr { Ok(()) } else { Err(no_dataset()) }
}

/// Dataset and form of a newest schema.
fn schema_file(file: Segment) -> Result<(Dataset, SchemaForm), Refusal> {
    let file = segment(file)?;
    let (name, form) = match file.rsplit_once('.') {
        Some((name, "json")) => (name, SchemaForm::JsonSchema),
        Some((name, "ts")) => (name, SchemaForm::TypeScript),
        Some((name, "py")) => (name, SchemaForm::Python),
        _ => return Err(no_schema()),
    };
    Ok((Dataset::from_name(name).ok_or_else(no_schema)?, form))
}

/// Dataset of one version of a schema; there is one version.
fn version_file(path: Segments) -> Result<Dataset, Refusal> {
    let Path((name, version)) = path.map_err(|_| no_schema())?;
    Dataset::from_name(&name).filter(|_| version == "v1.json").ok_or_else(no_schema)
}

/// A caller who may see and change sources.
async fn manager(api: &Api, headers: &HeaderMap) -> Result<Caller, Refusal> {
    let caller = auth::caller(api, headers, Schemes::Bearer).await?;
    api.app.sources.permit(&caller)?;
    Ok(caller)
}

fn no_parameters(parts: &Parts) -> Result<(), Refusal> {
    let mut given = Parameters::parse(parts.uri.query());
    given.refuse_unknown(|_| false);
    Ok(given.finish()?)
}

/// A segment of the path, decoded once; one that is no UTF-8 names nothing.
fn segment(path: Segment) -> Result<String, Refusal> {
    path.map(|Path(text)| text).map_err(|_| Refusal::not_found("there is nothing at this path"))
}

fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok())
}

fn no_dataset() -> Refusal {
    Refusal::not_found("there is no such dataset here; GET /api/v1/schemas lists them")
}

fn no_schema() -> Refusal {
    Refusal::not_found("there is no such schema; GET /api/v1/schemas lists them")
}
