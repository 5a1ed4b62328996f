//! What can be done with exports (`didww.md` sections 4 and 5), in the order of checks that the contract wants.

use super::attributes::{self, Attributes};
use super::errors::{self, Broken};
use super::fields::Fields;
use super::filters::{self, Filters, hyphenated};
use super::gate::Visitor;
use super::listing::Listing;
use super::note::Note;
use super::resource::{self, Export};
use super::{DIALECT, document, media};
use crate::api::Api;
use crate::body::{ContentCoding, JSON_BODY_BYTES, RequestBody};
use crate::refusal::Refusal;
use axum::body::{Body, HttpBody};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use jiff::tz::TimeZone;
use serde_json::json;
use tollbook_app::jobs::{JobListing, NewJob};
use tollbook_kit::fault::{Code, Fault};
use tollbook_model::dataset::Dataset;
use tollbook_model::export::{ExportQuery, Signing};
use tollbook_model::export_job::{FileKeeping, JobContacts, JobOrder, JobState};
use tollbook_model::format::ExportFormat;
use tollbook_model::selection::{Interval, Selection};

type Answer = Result<Response, Refusal>;

/// Most exports of a tenant that have not ended.
const MOST_UNFINISHED: usize = 100;
const TOO_MANY: &str = "too many exports in progress";
/// Jobs that are read at once.
const BATCH: usize = 200;
/// The states of jobs that may be shown.
const SHOWN: [JobState; 4] = [JobState::Queued, JobState::Running, JobState::Ready, JobState::Failed];

/// The exports of the tenant.
pub(super) async fn list(api: &Api, visitor: &Visitor, parts: &Parts) -> Answer {
    media::accepts(&parts.headers)?;
    let listing = Listing::read(parts.uri.query())?;
    let exports = listing.sorted(exports(api, visitor).await?);
    let page = listing.page.of_list(&exports).iter();
    let data: Vec<_> = page.map(|export| export.resource(&visitor.base, &listing.fields)).collect();
    let address = format!("{}/v3/exports", visitor.base);
    let links = listing.page.links(&address, parts.uri.query(), exports.len());
    let meta = json!({ "total_records": exports.len(), "api_version": visitor.version.name() });
    Ok(resource::document(StatusCode::OK, &json!({ "data": data, "meta": meta, "links": links })))
}

/// One export.
pub(super) async fn show(api: &Api, visitor: &Visitor, parts: &Parts, id: &str) -> Answer {
    media::accepts(&parts.headers)?;
    let fields = Fields::of_one(parts.uri.query())?;
    let export = find(api, visitor, id).await?;
    Ok(resource::answer(StatusCode::OK, visitor, &export, &fields))
}

/// Makes an export.
pub(super) async fn create(api: &Api, visitor: &Visitor, parts: &Parts, body: Body) -> Answer {
    media::accepts(&parts.headers)?;
    let given = document::create(&sent(api, visitor, parts, body).await?)?;
    Fields::of_one(parts.uri.query())?;
    let mut attributes = Attributes::read(&given, visitor.version, api.clock.now_ms());
    let contacts = contacts(api, visitor, &mut attributes).await?;
    errors::all_right(&attributes.broken)?;
    let _turn = api.didww_turns.next(&visitor.caller.tenant).await;
    refuse_too_many(api, visitor).await?;
    let new = new_job(visitor, attributes, contacts)?;
    let ordered = api.app.jobs.order(&visitor.caller, new).await.map_err(not_ordered)?;
    let export = Export::of(ordered.view, api.clock.now_ms())?;
    let export = export.ok_or_else(|| Fault::internal("an export is gone before it was begun"))?;
    Ok(resource::answer(StatusCode::CREATED, visitor, &export, &Fields::default()))
}

/// Changes the caller's own name for an export.
pub(super) async fn change(api: &Api, visitor: &Visitor, parts: &Parts, body: Body, id: &str) -> Answer {
    media::accepts(&parts.headers)?;
    let given = document::change(&sent(api, visitor, parts, body).await?, id)?;
    Fields::of_one(parts.uri.query())?;
    let mut export = find(api, visitor, id).await?;
    if given.contains_key("external_reference_id") {
        let reference = attributes::reference(&given).map_err(|wrong| errors::refusal(&[wrong]))?;
        api.app.jobs.rename(&visitor.caller, export.id, reference).await.map_err(|fault| gone(fault, id))?;
        export = find(api, visitor, id).await?;
    }
    Ok(resource::answer(StatusCode::OK, visitor, &export, &Fields::default()))
}

