//! tollbook: the binary. Reads the command line and the settings, and starts what they ask for.
//!
//! The only room that sees both wings; it puts them together in `assemble` and decides nothing else.

mod assemble;
mod command_line;
mod config;
mod demo;
mod export;
mod ingest;
mod jobs;
mod remote;
mod serve;
mod service_flags;
mod source_files;
mod stop;
mod terminal;
mod verbs;
mod verify;

use clap::Parser;
use command_line::{Command, CommandLine, ConfigCommand};
use config::{Config, Layers};
use serve::HandedIn;
use std::process::ExitCode;
use tollbook_kit::fault::{Code, Fault, ResultExt};
use tollbook_kit::secret::Secret;
use tollbook_kit::telemetry::{self, LogFormat};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match start(CommandLine::parse()) {
        Ok(code) => code,
        Err(fault) => {
            complain(&fault);
            ExitCode::FAILURE
        }
    }
}

fn start(line: CommandLine) -> Result<ExitCode, Fault> {
    // A variable that is there and empty names no file.
    let file = line.config.filter(|file| !file.as_os_str().is_empty());
    let layers = |flags| Layers { file: file.clone(), environment: environment(), flags };
    let done = match line.command {
        Command::Serve(flags) => run_service(&layers(flags.settings()), serve),
        Command::Demo(flags) => run_service(&layers(demo::settings(&flags)), demo::run),
        Command::Ingest(flags) => run_client(ingest::run(flags)),
        // Their codes tell how the job ended.
        Command::Export(flags) => return run_client(export::run(*flags)),
        Command::Jobs(flags) => return run_client(jobs::run(flags)),
        Command::Source(flags) => run_client(verbs::source(flags)),
        Command::Token(flags) => run_client(verbs::token(flags)),
        Command::User(flags) => run_client(verbs::user(flags)),
        Command::Tenant(flags) => run_client(verbs::tenant(flags)),
        Command::Settings(flags) => run_client(verbs::settings(flags)),
        Command::LinkKey(flags) => run_client(verbs::link_key(flags)),
        Command::Config(flags) => {
            let ConfigCommand::Show(flags) = flags.command;
            terminal::say(config::shown(&layers(flags.settings()))?.trim_end());
            Ok(())
        }
        // Its code tells whether the files or the flags were wrong.
        Command::Verify(flags) => return Ok(verify::run(&flags)),
    };
    done.map(|()| ExitCode::SUCCESS)
}

async fn serve(config: Config, handed_in: HandedIn) -> Result<(), Fault> {
    let data = config.data.display().to_string();
    let service = serve::Service::start(config, &handed_in).await?;
    terminal::say(&format!("tollbook serves at {}, its data is in {data}", service.address));
    if let Some(address) = service.metrics {
        terminal::say(&format!("metrics at http://{address}/metrics"));
    }
    if let Some(certificate) = &service.own_certificate {
        terminal::say(&format!("clients trust its certificate by --ca-file {}", certificate.display()));
    }
    if let Some(token) = &service.first_token {
        let token = token.reveal();
        terminal::say(&format!(
            "first start: this admin token, with the role operator, is shown once, keep it safe\n\n  {token}\n"
        ));
    }
    service.run().await
}

/// Runs the service in this process, with the settings of these layers.
fn run_service<Done>(layers: &Layers, serve: impl FnOnce(Config, HandedIn) -> Done) -> Result<(), Fault>
where
    Done: Future<Output = Result<(), Fault>>,
{
    let config = config::read(layers)?;
    telemetry::start(config.log.format, &config.log.filter)?;
    run(serve(config, handed_in()))
}

/// Runs a client of a service.
fn run_client<Done>(command: impl Future<Output = Result<Done, Fault>>) -> Result<Done, Fault> {
    telemetry::start(LogFormat::Text, "warn")?;
    run(command)
}

fn run<Done>(command: impl Future<Output = Result<Done, Fault>>) -> Result<Done, Fault> {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().fault("starting the runtime")?;
    runtime.block_on(command)
}

/// The environment's variables; those that are no text cannot be ours.
fn environment() -> Vec<(String, String)> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// What the environment holds besides settings. An empty secret is a wrong one, not none: somebody meant to set it.
fn handed_in() -> HandedIn {
    let secret = |name| std::env::var_os(name).map(|text| Secret::new(text.to_string_lossy().into_owned()));
    HandedIn { token: secret("TOLLBOOK_BOOTSTRAP_TOKEN"), sealing_key: secret("TOLLBOOK_SEALING_KEY") }
}

/// Says on standard error what went wrong; of our own mistakes also the inner story, since nobody else will.
fn complain(fault: &Fault) {
    terminal::complain(fault.message());
    for detail in fault.details().iter().skip(1) {
        terminal::complain(&format!("{}: {}", detail.name, detail.reason));
    }
    if fault.code() == Code::Internal {
        terminal::complain(&fault.log_text());
    }
}
