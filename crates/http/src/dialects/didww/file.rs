//! The answer with the file of an export (`didww.md` section 8).
//!
//! Conditions and ranges are those of all downloads.

use super::gate::Visitor;
use super::paths::{export_of_file, file_name};
use super::resource::Export;
use super::schema::Status;
use crate::api::Api;
use crate::downloads;
use crate::refusal::Refusal;
use axum::response::Response;
use http::header::CACHE_CONTROL;
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use tollbook_kit::fault::Code;

const TRANSFER_ENCODING: HeaderName = HeaderName::from_static("content-transfer-encoding");

/// Answers a request for a file.
///
/// # Errors
/// `not_found` unless it is the file of a completed export of the caller's tenant; the preconditions and the range;
/// `storage_full`, `unavailable` or `internal`.
pub(super) async fn answer(api: &Api, visitor: &Visitor, parts: &Parts) -> Result<Response, Refusal> {
    let nothing = || Refusal::not_found("there is no such file");
    let id = export_of_file(parts.uri.path()).ok_or_else(nothing)?;
    let view = api.app.jobs.find(&visitor.caller, id).await?;
    let export = Export::of(view, api.clock.now_ms())?.filter(|export| export.status == Status::Completed);
    let export = export.ok_or_else(nothing)?;
    let sent = async {
        let mut download = api.app.downloads.open_for(&visitor.caller, export.id).await?;
        download.name = file_name(export.id);
        download.media_type = "application/octet-stream";
        downloads::send(api, parts, &download).await
    };
    let mut response = sent.await.map_err(|refusal| match refusal.fault().map(|fault| fault.code()) {
        // It may go while it is being opened.
        Some(Code::Gone | Code::NotReady) => nothing(),
        _ => refusal,
    })?;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("binary"));
    Ok(response)
}
