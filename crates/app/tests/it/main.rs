//! The use cases over stand-ins for their ports.

#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod audit;
mod completeness;
mod downloads;
mod exports;
mod fakes;
mod identity;
mod ingest;
mod job_work;
mod jobs;
mod logins;
mod manifests;
mod rights;
mod sources;
mod tasks;
mod tenancy;
mod tokens;
mod users;

use bytes::Bytes;
use fakes::caller;
use jiff::tz::TimeZone;
use serde_json::json;
use tollbook_app::App;
use tollbook_app::exports::ExportQuery;
use tollbook_app::ingest::SentBody;
use tollbook_model::access::Role;
use tollbook_model::dataset::Dataset;
use tollbook_model::export::Signing;
use tollbook_model::format::ExportFormat;
use tollbook_model::selection::{Filter, Interval, Selection};
use tollbook_model::time_range::TimeRange;

fn query(dataset: Dataset, filters: Vec<Filter>) -> ExportQuery {
    let selection = Selection {
        dataset,
        range: TimeRange::all(),
        filters,
        columns: vec![0],
        timezone: TimeZone::UTC,
        interval: Interval::Day,
    };
    let (format, signing) = (ExportFormat::Csv, Signing::None);
    ExportQuery { selection, format, formula_guard: false, signing, columns_named: false, sheet: None }
}

fn all_of_cdr() -> ExportQuery {
    query(Dataset::Cdr, Vec::new())
}

fn sent(text: &'static str) -> SentBody {
    SentBody { bytes: Bytes::from_static(text.as_bytes()), content_type: None, query: Vec::new() }
}

async fn put_source(app: &App, enabled: bool) {
    let definition = json!({"kind": "lines", "enabled": enabled}).as_object().unwrap().clone();
    app.sources.put(&caller(Role::Admin), "pbx", definition).await.unwrap();
}
