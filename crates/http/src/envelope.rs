//! What is around every answer: the request id, the rendering of refusals, the net under panics, and the line in the log.

use crate::api::Api;
use crate::body;
use crate::dialects;
use crate::exchange::Exchange;
use crate::metrics;
use crate::proxies::{Peer, client_address};
use crate::refusal::Refusal;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::StatusCode;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tollbook_kit::fault::{Code, Fault};

/// Runs a request, renders what was refused, and puts on the answer what every answer has.
pub(crate) async fn envelop(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let began = api.clock.monotonic();
    let exchange = Exchange::new(api.ids.next_id(), request.uri(), address_of(&api, &request));
    let asked = Asked { method: metrics::method(request.method()), route: route_of(&request) };
    let (mut request, rest) = body::lend(request);
    request.extensions_mut().insert(exchange.clone());
    // A panic is our mistake and the caller's answer is the same as for any other; its message is logged by the hook.
    let mut response = match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => Refusal::from(Fault::internal("a handler panicked")).into_response(),
    };
    let refusal = response.extensions_mut().remove::<Refusal>();
    if let Some(refusal) = &refusal {
        rest.discard().await;
        response = dialects::render(refusal, &exchange, api.clock.now_ms());
    }
    exchange.mark(response.headers_mut());
    if let Some(fault) = refusal.as_ref().and_then(Refusal::fault) {
        log_fault(fault, &exchange, &asked);
        // The listener counts them.
        response.extensions_mut().insert(fault.code());
    }
    let took = api.clock.monotonic().saturating_sub(began);
    log_access(&exchange, &asked, response.status(), refusal.as_ref(), took);
    response
}

/// What was asked for, without anything that a caller made up.
struct Asked {
    method: &'static str,
    route: String,
}

/// Where the client is; unknown to those who call the router without a connection.
fn address_of(api: &Api, request: &Request) -> Option<IpAddr> {
    let Peer(peer) = request.extensions().get::<Peer>()?;
    Some(client_address(*peer, request.headers(), &api.trusted_proxies))
}

/// The template of the route; paths themselves may hold names of sources, which may be numbers.
fn route_of(request: &Request) -> String {
    let path = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    path.filter(|path| !path.contains("__private")).unwrap_or("none").to_owned()
}

/// Our own failures are told with all that is known of them; what callers do wrong is in the access line.
fn log_fault(fault: &Fault, exchange: &Exchange, asked: &Asked) {
    let Asked { method, route } = asked;
    let (request, fault_text) = (exchange.id.to_string(), || fault.log_text());
    match fault.code() {
        Code::Internal | Code::StorageFull => {
            tracing::error!(request, method, route, fault = fault_text(), "request failed");
        }
        Code::Unavailable | Code::Timeout => {
            tracing::warn!(request, method, route, fault = fault_text(), "request failed");
        }
        _ => {}
    }
}

/// One line per request. `ms` is the time to the head of the answer; a stream goes on after it.
fn log_access(
    exchange: &Exchange,
    asked: &Asked,
    status: StatusCode,
    refusal: Option<&Refusal>,
    took: Duration,
) {
    let Asked { method, route } = asked;
    let request = exchange.id.to_string();
    let tenant = exchange.who().map(|who| tracing::field::display(&who.tenant));
    let actor = exchange.who().map(|who| tracing::field::display(&who.actor));
    let code = refusal.and_then(Refusal::fault).map(|fault| fault.code().name());
    let dialect = exchange.dialect.name();
    let status_code = status.as_u16();
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    macro_rules! line {
        ($level:ident) => {
            tracing::$level!(
                method,
                route,
                status = status_code,
                ms,
                tenant,
                actor,
                request,
                dialect,
                code,
                "request answered"
            )
        };
    }
    // Those that come every second would bury all others.
    let often = matches!(route.as_str(), "/healthz" | "/readyz")
        || (route.ends_with("/records") && status.is_success());
    if often { line!(debug) } else { line!(info) }
}
