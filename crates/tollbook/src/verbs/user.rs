//! `tollbook user`: the people of a tenant.

use super::token::role;
use super::{cell, items, say_json, secrets};
use crate::remote::{Remote, segment};
use crate::service_flags::AskFlags;
use crate::terminal::{say, say_table};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use tollbook_kit::fault::{Code, Fault};
use tollbook_model::access::Role;
use uuid::Uuid;

/// Flags of `user`.
#[derive(Debug, Args)]
pub(crate) struct UserFlags {
    #[command(flatten)]
    ask: AskFlags,
    /// What to do with users.
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Make a user; the password is asked for unless it stands in a file.
    Create(NewUserFlags),
    /// List the users.
    List,
    /// Show one user.
    Show {
        /// Name or id.
        user: String,
    },
    /// Change a user.
    Change {
        /// Name or id.
        user: String,
        #[command(flatten)]
        change: UserChangeFlags,
    },
    /// Switch the second factor of a user on, which shows its key once, or off.
    SecondFactor {
        /// Name or id.
        user: String,
        #[command(flatten)]
        switch: SwitchFlags,
    },
    /// Remove a user; the login sessions end at once.
    Remove {
        /// Name or id.
        user: String,
    },
}

#[derive(Debug, Args)]
struct NewUserFlags {
    /// Name at login; unique in the whole service.
    name: String,
    /// What the user may do: viewer, analyst, auditor, admin or operator.
    #[arg(long, value_name = "R", value_parser = role)]
    role: Role,
    /// Where mail for the user goes.
    #[arg(long, value_name = "E")]
    email: Option<String>,
    /// File with the password, 10 to 256 bytes; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Make the user in this tenant, as operator.
    #[arg(long, value_name = "T")]
    tenant: Option<String>,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct UserChangeFlags {
    /// Another role.
    #[arg(long, value_name = "R", value_parser = role)]
    role: Option<Role>,
    /// Another address for mail.
    #[arg(long, value_name = "E")]
    email: Option<String>,
    /// No address for mail.
    #[arg(long, conflicts_with = "email")]
    no_email: bool,
    /// Another password, which is asked for.
    #[arg(long)]
    password: bool,
    /// Another password, from a file; `-` is standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "password")]
    password_file: Option<PathBuf>,
    /// The user may log in.
    #[arg(long)]
    enable: bool,
    /// The user may not log in, and the login sessions end at once.
    #[arg(long, conflicts_with = "enable")]
    disable: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct SwitchFlags {
    /// Switch it on, with a new key.
    #[arg(long)]
    on: bool,
    /// Switch it off.
    #[arg(long)]
    off: bool,
}

/// Does what the flags say.
///
/// # Errors
/// `invalid` for a password that cannot be read; `not_found` for a name that no user has; what the service refuses.
pub(crate) async fn run(flags: UserFlags) -> Result<(), Fault> {
    let remote = Remote::of(&flags.ask.server)?;
    let answer = match flags.command {
        UserCommand::Create(new) => create(&remote, new).await?,
        UserCommand::List => remote.ask(Method::GET, "/api/v1/users", None).await?,
        UserCommand::Show { user } => remote.ask(Method::GET, &path_of(&remote, &user).await?, None).await?,
        UserCommand::Change { user, change } => {
            let body = change.body()?;
            remote.ask(Method::PATCH, &path_of(&remote, &user).await?, Some(body)).await?
        }
        UserCommand::SecondFactor { user, switch } => {
            let body = json!({"second_factor": switch.on && !switch.off});
            remote.ask(Method::PATCH, &path_of(&remote, &user).await?, Some(body)).await?
        }
        UserCommand::Remove { user } => {
            remote.ask(Method::DELETE, &path_of(&remote, &user).await?, None).await?;
            say(&format!("removed {user}"));
            return Ok(());
        }
    };
    if flags.ask.json {
        say_json(&answer);
    } else if answer.get("items").is_some() {
        show(items(&answer));
    } else {
        say_one(answer);
    }
    Ok(())
}

async fn create(remote: &Remote, new: NewUserFlags) -> Result<Value, Fault> {
    let path = match &new.tenant {
        Some(tenant) => format!("/api/v1/tenants/{}/users", segment(tenant)),
        None => "/api/v1/users".into(),
    };
    let password = secrets::new_password(new.password_file.as_deref())?;
    let mut body = json!({"username": new.name, "password": password.reveal(), "role": new.role.name()});
    if let Some(email) = new.email {
        body["email"] = email.into();
    }
    remote.ask(Method::POST, &path, Some(body)).await
}

impl UserChangeFlags {
    fn body(&self) -> Result<Value, Fault> {
        let mut body = Map::new();
        if let Some(role) = self.role {
            body.insert("role".into(), role.name().into());
        }
        if self.no_email || self.email.is_some() {
            body.insert("email".into(), self.email.clone().into());
        }
        if self.password || self.password_file.is_some() {
            let password = secrets::new_password(self.password_file.as_deref())?;
            body.insert("password".into(), password.reveal().as_str().into());
        }
        if self.enable || self.disable {
            body.insert("enabled".into(), self.enable.into());
        }
        Ok(Value::Object(body))
    }
}

/// The path of a user who is named by id or by name.
async fn path_of(remote: &Remote, user: &str) -> Result<String, Fault> {
    if let Ok(id) = Uuid::parse_str(user) {
        return Ok(format!("/api/v1/users/{id}"));
    }
    let list = remote.ask(Method::GET, "/api/v1/users", None).await?;
    // Names are kept in lower case.
    let wanted = user.to_lowercase();
    let found = items(&list).iter().find(|known| known["username"] == wanted.as_str());
    found.map(|known| format!("/api/v1/users/{}", segment(&cell(known, "id")))).ok_or_else(|| {
        Fault::new(
            Code::NotFound,
            "there is no user of that name in the own tenant: see `tollbook user list`",
        )
    })
}

/// Prints a user, and the key of a second factor that was just made.
fn say_one(mut user: Value) {
    let key = user.as_object_mut().and_then(|members| members.remove("otpauth_uri"));
    show(&[user]);
    if let Some(uri) = key.as_ref().and_then(Value::as_str) {
        say(&format!(
            "\nThis is the key of the second factor, for an authenticator app. It is shown only now:\n\n  {uri}\n"
        ));
    }
}

fn show(users: &[Value]) {
    let row = |user: &Value| {
        ["id", "username", "role", "enabled", "second_factor", "email", "created_at", "last_login_at"]
            .map(|member| cell(user, member))
    };
    let rows: Vec<_> = users.iter().map(row).collect();
    say_table(["ID", "NAME", "ROLE", "ENABLED", "SECOND FACTOR", "EMAIL", "CREATED", "LAST LOGIN"], &rows);
}
