//! Export jobs.

use super::super::requests::job::{IDEMPOTENCY_KEY_BYTES, IDEMPOTENCY_KEY_NAME, new_job_schema};
use super::super::requests::job_list::{DIALECTS, PAGE, USUAL_PAGE};
use super::super::responses::job::{JobObject, PageObject};
use crate::openapi::schemas::{number, text, word};
use crate::openapi::{Operation, parameters};
use serde_json::{Value, json};
use tollbook_model::dataset::Dataset;
use tollbook_model::export_job::JobState;

const TAG: &str = "export jobs";

fn operation(id: &'static str, summary: &'static str) -> Operation {
    Operation::needs_export(TAG, id, summary)
}

pub(in super::super) fn order() -> Operation {
    let example = json!({"from": "2026-01-01", "to": "2026-01-31", "format": "parquet"});
    operation("orderExportJob", "Order an export job")
        .saying(
            "The file is made in the background, whole or not at all, however often the service is stopped meanwhile. It \
             holds the records that were there when the work began. 429 `too-many-jobs` when too many jobs of the tenant \
             wait.",
        )
        .with(parameters::dataset())
        .with(idempotency_key())
        .takes_json("NewExportJob", new_job_schema(), &example)
        .refuses(&[410, 422])
        .answers_json::<JobObject>(202, "The job, waiting; or the one that was ordered before under the same key.")
        .with_headers(202, [
            ("Location", json!({"description": "Where the job is.", "required": true, "schema": {"type": "string"}})),
            (
                "Idempotency-Replayed",
                json!({"description": "The order came before.", "schema": {"type": "string", "const": "true"}}),
            ),
            ("Retry-After", look_again()),
        ])
}

pub(in super::super) fn list() -> Operation {
    listing(operation("listExportJobs", "List export jobs of a dataset").with(parameters::dataset()))
}

pub(in super::super) fn list_all() -> Operation {
    listing(operation("listAllExportJobs", "List export jobs"))
        .saying("Of all datasets that the caller may export, whichever API they were ordered by.")
}

pub(in super::super) fn show() -> Operation {
    showing(operation("getExportJob", "Get an export job of a dataset").with(parameters::dataset()))
}

pub(in super::super) fn show_any() -> Operation {
    showing(operation("getAnyExportJob", "Get an export job"))
}

pub(in super::super) fn remove() -> Operation {
    removing(
        operation("deleteExportJob", "Cancel or delete an export job of a dataset")
            .with(parameters::dataset()),
    )
}

pub(in super::super) fn remove_any() -> Operation {
    removing(operation("deleteAnyExportJob", "Cancel or delete an export job"))
}

fn listing(operation: Operation) -> Operation {
    let one_of = |words: &[&str]| json!({"type": "array", "items": word(words)});
    let moment = || json!({"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]});
    let mut limit = number(PAGE);
    limit["default"] = USUAL_PAGE.into();
    operation
        .with_all([
            query("status", "Only jobs in any of these states.", one_of(&JobState::ALL.map(JobState::name))),
            query("dataset", "Only jobs of any of these datasets.", one_of(&Dataset::ALL.map(Dataset::name))),
            query("dialect", "Only jobs ordered by any of these APIs.", one_of(&DIALECTS)),
            query(
                "created_from",
                "Only jobs ordered on or after this day (UTC), or at or after this moment.",
                moment(),
            ),
            query(
                "created_to",
                "Only jobs ordered up to the end of this day (UTC), or before this moment.",
                moment(),
            ),
            query("limit", "Most jobs in the answer.", limit),
            query("cursor", "`next_cursor` of the page before.", text(32..=32, "^[A-Za-z0-9_-]+$")),
        ])
        .answers_json::<PageObject>(200, "Jobs, newest first.")
}

fn showing(operation: Operation) -> Operation {
    operation
        .saying("Each reading of a ready job makes new links. It stays readable for 90 days after its end.")
        .with(parameters::id("Id of the job."))
        .answers_json::<JobObject>(200, "The job.")
        .with_headers(200, [("Retry-After", look_again())])
}

fn removing(operation: Operation) -> Operation {
    operation
        .saying(
            "One that waits or runs is cancelled; the files of one that is ready are removed, and its links end at once. \
             Others stay as they are. Somebody else's needs the right of an admin.",
        )
        .with(parameters::id("Id of the job."))
        .answers_nothing("It has ended, or is about to.")
}

fn look_again() -> Value {
    json!({
        "description": "Seconds after which looking again makes sense; while the job has not ended.",
        "schema": {"type": "integer", "minimum": 1},
    })
}

fn idempotency_key() -> Value {
    json!({
        "name": IDEMPOTENCY_KEY_NAME, "in": "header", "schema": text(1..=IDEMPOTENCY_KEY_BYTES, "^[ -~]+$"),
        "description": "Marks repetitions of one order, for 24 hours: they are all answered with the first job.",
    })
}

fn query(name: &str, description: &str, schema: Value) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": schema})
}
