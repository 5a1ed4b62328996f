//! Exports of the month over HTTP: time to the first byte, throughput, and the server's memory meanwhile; and the same as
//! jobs.

use super::http_jobs::JobRun;
use super::month::Month;
use super::options::Options;
use super::service::{Service, TOKEN};
use super::wire::Connection;
use super::{Trouble, http_jobs};
use http_body_util::BodyExt;
use serde::Serialize;
use std::path::Path;
use std::process::Command;
use tollbook_kit::clock::{Clock, SystemClock};
use tollbook_model::format::ExportFormat;

/// One download.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Download {
    /// Format.
    pub(crate) format: &'static str,
    /// To the last byte.
    pub(crate) seconds: f64,
    /// From sending the request to the first byte of the body.
    pub(crate) first_byte_seconds: f64,
    /// Bytes of the body.
    pub(crate) bytes: u64,
    /// The server's memory before.
    pub(crate) idle_rss_bytes: u64,
    /// Its most memory above that.
    pub(crate) memory_above_idle_bytes: u64,
}

/// Downloads the month from a served copy, format after format, a few times each, and orders it as often as a job.
pub(crate) async fn measure(
    options: &Options,
    month: &Month,
) -> Result<(Vec<Download>, Vec<JobRun>), Trouble> {
    let folder = tempfile::tempdir_in(month.folder.parent().unwrap_or(Path::new(".")))?;
    copy(&month.folder, folder.path())?;
    let service = Service::start(options, folder.path()).await?;
    let (mut downloads, mut jobs) = (Vec::new(), Vec::new());
    for format in [ExportFormat::Csv, ExportFormat::Parquet, ExportFormat::Ndjson, ExportFormat::CsvGz] {
        for _ in 0..options.rounds() {
            let download = Connection::with(service.address, TOKEN, async |connection| {
                download(connection, &service, format).await
            })
            .await?;
            println!(
                "  http {:<8} {:>8.3} s, first byte {:.1} ms, server +{:.1} MiB",
                format.name(),
                download.seconds,
                download.first_byte_seconds * 1e3,
                super::figures::mebibytes(download.memory_above_idle_bytes),
            );
            let job = http_jobs::measure(&service, format).await?;
            println!(
                "  job  {:<8} {:>8.3} s, fetched in {:.3} s, server +{:.1} MiB",
                format.name(),
                job.ready_seconds,
                job.fetch_seconds,
                super::figures::mebibytes(job.memory_above_idle_bytes),
            );
            downloads.push(download);
            jobs.push(job);
        }
    }
    Ok((downloads, jobs))
}

async fn download(
    mut connection: Connection,
    service: &Service,
    format: ExportFormat,
) -> Result<Download, Trouble> {
    let clock = SystemClock::new();
    service.forget_peak()?;
    let idle = service.memory()?.now;
    let start = clock.monotonic();
    let path = format!("/api/v1/cdr/export?from=2026-01-01&to=2027-12-31&sign=none&format={}", format.name());
    let mut body = connection.get(&path).await?;
    let (mut bytes, mut first_byte) = (0, None);
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            first_byte.get_or_insert_with(|| clock.monotonic() - start);
            bytes += data.len() as u64;
        }
    }
    let seconds = (clock.monotonic() - start).as_secs_f64();
    let first_byte = first_byte.ok_or("an export without a byte")?;
    Ok(Download {
        format: format.name(),
        seconds,
        first_byte_seconds: first_byte.as_secs_f64(),
        bytes,
        idle_rss_bytes: idle,
        memory_above_idle_bytes: service.memory()?.peak.saturating_sub(idle),
    })
}

/// A copy that costs no room: the lake's files never change, so links to them serve; the control database is copied.
fn copy(from: &Path, to: &Path) -> Result<(), Trouble> {
    let linked = Command::new("cp").args(["-al", "--"]).arg(from.join("lake")).arg(to).status()?;
    let copied = Command::new("cp").arg("--").arg(from.join("catalog.sqlite")).arg(to).status()?;
    if linked.success() && copied.success() { Ok(()) } else { Err("the month could not be copied".into()) }
}
