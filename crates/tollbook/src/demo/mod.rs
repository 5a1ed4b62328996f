//! `tollbook demo`: the service on sample data. It uses the public API only, as anybody would.
//!
//! Running it again on the same folder takes in the same calls: they are recognised and counted as duplicates.

mod demo_token;
mod exports;

use crate::command_line::ServeFlags;
use crate::config::{Config, reachable};
use crate::ingest::{Counts, send_body};
use crate::remote::{Remote, source_path};
use crate::serve::Service;
use crate::source_command;
use crate::terminal::say;
use bytes::Bytes;
use jiff::civil::{Date, date};
use serde_json::json;
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
pub(crate) async fn run(config: Config, own_token: Option<Secret<String>>) -> Result<(), Fault> {
    let folder = config.data.clone();
    let token = match own_token {
        Some(token) => token,
        None => demo_token::of(&folder)?,
    };
    let service = Service::start(config, Some(&token)).await?;
    let url = reachable(&service.address.to_string());
    let tour = tour(&url, &folder, token).await;
    if let Err(fault) = tour {
        service.stop().await;
        return Err(fault);
    }
    say(&format!("\nServing at {url}; Ctrl-C stops it. Run the demo again: nothing is taken in twice."));
    service.run().await
}

async fn tour(url: &str, folder: &std::path::Path, token: Secret<String>) -> Result<(), Fault> {
    let remote = Remote::new(url, token.clone())?;
    say(&format!("Tollbook runs at {url}, its data is in {}.\n", folder.display()));
    let recorded = send_recorded(&remote).await?;
    say(&format!("Recorded Asterisk file: {}", told(&recorded)));
    let generated = send_generated(&remote).await?;
    say(&format!("Generated day of calls: {}\n", told(&generated)));
    let range = format!("from={GENERATED_DAY}&to={RECORDED_DAY}");
    for export in exports::make(&remote, folder, &range).await? {
        say(&format!("{:>8} rows {:>9} bytes  {}", export.rows, export.bytes, export.file.display()));
    }
    let token = token.reveal();
    say("\nTry it yourself:\n");
    for query in [
        format!("cdr/export?{range}&direction=inbound&result=answered&format=ndjson"),
        format!("kpis/export?{range}&interval=hour&tz=Europe/Berlin"),
        format!("cdr/export/estimate?{range}&format=parquet"),
    ] {
        say(&format!("  curl -H 'Authorization: Bearer {token}' '{url}/api/v1/{query}'\n"));
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
    source_command::put(remote, RECORDED_SOURCE, definition).await?;
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
