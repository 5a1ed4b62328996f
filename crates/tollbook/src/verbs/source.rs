//! `tollbook source`: the sources of a tenant.

use super::{cell, items, say_json};
use crate::remote::{Remote, source_path};
use crate::service_flags::AskFlags;
use crate::terminal::{say, say_table};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;
use std::path::{Path, PathBuf};
use tollbook_connect::settings_from_toml;
use tollbook_kit::fault::Fault;

/// Flags of `source`.
#[derive(Debug, Args)]
pub(crate) struct SourceFlags {
    #[command(flatten)]
    ask: AskFlags,
    /// What to do with sources.
    #[command(subcommand)]
    command: SourceCommand,
}

#[derive(Debug, Subcommand)]
enum SourceCommand {
    /// Create or change a source from a TOML file.
    Put {
        /// Its name.
        alias: String,
        /// Its definition: `kind`, optionally `enabled`, and the settings of that kind.
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
    },
    /// List all sources.
    List,
    /// Remove a source; its records stay.
    Remove {
        /// Its name.
        alias: String,
    },
}

/// Does what the flags say.
///
/// # Errors
/// `invalid` for a file that cannot be read; what the service refuses.
pub(crate) async fn run(flags: SourceFlags) -> Result<(), Fault> {
    let remote = Remote::of(&flags.ask.server)?;
    let answer = match flags.command {
        SourceCommand::Put { alias, file } => put(&remote, &alias, definition(&file)?).await?,
        SourceCommand::List => remote.ask(Method::GET, "/api/v1/sources", None).await?,
        SourceCommand::Remove { alias } => {
            remote.ask(Method::DELETE, &source_path(&alias), None).await?;
            say(&format!("removed {alias}; its records stay"));
            return Ok(());
        }
    };
    if flags.ask.json {
        say_json(&answer);
    } else if answer.get("items").is_some() {
        show(items(&answer));
    } else {
        show(&[answer]);
    }
    Ok(())
}

/// Creates or changes a source; answers it as stored.
///
/// # Errors
/// What the service refuses.
pub(crate) async fn put(remote: &Remote, alias: &str, definition: Value) -> Result<Value, Fault> {
    remote.ask(Method::PUT, &source_path(alias), Some(definition)).await
}

fn definition(file: &Path) -> Result<Value, Fault> {
    let shown = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Fault::parameter(&shown, format!("cannot be read: {error}")))?;
    let settings = settings_from_toml(&text).map_err(|fault| Fault::parameter(&shown, fault.to_string()))?;
    Ok(Value::Object(settings))
}

fn show(sources: &[Value]) {
    let row = |source: &Value| {
        ["pbx_alias", "kind", "enabled", "version", "last_seen_at"].map(|member| cell(source, member))
    };
    let rows: Vec<_> = sources.iter().map(row).collect();
    say_table(["NAME", "KIND", "ENABLED", "VERSION", "LAST SEEN"], &rows);
}
