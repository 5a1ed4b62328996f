//! Files of finished exports, by signed links: `/dl/v1/{job}/{file}?exp&kid&sig` (`natalia.md` section 8).
//!
//! A link is all that is needed: no credential is asked for. Readers resume and read in ranges, so all that is counted is
//! how often the files of a job are read, with much room: each time is an entry in the audit log. Who may have which bytes
//! is `app`'s to say; here is only how HTTP asks for them and gets them. Links are the same for every dialect, so this is
//! of none.

mod answer;
mod conditions;
mod described;
mod link;
mod range;

use crate::api::Api;
use crate::exchange::Exchange;
use crate::openapi::{Methods, Routes};
use crate::refusal::Refusal;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use conditions::{Validators, Verdict, judge};
use http::request::Parts;
use std::sync::Arc;
use tollbook_app::downloads::Download;

type Answer = Result<Response, Refusal>;

/// The route of links.
pub(crate) fn routes() -> Routes {
    let methods = Methods::new().get(get, described::get()).head(head, described::head());
    Routes::new().at("/dl/v1/{job}/{file}", methods)
}

async fn get(State(api): State<Arc<Api>>, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let download = api.app.downloads.open(link::of(&parts.uri)?).await?;
    // Only now: whoever has no good link uses nothing up.
    api.limits.download(download.job())?;
    send(&api, &parts, &download).await
}

async fn head(State(api): State<Arc<Api>>, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let download = api.app.downloads.open(link::of(&parts.uri)?).await?;
    send(&api, &parts, &download).await
}

/// What a request for this file is answered, whoever may have it; dialects with files of their own use it too.
///
/// # Errors
/// The preconditions, and whatever keeps the file from being read.
pub(crate) async fn send(api: &Api, parts: &Parts, download: &Download) -> Answer {
    let Download { etag, modified_at_ms, bytes, .. } = download;
    let file = Validators { etag, modified_at_ms: *modified_at_ms, bytes: *bytes };
    let wanted = match judge(&parts.method, &parts.headers, file) {
        Verdict::Unchanged => return Ok(answer::unchanged(download)),
        Verdict::Other => return Err(Refusal::precondition_failed()),
        Verdict::Send(wanted) => wanted,
    };
    let (status, part) = answer::sent(wanted, *bytes).ok_or_else(|| Refusal::unsatisfiable(*bytes))?;
    let head = answer::head(download, status, &part);
    if parts.method == http::Method::HEAD {
        return Ok(head);
    }
    let address = Exchange::of(&parts.extensions)?.address;
    let promised = part.end - part.start;
    let chunks = api.app.downloads.read(download, part, address).await?;
    Ok(head.map(|_: Body| answer::body(chunks, promised)))
}
