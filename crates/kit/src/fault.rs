//! The one error type of the house: a closed code, text for the caller, and private context for the log.
//!
//! What a fault looks like over HTTP is decided by each dialect; here are only the code and the words.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Every way in which an operation can fail. Closed on purpose: one table maps it to HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// The request is wrong and will stay wrong.
    Invalid,
    /// No credential, or one that does not hold.
    Unauthenticated,
    /// A good credential without the right.
    Forbidden,
    /// Unknown, or of another tenant: the two look the same.
    NotFound,
    /// The state does not allow it.
    Conflict,
    /// An idempotency key came again with another request.
    KeyReused,
    /// It was there once.
    Gone,
    /// A body or a field is over its bound.
    TooLarge,
    /// A body in a form that is not taken here.
    UnsupportedMedia,
    /// A quota of things under way is used up for now.
    TooMany,
    /// Too many requests in too short a time.
    RateLimited,
    /// Not yet; asking again later is right.
    NotReady,
    /// It took longer than allowed.
    Timeout,
    /// A part that is needed cannot be reached for now.
    Unavailable,
    /// No room on the disk.
    StorageFull,
    /// Our own mistake.
    Internal,
}

impl Code {
    /// The code's name in logs and in `docs/errors/`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::KeyReused => "key_reused",
            Self::Gone => "gone",
            Self::TooLarge => "too_large",
            Self::UnsupportedMedia => "unsupported_media",
            Self::TooMany => "too_many",
            Self::RateLimited => "rate_limited",
            Self::NotReady => "not_ready",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::StorageFull => "storage_full",
            Self::Internal => "internal",
        }
    }
}

/// Finer kinds within [`Code::Invalid`] that dialects tell apart (`natalia.md` section 13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InvalidKind {
    /// The body is not of the announced syntax.
    MalformedBody,
    /// A parameter nobody knows.
    UnknownParameter,
    /// A required parameter is absent.
    MissingParameter,
    /// A parameter with a wrong value.
    InvalidParameter,
}

/// One wrong parameter, field or row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// Name of the parameter or field, or the number of the row.
    pub name: String,
    /// What is wrong with it. Never holds the value itself, which may be a phone number.
    pub reason: String,
    /// Kind, where dialects tell kinds apart.
    pub kind: InvalidKind,
}

/// An error on its way to the caller. `message` and `details` are public; `context` and the source are not.
pub struct Fault(Box<Inner>);

struct Inner {
    code: Code,
    message: Cow<'static, str>,
    details: Vec<Detail>,
    retry_after: Option<Duration>,
    context: Vec<String>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Fault {
    /// A fault with public text: lower case, and saying what to do next.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            code,
            message: message.into(),
            details: Vec::new(),
            retry_after: None,
            context: Vec::new(),
            source: None,
        }))
    }

    /// A mistake of ours: the caller learns only that, the log learns `context` and the source.
    pub fn internal(context: impl Into<String>) -> Self {
        Self::new(Code::Internal, "an internal error occurred; the request id identifies it in the log")
            .with_context(context)
    }

    /// One wrong parameter.
    pub fn parameter(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::from_details(vec![Detail {
            name: name.into(),
            reason: reason.into(),
            kind: InvalidKind::InvalidParameter,
        }])
    }

    /// A body whose syntax is wrong.
    pub fn malformed(reason: impl Into<String>) -> Self {
        Self::from_details(vec![Detail {
            name: "body".into(),
            reason: reason.into(),
            kind: InvalidKind::MalformedBody,
        }])
    }

    /// All faults of one request in one answer. `details` must not be empty.
    pub fn from_details(details: Vec<Detail>) -> Self {
        debug_assert!(!details.is_empty(), "a fault made of details has at least one");
        let message = match details.first() {
            Some(first) => format!("{}: {}", first.name, first.reason),
            None => String::from("the request is invalid"),
        };
        let mut fault = Self::new(Code::Invalid, message);
        fault.0.details = details;
        fault
    }

    /// Adds a private line for the log: what was being done. No numbers, tokens or bodies.
    #[must_use]
    pub fn with_context(mut self, context: impl Into<String>) -> Self {
        self.0.context.push(context.into());
        self
    }

    /// Keeps the error that caused this one, for the log.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Says when asking again makes sense.
    #[must_use]
    pub fn with_retry_after(mut self, wait: Duration) -> Self {
        self.0.retry_after = Some(wait);
        self
    }

    /// The closed code.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Text for the caller.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The single wrong parameters or rows, for the caller. Empty for most codes.
    pub fn details(&self) -> &[Detail] {
        &self.0.details
    }

    /// When to ask again, if known.
    pub fn retry_after(&self) -> Option<Duration> {
        self.0.retry_after
    }

    /// The whole story for the log: code, contexts from the outside in, chain of sources.
    pub fn log_text(&self) -> String {
        let mut text = format!("{}: {}", self.0.code.name(), self.0.message);
        for context in self.0.context.iter().rev() {
            text.push_str("; ");
            text.push_str(context);
        }
        let mut source: Option<&dyn Error> = match &self.0.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        };
        while let Some(error) = source {
            text.push_str("; caused by: ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.log_text())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl Error for Fault {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.0.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}

/// Shorthand: `result.fault("reading the manifest")` turns any error into an internal fault with context.
pub trait ResultExt<T> {
    /// Wraps the error as an internal fault that says what was being done.
    ///
    /// # Errors
    /// The wrapped error, as [`Code::Internal`].
    fn fault(self, doing: &'static str) -> Result<T, Fault>;
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> ResultExt<T> for Result<T, E> {
    fn fault(self, doing: &'static str) -> Result<T, Fault> {
        self.map_err(|error| Fault::internal(doing).with_source(error))
    }
}
