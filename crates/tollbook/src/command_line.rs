//! The command line: subcommands and their flags.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Takes in call detail records of any PBX, keeps them, and exports them.
#[derive(Debug, Parser)]
#[command(name = "tollbook", version, about, max_term_width = 100)]
pub(crate) struct CommandLine {
    /// File with settings; without one, defaults start the product.
    #[arg(long, global = true, env = "TOLLBOOK_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the service.
    Serve(ServeFlags),
    /// Show what it does: run the service on sample data, export, and keep serving.
    Demo(ServeFlags),
    /// Send files of a PBX to a service.
    Ingest(IngestFlags),
    /// Set up, list or remove the sources of a service.
    Source(SourceFlags),
    /// Look at settings.
    Config(ConfigFlags),
}

/// Flags of the service; each is stronger than its variable and its key in the file.
#[derive(Debug, Default, Args)]
pub(crate) struct ServeFlags {
    /// Folder of everything that is kept (also TOLLBOOK_DATA).
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<String>,
    /// Host and port to listen on (also TOLLBOOK_LISTEN).
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
}

impl ServeFlags {
    /// The flags that were given, as settings.
    pub(crate) fn settings(&self) -> Vec<(&'static str, String)> {
        let given = [("data", &self.data), ("listen", &self.listen)];
        given.into_iter().filter_map(|(path, text)| text.clone().map(|text| (path, text))).collect()
    }
}

/// Which service a command talks to.
#[derive(Debug, Args)]
pub(crate) struct ServerFlags {
    /// Base URL of the service.
    #[arg(long, env = "TOLLBOOK_SERVER", value_name = "URL", default_value = "http://127.0.0.1:8443")]
    pub(crate) server: String,
    /// Token for it.
    #[arg(long, env = "TOLLBOOK_TOKEN", value_name = "T", hide_env_values = true)]
    pub(crate) token: String,
}

/// Flags of `ingest`.
#[derive(Debug, Args)]
pub(crate) struct IngestFlags {
    #[command(flatten)]
    pub(crate) server: ServerFlags,
    /// Name of the source that the files come from; set it up first with `tollbook source put`.
    #[arg(long, value_name = "A")]
    pub(crate) pbx_alias: String,
    /// Keep the good rows of a file that has bad ones, instead of none of it.
    #[arg(long)]
    pub(crate) skip_bad_rows: bool,
    /// Files, and folders of files. Those ending in .gz are unpacked.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

/// Flags of `source`.
#[derive(Debug, Args)]
pub(crate) struct SourceFlags {
    #[command(flatten)]
    pub(crate) server: ServerFlags,
    /// What to do with sources.
    #[command(subcommand)]
    pub(crate) command: SourceCommand,
}

/// What to do with sources.
#[derive(Debug, Subcommand)]
pub(crate) enum SourceCommand {
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

/// Flags of `config`.
#[derive(Debug, Args)]
pub(crate) struct ConfigFlags {
    /// What to look at.
    #[command(subcommand)]
    pub(crate) command: ConfigCommand,
}

/// What to look at.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the settings in effect. No secret is among them.
    Show(ServeFlags),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
