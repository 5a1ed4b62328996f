//! An export as this dialect shows it (`didww.md` section 4.1), made from a job.

use super::DIALECT;
use super::errors::{MEDIA_TYPE, REVALIDATE};
use super::fields::Fields;
use super::filters::ExportType;
use super::gate::Visitor;
use super::note::Note;
use super::paths::file_url;
use super::schema::{ATTRIBUTES, Status, TYPE};
use axum::body::Body;
use axum::response::Response;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde_json::{Map, Value, json};
use tollbook_app::jobs::JobView;
use tollbook_kit::fault::Fault;
use tollbook_model::export_job::{ExportJob, JobState};
use tollbook_model::time_range::instant_text;
use uuid::Uuid;

/// An export.
#[derive(Debug, Clone)]
pub(super) struct Export {
    pub(super) id: Uuid,
    pub(super) status: Status,
    pub(super) note: Note,
    pub(super) callback_url: Option<String>,
    pub(super) reference: Option<String>,
    pub(super) created_at_ms: i64,
}

impl Export {
    /// The export that a job is; none when it is of another dialect, or is not shown any more.
    ///
    /// # Errors
    /// `internal` when what is kept of it cannot be read.
    pub(super) fn of(view: JobView, now_ms: i64) -> Result<Option<Self>, Fault> {
        let has_files = view.links.is_some();
        let job = view.job;
        let Some(status) = status(&job, has_files, now_ms).filter(|_| job.dialect == DIALECT) else {
            return Ok(None);
        };
        Ok(Some(Self {
            id: job.id,
            status,
            note: Note::of(&job)?,
            callback_url: job.contacts.callback_url,
            reference: job.external_reference,
            created_at_ms: job.created_at_ms,
        }))
    }

    /// What it holds.
    pub(super) fn kind(&self) -> ExportType {
        self.note.export_type
    }

    /// The value of a filter, if it has that.
    pub(super) fn filter(&self, name: &str) -> Option<&str> {
        self.note.filters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The resource, with links that begin so, and with these attributes.
    pub(super) fn resource(&self, base: &str, fields: &Fields) -> Value {
        let mut attributes = Map::new();
        for name in ATTRIBUTES.into_iter().filter(|name| fields.has(name)) {
            attributes.insert(name.to_owned(), self.attribute(name, base));
        }
        json!({ "id": self.id, "type": TYPE, "attributes": attributes })
    }

    fn attribute(&self, name: &str, base: &str) -> Value {
        match name {
            "export_type" => self.kind().name().into(),
            "status" => self.status.name().into(),
            "url" => (self.status == Status::Completed).then(|| file_url(base, self.id)).into(),
            "filters" => {
                let filters = self.note.filters.iter().cloned();
                filters.map(|(name, value)| (name, Value::String(value))).collect::<Map<_, _>>().into()
            }
            "callback_url" => self.callback_url.clone().into(),
            "callback_method" => self.note.callback_method.map(|method| method.name()).into(),
            "external_reference_id" => self.reference.clone().into(),
            "created_at" => instant_text(self.created_at_ms).into(),
            _ => Value::Null,
        }
    }
}

/// The status of a job; none of one that is not shown any more.
fn status(job: &ExportJob, has_files: bool, now_ms: i64) -> Option<Status> {
    match job.state {
        JobState::Queued => Some(Status::Pending),
        JobState::Running => Some(Status::Processing),
        JobState::Ready => has_files.then_some(Status::Completed),
        // One that failed is shown as long as one that did not would be.
        JobState::Failed => {
            let ended_at_ms = job.finished_at_ms.unwrap_or(job.created_at_ms);
            (now_ms < month_after(ended_at_ms)).then_some(Status::Failed)
        }
        JobState::Cancelled | JobState::Expired => None,
    }
}

/// The same day and time of the next calendar month of UTC, or its last day.
fn month_after(ms: i64) -> i64 {
    let later = Timestamp::from_millisecond(ms)
        .and_then(|moment| moment.to_zoned(TimeZone::UTC).checked_add(Span::new().months(1)));
    later.map_or(i64::MAX, |later| later.timestamp().as_millisecond())
}

/// The answer that is one export.
pub(super) fn answer(status: StatusCode, visitor: &Visitor, export: &Export, fields: &Fields) -> Response {
    let data = export.resource(&visitor.base, fields);
    document(status, &json!({ "data": data, "meta": { "api_version": visitor.version.name() } }))
}

/// An answer with a document.
pub(super) fn document(status: StatusCode, document: &Value) -> Response {
    let mut response = Response::new(Body::from(document.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    headers.insert(CACHE_CONTROL, REVALIDATE);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollbook_model::time_range::parse_instant;

    #[test]
    fn a_month_ends_on_the_same_day_or_its_last() {
        for (from, wanted) in [
            ("2026-03-05T10:00:00.123Z", "2026-04-05T10:00:00.123Z"),
            ("2026-01-31T23:59:59.999Z", "2026-02-28T23:59:59.999Z"),
            ("2026-12-31T00:00:00Z", "2027-01-31T00:00:00Z"),
        ] {
            let ms = |text| parse_instant(text).unwrap();
            assert_eq!(month_after(ms(from)), ms(wanted), "{from}");
        }
    }
}
