//! What documents say of downloads.

use crate::openapi::{Operation, answers, parameters};
use serde_json::{Map, Value, json};
use tollbook_model::format::ExportFormat;

const TAG: &str = "exports";

fn operation(id: &'static str, summary: &'static str) -> Operation {
    Operation::by_link(TAG, id, summary)
        .with(parameters::path("job", "Id of the export job.", json!({"type": "string"}), EXAMPLE))
        .with(parameters::path(
            "file",
            "Name of the file.",
            json!({"type": "string"}),
            "cdr_2026-01-01_2026-01-31.csv",
        ))
        .with_all(PARAMETERS.map(|(name, description)| link_parameter(name, description)))
        .refuses(&[410, 412])
        .answers(304, json!({"description": "The client has this file already.", "headers": validators()}))
}

const EXAMPLE: &str = "0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01";

const PARAMETERS: [(&str, &str); 3] = [
    ("exp", "When the link ends, in seconds since 1970."),
    ("kid", "Name of the key that signed it."),
    ("sig", "The signature."),
];

/// Links are used as they are: these are told so that their refusals can be understood.
fn link_parameter(name: &str, description: &str) -> Value {
    let schema = json!({"type": "string", "pattern": "^[A-Za-z0-9_-]+$"});
    json!({"name": name, "in": "query", "required": true, "description": description, "schema": schema})
}

pub(super) fn get() -> Operation {
    operation("downloadFile", "Download a file of an export")
        .saying(
            "The links are in the export job; each reading of the job makes new ones. A link is good for this path and \
             these parameters, as they are written, and for nothing else. One range of bytes can be asked for; who asks \
             for several gets the whole file.",
        )
        .with_all([
            header("Range", "One range of bytes."),
            header("If-Range", "`ETag` of the file that the range continues; of another file the whole is sent."),
            header("If-Match", "`ETag` of the file that is meant; 412 when it is another."),
            header("If-None-Match", "`ETag` of a file that the client has; 304 when it is this."),
        ])
        .refuses(&[416, 429])
        .answers(200, file("The whole file.", &validators()))
        .answers(206, file("The part that was asked for.", &part()))
}

pub(super) fn head() -> Operation {
    operation("describeFile", "Ask for size and tag of a file")
        .saying("The headers of the download. It is no download in the audit log.")
        .answers(200, file("The headers of the whole file.", &validators()))
}

fn header(name: &str, description: &str) -> Value {
    json!({"name": name, "in": "header", "description": description, "schema": {"type": "string"}})
}

fn file(description: &str, headers: &Map<String, Value>) -> Value {
    let mut media_types = ExportFormat::ALL.map(ExportFormat::media_type).to_vec();
    media_types.push("application/jose");
    let mut headers = headers.clone();
    headers.extend([
        named("Content-Disposition", "^attachment; filename=\"[A-Za-z0-9_.-]+\"$"),
        named("Accept-Ranges", "^bytes$"),
    ]);
    json!({"description": description, "headers": headers, "content": answers::opaque(media_types)})
}

fn validators() -> Map<String, Value> {
    Map::from_iter([
        named("ETag", "^\"[^\"]+\"$"),
        named("Cache-Control", "^private, no-store$"),
        ("Last-Modified".to_owned(), json!({"schema": {"type": "string"}})),
    ])
}

fn part() -> Map<String, Value> {
    let mut headers = validators();
    headers.extend([named("Content-Range", "^bytes [0-9]+-[0-9]+/[0-9]+$")]);
    headers
}

fn named(name: &str, pattern: &str) -> (String, Value) {
    (name.to_owned(), json!({"required": true, "schema": {"type": "string", "pattern": pattern}}))
}
