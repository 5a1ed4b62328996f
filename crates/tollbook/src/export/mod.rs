//! `tollbook export`: records of a service into a file here. Orders a job, follows it, fetches what it made and verifies it;
//! or streams the export directly, or only asks how large it would be.

mod direct;
mod parameters;

use crate::jobs::{self, FetchFlags, Job};
use crate::remote::{Remote, segment};
use crate::service_flags::AskFlags;
use crate::terminal::{complain, say};
use crate::verbs::{cell, say_json};
use clap::Args;
use http::Method;
use parameters::{OrderFlags, ParameterFlags, Parameters};
use std::process::ExitCode;
use std::sync::Arc;
use tollbook_kit::clock::SystemClock;
use tollbook_kit::fault::Fault;
use tollbook_kit::ids::{IdSource, SystemRandomness};

/// Flags of `export`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 done; 1 refused, not reached, or a file is not as it was told; 2 wrong use; 3 the job \
                        failed, was cancelled or is expired; 130 stopped, while the job goes on."
)]
pub(crate) struct ExportFlags {
    #[command(flatten)]
    ask: AskFlags,
    /// What to export: cdr, kpis, audit-log, agent-configuration, or a dataset of events.
    dataset: String,
    #[command(flatten)]
    parameters: ParameterFlags,
    #[command(flatten)]
    order: OrderFlags,
    #[command(flatten)]
    fetch: FetchFlags,
    /// Stream the export while it is made, without a job: a broken one begins again.
    #[arg(long, conflicts_with_all = ["callback_url", "notify_email", "reference"])]
    direct: bool,
    /// Order the job and print it, without waiting for it.
    #[arg(long, conflicts_with_all = ["direct", "output", "manifest", "jwks"])]
    no_wait: bool,
    /// Only say how large the export would be.
    #[arg(long, conflicts_with_all = ["direct", "no_wait", "output", "manifest", "jwks"])]
    estimate: bool,
}

/// Does what the flags say.
///
/// # Errors
/// What the service refuses; as [`jobs::fetch`] and [`direct::run`].
pub(crate) async fn run(flags: ExportFlags) -> Result<ExitCode, Fault> {
    let remote = Remote::of(&flags.ask.server)?;
    let ExportFlags { dataset, fetch, .. } = &flags;
    fetch.check()?;
    let json = flags.ask.json;
    let parameters = Parameters::of(&flags.parameters);
    let path = format!("/api/v1/{}", segment(dataset));
    if flags.estimate {
        return estimate(&remote, &format!("{path}/export/estimate?{}", parameters.query()), json).await;
    }
    if flags.direct {
        let path = format!("{path}/export?{}", parameters.query());
        direct::run(remote, &path, fetch, flags.parameters.is_signed(), json).await?;
        return Ok(ExitCode::SUCCESS);
    }
    // With a key of its own the order may be sent again when its answer was lost.
    let key = IdSource::new(Arc::new(SystemClock::new()), Arc::new(SystemRandomness)).next_id().to_string();
    let order = parameters.with(&flags.order).body();
    let job = Job::of(remote.order(&format!("{path}/export-jobs"), &key, &order).await?)?;
    if flags.no_wait {
        jobs::show(&job.answer, json);
        return Ok(ExitCode::SUCCESS);
    }
    let id = &job.told.id;
    complain(&format!("ordered as job {id}"));
    jobs::unless_stopped(id, fetch.output.as_ref(), jobs::fetch(remote, id, fetch, false, json)).await
}

async fn estimate(remote: &Remote, path: &str, json: bool) -> Result<ExitCode, Fault> {
    let answer = remote.ask(Method::GET, path, None).await?;
    if json {
        say_json(&answer);
    } else {
        let [rows, bytes, mode] = ["rows", "bytes", "mode"].map(|member| cell(&answer, member));
        say(&format!("about {rows} records and {bytes} bytes; advised: {mode}"));
    }
    Ok(ExitCode::SUCCESS)
}
