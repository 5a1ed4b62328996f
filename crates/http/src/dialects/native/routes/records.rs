//! Records in: in the native form, and as configured sources send them.

use super::super::described::records;
use super::super::requests::ingest;
use super::super::{gate, responses};
use super::{Answer, Segment, Shared, dataset, no_dataset, segment};
use crate::body::{ContentCoding, RECORD_BODY_BYTES, RequestBody};
use crate::openapi::{Methods, Routes};
use crate::query::Parameters;
use crate::refusal::Refusal;
use axum::extract::{Request, State};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use tollbook_app::ingest::SentBody;
use tollbook_model::dataset::Dataset;

pub(super) fn routes() -> Routes {
    Routes::new()
        .at("/{dataset}/records", Methods::refused_by(no_method).post(native, records::native()))
        .at("/sources/{pbx_alias}/records", Methods::new().post(of_source, records::of_source()))
}

async fn native(State(api): Shared, dataset: Segment, request: Request) -> Answer {
    posted(dataset)?;
    let (parts, body) = request.into_parts();
    let caller = gate::sender(&api, &parts).await?;
    api.app.ingest.permit(&caller).await?;
    let coding = ContentCoding::of(&parts.headers)?;
    let mut body = RequestBody::new(body, &parts.headers, &api.body_memory, caller.credential);
    let bytes = body.read_unpacked(coding, RECORD_BODY_BYTES).await?;
    let form = ingest::record_form(content_type(&parts.headers), &bytes)?;
    let mut given = Parameters::parse(parts.uri.query());
    given.refuse_unknown(|name| name == ingest::ON_ERROR);
    let on_error = ingest::on_error(&mut given);
    given.finish()?;
    let outcome = api.app.ingest.native(&caller, form, bytes, on_error).await?;
    Ok(responses::ingest::ingested(&outcome))
}

async fn of_source(State(api): Shared, pbx_alias: Segment, request: Request) -> Answer {
    let pbx_alias = segment(pbx_alias)?;
    let (parts, body) = request.into_parts();
    let caller = gate::source(&api, &parts).await?;
    api.app.ingest.permit(&caller).await?;
    let coding = ContentCoding::of(&parts.headers)?;
    let mut body = RequestBody::new(body, &parts.headers, &api.body_memory, caller.credential);
    let bytes = body.read_unpacked(coding, RECORD_BODY_BYTES).await?;
    // Switches add parameters of their own (and twice the `?`): what they mean is the connector's business.
    let mut given = Parameters::parse(parts.uri.query());
    let on_error = ingest::on_error(&mut given);
    let query = given.pairs().to_vec();
    given.finish()?;
    let content_type = content_type(&parts.headers).map(str::to_owned);
    let sent = SentBody { bytes, content_type, query };
    let outcome = api.app.ingest.from_source(&caller, &pbx_alias, sent, on_error).await?;
    Ok(responses::ingest::ingested(&outcome))
}

/// A path that names nothing is not found, whatever the method: so the name is looked at before the method is refused.
async fn no_method(name: Segment) -> Refusal {
    posted(name).map_or_else(|refusal| refusal, |()| Refusal::allowed_are("POST"))
}

/// Only calls can be posted; the other datasets follow from them, from settings, or from what is done.
fn posted(name: Segment) -> Result<(), Refusal> {
    if dataset(name)? == Dataset::Cdr { Ok(()) } else { Err(no_dataset()) }
}

fn content_type(headers: &HeaderMap) -> Option<&str> {
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok())
}
