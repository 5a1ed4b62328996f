//! What a kept notice holds: a call or a mail, whole, so that every attempt sends the same.
//!
//! The catalog keeps its text sealed and does not understand it.

use super::contacts::authority;
use super::form::CallbackDraft;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_kit::secret::Secret;
use tollbook_model::ports::Mail;
use tollbook_model::tenant::TenantName;

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
    /// Whom it goes to, as far as it matters for who holds up whom: host and port of a call; all mail goes to one server.
    pub(super) fn receiver(&self) -> String {
        match self {
            Self::Callback { draft, .. } => {
                let authority = authority(&draft.url);
                let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
                host.to_ascii_lowercase()
            }
            Self::Mail(_) => String::new(),
        }
    }

    /// A short key of the receiver, which is kept beside the sealed content so that notices can be told apart unopened. It
    /// differs from tenant to tenant; the receiver cannot be read from it, only a guess be tried.
    pub(super) fn receiver_key(&self, tenant: &TenantName) -> u64 {
        let kind = match self {
            Self::Callback { .. } => "callback",
            Self::Mail(_) => "mail",
        };
        let digest = Sha256::digest(format!("{}\0{kind}\0{}", tenant.as_str(), self.receiver()));
        digest.iter().take(8).fold(0, |key, &byte| key << 8 | u64::from(byte))
    }

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

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use super::*;
    use tollbook_model::ports::CallMethod;

    #[test]
    fn the_key_tells_receivers_of_a_tenant_apart() {
        let call = |url: &str| Content::Callback {
            dialect: "native".into(),
            draft: CallbackDraft {
                method: CallMethod::Post,
                url: url.to_owned(),
                content_type: None,
                body: String::new(),
                id: String::new(),
                note: None,
            },
        };
        let (acme, other) = (TenantName::parse("acme").unwrap(), TenantName::parse("other").unwrap());
        let key = call("https://hooks.example/a").receiver_key(&acme);
        for same in ["https://hooks.example/b?c", "https://eve:hush@HOOKS.example#d"] {
            assert_eq!(call(same).receiver_key(&acme), key, "{same}");
        }
        for differs in ["https://hooks.example:8443/a", "https://hook.example/a", ""] {
            assert_ne!(call(differs).receiver_key(&acme), key, "{differs}");
        }
        assert_ne!(call("https://hooks.example/a").receiver_key(&other), key);
    }
}
