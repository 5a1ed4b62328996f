//! `tollbook token`: the API tokens of a tenant.

use super::{cell, items, say_json, secrets};
use crate::config::duration;
use crate::remote::{Remote, segment};
use crate::service_flags::AskFlags;
use crate::terminal::{say, say_table};
use clap::{Args, Subcommand};
use http::Method;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::path::PathBuf;
use tollbook_kit::clock::{Clock, SystemClock};
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_model::access::Role;

/// Flags of `token`.
#[derive(Debug, Args)]
pub(crate) struct TokenFlags {
    #[command(flatten)]
    pub(crate) ask: AskFlags,
    /// What to do with tokens.
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token and show its secret, once.
    Create(NewTokenFlags),
    /// List the tokens, without their secrets.
    List,
    /// Revoke a token: it is refused from now on.
    Revoke {
        /// Its id.
        id: String,
    },
}

#[derive(Debug, Args)]
struct NewTokenFlags {
    /// What it is for, for people.
    name: String,
    /// What it may do: source, viewer, analyst, auditor, admin or operator.
    #[arg(long, value_name = "R", value_parser = role)]
    role: Role,
    /// When it ends: after so long (90d, 24h), on a day (2027-01-31, at 00:00 UTC), or at a time with a zone.
    #[arg(long, value_name = "WHEN", value_parser = expiry)]
    expires: Option<Expiry>,
    /// File with a secret of your own, 20 to 200 printable ASCII characters; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    value_file: Option<PathBuf>,
    /// Take it only from this address or network; repeat it for several.
    #[arg(long = "network", value_name = "N")]
    networks: Vec<String>,
    /// Version of a versioned API (such as 2026-11-19 of /v3) that answers requests with it that name none.
    #[arg(long, value_name = "DAY")]
    api_version: Option<String>,
    /// Make it for this tenant, as operator.
    #[arg(long, value_name = "T")]
    tenant: Option<String>,
}

/// When a token ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expiry {
    After(SignedDuration),
    At(Timestamp),
}

/// Does what the flags say.
///
/// # Errors
/// `invalid` for a file that cannot be read; what the service refuses.
pub(crate) async fn run(flags: TokenFlags) -> Result<(), Fault> {
    let remote = Remote::of(&flags.ask.server)?;
    match flags.command {
        TokenCommand::Create(new) => create(&remote, new, flags.ask.json).await,
        TokenCommand::List => {
            let list = remote.ask(Method::GET, "/api/v1/tokens", None).await?;
            if flags.ask.json {
                say_json(&list)
            } else {
                show(items(&list))
            }
            Ok(())
        }
        TokenCommand::Revoke { id } => {
            remote.ask(Method::DELETE, &format!("/api/v1/tokens/{}", segment(&id)), None).await?;
            say(&format!("revoked {id}: it is refused from now on"));
            Ok(())
        }
    }
}

async fn create(remote: &Remote, new: NewTokenFlags, json: bool) -> Result<(), Fault> {
    let mut body = json!({"name": new.name, "role": new.role.name()});
    if let Some(expires) = new.expires {
        body["expires_at"] = expires.moment(SystemClock::new().now_ms())?.to_string().into();
    }
    if let Some(file) = &new.value_file {
        body["value"] = secrets::of_file(file)?.reveal().as_str().into();
    }
    if !new.networks.is_empty() {
        body["networks"] = new.networks.into();
    }
    if let Some(version) = new.api_version {
        body["api_version"] = version.into();
    }
    let path = match &new.tenant {
        Some(tenant) => format!("/api/v1/tenants/{}/tokens", segment(tenant)),
        None => "/api/v1/tokens".into(),
    };
    let mut token = remote.ask(Method::POST, &path, Some(body)).await?;
    let made = token.as_object_mut().and_then(|members| members.remove("secret"));
    // What the caller brought is not printed: it stays where it is kept.
    let made = made.filter(|_| new.value_file.is_none());
    if json {
        if let Some(made) = made {
            token["secret"] = made;
        }
        say_json(&token);
        return Ok(());
    }
    show(&[token]);
    match made.as_ref().and_then(Value::as_str) {
        Some(secret) => {
            say(&format!("\nThis is its secret. It is shown only now, keep it safe:\n\n  {secret}\n"))
        }
        None => say("\nIts secret is the one of your file."),
    }
    Ok(())
}

fn show(tokens: &[Value]) {
    let row = |token: &Value| {
        ["id", "name", "role", "created_at", "expires_at", "last_used_at", "networks"]
            .map(|member| cell(token, member))
    };
    let rows: Vec<_> = tokens.iter().map(row).collect();
    say_table(["ID", "NAME", "ROLE", "CREATED", "EXPIRES", "LAST USED", "NETWORKS"], &rows);
}

/// Reads the name of a role.
pub(super) fn role(text: &str) -> Result<Role, String> {
    let names = || Role::ALL.map(Role::name).join(", ");
    Role::from_name(text).ok_or_else(|| format!("must be one of {}", names()))
}

fn expiry(text: &str) -> Result<Expiry, String> {
    let wrong = || "must be such as 90d, 2027-01-31 or 2027-01-31T12:00:00Z".to_owned();
    // A bare number would be seconds, which nobody means.
    let has_unit = text.ends_with(|last: char| last.is_ascii_alphabetic());
    if let Some(after) = duration(text).filter(|_| has_unit) {
        return SignedDuration::try_from(after).map(Expiry::After).map_err(|_| wrong());
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(Expiry::At(moment));
    }
    let day = text.parse::<Date>().ok().filter(|_| !text.contains('T'));
    let midnight = day.and_then(|day| day.to_zoned(TimeZone::UTC).ok());
    midnight.map(|midnight| Expiry::At(midnight.timestamp())).ok_or_else(wrong)
}

impl Expiry {
    fn moment(self, now_ms: i64) -> Result<Timestamp, Fault> {
        match self {
            Self::At(moment) => Ok(moment),
            Self::After(after) => {
                let now = Timestamp::from_millisecond(now_ms).fault("reading the clock")?;
                now.checked_add(after)
                    .map_err(|_| Fault::parameter("--expires", "lies too far in the future"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_token_is_a_duration_a_day_or_a_moment() {
        let end = |text: &str| expiry(text).unwrap().moment(0).unwrap().to_string();
        assert_eq!(end("90d"), "1970-04-01T00:00:00Z");
        assert_eq!(end("24h"), "1970-01-02T00:00:00Z");
        assert_eq!(end("2027-01-31"), "2027-01-31T00:00:00Z");
        assert_eq!(end("2027-01-31T12:00:00+02:00"), "2027-01-31T10:00:00Z");
        for wrong in ["", "soon", "2027-02-30", "2027-01-31T12:00:00", "-1d"] {
            assert!(expiry(wrong).is_err(), "{wrong}");
        }
        assert!(expiry("99999999d").unwrap().moment(0).is_err());
    }
}
