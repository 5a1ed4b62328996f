//! A configured source.

use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use tollbook_model::source::Source;
use tollbook_model::time_range::instant_text;
use utoipa::ToSchema;
use uuid::Uuid;

/// A source: the settings of its kind beside what the product knows of it.
#[derive(Serialize, ToSchema)]
#[schema(as = Source)]
pub(crate) struct SourceView {
    /// Its id.
    id: Uuid,
    /// Its name: `pbx_alias` of every record that it sends.
    pbx_alias: String,
    /// The connector that reads it.
    kind: String,
    /// Does it take records?
    enabled: bool,
    /// Settings of its kind.
    #[serde(flatten)]
    settings: BTreeMap<String, Value>,
    /// Counts its changes from 1.
    version: u64,
    /// When it last sent records.
    #[schema(format = DateTime, required)]
    last_seen_at: Option<String>,
    /// When it last changed.
    #[schema(format = DateTime)]
    updated_at: String,
}

/// Members that no setting can take the place of.
const OWN: [&str; 7] = ["id", "pbx_alias", "kind", "enabled", "version", "last_seen_at", "updated_at"];

/// A source.
pub(crate) fn source(source: &Source) -> SourceView {
    let settings = source.settings.iter().filter(|(name, _)| !OWN.contains(&name.as_str()));
    SourceView {
        id: source.id,
        pbx_alias: source.pbx_alias.clone(),
        kind: source.kind.clone(),
        enabled: source.enabled,
        settings: settings.map(|(name, value)| (name.clone(), value.clone())).collect(),
        version: source.version,
        last_seen_at: source.last_seen_at_ms.map(instant_text),
        updated_at: instant_text(source.updated_at_ms),
    }
}
