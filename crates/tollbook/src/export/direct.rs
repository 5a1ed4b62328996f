//! `tollbook export --direct`: an export that is streamed while it is made, without a job.
//!
//! The service says that one failed by breaking the connection off. Nobody can go on with it, as the next one sees other
//! records: it is asked for again from its beginning, unless something of it was given out already.

use crate::jobs::{Display, FetchFlags, Sink, is_plain, set_aside};
use crate::remote::{NOT_OURS, Remote};
use crate::verbs::say_json;
use crate::verify::{FetchedFile, verify_fetched};
use http::{HeaderName, Method, header};
use serde_json::json;
use tollbook_connect::client::{ApiRequest, OpenReply};
use tollbook_kit::fault::{Code, Fault};

const EXPORT_ID: HeaderName = HeaderName::from_static("tollbook-export-id");

/// An export that was streamed to its end.
struct Streamed {
    id: String,
    name: String,
    sink: Sink,
}

/// Streams what the path names to where the flags say, and verifies it if it is signed.
///
/// # Errors
/// What the service refuses; `unavailable` when it broke off once too often; `invalid` when what came is not what was
/// signed, or cannot be written; `storage_full`.
pub(super) async fn run(
    remote: Remote,
    path: &str,
    flags: &FetchFlags,
    is_signed: bool,
    json: bool,
) -> Result<(), Fault> {
    if !is_signed {
        flags.refuse_unsigned()?;
    }
    let display = Display::new();
    let remote = remote.with_notice(display.notice());
    let mut failed = 0;
    let streamed = loop {
        match stream(&remote, path, flags, &display).await {
            Ok(streamed) => break streamed,
            Err(fault) => {
                failed += 1;
                remote.rest_after(failed, fault).await?;
            }
        }
    };
    let Streamed { id, name, sink } = &streamed;
    if is_signed {
        prove(&remote, &streamed, flags).await?;
    }
    sink.keep()?;
    drop(display);
    let shown = sink.target().map_or_else(|| name.clone(), |target| target.display().to_string());
    let (bytes, sha256) = (sink.written(), sink.sha256());
    if json && !flags.is_output() {
        say_json(&json!({"export_id": id, "file": shown, "bytes": bytes, "sha256": sha256}));
        return Ok(());
    }
    let signed = if is_signed { ", as its signed manifest says" } else { "" };
    flags.tell(&format!("{shown}: {bytes} bytes, SHA-256 {sha256}{signed}"));
    Ok(())
}

async fn stream(
    remote: &Remote,
    path: &str,
    flags: &FetchFlags,
    display: &Display,
) -> Result<Streamed, Fault> {
    let mut reply = remote.open(ApiRequest::new(Method::GET, path)).await?;
    let name = reply.header(header::CONTENT_DISPOSITION).and_then(file_name);
    let id = reply.header(EXPORT_ID).map(str::to_owned);
    let (Some(id), Some(name)) = (id, name) else { return Err(Fault::new(Code::Invalid, NOT_OURS)) };
    let mut sink = flags.sink(&name, false)?;
    display.begin_file(&name, None, 0);
    match pour(&mut reply, &mut sink, display).await {
        Ok(()) => Ok(Streamed { id, name, sink }),
        Err(fault) if sink.path().is_none() && sink.written() > 0 => {
            let text = format!("{}: what was written so far must not be used", fault.message());
            Err(Fault::new(Code::Invalid, text).with_source(fault))
        }
        Err(fault) => {
            sink.discard();
            Err(fault)
        }
    }
}

async fn pour(reply: &mut OpenReply, sink: &mut Sink, display: &Display) -> Result<(), Fault> {
    while let Some(piece) = reply.next_piece().await? {
        sink.take(&piece)?;
        display.at(sink.written());
    }
    Ok(())
}

/// Holds what came against the manifest of the export, which is there once it has ended whole.
async fn prove(remote: &Remote, streamed: &Streamed, flags: &FetchFlags) -> Result<(), Fault> {
    let Streamed { id, name, sink } = streamed;
    let keys = flags.keys(remote).await?;
    let path = format!("/api/v1/exports/{}/manifest", crate::remote::segment(id));
    let manifest = remote.fetch(ApiRequest::new(Method::GET, path)).await?;
    let manifest = String::from_utf8_lossy(&manifest);
    let file = FetchedFile { name, bytes: sink.written(), sha256: sink.sha256(), path: sink.path() };
    match verify_fetched(id, &manifest, &keys, &[file]) {
        Ok(()) => flags.keep_manifest(&manifest),
        Err(why) => Err(set_aside(&why, std::slice::from_ref(sink))?),
    }
}

/// The name in `attachment; filename="…"`.
fn file_name(disposition: &str) -> Option<String> {
    let (_, rest) = disposition.split_once("filename=\"")?;
    let (name, _) = rest.split_once('"')?;
    is_plain(name).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_that_lead_nowhere_else() {
        assert_eq!(file_name("attachment; filename=\"cdr_1.csv\"").as_deref(), Some("cdr_1.csv"));
        for none in ["attachment", "attachment; filename=x", "attachment; filename=\"../x\"", "filename=\""] {
            assert_eq!(file_name(none), None, "{none}");
        }
    }
}
