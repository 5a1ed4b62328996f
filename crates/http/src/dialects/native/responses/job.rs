//! An export job (`natalia.md` section 8).

use super::super::requests::job_list::{DIALECTS, cursor};
use crate::openapi::schemas::words_object;
use axum::response::Response;
use http::header::{LOCATION, RETRY_AFTER};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use std::collections::BTreeMap;
use tollbook_app::jobs::{JobPage, JobView, OrderedJob};
use tollbook_model::dataset::Dataset;
use tollbook_model::export::Signing;
use tollbook_model::export_job::{ExportJob, JobError, JobFile, JobState};
use tollbook_model::format::ExportFormat;
use tollbook_model::schema::Schema as RecordSchema;
use tollbook_model::time_range::instant_text;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};
use uuid::Uuid;

/// Seconds after which it makes sense to look again at a job that has not ended.
const LOOK_AGAIN_S: u64 = 2;

/// Says that an order came before, and that this is its job.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// An export job.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportJob)]
pub(crate) struct JobObject {
    /// Its id.
    id: Uuid,
    /// What is exported.
    dataset: &'static str,
    /// The API by which it was ordered.
    #[schema(schema_with = dialect)]
    dialect: String,
    /// Where it is in its life.
    #[schema(schema_with = status)]
    status: &'static str,
    /// The format of its file.
    #[schema(schema_with = format)]
    format: &'static str,
    /// Where its range begins, as it was ordered.
    #[schema(required)]
    from: Option<String>,
    /// Where its range ends, as it was ordered; null: when it was ordered.
    #[schema(required)]
    to: Option<String>,
    /// The time zone of its days and times.
    tz: String,
    /// By what its records were chosen. Callers' numbers are hidden.
    filters: BTreeMap<String, Vec<String>>,
    /// Its columns; null: the usual ones.
    #[schema(required)]
    columns: Option<Vec<&'static str>>,
    /// Length of the buckets; of `kpis` only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    interval: Option<&'static str>,
    /// Version of the schema.
    schema: &'static str,
    /// What of it is signed.
    #[schema(schema_with = sign)]
    sign: &'static str,
    /// The caller's own name for it.
    #[schema(required)]
    external_reference: Option<String>,
    /// When it was ordered.
    #[schema(format = DateTime)]
    created_at: String,
    /// When work on it began.
    #[schema(format = DateTime, required)]
    started_at: Option<String>,
    /// When it was ready, failed or cancelled.
    #[schema(format = DateTime, required)]
    finished_at: Option<String>,
    /// The moment whose records it holds.
    #[schema(format = DateTime, required)]
    snapshot_at: Option<String>,
    /// The last sequence number that it has seen.
    #[schema(required)]
    watermark: Option<u64>,
    /// When its files are removed.
    #[schema(format = DateTime, required)]
    expires_at: Option<String>,
    /// Attempts so far.
    attempt: u32,
    /// Its place among the jobs of the tenant that wait, from 1.
    #[schema(required)]
    queue_position: Option<u64>,
    /// The address that is called at its end.
    #[schema(required)]
    callback_url: Option<String>,
    /// Who gets mail at its end.
    notify_email: Vec<String>,
    progress: ProgressObject,
    /// Records in its files, once they are there.
    #[schema(required)]
    rows: Option<u64>,
    /// Size of its files, once they are there.
    #[schema(required)]
    bytes: Option<u64>,
    /// Its files, once they are there. They stay told when they are removed.
    files: Vec<FileObject>,
    /// Signed link to the first file, made for this answer.
    #[schema(required)]
    download_url: Option<String>,
    /// Until when the links of this answer are good.
    #[schema(format = DateTime, required)]
    download_url_expires_at: Option<String>,
    /// Signed link to the manifest, if there is one.
    #[schema(required)]
    manifest_url: Option<String>,
    /// Why it failed.
    #[schema(required)]
    error: Option<ErrorObject>,
}

/// How far a job is.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportJobProgress)]
struct ProgressObject {
    /// Records in its file so far.
    rows_done: u64,
    /// Records there will be, about.
    rows_estimated: u64,
    /// Share of the work, 0 to 100. Never falls; 100 only when it is ready.
    percent: u8,
    /// Seconds that are left, about; null while nobody can tell.
    #[schema(required)]
    eta_s: Option<u64>,
}

/// A file of a job.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportJobFile)]
struct FileObject {
    /// Its name.
    name: String,
    /// Its size.
    bytes: u64,
    /// Its records.
    rows: u64,
    /// Its SHA-256, in hex.
    sha256: String,
    /// Signed link to it, made for this answer; null when it is removed.
    #[schema(required)]
    download_url: Option<String>,
}

/// Why a job failed.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportJobError)]
struct ErrorObject {
    /// A word for it, such as `storage-full`.
    code: String,
    /// What went wrong, and what to do.
    message: String,
    /// Would the same order have a chance now?
    retryable: bool,
}

