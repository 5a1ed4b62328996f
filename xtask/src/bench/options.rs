//! The benchmark's command line, and where it keeps things.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// What `bench` measures, and on how much.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Records of the month.
    #[arg(long, default_value_t = 10_000_000)]
    pub(crate) rows: u64,
    /// Days of the month.
    #[arg(long, default_value_t = 30)]
    pub(crate) days: u32,
    /// Data folder of the month; made if it is not there, used again if it is.
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Folder for the exported files; best one in memory.
    #[arg(long, value_name = "DIR", default_value = "/dev/shm")]
    pub(crate) out: PathBuf,
    /// Only these pieces.
    #[arg(long, value_delimiter = ',', value_enum)]
    pub(crate) only: Vec<Piece>,
    /// One run of each instead of three, no csv.gz by slow peers, less ingest.
    #[arg(long)]
    pub(crate) quick: bool,
    /// Binary of the service; without it, it is built.
    #[arg(long, value_name = "FILE")]
    pub(crate) service: Option<PathBuf>,
    /// Leave the peers out.
    #[arg(long)]
    pub(crate) without_peers: bool,
}

/// A piece of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Piece {
    /// Bytes a record costs on disk, by column.
    Storage,
    /// The month as CSV.
    Csv,
    /// The month as one gzip member of CSV.
    #[value(name = "csv.gz", alias = "csv-gz")]
    CsvGz,
    /// The month as Parquet.
    Parquet,
    /// The month as NDJSON.
    Ndjson,
    /// One day, and one number over the month.
    Filtered,
    /// What signing costs.
    Signing,
    /// Exports over HTTP.
    HttpExport,
    /// Records in, over HTTP.
    Ingest,
}

impl Options {
    /// Is the piece asked for?
    pub(crate) fn wants(&self, piece: Piece) -> bool {
        self.only.is_empty() || self.only.contains(&piece)
    }

    /// Runs of each measurement, of which the median counts.
    pub(crate) fn rounds(&self) -> usize {
        if self.quick { 1 } else { 3 }
    }

    /// Data folder of the month.
    pub(crate) fn month_folder(&self) -> PathBuf {
        self.dir.clone().unwrap_or_else(|| bench_folder().join(format!("month-{}-{}", self.rows, self.days)))
    }
}

/// Where the benchmark keeps things: `target/bench` of the workspace.
pub(crate) fn bench_folder() -> PathBuf {
    workspace().join("target/bench")
}

/// The workspace's folder.
pub(crate) fn workspace() -> PathBuf {
    let here = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    here.parent().map_or_else(|| here.clone(), PathBuf::from)
}
