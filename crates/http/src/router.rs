//! The one router over all dialects: what is below which path, and what is around all of it.

use crate::api::Api;
use crate::dialects::{didww, native, omilia};
use crate::refusal::Refusal;
use crate::{envelope, ops};
use axum::Router;
use axum::routing::get;
use std::sync::Arc;

/// Every route of every dialect.
pub(crate) fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/healthz", get(ops::health))
        .route("/readyz", get(ops::ready))
        .merge(native::root_routes())
        .nest("/api/v1", native::api_routes())
        .merge(didww::routes())
        .merge(omilia::routes())
        .fallback(async || Refusal::not_found("there is nothing at this path"))
        .method_not_allowed_fallback(async || Refusal::method_not_allowed())
        .layer(axum::middleware::from_fn_with_state(api.clone(), envelope::envelop))
        .with_state(api)
}
