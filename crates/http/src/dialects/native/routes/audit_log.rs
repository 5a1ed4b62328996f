//! The signed checkpoints of the audit log, and the public keys that prove them. Its entries are exported like those of
//! any dataset.

use super::super::{gate, responses};
use super::{Answer, Shared, no_parameters};
use crate::api::Api;
use crate::limits::Public;
use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new().route("/audit-log/checkpoints/latest", get(latest_checkpoint))
}

pub(super) fn root_routes() -> Router<Arc<Api>> {
    Router::new().route("/.well-known/jwks.json", get(keys))
}

async fn latest_checkpoint(State(api): Shared, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let caller = gate::caller(&api, &parts).await?;
    api.app.audit.permit(&caller).await?;
    no_parameters(&parts)?;
    let checkpoint = api.app.audit.latest_checkpoint(&caller).await?;
    Ok(responses::unkept(StatusCode::OK, "application/jose", checkpoint))
}

async fn keys(_: Public, State(api): Shared) -> Response {
    responses::schema::keys(&api.app.audit.published_keys())
}
