//! From a job to its files here: waits for its end, fetches every file and the manifest, verifies them, and only then gives
//! them their names.

use super::download::{Download, link_path};
use super::job::{Job, JobFile};
use super::progress::Display;
use super::sink::{Sink, unwritable};
use crate::remote::{NOT_OURS, Remote};
use crate::terminal::{complain, say};
use crate::verbs::say_json;
use crate::verify::{FetchedFile, verify_fetched};
use clap::Args;
use http::Method;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tollbook_connect::client::ApiRequest;
use tollbook_kit::fault::{Code, Fault};
use tollbook_model::export_job::JobState;
use tollbook_model::jws::JwsKeys;

/// Longest wait between two looks at a job; small jobs are looked at more often in the beginning.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Public keys of the service.
const KEYS: &str = "/.well-known/jwks.json";

/// Where files go, and how they are verified.
#[derive(Debug, Clone, Args)]
pub(crate) struct FetchFlags {
    /// File or folder to write, instead of a file in this folder; `-` is standard output.
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Keep the signed manifest in this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) manifest: Option<PathBuf>,
    /// Verify with these keys, instead of those that the service publishes now.
    #[arg(long, value_name = "FILE")]
    pub(crate) jwks: Option<PathBuf>,
}

impl FetchFlags {
    /// Does the file go to standard output?
    pub(crate) fn is_output(&self) -> bool {
        self.output.as_deref() == Some(Path::new("-"))
    }

    /// Finds out what can be known to go wrong before anything is ordered.
    ///
    /// # Errors
    /// `invalid`, when there is no such folder, or no keys are in the file.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let output = self.output.as_deref().filter(|_| !self.is_output());
        for (flag, path) in [("--output", output), ("--manifest", self.manifest.as_deref())] {
            // `out/` names a folder, as its end says, though its parent is none.
            let is_folder = |path: &&Path| path.as_os_str().as_encoded_bytes().ends_with(b"/");
            let named = path.filter(is_folder).or_else(|| path.and_then(Path::parent));
            let folder = named.filter(|folder| !folder.as_os_str().is_empty());
            if folder.is_some_and(|folder| !folder.is_dir()) {
                return Err(Fault::parameter(flag, "names a folder that is not there; make it first"));
            }
        }
        self.own_keys().map(drop)
    }

    /// Where a file goes that the service calls `name`.
    ///
    /// # Errors
    /// As [`Sink::file`].
    pub(crate) fn sink(&self, name: &str, resume: bool) -> Result<Sink, Fault> {
        match &self.output {
            None => Sink::file(Path::new(name), resume),
            Some(_) if self.is_output() => Ok(Sink::output()),
            Some(folder) if folder.is_dir() => Sink::file(&folder.join(name), resume),
            Some(file) => Sink::file(file, resume),
        }
    }

    /// Says what was made, on standard output unless that is the file itself.
    pub(crate) fn tell(&self, text: &str) {
        if self.is_output() { complain(text) } else { say(text) }
    }

    /// The keys to verify with.
    ///
    /// # Errors
    /// `invalid` when a file holds none; what the service refuses.
    pub(crate) async fn keys(&self, remote: &Remote) -> Result<JwsKeys, Fault> {
        match self.own_keys()? {
            Some(keys) => Ok(keys),
            None => {
                let published = JwsKeys::from_jwks(&remote.look_up(KEYS).await?);
                published.ok_or_else(|| Fault::new(Code::Unavailable, NOT_OURS))
            }
        }
    }

    /// The keys of the named file, if one is named.
    fn own_keys(&self) -> Result<Option<JwsKeys>, Fault> {
        let Some(file) = &self.jwks else { return Ok(None) };
        let wrong = |reason: String| Fault::parameter(file.display().to_string(), reason);
        let text =
            std::fs::read_to_string(file).map_err(|error| wrong(format!("cannot be read: {error}")))?;
        let set: Value = serde_json::from_str(&text).unwrap_or_default();
        let keys = JwsKeys::from_jwks(&set);
        let reason = "is no JWK Set; fetch it from /.well-known/jwks.json of the service";
        keys.map(Some).ok_or_else(|| wrong(reason.into()))
    }

    /// Keeps a manifest where the flags say.
    ///
    /// # Errors
    /// `storage_full`, or `invalid` when it cannot be written.
    pub(crate) fn keep_manifest(&self, manifest: &str) -> Result<(), Fault> {
        let Some(path) = &self.manifest else { return Ok(()) };
        std::fs::write(path, manifest).map_err(|error| unwritable(path, &error))
    }

    /// Refuses to keep a manifest that there is none of.
    ///
    /// # Errors
    /// `invalid`, when one is wanted.
    pub(crate) fn refuse_unsigned(&self) -> Result<(), Fault> {
        if self.manifest.is_none() {
            return Ok(());
        }
        Err(Fault::parameter("--manifest", "the export is not signed; order it with --sign manifest"))
    }
}

