//! The peers: engines from the Python package index, in a virtual environment of the benchmark's own.

use super::Trouble;
use super::one_export::Taken;
use super::options::{Options, bench_folder, workspace};
use super::scenario::Scenario;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tollbook_model::dataset::Dataset;
use tollbook_model::schema::Schema;

/// Names of the peers, as `benches/peers.py` knows them.
pub(crate) const NAMES: [&str; 3] = ["duckdb", "polars", "chdb"];

/// The peers, ready to run.
pub(crate) struct Peers {
    python: PathBuf,
    script: PathBuf,
}

/// The peers, installed if they are not yet; none, loudly, where that fails.
pub(crate) fn at_hand(options: &Options) -> Option<Peers> {
    if options.without_peers {
        return None;
    }
    match install() {
        Ok(peers) => Some(peers),
        Err(trouble) => {
            eprintln!();
            eprintln!("!!! THE PEERS COULD NOT BE INSTALLED: {trouble}");
            eprintln!(
                "!!! There will be no ratios. The benchmark needs python3 with venv and the package index."
            );
            eprintln!();
            None
        }
    }
}

fn install() -> Result<Peers, Trouble> {
    let requirements = workspace().join("benches/requirements.txt");
    let environment = bench_folder().join("venv");
    let python = environment.join("bin/python");
    let peers = Peers { python: python.clone(), script: workspace().join("benches/peers.py") };
    // The environment carries a copy of the list it was made from: another list makes it anew.
    let installed = environment.join("requirements.txt");
    let wanted = fs::read_to_string(&requirements)?;
    if fs::read_to_string(&installed).is_ok_and(|there| there == wanted) {
        return Ok(peers);
    }
    println!("installing the peers into {}", environment.display());
    succeed(Command::new("python3").arg("-m").arg("venv").arg(&environment))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    succeed(Command::new(&python).args(pip).arg(&requirements))?;
    fs::write(installed, wanted)?;
    Ok(peers)
}

fn succeed(command: &mut Command) -> Result<(), Trouble> {
    let status = command.status().map_err(|error| format!("{command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}").into()) }
}

impl Peers {
    /// One export by `peer` of the files that `list` names.
    pub(crate) fn export(
        &self,
        peer: &str,
        scenario: &Scenario,
        list: &Path,
        out: &Path,
    ) -> Result<Taken, Trouble> {
        let schema = Schema::of(Dataset::Cdr);
        let columns: Vec<&str> = schema.default_columns().iter().map(|&at| schema.fields[at].name).collect();
        let mut command = Command::new(&self.python);
        command.arg(&self.script).args([peer, scenario.format.name()]);
        command.arg("--files").arg(list).arg("--columns").arg(columns.join(",")).arg("--out").arg(out);
        if let Some((from_ms, to_ms)) = scenario.range_ms {
            command.arg("--from-us").arg((from_ms * 1000).to_string());
            command.arg("--to-us").arg((to_ms * 1000).to_string());
        }
        if let Some(did) = &scenario.did {
            command.arg("--did").arg(did);
        }
        taken(&mut command)
    }
}

/// Runs a measuring process and reads what it tells.
pub(crate) fn taken(command: &mut Command) -> Result<Taken, Trouble> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{:?} ended with {}", command.get_program(), output.status).into());
    }
    let text = String::from_utf8(output.stdout)?;
    let last = text.lines().last().ok_or("a measuring process told nothing")?;
    Ok(serde_json::from_str(last)?)
}
