//! Flags that name the service that a command talks to, and how it shows what the service says.

use clap::Args;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use tollbook_kit::secret::Secret;

/// Heading of the flags that name a service.
const SERVICE: &str = "Service";

/// Which service a command talks to. They may stand before or after the verb.
#[derive(Debug, Args)]
pub(crate) struct ServerFlags {
    /// Base URL of the service.
    #[arg(
        long,
        global = true,
        env = "TOLLBOOK_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:8443",
        help_heading = SERVICE
    )]
    pub(crate) server: String,
    /// Token for it. In the environment nobody else on the machine sees it.
    #[arg(
        long,
        global = true,
        env = "TOLLBOOK_TOKEN",
        value_name = "T",
        hide_env_values = true,
        value_parser = secret,
        help_heading = SERVICE
    )]
    token: Option<Secret<String>>,
    /// PEM file of the certificate to trust, for a service with one of its own.
    #[arg(
        long,
        global = true,
        env = "TOLLBOOK_CA_FILE",
        value_name = "FILE",
        value_parser = path,
        help_heading = SERVICE
    )]
    ca_file: Option<PathBuf>,
}

impl ServerFlags {
    /// The token; a variable that is there and empty is none.
    pub(crate) fn token(&self) -> Option<&Secret<String>> {
        self.token.as_ref().filter(|token| !token.reveal().is_empty())
    }

    /// The certificate to trust; a variable that is there and empty names none.
    pub(crate) fn ca_file(&self) -> Option<&Path> {
        self.ca_file.as_deref().filter(|file| !file.as_os_str().is_empty())
    }
}

/// Flags of every verb that asks a service and prints what it says.
#[derive(Debug, Args)]
pub(crate) struct AskFlags {
    #[command(flatten)]
    pub(crate) server: ServerFlags,
    /// Print the answer as JSON, for scripts.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

fn secret(text: &str) -> Result<Secret<String>, Infallible> {
    Ok(Secret::new(text.to_owned()))
}

/// A path, however it is spelt; an empty one, too, as a variable may be there and empty.
pub(crate) fn path(text: &str) -> Result<PathBuf, Infallible> {
    Ok(PathBuf::from(text))
}
