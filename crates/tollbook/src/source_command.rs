//! `tollbook source`: the sources of a service, from the command line.

use crate::command_line::{SourceCommand, SourceFlags};
use crate::remote::{Remote, source_path};
use crate::terminal::say;
use bytes::Bytes;
use http::Method;
use serde_json::Value;
use std::path::Path;
use tollbook_connect::settings_from_toml;
use tollbook_kit::fault::Fault;
use tollbook_kit::secret::Secret;

/// Does what the flags say.
///
/// # Errors
/// `invalid` for a file that cannot be read; what the service refuses.
pub(crate) async fn run(flags: SourceFlags) -> Result<(), Fault> {
    let remote = Remote::new(&flags.server.server, Secret::new(flags.server.token))?;
    match flags.command {
        SourceCommand::Put { alias, file } => {
            put(&remote, &alias, definition(&file)?).await.map(|stored| show(&stored))
        }
        SourceCommand::List => {
            let answer = remote.call(Method::GET, "/api/v1/sources", None, Bytes::new()).await?;
            let list: Value = serde_json::from_slice(&answer).unwrap_or_default();
            list["items"].as_array().into_iter().flatten().for_each(show);
            Ok(())
        }
        SourceCommand::Remove { alias } => {
            remote.call(Method::DELETE, &source_path(&alias), None, Bytes::new()).await?;
            say(&format!("removed {alias}; its records stay"));
            Ok(())
        }
    }
}

/// Creates or changes a source; answers it as stored.
///
/// # Errors
/// What the service refuses.
pub(crate) async fn put(remote: &Remote, alias: &str, definition: Value) -> Result<Value, Fault> {
    let body = Bytes::from(definition.to_string());
    let answer = remote.call(Method::PUT, &source_path(alias), Some("application/json"), body).await?;
    Ok(serde_json::from_slice(&answer).unwrap_or_default())
}

fn definition(file: &Path) -> Result<Value, Fault> {
    let shown = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Fault::parameter(&shown, format!("cannot be read: {error}")))?;
    let settings = settings_from_toml(&text).map_err(|fault| Fault::parameter(&shown, fault.to_string()))?;
    Ok(Value::Object(settings))
}

fn show(source: &Value) {
    let text = |name: &str| source[name].as_str().unwrap_or("-").to_owned();
    let enabled = if source["enabled"] == false { "disabled" } else { "enabled" };
    let (alias, kind, seen) = (text("pbx_alias"), text("kind"), text("last_seen_at"));
    say(&format!("{alias:<30} {kind:<20} {enabled:<9} version {:<4} last seen {seen}", source["version"]));
}
