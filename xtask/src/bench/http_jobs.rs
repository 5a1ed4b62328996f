//! Exports of the month as jobs: from the order to ready, and from there to the last byte fetched.
//!
//! The peer of a job is the direct export of the same month in the same run: what it costs to keep a file in parts.

use super::Trouble;
use super::service::{Service, TOKEN};
use super::wire::Connection;
use http_body_util::BodyExt;
use serde::Serialize;
use serde_json::{Value, json};
use std::time::Duration;
use tollbook_kit::clock::{Clock, SystemClock};
use tollbook_model::format::ExportFormat;

/// Time between two looks at a job.
const LOOK: Duration = Duration::from_millis(10);

/// One job.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct JobRun {
    /// Format.
    pub(crate) format: &'static str,
    /// From sending the order to seeing it ready.
    pub(crate) ready_seconds: f64,
    /// From asking for the file to its last byte.
    pub(crate) fetch_seconds: f64,
    /// Bytes of the file.
    pub(crate) bytes: u64,
    /// The server's most memory above what it had before.
    pub(crate) memory_above_idle_bytes: u64,
}

/// Orders the month in this format, waits until it is there, fetches it, and deletes it.
pub(crate) async fn measure(service: &Service, format: ExportFormat) -> Result<JobRun, Trouble> {
    Connection::with(service.address, TOKEN, async |connection| run(connection, service, format).await).await
}

async fn run(mut connection: Connection, service: &Service, format: ExportFormat) -> Result<JobRun, Trouble> {
    let clock = SystemClock::new();
    service.forget_peak()?;
    let idle = service.memory()?.now;
    let order = json!({"from": "2026-01-01", "to": "2027-12-31", "sign": "none", "format": format.name()});
    let start = clock.monotonic();
    let (status, answer) = connection
        .post("/api/v1/cdr/export-jobs", "application/json", order.to_string().into_bytes().into())
        .await?;
    if status != 202 {
        return Err(format!("an order was answered {status}").into());
    }
    let ordered: Value = serde_json::from_slice(&answer)?;
    let path = format!("/api/v1/export-jobs/{}", text(&ordered, "id")?);
    let job = loop {
        let job: Value = serde_json::from_slice(&connection.get(&path).await?.collect().await?.to_bytes())?;
        match text(&job, "status")? {
            "ready" => break job,
            "queued" | "running" => tokio::time::sleep(LOOK).await,
            other => return Err(format!("a job ended {other}: {}", job["error"]).into()),
        }
    };
    let ready_seconds = (clock.monotonic() - start).as_secs_f64();
    let link = text(&job, "download_url")?;
    let target = link.find("/dl/").map(|at| &link[at..]).ok_or("a link without its path")?;
    let begin = clock.monotonic();
    let mut body = connection.get(target).await?;
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        bytes += frame?.into_data().map_or(0, |data| data.len() as u64);
    }
    let fetch_seconds = (clock.monotonic() - begin).as_secs_f64();
    let memory_above_idle_bytes = service.memory()?.peak.saturating_sub(idle);
    connection.delete(&path).await?;
    Ok(JobRun { format: format.name(), ready_seconds, fetch_seconds, bytes, memory_above_idle_bytes })
}

fn text<'a>(object: &'a Value, member: &str) -> Result<&'a str, Trouble> {
    object[member].as_str().ok_or_else(|| format!("an answer without {member}").into())
}
