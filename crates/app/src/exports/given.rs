//! The rows of `agent-configuration`: the configured sources, in the order of its schema.

use serde_json::Value as Json;
use std::borrow::Cow;
use tollbook_model::ports::GivenRow;
use tollbook_model::selection::{Filter, FilterField, Selection};
use tollbook_model::source::Source;
use tollbook_model::value::Value;

/// The rows of the sources that the selection names, by time of their last change, then id.
pub(super) fn source_rows(mut sources: Vec<Source>, selection: &Selection) -> Vec<GivenRow> {
    sources.retain(|source| {
        selection.range.contains(source.updated_at_ms)
            && selection.filters.iter().all(|filter| passes(source, filter))
    });
    sources.sort_by_key(|source| (source.updated_at_ms, source.id));
    sources.iter().map(row).collect()
}

fn passes(source: &Source, filter: &Filter) -> bool {
    filter.field != FilterField::PbxAlias || filter.values.contains(&source.pbx_alias)
}

fn row(source: &Source) -> GivenRow {
    let text = |text: &str| Value::Text(Cow::Owned(text.to_owned()));
    let text_setting = |name: &str| match source.settings.get(name) {
        Some(Json::String(value)) => text(value),
        _ => Value::Null,
    };
    let integer_setting =
        |name: &str| source.settings.get(name).and_then(Json::as_i64).map_or(Value::Null, Value::Integer);
    vec![
        Value::Uuid(source.id.into_bytes()),
        text(&source.pbx_alias),
        text(&source.kind),
        text_setting("host"),
        integer_setting("port"),
        text_setting("username"),
        integer_setting("poll_interval_s"),
        Value::Boolean(source.enabled),
        text(&source.version.to_string()),
        source.last_seen_at_ms.map_or(Value::Null, Value::Instant),
        Value::Instant(source.updated_at_ms),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use serde_json::json;
    use tollbook_model::dataset::Dataset;
    use tollbook_model::schema::Schema;
    use tollbook_model::selection::Interval;
    use tollbook_model::time_range::TimeRange;
    use uuid::Uuid;

    fn source(id: u128, alias: &str, updated_at_ms: i64) -> Source {
        Source {
            id: Uuid::from_u128(id),
            pbx_alias: alias.into(),
            kind: "csv".into(),
            settings: json!({"host": "pbx.example", "port": 1752, "username": 7})
                .as_object()
                .unwrap()
                .clone(),
            enabled: true,
            version: 3,
            last_seen_at_ms: None,
            updated_at_ms,
        }
    }

    fn selection(range: TimeRange, filters: Vec<Filter>) -> Selection {
        let dataset = Dataset::AgentConfiguration;
        let columns = Schema::of(dataset).default_columns();
        Selection { dataset, range, filters, columns, timezone: TimeZone::UTC, interval: Interval::Day }
    }

    #[test]
    fn rows_follow_the_schema_and_the_selection() {
        let all = vec![source(2, "lyon", 20), source(1, "paris", 20), source(3, "nice", 10)];
        let rows = source_rows(all.clone(), &selection(TimeRange::all(), Vec::new()));
        let schema = Schema::of(Dataset::AgentConfiguration);
        let at = |name: &str| schema.position(name).unwrap();
        let aliases: Vec<_> = rows.iter().map(|row| row[at("pbx_alias")].as_text().unwrap()).collect();
        assert_eq!(aliases, ["nice", "paris", "lyon"]);
        assert!(rows.iter().all(|row| row.len() == schema.fields.len()));
        assert_eq!(rows[0][at("port")], Value::Integer(1752));
        assert_eq!(rows[0][at("host")].as_text(), Some("pbx.example"));
        assert_eq!(rows[0][at("username")], Value::Null, "a setting of another type is not shown");
        assert_eq!(rows[0][at("version")].as_text(), Some("3"));
        assert_eq!(rows[0][at("updated_at")], Value::Instant(10));

        let filter = Filter { field: FilterField::PbxAlias, values: vec!["lyon".into(), "nice".into()] };
        let rows = source_rows(all, &selection(TimeRange::new(15, 21).unwrap(), vec![filter]));
        assert_eq!(rows.len(), 1);
    }
}
