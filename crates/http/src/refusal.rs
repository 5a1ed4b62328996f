//! A refused request on its way to the renderer of its dialect.
//!
//! Handlers answer with a [`Refusal`]; the envelope, which knows the request id, has it rendered.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use std::sync::Arc;
use tollbook_kit::fault::{Code, Fault};

/// Why a request is refused.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    /// The cause.
    pub(crate) cause: Cause,
    /// Is a password taken here too, so that the challenge must say so?
    pub(crate) challenge_basic: bool,
}

/// Causes of refusals.
#[derive(Debug, Clone)]
pub(crate) enum Cause {
    /// A fault of any room.
    Fault(Arc<Fault>),
    /// The path exists, but not for this method; for these. `None` where the router itself says which.
    MethodNotAllowed(Option<&'static str>),
}

impl Refusal {
    /// Nothing is there.
    pub(crate) fn not_found(text: &'static str) -> Self {
        Fault::new(Code::NotFound, text).into()
    }

    /// The path exists, but not for this method. The router adds the methods that it is for.
    pub(crate) fn method_not_allowed() -> Self {
        Self { cause: Cause::MethodNotAllowed(None), challenge_basic: false }
    }

    /// The path exists, but only for these methods, written as in `Allow`.
    pub(crate) fn allowed_are(methods: &'static str) -> Self {
        Self { cause: Cause::MethodNotAllowed(Some(methods)), challenge_basic: false }
    }

    /// The same refusal, on a route where a password is taken too.
    #[must_use]
    pub(crate) fn or_basic(mut self) -> Self {
        self.challenge_basic = true;
        self
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self { cause: Cause::Fault(Arc::new(fault)), challenge_basic: false }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        // Never sent as it is: the envelope replaces it.
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        response.extensions_mut().insert(self);
        response
    }
}
