//! The command line: subcommands and their flags. Those of verbs that ask a service stand with the verb.

use crate::export::ExportFlags;
use crate::jobs::JobsFlags;
use crate::service_flags::{ServerFlags, path};
use crate::verbs::{LinkKeyFlags, SettingsFlags, SourceFlags, TenantFlags, TokenFlags, UserFlags};
use crate::verify::VerifyFlags;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Takes in call detail records of any PBX, keeps them, and exports them.
#[derive(Debug, Parser)]
#[command(name = "tollbook", version, about, max_term_width = 100)]
pub(crate) struct CommandLine {
    /// File with settings; without one, defaults start the product.
    #[arg(long, global = true, env = "TOLLBOOK_CONFIG", value_name = "FILE", value_parser = path)]
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
    /// Export records of a service into a file, as a job or directly, and verify it.
    Export(Box<ExportFlags>),
    /// See, wait for, end or fetch the export jobs of a service.
    Jobs(JobsFlags),
    /// Set up, list or remove the sources of a service.
    Source(SourceFlags),
    /// Make, list or revoke API tokens.
    Token(TokenFlags),
    /// Make, see, change or remove users.
    User(UserFlags),
    /// Create, see, change or close tenants (as operator).
    Tenant(TenantFlags),
    /// See or change the settings of the own tenant.
    Settings(SettingsFlags),
    /// List, rotate or remove the keys that sign download links.
    LinkKey(LinkKeyFlags),
    /// Are exported files those that were signed, or is an exported audit log whole?
    Verify(VerifyFlags),
    /// Look at the settings of this machine's service.
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
    /// Print the settings in effect, and where those that are no defaults come from. No secret is among them.
    Show(ServeFlags),
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use std::path::Path;
    use tollbook_kit::secret::Secret;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn the_service_is_named_before_or_after_the_verb() {
        for line in [
            "tollbook token --server http://h:1 --token t --ca-file c.pem --json list",
            "tollbook token list --server http://h:1 --token t --ca-file c.pem --json",
            "tollbook token --json --server http://h:1 list --token t --ca-file c.pem",
        ] {
            let parsed = CommandLine::try_parse_from(line.split(' ')).expect(line);
            let Command::Token(TokenFlags { ask, .. }) = parsed.command else { panic!("{line}") };
            assert_eq!((ask.server.server.as_str(), ask.json), ("http://h:1", true), "{line}");
            assert_eq!(ask.server.token(), Some(&Secret::new("t".into())), "{line}");
            assert_eq!(ask.server.ca_file(), Some(Path::new("c.pem")), "{line}");
        }
    }

    #[test]
    fn what_is_empty_is_not_there() {
        let line = ["tollbook", "token", "list", "--token", "", "--ca-file", ""];
        let Command::Token(TokenFlags { ask, .. }) = CommandLine::try_parse_from(line).unwrap().command
        else {
            panic!("a verb of tokens")
        };
        assert_eq!((ask.server.token(), ask.server.ca_file()), (None, None));
    }

    #[test]
    fn a_token_is_not_printed_with_the_flags() {
        let parsed =
            CommandLine::try_parse_from(["tollbook", "token", "list", "--token", "hunter2"]).unwrap();
        assert!(!format!("{parsed:?}").contains("hunter2"));
    }
}
