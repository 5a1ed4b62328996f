//! `tollbook jobs`: export jobs of a service, followed, ended, and fetched. What is exported is ordered with `tollbook
//! export`.

mod download;
mod fetch;
mod job;
mod progress;
mod sink;

pub(crate) use fetch::{FetchFlags, fetch, set_aside};
pub(crate) use job::Job;
pub(crate) use progress::Display;
pub(crate) use sink::{Sink, is_plain};

use crate::remote::{Remote, segment};
use crate::service_flags::AskFlags;
use crate::stop;
use crate::terminal::{complain, say, say_table};
use crate::verbs::{cell, items, say_json, say_members};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;
use tollbook_kit::fault::{Code, Fault};
use tollbook_model::export_job::JobState;

/// Exit code: the job failed, was cancelled, or its files are removed.
const ENDED_OTHERWISE: u8 = 3;
/// Exit code: stopped by a signal; the job goes on without us.
const STOPPED: u8 = 130;

/// Flags of `jobs`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 done; 1 refused, not reached, or a file is not as it was told; 2 wrong use; 3 the job \
                        failed, was cancelled or is expired; 130 stopped, while the job goes on."
)]
pub(crate) struct JobsFlags {
    #[command(flatten)]
    ask: AskFlags,
    /// What to do with jobs.
    #[command(subcommand)]
    command: JobsCommand,
}

#[derive(Debug, Subcommand)]
enum JobsCommand {
    /// List jobs, the newest first.
    List(ListFlags),
    /// Show a job.
    Show {
        /// Its id.
        id: String,
    },
    /// Wait until a job has ended.
    Wait {
        /// Its id.
        id: String,
    },
    /// Cancel a job that waits or runs.
    Cancel {
        /// Its id.
        id: String,
    },
    /// Remove the files of a job and end its links; one that has not ended is cancelled.
    Delete {
        /// Its id.
        id: String,
    },
    /// Wait for a job, fetch what it made, going on with a broken download, and verify it.
    Download {
        /// Its id.
        id: String,
        #[command(flatten)]
        fetch: FetchFlags,
    },
}

#[derive(Debug, Args)]
struct ListFlags {
    /// Only those in this state; repeat it for several.
    #[arg(long, value_name = "S")]
    status: Vec<String>,
    /// Only those of this dataset; repeat it for several.
    #[arg(long, value_name = "D")]
    dataset: Vec<String>,
    /// Only those ordered through this API: native, didww or omilia; repeat it for several.
    #[arg(long, value_name = "D")]
    dialect: Vec<String>,
    /// Only those ordered from then on (date or date-time).
    #[arg(long, value_name = "T")]
    created_from: Option<String>,
    /// Only those ordered before then.
    #[arg(long, value_name = "T")]
    created_to: Option<String>,
    /// At most so many, 1 to 200.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    /// Go on where an earlier list ended.
    #[arg(long, value_name = "C")]
    cursor: Option<String>,
}

/// Does what the flags say.
///
/// # Errors
/// What the service refuses; as [`fetch`].
pub(crate) async fn run(flags: JobsFlags) -> Result<ExitCode, Fault> {
    let remote = Remote::of(&flags.ask.server)?;
    let json = flags.ask.json;
    match flags.command {
        JobsCommand::List(list) => list_jobs(&remote, &list, json).await?,
        JobsCommand::Show { id } => show(&Job::of(ask_for(&remote, Method::GET, &id).await?)?.answer, json),
        JobsCommand::Wait { id } => return unless_stopped(&id, None, wait(remote, &id, json)).await,
        JobsCommand::Cancel { id } => cancel(&remote, &id, json).await?,
        JobsCommand::Delete { id } => end(&remote, &id, json).await?,
        JobsCommand::Download { id, fetch: flags } => {
            flags.check()?;
            let work = fetch(remote, &id, &flags, true, json);
            return unless_stopped(&id, flags.output.as_ref(), work).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn ask_for(remote: &Remote, method: Method, id: &str) -> Result<Value, Fault> {
    remote.ask(method, &job::path(id), None).await
}

async fn list_jobs(remote: &Remote, list: &ListFlags, json: bool) -> Result<(), Fault> {
    let several = [("status", &list.status), ("dataset", &list.dataset), ("dialect", &list.dialect)];
    let several =
        several.into_iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
    let single =
        [("created_from", &list.created_from), ("created_to", &list.created_to), ("cursor", &list.cursor)];
    let single = single.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?)));
    let mut path = format!("/api/v1/export-jobs?limit={}", list.limit);
    for (name, value) in several.chain(single) {
        path.push_str(&format!("&{name}={}", segment(value)));
    }
    let answer = remote.ask(Method::GET, &path, None).await?;
    if json {
        say_json(&answer);
        return Ok(());
    }
    let row = |job: &Value| {
        let mut row = ["id", "dataset", "format", "status", "", "rows", "created_at", "external_reference"]
            .map(|member| cell(job, member));
        row[4] = cell(&job["progress"], "percent");
        row
    };
    let rows: Vec<_> = items(&answer).iter().map(row).collect();
    say_table(["ID", "DATASET", "FORMAT", "STATUS", "%", "RECORDS", "CREATED", "REFERENCE"], &rows);
    if let Some(cursor) = answer["next_cursor"].as_str() {
        say(&format!("\nThere are more: add --cursor {cursor}"));
    }
    Ok(())
}

