//! A key that signs links to files. Its secret part is never shown.

use serde::Serialize;
use tollbook_app::downloads::LinkKey;
use tollbook_model::time_range::instant_text;
use utoipa::ToSchema;

/// What is known of a key.
#[derive(Serialize, ToSchema)]
#[schema(as = LinkKey)]
pub(crate) struct LinkKeyView {
    /// Its name, which is in the links that it signed.
    kid: String,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// Does it sign new links?
    signs: bool,
}

/// What is known of a key.
pub(crate) fn link_key(key: &LinkKey) -> LinkKeyView {
    LinkKeyView { kid: key.kid.clone(), created_at: instant_text(key.created_at_ms), signs: key.signs }
}
