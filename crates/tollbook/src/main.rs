//! tollbook: the binary. Reads the command line and the settings, and starts what they ask for.
//!
//! The only room that sees both wings; it puts them together in `assemble` and decides nothing else.

mod assemble;
mod command_line;
mod config;
mod demo;
mod ingest;
mod remote;
mod serve;
mod source_command;
mod source_files;
mod stop;
mod terminal;

use clap::Parser;
use command_line::{Command, CommandLine, ConfigCommand};
use config::{Config, Layers, effective};
use std::process::ExitCode;
use tollbook_kit::fault::{Code, Fault, ResultExt};
use tollbook_kit::secret::Secret;
use tollbook_kit::telemetry::{self, LogFormat};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match start(CommandLine::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            complain(&fault);
            ExitCode::FAILURE
        }
    }
}

fn start(line: CommandLine) -> Result<(), Fault> {
    let layers = |flags| Layers { file: line.config.clone(), environment: environment(), flags };
    match line.command {
        Command::Serve(flags) => {
            let config = Config::check(effective(&layers(flags.settings()))?)?;
            telemetry::start(config.log.format, &config.log.filter);
            run(serve(config))
        }
        Command::Demo(flags) => {
            let config = Config::check(effective(&layers(demo::settings(&flags)))?)?;
            telemetry::start(config.log.format, &config.log.filter);
            run(demo::run(config, own_token()))
        }
        Command::Ingest(flags) => {
            telemetry::start(LogFormat::Text, "warn");
            run(ingest::run(flags))
        }
        Command::Source(flags) => {
            telemetry::start(LogFormat::Text, "warn");
            run(source_command::run(flags))
        }
        Command::Config(flags) => {
            let ConfigCommand::Show(flags) = flags.command;
            let settings = effective(&layers(flags.settings()))?;
            Config::check(settings.clone())?;
            terminal::say(toml::to_string(&settings).fault("printing settings")?.trim_end());
            Ok(())
        }
    }
}

async fn serve(config: Config) -> Result<(), Fault> {
    let data = config.data.display().to_string();
    let service = serve::Service::start(config, own_token().as_ref()).await?;
    terminal::say(&format!("tollbook serves at http://{}, its data is in {data}", service.address));
    if let Some(token) = &service.first_token {
        let token = token.reveal();
        terminal::say(&format!("first start: this admin token is shown once, keep it safe\n\n  {token}\n"));
    }
    service.run().await
}

fn run(command: impl Future<Output = Result<(), Fault>>) -> Result<(), Fault> {
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

/// The operator's own first token. A secret, so neither a setting nor a flag.
fn own_token() -> Option<Secret<String>> {
    std::env::var("TOLLBOOK_BOOTSTRAP_TOKEN").ok().map(Secret::new)
}

/// Says on standard error what went wrong; of our own mistakes also the inner story, since nobody else will.
#[allow(clippy::print_stderr, reason = "the one place that complains to the terminal")]
fn complain(fault: &Fault) {
    eprintln!("tollbook: {}", fault.message());
    for detail in fault.details().iter().skip(1) {
        eprintln!("tollbook: {}: {}", detail.name, detail.reason);
    }
    if fault.code() == Code::Internal {
        eprintln!("tollbook: {}", fault.log_text());
    }
}
