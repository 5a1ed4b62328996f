//! What every handler holds, and the one router over all dialects.

use crate::body::BodyMemory;
use crate::refusal::Refusal;
use crate::{dialects, envelope, ops};
use axum::Router;
use axum::routing::get;
use std::sync::Arc;
use tollbook_app::App;
use tollbook_kit::clock::Clock;
use tollbook_kit::ids::IdSource;
use tollbook_kit::supervise::StopToken;

/// The use cases and what requests need besides.
pub struct Api {
    pub(crate) app: App,
    pub(crate) ids: IdSource,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stop: StopToken,
    pub(crate) body_memory: BodyMemory,
}

impl Api {
    /// The API over these use cases. After `stop` it reports that it is not ready.
    pub fn new(app: App, ids: IdSource, clock: Arc<dyn Clock>, stop: StopToken) -> Self {
        Self { app, ids, clock, stop, body_memory: BodyMemory::default() }
    }
}

/// Every route of every dialect.
pub(crate) fn router(api: Arc<Api>) -> Router {
    Router::new()
        .route("/healthz", get(ops::health))
        .route("/readyz", get(ops::ready))
        .nest("/api/v1", dialects::native::routes())
        .fallback(async || Refusal::not_found("there is nothing at this path"))
        .method_not_allowed_fallback(async || Refusal::method_not_allowed())
        .layer(axum::middleware::from_fn_with_state(api.clone(), envelope::envelop))
        .with_state(api)
}
