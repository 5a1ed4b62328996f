//! Configured sources.

use super::super::responses::source::SourceView;
use crate::openapi::{Operation, parameters};
use serde_json::{Value, json};
use tollbook_model::access::Action;

const TAG: &str = "sources";

fn operation(id: &'static str, summary: &'static str) -> Operation {
    Operation::needs(Action::ManageSources, TAG, id, summary)
}

pub(in super::super) fn list() -> Operation {
    operation("listSources", "List sources").answers_list::<SourceView>("All sources of the tenant, by name.")
}

pub(in super::super) fn store() -> Operation {
    let example = json!({
        "kind": "csv", "zone": "Europe/Paris", "time_format": "%Y-%m-%d %H:%M:%S", "key": ["Call ID"],
        "extension_pattern": "^[1-3][0-9]{2}$",
        "fields": {"start_at": "Start", "duration_s": "Seconds", "calling_party": "From", "called_party": "To"},
    });
    operation("putSource", "Make or change a source")
        .with(parameters::pbx_alias())
        .takes_json("SourceDefinition", definition(), &example)
        .answers_json::<SourceView>(200, "The source, changed.")
        .answers_json::<SourceView>(201, "The source, made.")
        .refuses(&[409])
}

pub(in super::super) fn show() -> Operation {
    operation("getSource", "Get a source")
        .with(parameters::pbx_alias())
        .answers_json::<SourceView>(200, "The source.")
}

pub(in super::super) fn remove() -> Operation {
    operation("deleteSource", "Delete a source")
        .saying("Its records stay.")
        .with(parameters::pbx_alias())
        .answers_nothing("It is gone.")
}

/// What the other members are depends on the kind.
fn definition() -> Value {
    json!({
        "type": "object",
        "properties": {
            "kind": {"type": "string", "description": "The connector that reads it. Another one is refused by a list of all."},
            "enabled": {"type": "boolean", "default": true, "description": "Does it take records?"},
        },
        "required": ["kind"],
        "additionalProperties": {"description": "A setting of this kind; an unknown one is refused."},
    })
}
