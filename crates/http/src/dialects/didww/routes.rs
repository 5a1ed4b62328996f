//! The routes of the DIDWW dialect: which operation a request is.
//!
//! Every path has one handler, as a stranger is refused before it is told whether there is anything at his path, and
//! for which methods.

use super::gate::gate;
use super::paths::{EXPORTS, is_file};
use super::{errors, file, operations};
use crate::api::Api;
use crate::refusal::Refusal;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::any;
use http::Method;
use percent_encoding::percent_decode_str;
use std::sync::Arc;

type Answer = Result<Response, Refusal>;
type Shared = State<Arc<Api>>;

/// Every route below `/v3`.
pub(crate) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/v3/exports", any(exports))
        .route("/v3/exports/{export}", any(export))
        .route("/v3", any(unknown))
        .route("/v3/", any(unknown))
        .route("/v3/{*rest}", any(unknown))
}

async fn exports(State(api): Shared, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let visitor = gate(&api, &parts).await?;
    match parts.method {
        Method::GET | Method::HEAD => operations::list(&api, &visitor, &parts).await,
        Method::POST => operations::create(&api, &visitor, &parts, body).await,
        ref method => Err(errors::no_method(method, "GET,HEAD,POST")),
    }
}

async fn export(State(api): Shared, request: Request) -> Answer {
    let (parts, body) = request.into_parts();
    let visitor = gate(&api, &parts).await?;
    if is_file(parts.uri.path()) {
        return match parts.method {
            Method::GET | Method::HEAD => file::answer(&api, &visitor, &parts).await,
            ref method => Err(errors::no_method(method, "GET,HEAD")),
        };
    }
    let id = id(parts.uri.path());
    match parts.method {
        Method::GET | Method::HEAD => operations::show(&api, &visitor, &parts, &id).await,
        Method::PATCH | Method::PUT => operations::change(&api, &visitor, &parts, body, &id).await,
        Method::DELETE => operations::remove(&api, &visitor, &parts, &id).await,
        ref method => Err(errors::no_method(method, "GET,HEAD,PATCH,PUT,DELETE")),
    }
}

/// Whatever nobody knows: strangers do not learn even that.
async fn unknown(State(api): Shared, request: Request) -> Refusal {
    let (parts, _) = request.into_parts();
    match gate(&api, &parts).await {
        Ok(_) => Refusal::not_found("there is nothing at this path"),
        Err(refusal) => refusal,
    }
}

/// The id in a path, decoded once, as it is told when there is no such export.
fn id(path: &str) -> String {
    let segment = path.strip_prefix(EXPORTS).unwrap_or("");
    percent_decode_str(segment).decode_utf8_lossy().into_owned()
}
