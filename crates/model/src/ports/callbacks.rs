//! Calls to addresses that users gave us.

use async_trait::async_trait;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tollbook_kit::fault::Fault;
use tollbook_kit::secret::Secret;

/// How an address is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum CallMethod {
    /// GET, without a body.
    Get,
    /// POST.
    Post,
}

/// One call. User name and password in the address go out as Basic; its fragment is not sent.
#[derive(Debug, Clone)]
pub struct OutgoingCall {
    /// How.
    pub method: CallMethod,
    /// Where to. It may hold a password.
    pub url: Secret<String>,
    /// Headers beside those that every call has.
    pub headers: Vec<(&'static str, String)>,
    /// The body of a POST.
    pub body: Bytes,
    /// Time to connect.
    pub connect_within: Duration,
    /// Time for everything, connecting included.
    pub answer_within: Duration,
}

/// An answer, whatever it says. Its body is not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallAnswer {
    /// Its status.
    pub status: u16,
    /// `Retry-After`, if it names a number of seconds or a date.
    pub retry_after: Option<Duration>,
}

/// Calls others, under the egress policy of the design: it judges the address that is connected to, at each call.
#[async_trait]
pub trait Callbacks: Send + Sync {
    /// Is this an address that may be called, as far as it can be told without looking its name up?
    ///
    /// # Errors
    /// `invalid`, in words for whoever gave the address.
    fn judge(&self, url: &str) -> Result<(), Fault>;

    /// Calls. Redirects are not followed: they are answers.
    ///
    /// # Errors
    /// `invalid` or `forbidden` when the address may not be called; `timeout`; `unavailable` when nobody answers, or not in
    /// HTTP.
    async fn call(&self, call: OutgoingCall) -> Result<CallAnswer, Fault>;
}
