//! `tollbook link-key`: the keys that sign download links.

use super::{cell, items, say_json};
use crate::remote::{Remote, segment};
use crate::service_flags::AskFlags;
use crate::terminal::{say, say_table};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;
use tollbook_kit::fault::Fault;

const KEYS: &str = "/api/v1/link-keys";

/// Flags of `link-key`.
#[derive(Debug, Args)]
pub(crate) struct LinkKeyFlags {
    #[command(flatten)]
    ask: AskFlags,
    /// What to do with keys of links.
    #[command(subcommand)]
    command: LinkKeyCommand,
}

#[derive(Debug, Subcommand)]
enum LinkKeyCommand {
    /// List the keys, without their secrets.
    List,
    /// Make a new key, which signs from now on; links of older keys stay good.
    Rotate,
    /// Remove a key that signs no more: all its links end at once.
    Remove {
        /// Its id.
        kid: String,
    },
}

/// Does what the flags say.
///
/// # Errors
/// What the service refuses.
pub(crate) async fn run(flags: LinkKeyFlags) -> Result<(), Fault> {
    let remote = Remote::of(&flags.ask.server)?;
    let answer = match flags.command {
        LinkKeyCommand::List => remote.ask(Method::GET, KEYS, None).await?,
        LinkKeyCommand::Rotate => remote.ask(Method::POST, KEYS, None).await?,
        LinkKeyCommand::Remove { kid } => {
            remote.ask(Method::DELETE, &format!("{KEYS}/{}", segment(&kid)), None).await?;
            say(&format!("removed {kid}: its links have ended"));
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

fn show(keys: &[Value]) {
    let rows: Vec<_> =
        keys.iter().map(|key| ["kid", "created_at", "signs"].map(|member| cell(key, member))).collect();
    say_table(["KEY", "CREATED", "SIGNS"], &rows);
}
