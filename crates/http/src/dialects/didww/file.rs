//! The file of an export (`didww.md` section 8): its name, its address and its answer.
//!
//! Conditions and ranges are those of all downloads.

use super::gate::Visitor;
use super::resource::{Export, Status};
use super::routes::EXPORTS;
use crate::api::Api;
use crate::downloads;
use crate::refusal::Refusal;
use axum::response::Response;
use http::header::CACHE_CONTROL;
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use tollbook_kit::fault::Code;
use uuid::Uuid;

const SUFFIX: &str = ".csv.gz";
/// Clients must not build addresses of files from ids of exports, so the two differ: in these bits. They make of an id of
/// version 7 a name that looks like any other UUID, of version 4.
const DIFFERENCE: u128 = 0x5d1c_83a7_40be_3e96_0b7f_c24d_98e1_6a35;
const TRANSFER_ENCODING: HeaderName = HeaderName::from_static("content-transfer-encoding");

/// The address of an export's file, below this base.
pub(super) fn url(base: &str, export: Uuid) -> String {
    format!("{base}{EXPORTS}{}", name(export))
}

fn name(export: Uuid) -> String {
    format!("{}{SUFFIX}", masked(export))
}

/// From an id to the name of its file, and back.
fn masked(id: Uuid) -> Uuid {
    Uuid::from_u128(id.as_u128() ^ DIFFERENCE)
}

/// Is this the path of a file, be there one or not?
pub(super) fn is_path(path: &str) -> bool {
    path.strip_prefix(EXPORTS).is_some_and(|name| !name.contains('/') && name.ends_with(SUFFIX))
}

/// The export whose file is at that path, in the one spelling that it has.
fn export_at(path: &str) -> Option<Uuid> {
    let given = path.strip_prefix(EXPORTS)?;
    let export = masked(Uuid::parse_str(given.strip_suffix(SUFFIX)?).ok()?);
    (name(export) == given).then_some(export)
}

/// Answers a request for a file.
///
/// # Errors
/// `not_found` unless it is the file of a completed export of the caller's tenant; the preconditions and the range;
/// `storage_full`, `unavailable` or `internal`.
pub(super) async fn answer(api: &Api, visitor: &Visitor, parts: &Parts) -> Result<Response, Refusal> {
    let nothing = || Refusal::not_found("there is no such file");
    let id = export_at(parts.uri.path()).ok_or_else(nothing)?;
    let view = api.app.jobs.find(&visitor.caller, id).await?;
    let export = Export::of(view, api.clock.now_ms())?.filter(|export| export.status == Status::Completed);
    let export = export.ok_or_else(nothing)?;
    let sent = async {
        let mut download = api.app.downloads.open_for(&visitor.caller, export.id).await?;
        download.name = name(export.id);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_not_called_like_its_export() {
        let export = Uuid::parse_str("01a3b5c1-7a3f-7b54-9a55-3f1f0a7f5f01").unwrap();
        let path = url("", export);
        assert!(!path.contains(&export.to_string()));
        assert_eq!(masked(export).get_version_num(), 4);
        assert_eq!(masked(export).get_variant(), uuid::Variant::RFC4122);
        assert!(is_path(&path));
        assert_eq!(export_at(&path), Some(export));
        assert_eq!(url("https://x", export), format!("https://x{path}"));
    }

    #[test]
    fn a_file_has_one_path() {
        let good = url("", Uuid::from_u128(7));
        assert_eq!(export_at(&good), Some(Uuid::from_u128(7)));
        for wrong in [
            good.to_uppercase(),
            good.replace("/v3", "/v4"),
            good.replace('-', ""),
            good.replace(".csv.gz", ".csv"),
            good.replace(".csv.gz", ".csv.gz/"),
            format!("{EXPORTS}.csv.gz"),
            format!("{EXPORTS}x.csv.gz"),
        ] {
            assert_eq!(export_at(&wrong), None, "{wrong}");
        }
        assert!(is_path("/v3/exports/x.csv.gz"), "though there is nothing");
        for other in ["/v3/exports/x", "/v3/exports/x/y.csv.gz", "/v3/x.csv.gz", "/v3/exports"] {
            assert!(!is_path(other), "{other}");
        }
    }
}
