//! A configured source.

use serde_json::{Map, Value};
use tollbook_model::source::Source;
use tollbook_model::time_range::instant_text;

/// A source: its settings beside what the product knows of it.
pub(crate) fn source(source: &Source) -> Value {
    let mut view = Map::new();
    view.insert("id".into(), source.id.to_string().into());
    view.insert("pbx_alias".into(), source.pbx_alias.clone().into());
    view.insert("kind".into(), source.kind.clone().into());
    view.insert("enabled".into(), source.enabled.into());
    for (name, value) in &source.settings {
        view.entry(name.clone()).or_insert_with(|| value.clone());
    }
    view.insert("version".into(), source.version.into());
    view.insert("last_seen_at".into(), source.last_seen_at_ms.map(instant_text).into());
    view.insert("updated_at".into(), instant_text(source.updated_at_ms).into());
    Value::Object(view)
}
