//! One export by everybody, in turns, each time in a fresh process.

use super::figures::Spread;
use super::one_export::Taken;
use super::options::Options;
use super::peers::{self, Peers};
use super::scenario::Scenario;
use super::{Trouble, month::Month};
use serde::Serialize;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::Command;
use tollbook_model::export::Signing;
use tollbook_model::format::ExportFormat;

/// The name under which Tollbook takes part.
pub(crate) const OURS: &str = "tollbook";
/// A peer that takes longer than this is not run again: its figure is clear enough.
const PATIENCE_SECONDS: f64 = 60.0;

/// What one contender needed for one export.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Contender {
    /// Who.
    pub(crate) name: &'static str,
    /// Version.
    pub(crate) version: String,
    /// Time of the export.
    pub(crate) seconds: Spread,
    /// Processor time of it, on all threads.
    pub(crate) cpu_seconds: Spread,
    /// Time to the first byte, and to the chunk after it; Tollbook only.
    pub(crate) first_byte_seconds: Option<Spread>,
    /// See above.
    pub(crate) second_chunk_seconds: Option<Spread>,
    /// Size of the file.
    pub(crate) bytes: u64,
    /// Records in the file, where they can be counted as lines.
    pub(crate) rows: Option<u64>,
    /// Memory before.
    pub(crate) idle_rss_bytes: u64,
    /// Most memory above that.
    pub(crate) memory_above_idle_bytes: u64,
}

struct Contestant {
    name: &'static str,
    taken: Vec<Taken>,
    rows: Option<u64>,
}

/// Lets Tollbook and the peers make the export in turns.
pub(crate) fn hold(
    scenario: &Scenario,
    options: &Options,
    month: &Month,
    peers: Option<&Peers>,
) -> Result<Vec<Contender>, Trouble> {
    let mut contestants = vec![contestant(OURS)];
    contestants.extend(peers.iter().flat_map(|_| peers::NAMES).map(contestant));
    // Names carry the process, so that two benchmarks at a time spoil each other's figures only.
    let process = std::process::id();
    let list = options.out.join(format!("tollbook-bench-{process}-files.txt"));
    fs::write(&list, month.file_list())?;
    for round in 0..options.rounds() {
        for one in &mut contestants {
            let slow = one.taken.first().is_some_and(|first| first.seconds > PATIENCE_SECONDS);
            if slow && one.name != OURS || one.taken.len() < round {
                continue;
            }
            let out =
                options.out.join(format!("tollbook-bench-{process}-{}.{}", one.name, scenario.format.name()));
            let taken = match peers.filter(|_| one.name != OURS) {
                Some(peers) => peers.export(one.name, scenario, &list, &out),
                // Peers do not sign.
                None => own_export(scenario, month, &out, Signing::None),
            };
            match taken {
                Ok(taken) => {
                    println!("  {:<14} {:<9} {:>8.3} s", scenario.name(), one.name, taken.seconds);
                    one.taken.push(taken);
                }
                Err(trouble) if one.name != OURS => eprintln!("!!! {}: {trouble}", one.name),
                Err(trouble) => return Err(trouble),
            }
            if one.rows.is_none() {
                one.rows = count_rows(scenario.format, &out)?;
            }
            let _gone = fs::remove_file(&out);
        }
    }
    fs::remove_file(list)?;
    Ok(contestants.iter().filter_map(result).collect())
}

fn contestant(name: &'static str) -> Contestant {
    Contestant { name, taken: Vec::new(), rows: None }
}

pub(crate) fn own_export(
    scenario: &Scenario,
    month: &Month,
    out: &Path,
    signing: Signing,
) -> Result<Taken, Trouble> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("bench-one").arg("--dir").arg(&month.folder).args(["--format", scenario.format.name()]);
    command.arg("--out").arg(out).args(["--sign", signing.name()]);
    if let Some((from_ms, to_ms)) = scenario.range_ms {
        command.arg("--from-ms").arg(from_ms.to_string()).arg("--to-ms").arg(to_ms.to_string());
    }
    if let Some(did) = &scenario.did {
        command.arg("--did").arg(did);
    }
    peers::taken(&mut command)
}

/// Records of a file of lines; quoted line ends would count too, but the month has none.
fn count_rows(format: ExportFormat, path: &Path) -> Result<Option<u64>, Trouble> {
    let header = match format {
        ExportFormat::Csv => 1,
        ExportFormat::Ndjson => 0,
        ExportFormat::CsvGz | ExportFormat::Parquet | ExportFormat::Json => return Ok(None),
    };
    let Ok(mut file) = File::open(path) else { return Ok(None) };
    let mut chunk = vec![0; 1 << 20];
    let mut lines = 0u64;
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(Some(lines.saturating_sub(header))),
            read => lines += memchr::memchr_iter(b'\n', &chunk[..read]).count() as u64,
        }
    }
}

fn result(one: &Contestant) -> Option<Contender> {
    let last = one.taken.last()?;
    let most_memory =
        one.taken.iter().map(|taken| taken.peak_rss_bytes.saturating_sub(taken.idle_rss_bytes)).max()?;
    Some(Contender {
        name: one.name,
        version: last.version.clone(),
        seconds: Spread::of(one.taken.iter().map(|taken| taken.seconds))?,
        cpu_seconds: Spread::of(one.taken.iter().map(|taken| taken.cpu_seconds))?,
        first_byte_seconds: Spread::of(one.taken.iter().filter_map(|taken| taken.first_byte_seconds)),
        second_chunk_seconds: Spread::of(one.taken.iter().filter_map(|taken| taken.second_chunk_seconds)),
        bytes: last.bytes,
        rows: one.rows,
        idle_rss_bytes: last.idle_rss_bytes,
        memory_above_idle_bytes: most_memory,
    })
}
