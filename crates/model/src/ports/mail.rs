//! Mail to people.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tollbook_kit::fault::Fault;

/// One mail to one person, in plain text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mail {
    /// Its `Message-ID` without brackets and host; the same at every attempt.
    pub id: String,
    /// The address.
    pub to: String,
    /// The subject: one line.
    pub subject: String,
    /// The text, lines ended by LF.
    pub text: String,
}

/// A mail server that takes our mail.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Hands a mail over.
    ///
    /// # Errors
    /// `invalid` when the server, or the address, refuses it for good: sending it again is of no use. `unavailable` or
    /// `timeout` when it can be tried again.
    async fn send(&self, mail: &Mail) -> Result<(), Fault>;
}
