//! `tollbook settings`: the settings of the own tenant.

use super::{assignments, say_json, say_members, secrets};
use crate::remote::Remote;
use crate::service_flags::AskFlags;
use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;
use std::path::PathBuf;
use tollbook_kit::fault::Fault;

const PATH: &str = "/api/v1/settings";

/// Flags of `settings`.
#[derive(Debug, Args)]
pub(crate) struct SettingsFlags {
    #[command(flatten)]
    ask: AskFlags,
    /// What to do with settings.
    #[command(subcommand)]
    command: SettingsCommand,
}

#[derive(Debug, Subcommand)]
enum SettingsCommand {
    /// Show the settings.
    Show,
    /// Change settings, such as retention.cdr_days=30.
    Set(ChangeFlags),
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct ChangeFlags {
    /// What to change, under the names that `show` prints.
    #[arg(value_name = "NAME=VALUE")]
    settings: Vec<String>,
    /// File with the secret that signs callbacks, 8 to 128 printable ASCII characters; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    callback_secret_file: Option<PathBuf>,
    /// Sign callbacks no more.
    #[arg(long, conflicts_with = "callback_secret_file")]
    no_callback_secret: bool,
}

/// Does what the flags say.
///
/// # Errors
/// `invalid` for words that are no settings and a file that cannot be read; what the service refuses.
pub(crate) async fn run(flags: SettingsFlags) -> Result<(), Fault> {
    let remote = Remote::of(&flags.ask.server)?;
    let answer = match flags.command {
        SettingsCommand::Show => remote.ask(Method::GET, PATH, None).await?,
        SettingsCommand::Set(change) => {
            let mut body = assignments::settings(&change.settings)?;
            if let Some(file) = &change.callback_secret_file {
                body["callback_secret"] = secrets::of_file(file)?.reveal().as_str().into();
            }
            if change.no_callback_secret {
                body["callback_secret"] = Value::Null;
            }
            remote.ask(Method::PATCH, PATH, Some(body)).await?
        }
    };
    if flags.ask.json {
        say_json(&answer);
    } else {
        say_members(&answer, "");
    }
    Ok(())
}
