//! What a kept notice holds: a call or a mail, whole, so that every attempt sends the same.
//!
//! The catalog keeps its text sealed and does not understand it.

use super::form::CallbackDraft;
use serde::{Deserialize, Serialize};
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_kit::secret::Secret;
use tollbook_model::ports::Mail;

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Content {
    /// A call, in the form of this dialect.
    Callback {
        /// The dialect.
        dialect: String,
        /// The call.
        draft: CallbackDraft,
    },
    /// A mail.
    Mail(Mail),
}

impl Content {
    /// The content as text. It holds addresses and may hold keys.
    ///
    /// # Errors
    /// `internal` only.
    pub(super) fn to_text(&self) -> Result<Secret<String>, Fault> {
        serde_json::to_string(self).map(Secret::new).fault("writing a notice")
    }

    /// The content of that text.
    ///
    /// # Errors
    /// `internal` when it is none.
    pub(super) fn from_text(text: &Secret<String>) -> Result<Self, Fault> {
        // What the parser says may repeat a piece of the text.
        serde_json::from_str(text.reveal()).map_err(|_| Fault::internal("a kept notice cannot be read"))
    }
}