/// Prints a job; links are told only with `--json`, as whoever has one needs no token.
pub(crate) fn show(job: &Value, json: bool) {
    if json {
        say_json(job);
        return;
    }
    let mut shown = job.clone();
    for member in ["files", "download_url", "download_url_expires_at", "manifest_url"] {
        shown.as_object_mut().and_then(|members| members.shift_remove(member));
    }
    say_members(&shown, "");
    for file in job["files"].as_array().into_iter().flatten() {
        let [name, rows, bytes, sha256] =
            ["name", "rows", "bytes", "sha256"].map(|member| cell(file, member));
        say(&format!("file {name}: {rows} records, {bytes} bytes, SHA-256 {sha256}"));
    }
}

async fn wait(remote: Remote, id: &str, json: bool) -> Result<ExitCode, Fault> {
    let mut display = Display::new();
    let remote = remote.with_notice(display.notice());
    let job = fetch::wait(&remote, id, &mut display).await?;
    drop(display);
    if job.state != JobState::Ready {
        return Ok(ended_otherwise(&job, json));
    }
    show(&job.answer, json);
    Ok(ExitCode::SUCCESS)
}

/// Says how a job ended that made no file.
fn ended_otherwise(job: &Job, json: bool) -> ExitCode {
    complain(&job.end_in_words());
    if json {
        say_json(&job.answer);
    }
    ExitCode::from(ENDED_OTHERWISE)
}

async fn cancel(remote: &Remote, id: &str, json: bool) -> Result<(), Fault> {
    let job = Job::look_up(remote, id).await?;
    match job.state {
        JobState::Queued | JobState::Running => end(remote, id, json).await,
        JobState::Ready => {
            let text = format!("job {id} is ready; `tollbook jobs delete {id}` removes its files");
            Err(Fault::new(Code::Conflict, text))
        }
        JobState::Failed | JobState::Cancelled | JobState::Expired => {
            show(&job.answer, json);
            Ok(())
        }
    }
}

/// Cancels a job or removes its files, whichever it is time for, and shows what it is now.
async fn end(remote: &Remote, id: &str, json: bool) -> Result<(), Fault> {
    ask_for(remote, Method::DELETE, id).await?;
    show(&ask_for(remote, Method::GET, id).await?, json);
    Ok(())
}

/// Works on a job until a signal comes; then says how to go on, as the job does so by itself. So does a fault that leaves
/// the job to be fetched.
///
/// # Errors
/// Those of `work`.
pub(crate) async fn unless_stopped(
    id: &str,
    output: Option<&PathBuf>,
    work: impl Future<Output = Result<ExitCode, Fault>>,
) -> Result<ExitCode, Fault> {
    let output = output.filter(|output| output.as_os_str() != "-");
    let to = output.map_or_else(String::new, |output| format!(" --output '{}'", output.display()));
    let hint = format!("`tollbook jobs download {id}{to}` goes on");
    tokio::select! {
        outcome = work => {
            let may_go_on = |fault: &Fault| {
                matches!(fault.code(), Code::Unavailable | Code::Timeout | Code::StorageFull)
            };
            if outcome.as_ref().is_err_and(may_go_on) {
                complain(&hint);
            }
            outcome
        }
        signal = stop::signalled() => {
            complain(&format!("stopped by {}; job {id} stays as it is, and {hint}", signal?));
            Ok(ExitCode::from(STOPPED))
        }
    }
}