/// Waits until a job has ended, and shows how far it is.
///
/// # Errors
/// As [`Job::look_up`].
pub(crate) async fn wait(remote: &Remote, id: &str, display: &mut Display) -> Result<Job, Fault> {
    let mut rest = FIRST_WAIT;
    loop {
        let job = Job::look_up(remote, id).await?;
        display.job(&job);
        if job.state.has_ended() {
            return Ok(job);
        }
        tokio::time::sleep(rest).await;
        rest = (rest * 2).min(LONGEST_WAIT);
    }
}

/// Waits for a job, and fetches what it made. Answers 0, or 3 when it ended otherwise.
///
/// # Errors
/// As [`wait`] and [`Download::run`]; `invalid` when anything is not as it was signed.
pub(crate) async fn fetch(
    remote: Remote,
    id: &str,
    flags: &FetchFlags,
    resume: bool,
    json: bool,
) -> Result<ExitCode, Fault> {
    let mut display = Display::new();
    let remote = remote.with_notice(display.notice());
    let job = wait(&remote, id, &mut display).await?;
    if job.state != JobState::Ready {
        drop(display);
        return Ok(super::ended_otherwise(&job, json && !flags.is_output()));
    }
    if job.told.manifest_url.is_none() {
        flags.refuse_unsigned()?;
    }
    let named_file = flags.output.as_deref().is_some_and(|output| !output.is_dir());
    if named_file && job.told.files.len() != 1 {
        let text = format!("the job has {} files: name a folder for them", job.told.files.len());
        return Err(Fault::parameter("--output", text));
    }
    let mut sinks = Vec::with_capacity(job.told.files.len());
    for (at, file) in job.told.files.iter().enumerate() {
        let mut sink = flags.sink(&file.name, resume)?;
        Download { remote: &remote, job: &job, at, display: &display }.run(&mut sink).await?;
        sinks.push(sink);
    }
    let is_signed = prove(&remote, &job, &sinks, flags).await?;
    sinks.iter().try_for_each(Sink::keep)?;
    drop(display);
    if json && !flags.is_output() {
        say_json(&job.answer);
        return Ok(ExitCode::SUCCESS);
    }
    for (file, sink) in job.told.files.iter().zip(&sinks) {
        flags.tell(&made(file, sink, is_signed));
    }
    Ok(ExitCode::SUCCESS)
}

/// What became of a file, in words.
fn made(file: &JobFile, sink: &Sink, is_signed: bool) -> String {
    let name = sink.target().map_or_else(|| file.name.clone(), |target| target.display().to_string());
    let signed = if is_signed { ", as its signed manifest says" } else { "" };
    format!("{name}: {} records, {} bytes, SHA-256 {}{signed}", file.rows, file.bytes, file.sha256)
}

/// Holds the files against the manifest of the job, if it has one: was there one?
async fn prove(remote: &Remote, job: &Job, sinks: &[Sink], flags: &FetchFlags) -> Result<bool, Fault> {
    if job.told.manifest_url.is_none() {
        return Ok(false);
    }
    let keys = flags.keys(remote).await?;
    // Asked anew: while the files came, the link may have ended.
    let now = Job::look_up_ready(remote, &job.told.id).await?;
    let link = link_path(now.told.manifest_url.as_deref().unwrap_or_default())?;
    let manifest = remote.fetch(ApiRequest::new(Method::GET, link).without_token()).await?;
    let manifest = String::from_utf8_lossy(&manifest).into_owned();
    let fetched: Vec<_> = job.told.files.iter().zip(sinks).map(fetched).collect();
    match verify_fetched(&job.told.id, &manifest, &keys, &fetched) {
        Ok(()) => flags.keep_manifest(&manifest).map(|()| true),
        Err(fault) => Err(set_aside(&fault, sinks)?),
    }
}

fn fetched<'f>((file, sink): (&'f JobFile, &'f Sink)) -> FetchedFile<'f> {
    FetchedFile { name: &file.name, bytes: sink.written(), sha256: sink.sha256(), path: sink.path() }
}

/// What did not verify is not kept under its name; says so with the reason.
///
/// # Errors
/// As [`Sink::set_aside`].
pub(crate) fn set_aside(why: &Fault, sinks: &[Sink]) -> Result<Fault, Fault> {
    let aside = sinks.iter().map(Sink::set_aside).collect::<Result<Vec<_>, _>>()?;
    Ok(Fault::new(Code::Invalid, format!("{}; {}", why.message(), aside.join("; "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_is_found_before_anything_is_ordered() {
        let here = std::env::temp_dir();
        for (output, is_right) in [
            ("calls.csv".into(), true),
            ("-".into(), true),
            (here.clone(), true),
            (here.join(""), true),
            (here.join("calls.csv"), true),
            ("no-such-folder/".into(), false),
            (here.join("no-such-folder/"), false),
            (here.join("no-such-folder/calls.csv"), false),
        ] {
            let flags = FetchFlags { output: Some(output.clone()), manifest: None, jwks: None };
            assert_eq!(flags.check().is_ok(), is_right, "{}", output.display());
        }
    }
}
