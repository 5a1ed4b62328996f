//! Health, readiness and numbers, for whoever supervises the process. No credential is needed; the numbers have a port of
//! their own.

use crate::api::Api;
use crate::metrics::Render;
use crate::refusal::Refusal;
use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::StatusCode;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use std::sync::Arc;
use std::time::Duration;
use tollbook_kit::fault::{Code, Fault};

const PATIENCE: Duration = Duration::from_secs(2);

/// The process runs.
pub(crate) async fn health() -> Response {
    answer("{\"status\":\"ok\"}\n")
}

/// The process takes requests: it is not stopping, and the control database answers.
pub(crate) async fn ready(State(api): State<Arc<Api>>) -> Result<Response, Refusal> {
    let not_ready = |text| Fault::new(Code::Unavailable, text).with_retry_after(Duration::from_secs(1));
    if api.stop.is_cancelled() {
        return Err(not_ready("the service is stopping").into());
    }
    match tokio::time::timeout(PATIENCE, api.app.tenants.reachable()).await {
        Ok(reached) => reached?,
        Err(_) => return Err(not_ready("the control database does not answer in time").into()),
    }
    Ok(answer("{\"status\":\"ready\"}\n"))
}

/// What there is on the port of the numbers, and nothing else.
pub(crate) fn metrics_routes(render: Render) -> Router {
    let metrics = async move || {
        ([(CONTENT_TYPE, "text/plain; version=0.0.4"), (CACHE_CONTROL, "no-store")], render()).into_response()
    };
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .fallback(async || StatusCode::NOT_FOUND)
}

fn answer(text: &'static str) -> Response {
    ([(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], text).into_response()
}