/// A page of jobs.
#[derive(Serialize, ToSchema)]
#[schema(as = ExportJobPage)]
pub(crate) struct PageObject {
    /// The jobs, newest first.
    items: Vec<JobObject>,
    /// `cursor` of the next page; null: this is the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

fn dialect() -> RefOr<Schema> {
    words_object("The API by which it was ordered.", DIALECTS)
}

fn status() -> RefOr<Schema> {
    words_object("Where it is in its life.", JobState::ALL.map(JobState::name))
}

fn format() -> RefOr<Schema> {
    words_object("The format of its file.", ExportFormat::ALL.map(ExportFormat::name))
}

fn sign() -> RefOr<Schema> {
    words_object("What of it is signed.", Signing::ALL.map(Signing::name))
}

/// An order that was taken. `Location` leads to its job.
pub(crate) fn ordered(ordered: OrderedJob) -> Response {
    let OrderedJob { view, replayed } = ordered;
    let place = format!("/api/v1/{}/export-jobs/{}", view.job.order.query.selection.dataset, view.job.id);
    let mut response = job(StatusCode::ACCEPTED, view);
    let headers = response.headers_mut();
    // Made of a dataset's name and an id.
    if let Ok(place) = HeaderValue::from_str(&place) {
        headers.insert(LOCATION, place);
    }
    if replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// A job, and when to look again if it has not ended.
pub(crate) fn job(status: StatusCode, view: JobView) -> Response {
    let has_ended = view.job.state.has_ended();
    let mut response = super::json(status, &job_object(view));
    if !has_ended {
        response.headers_mut().insert(RETRY_AFTER, LOOK_AGAIN_S.into());
    }
    response
}

/// A page of jobs; none when there can be none.
pub(crate) fn page(page: Option<JobPage>) -> Response {
    let (jobs, next) = page.map(|page| (page.jobs, page.next)).unwrap_or_default();
    let items = jobs.into_iter().map(job_object).collect();
    super::json(StatusCode::OK, &PageObject { items, next_cursor: next.map(cursor) })
}

fn job_object(view: JobView) -> JobObject {
    let JobView { job, filters, links } = view;
    let has_files = matches!(job.state, JobState::Ready | JobState::Expired);
    let sum = |of: fn(&JobFile) -> u64| has_files.then(|| job.files.iter().map(of).sum());
    let (rows, bytes) = (sum(|file| file.rows), sum(|file| file.bytes));
    let progress = progress(&job, rows);
    let (file_links, manifest_url, links_end_ms) = match links {
        Some(links) => (links.files, links.manifest, Some(links.expires_at_ms)),
        None => (Vec::new(), None, None),
    };
    let columns = columns(&job);
    let selection = &job.order.query.selection;
    let interval = (selection.dataset == Dataset::Kpis).then(|| selection.interval.name());
    JobObject {
        id: job.id,
        dataset: selection.dataset.name(),
        status: job.state.name(),
        format: job.order.query.format.name(),
        tz: selection.timezone.iana_name().unwrap_or("UTC").to_owned(),
        filters,
        columns,
        interval,
        schema: "v1",
        sign: job.order.query.signing.name(),
        from: job.order.from,
        to: job.order.to,
        dialect: job.dialect,
        external_reference: job.external_reference,
        created_at: instant_text(job.created_at_ms),
        started_at: job.started_at_ms.map(instant_text),
        finished_at: job.finished_at_ms.map(instant_text),
        snapshot_at: job.snapshot.map(|snapshot| instant_text(snapshot.at_ms)),
        watermark: job.snapshot.map(|snapshot| snapshot.watermark),
        expires_at: job.expires_at_ms.map(instant_text),
        attempt: job.attempt,
        queue_position: job.queue_position,
        callback_url: job.contacts.callback_url,
        notify_email: job.contacts.notify_email,
        progress,
        rows,
        bytes,
        download_url: file_links.first().cloned(),
        download_url_expires_at: links_end_ms.map(instant_text),
        manifest_url,
        files: files(job.files, file_links),
        error: job.error.map(|JobError { code, message, retryable }| ErrorObject {
            code,
            message,
            retryable,
        }),
    }
}

/// The columns that were named.
fn columns(job: &ExportJob) -> Option<Vec<&'static str>> {
    let query = &job.order.query;
    let fields = RecordSchema::of(query.selection.dataset).fields;
    query.columns_named.then(|| query.selection.columns.iter().map(|&at| fields[at].name).collect())
}

/// How far it is. What has files is done, and nothing else is.
fn progress(job: &ExportJob, rows: Option<u64>) -> ProgressObject {
    let known = job.progress;
    match rows {
        Some(rows) => ProgressObject { rows_done: rows, rows_estimated: rows, percent: 100, eta_s: Some(0) },
        None => ProgressObject {
            rows_done: known.rows_done,
            rows_estimated: known.rows_estimated,
            percent: known.percent.min(99),
            eta_s: known.eta_s,
        },
    }
}

fn files(files: Vec<JobFile>, links: Vec<String>) -> Vec<FileObject> {
    let mut links = links.into_iter();
    let with_link = |JobFile { name, bytes, rows, sha256 }: JobFile| FileObject {
        name,
        bytes,
        rows,
        sha256: hex(&sha256),
        download_url: links.next(),
    };
    files.into_iter().map(with_link).collect()
}

fn hex(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
