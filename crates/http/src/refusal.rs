//! A refused request on its way to the renderer of its dialect, and the one table from codes to HTTP.
//!
//! Handlers answer with a [`Refusal`]; the envelope, which knows the request, has it rendered.

use crate::exchange::whole_seconds;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::header::{ALLOW, CONTENT_RANGE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, StatusCode};
use std::sync::Arc;
use std::time::Duration;
use tollbook_kit::fault::{Code, Detail, Fault};

/// For codes that always say when to come back.
const RETRY_LATER: Duration = Duration::from_secs(5);

/// Why a request is refused.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    /// The cause.
    pub(crate) cause: Cause,
    /// Is a password taken here too, so that the challenge must say so?
    pub(crate) challenge_basic: bool,
    /// The dialect's own word for it, where the code does not tell.
    pub(crate) word: Option<&'static str>,
}

/// Causes of refusals.
#[derive(Debug, Clone)]
pub(crate) enum Cause {
    /// A fault of any room.
    Fault(Arc<Fault>),
    /// The path exists, but not for this method; for these. `None` where the router itself says which.
    MethodNotAllowed(Option<&'static str>),
    /// The file is another one than the client takes it for.
    PreconditionFailed,
    /// Nothing of what was asked for is inside the file, which has so many bytes.
    RangeNotSatisfiable(u64),
    /// Something of the dialect's own, which it has worded already.
    InWords(Arc<Words>),
}

/// An answer that says why, whole.
#[derive(Debug)]
pub(crate) struct Words {
    /// Its status.
    pub(crate) status: StatusCode,
    /// Its document.
    pub(crate) document: String,
    /// Of a path that is not for this method: the methods that it is for, as in `Allow`.
    pub(crate) allow: Option<&'static str>,
}

impl Refusal {
    fn because(cause: Cause) -> Self {
        Self { cause, challenge_basic: false, word: None }
    }

    /// Nothing is there.
    pub(crate) fn not_found(text: &'static str) -> Self {
        Fault::new(Code::NotFound, text).into()
    }

    /// The path exists, but not for this method. The router adds the methods that it is for.
    pub(crate) fn method_not_allowed() -> Self {
        Self::because(Cause::MethodNotAllowed(None))
    }

    /// The path exists, but only for these methods, written as in `Allow`.
    pub(crate) fn allowed_are(methods: &'static str) -> Self {
        Self::because(Cause::MethodNotAllowed(Some(methods)))
    }

    /// The file is another one than the client takes it for.
    pub(crate) fn precondition_failed() -> Self {
        Self::because(Cause::PreconditionFailed)
    }

    /// Nothing of what was asked for is inside a file of so many bytes.
    pub(crate) fn unsatisfiable(bytes: u64) -> Self {
        Self::because(Cause::RangeNotSatisfiable(bytes))
    }

    /// For a reason that only the dialect knows, in its words.
    pub(crate) fn in_words(words: Words) -> Self {
        Self::because(Cause::InWords(Arc::new(words)))
    }

    /// The same refusal, on a route where a password is taken too.
    #[must_use]
    pub(crate) fn or_basic(mut self) -> Self {
        self.challenge_basic = true;
        self
    }

    /// The same refusal, under a word of the dialect.
    #[must_use]
    pub(crate) fn called(mut self, word: &'static str) -> Self {
        self.word = Some(word);
        self
    }

    /// The fault, if it is one.
    pub(crate) fn fault(&self) -> Option<&Fault> {
        match &self.cause {
            Cause::Fault(fault) => Some(fault),
            Cause::MethodNotAllowed(_)
            | Cause::PreconditionFailed
            | Cause::RangeNotSatisfiable(_)
            | Cause::InWords(_) => None,
        }
    }

    /// What the dialect itself has said, if it has.
    pub(crate) fn words(&self) -> Option<&Words> {
        match &self.cause {
            Cause::InWords(words) => Some(words),
            _ => None,
        }
    }

    /// The status of the answer, the same in every dialect.
    pub(crate) fn status(&self) -> StatusCode {
        match &self.cause {
            Cause::Fault(fault) => status_of(fault.code()),
            Cause::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Cause::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
            Cause::RangeNotSatisfiable(_) => StatusCode::RANGE_NOT_SATISFIABLE,
            Cause::InWords(words) => words.status,
        }
    }

    /// Text for the caller.
    pub(crate) fn message(&self) -> &str {
        match &self.cause {
            Cause::Fault(fault) => fault.message(),
            Cause::MethodNotAllowed(_) => "this path does not take this method; see Allow",
            Cause::PreconditionFailed => {
                "the file is not the one that If-Match or If-Unmodified-Since means; fetch it from its beginning"
            }
            Cause::RangeNotSatisfiable(_) => {
                "the file ends before the range begins; Content-Range says how long it is"
            }
            Cause::InWords(_) => "the request cannot be answered as it is",
        }
    }

    /// The single wrong parameters or rows.
    pub(crate) fn details(&self) -> &[Detail] {
        self.fault().map_or(&[], Fault::details)
    }

    /// Adds the headers that say what to do next, the same in every dialect.
    pub(crate) fn advise(&self, headers: &mut HeaderMap) {
        match &self.cause {
            Cause::MethodNotAllowed(Some(methods)) => {
                headers.insert(ALLOW, HeaderValue::from_static(methods));
            }
            Cause::InWords(words) => {
                headers.extend(words.allow.map(|methods| (ALLOW, HeaderValue::from_static(methods))));
            }
            Cause::RangeNotSatisfiable(bytes) => {
                if let Ok(value) = HeaderValue::from_str(&format!("bytes */{bytes}")) {
                    headers.insert(CONTENT_RANGE, value);
                }
            }
            Cause::Fault(_) | Cause::MethodNotAllowed(None) | Cause::PreconditionFailed => {}
        }
        let known = self.fault().and_then(Fault::retry_after);
        let expected =
            matches!(self.status(), StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        if let Some(wait) = known.or(expected.then_some(RETRY_LATER)) {
            headers.insert(RETRY_AFTER, whole_seconds(wait).max(1).into());
        }
    }
}

/// The table from codes to HTTP.
fn status_of(code: Code) -> StatusCode {
    match code {
        Code::Invalid => StatusCode::BAD_REQUEST,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::Conflict => StatusCode::CONFLICT,
        Code::KeyReused => StatusCode::UNPROCESSABLE_ENTITY,
        Code::Gone => StatusCode::GONE,
        Code::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::UnsupportedMedia => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Code::TooMany | Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        Code::NotReady | Code::Timeout | Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        Self::because(Cause::Fault(Arc::new(fault)))
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