/// Removes an export, whatever became of it.
pub(super) async fn remove(api: &Api, visitor: &Visitor, parts: &Parts, id: &str) -> Answer {
    media::accepts(&parts.headers)?;
    let export = find(api, visitor, id).await?;
    api.app.jobs.discard(&visitor.caller, export.id).await.map_err(|fault| gone(fault, id))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The body of a request that has one.
async fn sent(api: &Api, visitor: &Visitor, parts: &Parts, body: Body) -> Result<Bytes, Refusal> {
    media::sends(&parts.headers, !body.is_end_stream())?;
    if ContentCoding::of(&parts.headers)? != ContentCoding::Identity {
        let text = "this body is not taken packed; send it as plain JSON";
        return Err(Fault::new(Code::UnsupportedMedia, text).into());
    }
    let credential = visitor.caller.credential;
    let mut body = RequestBody::new(body, &parts.headers, &api.body_memory, credential);
    Ok(body.read(JSON_BODY_BYTES).await?)
}

/// The export of that id, if it is shown.
async fn find(api: &Api, visitor: &Visitor, id: &str) -> Result<Export, Refusal> {
    let job = hyphenated(id).ok_or_else(|| errors::no_record(id))?;
    let view = api.app.jobs.find(&visitor.caller, job).await.map_err(|fault| gone(fault, id))?;
    Export::of(view, api.clock.now_ms())?.ok_or_else(|| errors::no_record(id))
}

fn gone(fault: Fault, id: &str) -> Refusal {
    if fault.code() == Code::NotFound { errors::no_record(id) } else { fault.into() }
}

/// All exports of the tenant that are shown.
async fn exports(api: &Api, visitor: &Visitor) -> Result<Vec<Export>, Refusal> {
    let mut exports = Vec::new();
    let mut listing = of_tenant(&SHOWN, BATCH);
    loop {
        let page = api.app.jobs.list(&visitor.caller, listing.clone()).await?;
        let now_ms = api.clock.now_ms();
        for view in page.jobs {
            exports.extend(Export::of(view, now_ms)?);
        }
        if page.next.is_none() {
            return Ok(exports);
        }
        listing.behind = page.next;
    }
}

/// The newest exports of the tenant in these states.
fn of_tenant(states: &[JobState], limit: usize) -> JobListing {
    JobListing {
        datasets: vec![Dataset::Cdr],
        states: states.to_vec(),
        dialects: vec![DIALECT.to_owned()],
        created_from_ms: i64::MIN,
        created_to_ms: i64::MAX,
        limit,
        behind: None,
    }
}

async fn refuse_too_many(api: &Api, visitor: &Visitor) -> Result<(), Refusal> {
    let unfinished = of_tenant(&[JobState::Queued, JobState::Running], MOST_UNFINISHED);
    let page = api.app.jobs.list(&visitor.caller, unfinished).await?;
    if page.jobs.len() < MOST_UNFINISHED { Ok(()) } else { Err(errors::refusal(&[Broken::whole(TOO_MANY)])) }
}

/// Whom the export tells. What is wrong with that is added to what is wrong with the attributes.
async fn contacts(api: &Api, visitor: &Visitor, attributes: &mut Attributes) -> Result<JobContacts, Refusal> {
    let contacts = JobContacts { callback_url: attributes.callback_url.clone(), notify_email: Vec::new() };
    if contacts.callback_url.is_none() {
        return Ok(contacts);
    }
    let wrong = |message| Broken::attribute("callback_url", message);
    let faults = api.app.jobs.contact_faults(&visitor.caller, DIALECT, &contacts).await?;
    attributes.broken.extend((!faults.is_empty()).then(|| wrong("is not allowed")));
    let has_secret = api.app.tenants.of(&visitor.caller).await?.settings.callback_secret.is_some();
    if visitor.key.is_none() && !has_secret {
        attributes.broken.push(wrong("needs a callback secret"));
    }
    Ok(contacts)
}

/// The job of good attributes.
fn new_job(visitor: &Visitor, attributes: Attributes, contacts: JobContacts) -> Result<NewJob, Fault> {
    let (Some(kind), Some(filters)) = (attributes.kind, attributes.filters) else {
        return Err(Fault::internal("attributes were taken for good that are not there"));
    };
    let Filters { shown, range } = filters;
    let selection = Selection {
        dataset: Dataset::Cdr,
        range,
        filters: filters::selected(kind, &shown),
        columns: Vec::new(),
        timezone: TimeZone::UTC,
        interval: Interval::default(),
    };
    let query = ExportQuery {
        selection,
        format: ExportFormat::CsvGz,
        formula_guard: false,
        signing: Signing::None,
        columns_named: false,
        sheet: Some(kind.name().to_owned()),
    };
    let end = |name: &str| shown.iter().find(|(known, _)| known == name).map(|(_, text)| text.clone());
    let order = JobOrder { query, from: end("from"), to: end("to") };
    let note = Note { export_type: kind, filters: shown, callback_method: attributes.callback_method };
    let callback_key = visitor.key.clone().filter(|_| contacts.callback_url.is_some());
    Ok(NewJob {
        order,
        dialect: DIALECT,
        external_reference: attributes.reference,
        contacts,
        keeping: FileKeeping::CalendarMonth,
        dialect_note: Some(note.to_text()?),
        callback_key,
        idempotency: None,
    })
}

fn not_ordered(fault: Fault) -> Refusal {
    if fault.code() == Code::TooMany { errors::refusal(&[Broken::whole(TOO_MANY)]) } else { fault.into() }
}
