//! What is around every answer: the request id, the rendering of refusals, and the net under panics.

use crate::api::Api;
use crate::dialects::native::errors;
use crate::refusal::{Cause, Refusal};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::{HeaderName, HeaderValue};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tollbook_kit::fault::{Code, Fault};
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Runs a request, renders what was refused, and puts the request id on the answer.
pub(crate) async fn envelop(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let id = api.ids.next_id();
    let route = format!("{} {}", request.method(), request.uri().path());
    // A panic is our mistake and the caller's answer is the same as for any other; its message is logged by the hook.
    let mut response = match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => Refusal::from(Fault::internal("a handler panicked")).into_response(),
    };
    if let Some(refusal) = response.extensions_mut().remove::<Refusal>() {
        log(&refusal, id, &route);
        response = errors::render(&refusal, id);
    }
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

/// Our own failures are errors of the log; what callers do wrong is only of interest when looking for it.
fn log(refusal: &Refusal, id: Uuid, route: &str) {
    let Cause::Fault(fault) = &refusal.cause else { return };
    let request = id.to_string();
    match fault.code() {
        Code::Internal | Code::StorageFull | Code::Unavailable | Code::Timeout => {
            tracing::error!(request, route, fault = fault.log_text(), "request failed");
        }
        code => tracing::debug!(request, route, code = code.name(), "request refused"),
    }
}
