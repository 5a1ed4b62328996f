//! Direct exports, their manifests, and estimates.

use super::super::responses::completeness::ReportView;
use super::super::responses::export::{EstimateView, described_headers};
use super::super::responses::trunk::TrunkView;
use crate::openapi::{Operation, answers, parameters, reference};
use serde_json::{Value, json};
use tollbook_model::access::Action;
use tollbook_model::dataset::Dataset;
use tollbook_model::format::ExportFormat;
use tollbook_model::schema::Schema;

const TAG: &str = "exports";

fn operation(id: &'static str, summary: &'static str) -> Operation {
    Operation::needs_export(TAG, id, summary).with(parameters::dataset()).with_all(parameters::export())
}

pub(in super::super) fn get() -> Operation {
    operation("exportDataset", "Export a dataset")
        .saying(
            "A file of any size is streamed. When reading fails midway the connection is broken off: a short file never \
             ends cleanly. Each credential has a few exports at once; beyond that: 429.",
        )
        .refuses(&[410])
        .answers(200, file())
}

pub(in super::super) fn head() -> Operation {
    operation("describeExport", "Ask what an export would be called")
        .saying("The headers of the export, without making it.")
        .answers(200, file())
}

pub(in super::super) fn manifest() -> Operation {
    Operation::needs_export(TAG, "getManifest", "Get the signed manifest of an export")
        .saying(
            "It tells what was exported, and size, records and digest of the file; `tollbook verify` checks it all. 404 \
             until a signed export was streamed to its end, and again after 24 hours.",
        )
        .with(parameters::id("`Tollbook-Export-Id` of the export."))
        .answers(200, answers::compact_jws())
}

pub(in super::super) fn estimate() -> Operation {
    operation("estimateExport", "Estimate an export")
        .saying("From what is known of the stored files, without reading them.")
        .refuses(&[410])
        .answers_json::<EstimateView>(200, "About how much it would be.")
}

pub(in super::super) fn report() -> Operation {
    Operation::needs_export(TAG, "reportCompleteness", "Tell what there is of each hour")
        .saying(
            "For each hour (of UTC) that holds records of the range: how many there are, and a digest that whoever holds an \
             export can make again. The digest is the root of the RFC 6962 tree with SHA-256 over the records of the hour, \
             each as a line of an export in `ndjson` with `tz=UTC` and without `columns` shows it, without the line feed, in \
             the order of the export. `tollbook verify --completeness` does it. The report takes the place of a direct \
             export and is streamed like one: when reading fails midway the connection is broken off.",
        )
        .with(parameters::dataset())
        .with_all(parameters::range())
        .refuses(&[410])
        .answers_json::<ReportView>(200, "The report.")
}

pub(in super::super) fn trunks() -> Operation {
    Operation::needs(Action::Export(Dataset::Cdr), TAG, "listTrunks", "List trunks")
        .saying(
            "The trunks that call records name, each pair of id and name once, by name; 10,000 at most. The id is \
             `extra.trunk_id` of the records, else a UUID of version 5 made of the name, in the tenant's own namespace.",
        )
        .refuses(&[410])
        .answers_list::<TrunkView>("The trunks.")
}

/// The schemas of exported records by name. `columns` can leave out any field, so none is required.
pub(super) fn records() -> impl Iterator<Item = (&'static str, Value)> {
    Dataset::ALL.into_iter().map(|dataset| {
        let schema = Schema::of(dataset);
        let mut written = schema.json_schema("");
        if let Value::Object(members) = &mut written {
            members.retain(|name, _| !matches!(name.as_str(), "$schema" | "$id" | "required"));
        }
        written["description"] = format!(
            "A record of the dataset `{dataset}`, as far as `columns` asks for it; whole ones are described by \
             /api/v1/schemas/{dataset}/v1.json."
        )
        .into();
        (schema.interface, written)
    })
}

fn file() -> Value {
    let mut content = answers::opaque(ExportFormat::ALL.map(ExportFormat::media_type));
    let any_record: Vec<Value> = records().map(|(name, _)| reference(name)).collect();
    content[ExportFormat::Json.media_type()] =
        json!({"schema": {"type": "array", "items": {"anyOf": any_record}}});
    json!({
        "description": "The file: CSV with a byte order mark and a header, the same in gzip, Parquet, a JSON array, or one \
            JSON object a line.",
        "headers": described_headers(),
        "content": content,
    })
}
