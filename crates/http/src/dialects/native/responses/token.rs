//! A token. Its text is shown once, when it is made.

use crate::openapi::schemas::role_object;
use serde::Serialize;
use tollbook_kit::secret::Secret;
use tollbook_model::time_range::instant_text;
use tollbook_model::token::Token;
use utoipa::ToSchema;
use uuid::Uuid;

/// What is known of a token.
#[derive(Serialize, ToSchema)]
#[schema(as = Token)]
pub(crate) struct TokenView {
    /// Its id.
    id: Uuid,
    /// Its name for people.
    name: String,
    /// What whoever holds it may do.
    #[schema(schema_with = role_object)]
    role: &'static str,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// From when on it is no longer taken.
    #[schema(format = DateTime, required)]
    expires_at: Option<String>,
    /// When it was last used; noted at most once a minute.
    #[schema(format = DateTime, required)]
    last_used_at: Option<String>,
    /// Networks that it is taken from; none: from anywhere.
    networks: Vec<String>,
    /// Which version of a versioned API answers requests with it that name none; null: that API's own default.
    #[schema(format = Date, required)]
    api_version: Option<String>,
}

/// A token just made.
#[derive(Serialize, ToSchema)]
#[schema(as = MadeToken)]
pub(crate) struct MadeTokenView {
    #[serde(flatten)]
    token: TokenView,
    /// Its text, shown this once.
    secret: String,
}

/// What is known of a token.
pub(crate) fn token(token: &Token) -> TokenView {
    TokenView {
        id: token.id,
        name: token.name.clone(),
        role: token.role.name(),
        created_at: instant_text(token.created_at_ms),
        expires_at: token.expires_at_ms.map(instant_text),
        last_used_at: token.last_used_at_ms.map(instant_text),
        networks: token.networks.iter().map(ToString::to_string).collect(),
        api_version: token.api_version.clone(),
    }
}

/// A token just made, with its text.
pub(crate) fn with_secret(made: &Token, secret: &Secret<String>) -> MadeTokenView {
    MadeTokenView { token: token(made), secret: secret.reveal().clone() }
}
