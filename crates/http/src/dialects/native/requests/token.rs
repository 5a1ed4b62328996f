//! A token to be made.

use super::members::Members;
use crate::openapi::schemas::{self, PRINTABLE, meaning, object, or_null, text};
use ipnet::IpNet;
use serde_json::{Value, json};
use tollbook_app::tokens::{NewToken, TOKEN_LENGTH};
use tollbook_kit::fault::Fault;
use tollbook_kit::secret::Secret;
use tollbook_model::access::Role;
use tollbook_model::time_range::parse_instant;
use tollbook_model::token::{TOKEN_NAME_CHARACTERS, TOKEN_NETWORKS, network};

/// Reads a new token.
///
/// # Errors
/// `invalid`, with every fault.
pub(crate) fn new_token(mut given: Members) -> Result<NewToken, Fault> {
    let name = given.required_text("name");
    let role = role(&mut given, true);
    let expires_at = given.text_or_null("expires_at").flatten();
    let reason = "must be a date-time such as 2027-01-31T09:00:00Z";
    let expires_at_ms = given.parsed("expires_at", expires_at, parse_instant, reason);
    let value = given.text_or_null("value").flatten().map(Secret::new);
    let networks = networks(&mut given);
    let api_version = given.text_or_null("api_version").flatten();
    given.finish()?;
    let (Some(name), Some(role)) = (name, role) else {
        return Err(Fault::internal("a token passed without its name or role"));
    };
    Ok(NewToken { name, role, expires_at_ms, value, networks, api_version })
}

/// What documents say of a new token.
pub(crate) fn new_token_schema() -> Value {
    let moment = json!({"type": "string", "format": "date-time"});
    let members = json!({
        "name": meaning(text(1..=TOKEN_NAME_CHARACTERS, PRINTABLE), "Its name for people. `bootstrap` is reserved."),
        "role": meaning(schemas::role(), "What whoever holds it may do; `operator` in the tenant `default` only."),
        "expires_at": meaning(or_null(moment), "From when on it is no longer taken; in the future."),
        "value": meaning(
            or_null(text(TOKEN_LENGTH, "^[!-~][ -~]*[!-~]$")),
            "Its text, where a known one is to be kept; without it, one is made.",
        ),
        "networks": {
            "type": ["array", "null"], "maxItems": TOKEN_NETWORKS, "items": network_schema(),
            "description": "Networks and addresses that it is taken from; none: from anywhere.",
        },
        "api_version": meaning(
            or_null(json!({"type": "string", "format": "date", "examples": ["2026-11-19"]})),
            "Which version of a versioned API (`/v3`) answers requests with it that name none; they cannot \
             ask for an older one. null: that API's own default.",
        ),
    });
    object(members, &["name", "role"])
}

/// An address, or a network written as address and length of prefix.
fn network_schema() -> Value {
    let byte = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
    let v4 = format!(r"^{byte}(\.{byte}){{3}}/(3[0-2]|[12]?[0-9])$");
    let v6 = "^([0-9A-Fa-f]{1,4}:){0,6}:?([0-9A-Fa-f]{1,4}:){0,6}:?([0-9A-Fa-f]{1,4})?/[0-9]{1,3}$";
    json!({"anyOf": [
        {"type": "string", "format": "ipv4"},
        {"type": "string", "format": "ipv6"},
        {"type": "string", "pattern": v4, "examples": ["192.0.2.0/24"]},
        {"type": "string", "pattern": v6, "examples": ["2001:db8::/32"]},
    ]})
}

/// The role that a body names, `required` or not.
pub(super) fn role(given: &mut Members, required: bool) -> Option<Role> {
    let name = if required { given.required_text("role") } else { given.text("role") };
    let reason = format!("must be one of {}", Role::ALL.map(Role::name).join(", "));
    given.parsed("role", name, Role::from_name, reason)
}

/// Networks; an address is the network of it alone.
fn networks(given: &mut Members) -> Vec<IpNet> {
    let texts = given.texts("networks").unwrap_or_default();
    let parsed: Option<Vec<IpNet>> = texts.iter().map(|text| network(text)).collect();
    let reason = "must be a list of networks such as 192.0.2.0/24";
    parsed.or_else(|| given.invalid("networks", reason)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Value) -> Result<NewToken, Fault> {
        let Value::Object(object) = value else { panic!("an object") };
        new_token(Members::of(object))
    }

    #[test]
    fn tokens_are_read_whole() {
        let token = read(json!({
            "name": "nightly", "role": "analyst", "expires_at": "2027-01-31T09:00:00+01:00",
            "value": "my-own-token-of-old-times", "networks": ["192.0.2.0/24", "2001:db8::1", "::ffff:192.0.2.7"]
        }))
        .unwrap();
        assert_eq!((token.name.as_str(), token.role), ("nightly", Role::Analyst));
        assert_eq!(token.expires_at_ms, parse_instant("2027-01-31T08:00:00Z"));
        assert_eq!(token.value.unwrap().reveal(), "my-own-token-of-old-times");
        let networks: Vec<_> = token.networks.iter().map(ToString::to_string).collect();
        assert_eq!(networks, ["192.0.2.0/24", "2001:db8::1/128", "192.0.2.7/32"]);
        let least = read(json!({"name": "n", "role": "source", "expires_at": null, "value": null})).unwrap();
        assert!(least.expires_at_ms.is_none() && least.value.is_none() && least.networks.is_empty());
    }

    #[test]
    fn every_fault_is_named() {
        let fault = read(json!({
            "role": "king", "expires_at": "tomorrow", "networks": ["192.0.2.0/33"], "secret": "x", "value": 1
        }))
        .unwrap_err();
        let names: Vec<_> = fault.details().iter().map(|detail| detail.name.as_str()).collect();
        assert_eq!(names, ["secret", "name", "role", "expires_at", "value", "networks"]);
    }
}
