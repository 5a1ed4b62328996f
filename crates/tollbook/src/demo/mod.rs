//! `tollbook demo`: the service on sample data. It uses the public API only, as anybody would.
//!
//! Running it again on the same folder takes in the same calls: they are recognised and counted as duplicates.

mod demo_token;
mod exports;

use crate::command_line::ServeFlags;
use crate::config::Config;
use crate::ingest::{Counts, send_body};
use crate::remote::{Remote, source_path};
use crate::serve::{HandedIn, Service};
use crate::terminal::say;
use crate::verbs::source;
use bytes::Bytes;
use jiff::civil::{Date, date};
use serde_json::json;
use std::path::Path;
use tollbook_connect::generated::{GeneratedCalls, GeneratedSettings, to_ndjson};
use tollbook_kit::fault::Fault;
use tollbook_kit::secret::Secret;

/// Folder of the demonstration unless another is named.
const FOLDER: &str = "./tollbook-demo";
/// A file that a real Asterisk 20 wrote; see its PROVENANCE.md.
static RECORDED: &[u8] = include_bytes!("../../../../testdata/asterisk-20/Master.csv");
const RECORDED_SOURCE: &str = "asterisk-demo";
/// The generated day, two days before the recorded one.
const GENERATED_DAY: Date = date(2026, 11, 20);
const RECORDED_DAY: Date = date(2026, 11, 22);
const GENERATED_CALLS: u64 = 20_000;
const CALLS_PER_BODY: u64 = 5_000;

/// The settings that a demonstration adds to what the flags say: never the folder of a real service.
pub(crate) fn settings(flags: &ServeFlags) -> Vec<(&'static str, String)> {
    let mut settings = flags.settings();
    if flags.data.is_none() {
        settings.push(("data", FOLDER.into()));
    }
    settings
}

/// Starts the service, shows what it does, and keeps serving until it is stopped.
///
/// # Errors
/// Whatever starting the service or calling it brings.
pub(crate) async fn run(config: Config, handed_in: HandedIn) -> Result<(), Fault> {
    let folder = config.data.clone();
    let (token, shown) = match handed_in.token {
        // Whoever handed it in has it already, and may not want it in what is said here.
        Some(token) => (token, "$TOLLBOOK_BOOTSTRAP_TOKEN".to_owned()),
        None => {
            let token = demo_token::of(&folder)?;
            let shown = token.reveal().clone();
            (token, shown)
        }
    };
    let handed_in = HandedIn { token: Some(token.clone()), ..handed_in };
    let service = Service::start(config, &handed_in).await?;
    let tour = tour(&service, &folder, token, &shown).await;
    if let Err(fault) = tour {
        service.stop().await;
        return Err(fault);
    }
    let url = &service.local_url;
    say(&format!("\nServing at {url}; Ctrl-C stops it. Run the demo again: nothing is taken in twice."));
    service.run().await
}

async fn tour(service: &Service, folder: &Path, token: Secret<String>, shown: &str) -> Result<(), Fault> {
    let url = &service.local_url;
    let certificate = service.own_certificate.as_deref();
    let remote = Remote::new(url, token, certificate)?;
    say(&format!("Tollbook runs at {url}, its data is in {}.\n", folder.display()));
    let recorded = send_recorded(&remote).await?;
    say(&format!("Recorded Asterisk file: {}", told(&recorded)));
    let generated = send_generated(&remote).await?;
    say(&format!("Generated day of calls: {}\n", told(&generated)));
    let range = format!("from={GENERATED_DAY}&to={RECORDED_DAY}");
    for export in exports::make(&remote, folder, &range).await? {
        say(&format!("{:>8} rows {:>9} bytes  {}", export.rows, export.bytes, export.file.display()));
    }
    let trust = certificate.map_or_else(String::new, |file| format!("--cacert '{}' ", file.display()));
    say("\nTry it yourself:\n");
    for query in [
        format!("cdr/export?{range}&direction=inbound&result=answered&format=ndjson"),
        format!("kpis/export?{range}&interval=hour&tz=Europe/Berlin"),
        format!("cdr/export/estimate?{range}&format=parquet"),
    ] {
        say(&format!("  curl {trust}-H \"Authorization: Bearer {shown}\" '{url}/api/v1/{query}'\n"));
    }
    let order =
        json!({"from": GENERATED_DAY.to_string(), "to": RECORDED_DAY.to_string(), "format": "parquet"});
    say("Or order an export job, and look at it until it is ready; the links to its files need no token:\n");
    for request in [
        format!("-X POST -d '{order}' '{url}/api/v1/cdr/export-jobs'"),
        format!("'{url}/api/v1/export-jobs'"),
    ] {
        say(&format!("  curl {trust}-H \"Authorization: Bearer {shown}\" {request}\n"));
    }
    Ok(())
}

fn told(counts: &Counts) -> String {
    format!("{} records taken, {} of them known already", counts.accepted, counts.duplicates)
}

async fn send_recorded(remote: &Remote) -> Result<Counts, Fault> {
    let definition = json!({
        "kind": "asterisk-csv",
        "zone": "UTC",
        "trunks": ["trunk-a", "trunk-b", "trunk-dead", "trunk-a-in", "trunk-b-in"],
        "extension_pattern": "^1[0-9]{2}$",
    });
    source::put(remote, RECORDED_SOURCE, definition).await?;
    let path = format!("{}/records", source_path(RECORDED_SOURCE));
    send_body(remote, &path, Bytes::from_static(RECORDED)).await
}

async fn send_generated(remote: &Remote) -> Result<Counts, Fault> {
    let settings =
        GeneratedSettings { seed: 1, first_day: GENERATED_DAY, days: 1, calls_per_day: GENERATED_CALLS };
    let mut calls = GeneratedCalls::new(settings);
    let mut all = Counts::default();
    loop {
        let mut body = Vec::new();
        if calls.fill(CALLS_PER_BODY, &mut |call| to_ndjson(call, &mut body)) == 0 {
            return Ok(all);
        }
        all.add(send_body(remote, "/api/v1/cdr/records", body.into()).await?);
    }
}
