//! Published schemas, and the document of this dialect. Public: no credential is needed.

use super::super::described::{self, schemas};
use super::{Answer, Segment, Segments, Shared, segment};
use crate::openapi::{Methods, Routes};
use crate::public::Public;
use crate::published;
use crate::refusal::Refusal;
use axum::extract::{Path, State};
use axum::response::Response;
use http::HeaderMap;
use tollbook_app::datasets::SchemaForm;
use tollbook_model::dataset::Dataset;

pub(super) fn routes() -> Routes {
    Routes::new()
        .at("/openapi.json", Methods::new().get(described::document, schemas::document()))
        .at("/schemas", Methods::new().get(index, schemas::index()))
        .at("/schemas/{file}", Methods::refused_by(no_newest_method).get(newest, schemas::newest()))
        .at(
            "/schemas/{dataset}/{version}",
            Methods::refused_by(no_version_method).get(version, schemas::version()),
        )
}

async fn index(_: Public, State(api): Shared, headers: HeaderMap) -> Response {
    published::tagged(api.app.datasets.index(), &headers)
}

async fn newest(_: Public, State(api): Shared, file: Segment, headers: HeaderMap) -> Answer {
    let (dataset, form) = newest_file(file)?;
    Ok(published::tagged(api.app.datasets.view(dataset, form), &headers))
}

async fn version(_: Public, State(api): Shared, path: Segments, headers: HeaderMap) -> Answer {
    let view = api.app.datasets.view(version_file(path)?, SchemaForm::JsonSchema);
    Ok(published::tagged(view, &headers))
}

// A path that names nothing is not found, whatever the method: so these look at the name before they refuse the method.

async fn no_newest_method(file: Segment) -> Refusal {
    newest_file(file).map_or_else(|refusal| refusal, |_| Refusal::allowed_are("GET,HEAD"))
}

async fn no_version_method(path: Segments) -> Refusal {
    version_file(path).map_or_else(|refusal| refusal, |_| Refusal::allowed_are("GET,HEAD"))
}

/// Dataset and form of a newest schema.
fn newest_file(file: Segment) -> Result<(Dataset, SchemaForm), Refusal> {
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

fn no_schema() -> Refusal {
    Refusal::not_found("there is no such schema; GET /api/v1/schemas lists them")
}
