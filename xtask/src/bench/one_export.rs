//! One export by Tollbook's engine into a file, measured in a process of its own.

use super::store::Store;
use super::{Trouble, memory};
use clap::Args;
use futures::StreamExt;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use tollbook_kit::secret::Secret;
use tollbook_model::dataset::Dataset;
use tollbook_model::export::{ExportRequest, Proof, Signing};
use tollbook_model::format::ExportFormat;
use tollbook_model::jws::{JwsKey, SEED_BYTES};
use tollbook_model::ports::{DataPlane, ExportRows};
use tollbook_model::privacy::normal_form;
use tollbook_model::schema::Schema;
use tollbook_model::selection::{Filter, FilterField, Interval, Selection};
use tollbook_model::tenant::TenantName;
use tollbook_model::time_range::TimeRange;

/// What is exported, and where to.
#[derive(Debug, Clone, Args)]
pub(crate) struct OneExport {
    /// Data folder.
    #[arg(long)]
    pub(crate) dir: PathBuf,
    /// Format.
    #[arg(long)]
    pub(crate) format: String,
    /// File to write.
    #[arg(long)]
    pub(crate) out: PathBuf,
    /// First moment, in milliseconds.
    #[arg(long)]
    pub(crate) from_ms: Option<i64>,
    /// First moment after.
    #[arg(long)]
    pub(crate) to_ms: Option<i64>,
    /// Only calls to this number.
    #[arg(long)]
    pub(crate) did: Option<String>,
    /// What is signed.
    #[arg(long, default_value = "none")]
    pub(crate) sign: String,
}

/// What one export took, by Tollbook or by a peer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Taken {
    /// Version of the engine.
    pub(crate) version: String,
    /// From the call to the last byte written.
    pub(crate) seconds: f64,
    /// Processor time on all threads; unlike the time on the wall it hardly depends on what else the machine does.
    pub(crate) cpu_seconds: f64,
    /// To the first chunk of bytes; the peers write files and have none.
    #[serde(default)]
    pub(crate) first_byte_seconds: Option<f64>,
    /// To the first chunk after that, which is the first with records in it where the first is a header.
    #[serde(default)]
    pub(crate) second_chunk_seconds: Option<f64>,
    /// Size of the file.
    pub(crate) bytes: u64,
    /// Resident memory before the export.
    pub(crate) idle_rss_bytes: u64,
    /// Most resident memory during it.
    pub(crate) peak_rss_bytes: u64,
}

/// Exports and measures.
pub(crate) async fn measure(one: &OneExport) -> Result<Taken, Trouble> {
    let store = Store::open(&one.dir).await?;
    let engine = store.engine();
    let request = request(one, &store)?;
    let _gone = std::fs::remove_file(&one.out);
    let mut file = File::create(&one.out)?;
    memory::forget_peak("self")?;
    let idle = memory::of("self")?.now;

    let worked = memory::worked_seconds()?;
    let start = store.clock.monotonic();
    let since_start = || (store.clock.monotonic() - start).as_secs_f64();
    let mut stream = engine.export(request, ExportRows::Stored).await?.chunks;
    let mut arrivals = Vec::with_capacity(2);
    let mut bytes = 0;
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        if arrivals.len() < 2 {
            arrivals.push(since_start());
        }
        bytes += chunk.len() as u64;
        file.write_all(&chunk)?;
    }
    let seconds = since_start();

    Ok(Taken {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        seconds,
        cpu_seconds: memory::worked_seconds()? - worked,
        first_byte_seconds: arrivals.first().copied(),
        second_chunk_seconds: arrivals.get(1).copied(),
        bytes,
        idle_rss_bytes: idle,
        peak_rss_bytes: memory::of("self")?.peak,
    })
}

fn request(one: &OneExport, store: &Store) -> Result<ExportRequest, Trouble> {
    let format = ExportFormat::from_name(&one.format).ok_or("no such format")?;
    let range = match (one.from_ms, one.to_ms) {
        (Some(from), Some(to)) => TimeRange::new(from, to).ok_or("an empty range")?,
        _ => TimeRange::all(),
    };
    let proof = match Signing::from_name(&one.sign).ok_or("no such way to sign")? {
        Signing::None => Proof::None,
        Signing::Manifest => Proof::Digests,
        Signing::Records => Proof::Signatures(Arc::new(JwsKey::from_seed(&Secret::new([1; SEED_BYTES])))),
    };
    let number =
        |did: &String| Filter { field: FilterField::DidNumber, values: vec![normal_form(did).into_owned()] };
    Ok(ExportRequest {
        id: store.ids.next_id(),
        tenant: TenantName::default_tenant(),
        selection: Selection {
            dataset: Dataset::Cdr,
            range,
            filters: one.did.iter().map(number).collect(),
            columns: Schema::of(Dataset::Cdr).default_columns(),
            timezone: jiff::tz::TimeZone::UTC,
            interval: Interval::Day,
        },
        format,
        formula_guard: false,
        sheet: None,
        schema_id: "bench".to_owned(),
        proof,
    })
}
