//! Records in.

use super::super::requests::ingest;
use super::super::responses::ingest::IngestView;
use crate::openapi::schemas::word;
use crate::openapi::{Operation, parameters};
use serde_json::json;
use tollbook_model::access::Action;
use tollbook_model::dataset::Dataset;

const TAG: &str = "records";

fn operation(id: &'static str, summary: &'static str) -> Operation {
    Operation::needs(Action::PostRecords, TAG, id, summary)
        .with(parameters::on_error())
        .refuses(&[409])
        .answers_json::<IngestView<'_>>(200, "What became of the records; those that were taken are durable.")
}

pub(in super::super) fn native() -> Operation {
    let dataset = word(&[Dataset::Cdr.name()]);
    operation("postRecords", "Send records in the native form")
        .with(parameters::path("dataset", "Only call records can be sent.", dataset, Dataset::Cdr.name()))
        .may_take(
            "At most 64 MiB, packed (`Content-Encoding: gzip` or `zstd`) and unpacked. With another media type, or none, \
             what begins with a brace is NDJSON, with a bracket a JSON array.",
            ingest::content(),
        )
}

pub(in super::super) fn of_source() -> Operation {
    operation("postRecordsOfSource", "Send records as a source writes them")
        .saying("Parameters of other names are the source's own, and are passed on to its connector.")
        .or_basic()
        .with(parameters::pbx_alias())
        .may_take(
            "What the source writes, under any media type: at most 64 MiB, packed (`Content-Encoding: gzip` or `zstd`) \
             and unpacked.",
            json!({"*/*": {}}),
        )
}
