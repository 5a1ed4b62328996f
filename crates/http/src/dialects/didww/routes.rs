//! The routes of the DIDWW dialect.

use super::gate::gate;
use crate::api::Api;
use crate::refusal::Refusal;
use axum::Router;
use axum::extract::{Request, State};
use axum::routing::any;
use std::sync::Arc;

/// Every route below `/v3`.
pub(crate) fn routes() -> Router<Arc<Api>> {
    Router::new().route("/v3", any(unknown)).route("/v3/", any(unknown)).route("/v3/{*rest}", any(unknown))
}

/// Whatever nobody knows: strangers do not learn even that.
async fn unknown(State(api): State<Arc<Api>>, request: Request) -> Refusal {
    let (parts, _) = request.into_parts();
    match gate(&api, &parts).await {
        Ok(_) => Refusal::not_found("there is nothing at this path"),
        Err(refusal) => refusal,
    }
}
