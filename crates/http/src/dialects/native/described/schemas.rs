//! Published schemas, and the document itself.

use crate::openapi::schemas::word;
use crate::openapi::{Operation, answers, parameters};
use serde_json::{Value, json};
use tollbook_model::dataset::Dataset;

const TAG: &str = "schemas";

fn operation(id: &'static str, summary: &'static str) -> Operation {
    Operation::public(TAG, id, summary).with(parameters::if_none_match()).answers(304, answers::unchanged())
}

pub(in super::super) fn index() -> Operation {
    let uri = json!({"type": "string", "format": "uri"});
    let item = json!({
        "type": "object",
        "properties": {
            "dataset": word(&Dataset::ALL.map(Dataset::name)), "version": word(&["v1"]),
            "json_schema": uri, "typescript": uri, "python": uri,
        },
        "required": ["dataset", "version", "json_schema", "typescript", "python"],
    });
    let list = json!({
        "type": "object", "properties": {"items": {"type": "array", "items": item}}, "required": ["items"],
    });
    operation("listSchemas", "List schemas")
        .answers(200, answers::tagged("All schemas.", json!({"application/json": {"schema": list}})))
}

pub(in super::super) fn newest() -> Operation {
    let files =
        Dataset::ALL.into_iter().flat_map(|name| ["json", "ts", "py"].map(|form| format!("{name}.{form}")));
    let files: Vec<String> = files.collect();
    let files = word(&files.iter().map(String::as_str).collect::<Vec<_>>());
    let content = json!({
        "application/schema+json": {"schema": json_schema()},
        "text/plain; charset=utf-8": {"schema": {"type": "string"}},
    });
    operation("getNewestSchema", "Get the newest schema of a dataset")
        .with(parameters::path(
            "file",
            "Name of the dataset and form: JSON Schema, TypeScript, Python.",
            files,
            "cdr.json",
        ))
        .answers(200, answers::tagged("JSON Schema (draft 2020-12), or a type.", content))
}

pub(in super::super) fn version() -> Operation {
    let content = json!({"application/schema+json": {"schema": json_schema()}});
    operation("getSchema", "Get a version of the schema of a dataset")
        .with(parameters::dataset())
        .with(parameters::path("version", "The version; there is one.", word(&["v1.json"]), "v1.json"))
        .answers(200, answers::tagged("JSON Schema (draft 2020-12).", content))
}

pub(in super::super) fn document() -> Operation {
    let content = json!({"application/json": {"schema": {"type": "object", "required": ["openapi"]}}});
    operation("getDocument", "Get this document").answers(200, answers::tagged("The document.", content))
}

fn json_schema() -> Value {
    json!({"type": "object", "required": ["$schema", "$id", "properties"]})
}
