//! The routes of the native dialect: which use case each path and method leads to, one file per noun.
//!
//! The order of checks is the contract's: route, credential, rate, role, size and type, syntax, parameters, look-up,
//! state.

mod audit_log;
mod exports;
mod jobs;
mod link_keys;
mod records;
mod schemas;
mod settings;
mod sources;
mod tenants;
mod tokens;
mod users;

use super::requests::json;
use super::requests::members::Members;
use crate::api::Api;
use crate::body::{ContentCoding, JSON_BODY_BYTES, RequestBody};
use crate::openapi::Routes;
use crate::query::Parameters;
use crate::refusal::Refusal;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::Response;
use http::request::Parts;
use serde_json::{Map, Value};
use std::sync::Arc;
use tollbook_kit::fault::{Code, Fault};
use tollbook_model::access::Caller;
use tollbook_model::dataset::Dataset;
use uuid::Uuid;

type Shared = State<Arc<Api>>;
type Segment = Result<Path<String>, PathRejection>;
type Segments = Result<Path<(String, String)>, PathRejection>;
type Answer = Result<Response, Refusal>;

/// Every native route that is described in the dialect's document.
pub(crate) fn routes() -> Routes {
    Routes::new().nest("/api/v1", api_routes()).merge(audit_log::root_routes())
}

fn api_routes() -> Routes {
    Routes::new()
        .merge(audit_log::routes())
        .merge(exports::routes())
        .merge(jobs::routes())
        .merge(link_keys::routes())
        .merge(records::routes())
        .merge(schemas::routes())
        .merge(settings::routes())
        .merge(sources::routes())
        .merge(tenants::routes())
        .merge(tokens::routes())
        .merge(users::routes())
        // Bodies are bounded where they are read; the framework's own bound is lower than ours.
        .with(|router| router.layer(DefaultBodyLimit::disable()))
}

/// The JSON object that a permitted caller sent, on a route without parameters.
async fn object(
    api: &Api,
    caller: &Caller,
    parts: &Parts,
    body: Body,
) -> Result<Map<String, Value>, Refusal> {
    json::check_json_type(&parts.headers)?;
    if ContentCoding::of(&parts.headers)? != ContentCoding::Identity {
        let text = "this body is not taken packed; send it as plain JSON";
        return Err(Fault::new(Code::UnsupportedMedia, text).into());
    }
    let mut body = RequestBody::new(body, &parts.headers, &api.body_memory, caller.credential);
    let object = json::json_object(&body.read(JSON_BODY_BYTES).await?)?;
    no_parameters(parts)?;
    Ok(object)
}

/// The members of that object.
async fn members(api: &Api, caller: &Caller, parts: &Parts, body: Body) -> Result<Members, Refusal> {
    Ok(Members::of(object(api, caller, parts, body).await?))
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

/// The id that a segment of the path is. What is no id becomes the nil one, which names nothing, so that it is answered
/// exactly like an unknown id, and only where that is.
fn id(segment: &str) -> Uuid {
    const HYPHENATED: usize = 36;
    let id = Uuid::parse_str(segment).ok().filter(|_| segment.len() == HYPHENATED);
    id.unwrap_or_default()
}

/// The dataset of that name.
fn dataset(name: Segment) -> Result<Dataset, Refusal> {
    Dataset::from_name(&segment(name)?).ok_or_else(no_dataset)
}

fn no_dataset() -> Refusal {
    Refusal::not_found("there is no such dataset here; GET /api/v1/schemas lists them")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_id_names_nothing() {
        let text = "0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01";
        assert_eq!(id(text).to_string(), text);
        for wrong in ["", "x", "{0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01}", "0b6b5c1e7a3f4b549a553f1f0a7f5f01"] {
            assert_eq!(id(wrong), Uuid::nil(), "{wrong}");
        }
    }
}
