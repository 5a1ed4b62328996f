//! A token. Its text is shown once, when it is made.

use serde_json::{Value, json};
use tollbook_kit::secret::Secret;
use tollbook_model::time_range::instant_text;
use tollbook_model::token::Token;

/// What is known of a token.
pub(crate) fn token(token: &Token) -> Value {
    let networks: Vec<String> = token.networks.iter().map(ToString::to_string).collect();
    json!({
        "id": token.id.to_string(),
        "name": token.name,
        "role": token.role.name(),
        "created_at": instant_text(token.created_at_ms),
        "expires_at": token.expires_at_ms.map(instant_text),
        "last_used_at": token.last_used_at_ms.map(instant_text),
        "networks": networks,
    })
}

/// A token just made, with its text.
pub(crate) fn with_secret(made: &Token, secret: &Secret<String>) -> Value {
    let mut view = token(made);
    view["secret"] = secret.reveal().as_str().into();
    view
}
