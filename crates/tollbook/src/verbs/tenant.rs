//! `tollbook tenant`: the tenants of a service, for its operator.

use super::{assignments, cell, items, say_json, say_members};
use crate::remote::{Remote, segment};
use crate::service_flags::AskFlags;
use crate::terminal::{say, say_table};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::Value;
use tollbook_kit::fault::{Code, Fault};

/// Flags of `tenant`.
#[derive(Debug, Args)]
pub(crate) struct TenantFlags {
    #[command(flatten)]
    ask: AskFlags,
    /// What to do with tenants.
    #[command(subcommand)]
    command: TenantCommand,
}

#[derive(Debug, Subcommand)]
enum TenantCommand {
    /// Create a tenant.
    Create {
        /// Its name: letters, digits and . _ -
        name: String,
        /// A setting or quota, as `set` takes it; repeat it for several.
        #[arg(long = "setting", value_name = "NAME=VALUE")]
        settings: Vec<String>,
    },
    /// List the tenants.
    List,
    /// Show a tenant with its settings and quotas.
    Show {
        /// Its name.
        name: String,
    },
    /// Change settings (retention.cdr_days=30) and quotas (quota.running_jobs=8, quota.stored_bytes=none).
    Set {
        /// Its name.
        name: String,
        /// What to change.
        #[arg(required = true, value_name = "NAME=VALUE")]
        settings: Vec<String>,
    },
    /// End a tenant: nothing goes in any more, exports work for 30 days, then its data is deleted.
    Close {
        /// Its name.
        name: String,
        /// Yes, its data is to be deleted.
        #[arg(long)]
        yes: bool,
    },
}

/// Does what the flags say.
///
/// # Errors
/// `invalid` for words that are no settings, and for closing without `--yes`; what the service refuses.
pub(crate) async fn run(flags: TenantFlags) -> Result<(), Fault> {
    let remote = Remote::of(&flags.ask.server)?;
    let answer = match flags.command {
        TenantCommand::Create { name, settings } => {
            let mut body = assignments::settings_and_quota(&settings)?;
            body["name"] = name.into();
            remote.ask(Method::POST, "/api/v1/tenants", Some(body)).await?
        }
        TenantCommand::List => remote.ask(Method::GET, "/api/v1/tenants", None).await?,
        TenantCommand::Show { name } => remote.ask(Method::GET, &path(&name), None).await?,
        TenantCommand::Set { name, settings } => {
            let body = assignments::settings_and_quota(&settings)?;
            remote.ask(Method::PATCH, &path(&name), Some(body)).await?
        }
        TenantCommand::Close { name, yes: true } => {
            remote.ask(Method::POST, &format!("{}/close", path(&name)), None).await?
        }
        TenantCommand::Close { yes: false, .. } => {
            let text = "closing stops ingest at once and deletes the tenant's data after 30 days: \
                        add --yes if that is meant";
            return Err(Fault::new(Code::Invalid, text));
        }
    };
    if flags.ask.json {
        say_json(&answer);
    } else if answer.get("items").is_some() {
        show(items(&answer));
    } else {
        say_one(&answer);
    }
    Ok(())
}

fn path(name: &str) -> String {
    format!("/api/v1/tenants/{}", segment(name))
}

/// Prints a tenant; settings and quotas under the names that `set` takes.
fn say_one(tenant: &Value) {
    show(std::slice::from_ref(tenant));
    say("");
    say_members(&tenant["settings"], "");
    say_members(&tenant["quota"], "quota");
}

fn show(tenants: &[Value]) {
    let row =
        |tenant: &Value| ["name", "state", "closes_at", "created_at"].map(|member| cell(tenant, member));
    let rows: Vec<_> = tenants.iter().map(row).collect();
    say_table(["NAME", "STATE", "DATA DELETED", "CREATED"], &rows);
}
