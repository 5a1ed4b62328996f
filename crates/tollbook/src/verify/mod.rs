//! `tollbook verify`: are the files of a signed export those that were signed (`natalia.md` section 11), is an exported
//! audit log whole, and the one that was signed (section 14), or does an export hold what a completeness report tells of?
//!
//! Works offline, on files alone: it asks no service and reads no settings. What a file may be is decided in `input`,
//! what an export must be in `export` and `contents`, what a chain must be in `chain`, what a checkpoint says in
//! `checkpoint`.

mod broken;
mod chain;
mod checkpoint;
mod completeness;
#[cfg(test)]
mod completeness_tests;
mod contents;
mod export;
#[cfg(test)]
mod export_tests;
mod fetched;
mod hash_text;
mod input;
#[cfg(test)]
mod tests;

pub(crate) use fetched::{FetchedFile, verify_fetched};

use crate::terminal::{complain, say};
use chain::Chain;
use checkpoint::Checkpoint;
use input::Content;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use tollbook_model::audit::CHECKPOINT_TYPE;
use tollbook_model::jws::{JwsKeys, claimed_type};

/// Flags of `verify`.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyFlags {
    /// Keys of the service that signed, as it publishes them at /.well-known/jwks.json.
    #[arg(long, value_name = "FILE")]
    pub(crate) jwks: Option<PathBuf>,
    /// Of an audit log: it begins at this place of the chain, because earlier entries are past their retention or in other files.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) from_seq: u64,
    /// A completeness report, as /api/v1/{dataset}/completeness answers it. The files are then an export of the same dataset
    /// and range in ndjson or json in UTC, with the usual columns.
    #[arg(long, value_name = "REPORT", conflicts_with = "from_seq")]
    pub(crate) completeness: Option<PathBuf>,
    /// The manifest of a signed export, and the files that it names. Or an audit log as exported in ndjson or json with all
    /// columns, in one or several files that continue each other, and, if there is one, its signed checkpoint.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// Why files were not found to be whole.
#[derive(Debug, Clone, PartialEq, Eq)]
enum NotVerified {
    /// Something was changed, or is missing. Says what and where.
    Mismatch(String),
    /// The files or flags are none that can be verified. Says what to do.
    WrongUse(String),
}

/// Verifies what the flags name, and says so on standard output: a line per file, and a last line that is `whole` or
/// tells what is wrong and where. Answers 0 when all is good, 1 when anything is not, and 2, with words on standard
/// error, when it was used wrongly.
pub(crate) fn run(flags: &VerifyFlags) -> ExitCode {
    match verify(flags, &mut say) {
        Ok(()) => {
            say("whole");
            ExitCode::SUCCESS
        }
        Err(NotVerified::Mismatch(what)) => {
            say(&what);
            ExitCode::from(1)
        }
        Err(NotVerified::WrongUse(what)) => {
            complain(&what);
            ExitCode::from(2)
        }
    }
}

fn verify(flags: &VerifyFlags, say: &mut dyn FnMut(&str)) -> Result<(), NotVerified> {
    if let Some(report) = &flags.completeness {
        let keys = flags.jwks.as_deref().map(checkpoint::keys).transpose()?;
        return completeness::verify(report, &flags.files, keys.as_ref(), say);
    }
    let mut signed = Vec::new();
    let mut others = Vec::new();
    for path in &flags.files {
        match input::compact_jws(path)? {
            Some(jws) => signed.push((path, jws)),
            None if path.extension().is_some_and(|extension| extension == "jws") => {
                return Err(mismatch(path, "it is damaged: it is no compact JWS"));
            }
            None => others.push(path),
        }
    }
    // Whatever is signed and no checkpoint is verified as a manifest, so that a changed one does not pass for wrong use.
    let is_checkpoint = |jws: &str| claimed_type(jws).as_deref() == Some(CHECKPOINT_TYPE);
    let Some((path, jws)) = signed.iter().find(|(_, jws)| !is_checkpoint(jws)) else {
        // Before any other file is opened: that a signature does not hold is worse than that a file is of another kind.
        for (path, jws) in &signed {
            checkpoint::verify(path, jws, &needed_keys(flags, path)?)?;
        }
        return verify_log(flags, say);
    };
    if let Some((second, _)) = signed.iter().find(|(other, _)| other != path) {
        return Err(wrong_use(second, "is signed too; give one manifest with its files"));
    }
    if flags.from_seq > 1 {
        return Err(wrong_use(path, "is no audit log; leave --from-seq out"));
    }
    export::verify((path, jws), &others, &needed_keys(flags, path)?, say)
}

/// The keys, needed for what is signed.
fn needed_keys(flags: &VerifyFlags, signed: &Path) -> Result<JwsKeys, NotVerified> {
    let path = flags.jwks.as_ref();
    checkpoint::keys(
        path.ok_or_else(|| wrong_use(signed, "is signed; give the keys of the service with --jwks"))?,
    )
}

fn verify_log(flags: &VerifyFlags, say: &mut dyn FnMut(&str)) -> Result<(), NotVerified> {
    let mut logs = Vec::new();
    let mut signed = None;
    for path in &flags.files {
        match input::open(path)? {
            Content::Log(log) => logs.push((path, log)),
            Content::Jws(jws) if signed.is_none() => signed = Some((path, jws)),
            Content::Jws(_) => return Err(wrong_use(path, "is a second checkpoint; give one")),
        }
    }
    let checkpoint = match (&signed, &flags.jwks) {
        (Some((path, jws)), _) => Some(checkpoint::verify(path, jws, &needed_keys(flags, path)?)?),
        (None, None) => None,
        (None, Some(path)) => {
            return Err(wrong_use(
                path,
                "has nothing to verify; give the signed checkpoint or manifest as well",
            ));
        }
    };
    if logs.is_empty() {
        return Err(NotVerified::WrongUse(
            "no audit log is among the files; give one, as ndjson or json".into(),
        ));
    }
    if let (Some((path, _)), Some(checkpoint)) = (&signed, &checkpoint) {
        let Checkpoint { tenant, seq, at, .. } = checkpoint;
        say(&format!("{}: genuine checkpoint of tenant {tenant}, seq {seq}, {at}", path.display()));
    }
    let mut chain = Chain::new(flags.from_seq, checkpoint);
    for (path, log) in logs {
        let before = chain.entries();
        log.read(path, &mut |entry| chain.take(entry))?;
        say(&format!("{}: {} entries{}", path.display(), chain.entries() - before, reach(&chain, before)));
    }
    chain.finish(say).map_err(NotVerified::Mismatch)
}

/// Which entries came since `before` of them were there.
fn reach(chain: &Chain, before: u64) -> String {
    match chain.last_seq() {
        Some(last) if chain.entries() > before => {
            format!(", seq {} to {last}", last - (chain.entries() - before) + 1)
        }
        _ => String::new(),
    }
}

fn wrong_use(path: &Path, what: &str) -> NotVerified {
    NotVerified::WrongUse(format!("{} {what}", path.display()))
}

fn mismatch(path: &Path, what: &str) -> NotVerified {
    NotVerified::Mismatch(format!("{}: {what}", path.display()))
}
