//! Verbs that ask a running service and print what it says, one file per noun. They use the public API only.
//!
//! A verb decides nothing: what is allowed and what a value means is the service's, whose words are printed. Secrets
//! come from files, the environment or the terminal, never from the command line, which everybody on a machine sees.

mod assignments;
mod link_key;
mod secrets;
mod settings;
pub(crate) mod source;
mod tenant;
mod token;
mod user;

pub(crate) use link_key::{LinkKeyFlags, run as link_key};
pub(crate) use settings::{SettingsFlags, run as settings};
pub(crate) use source::{SourceFlags, run as source};
pub(crate) use tenant::{TenantFlags, run as tenant};
pub(crate) use token::{TokenFlags, run as token};
pub(crate) use user::{UserFlags, run as user};

use crate::terminal::say;
use serde_json::Value;

/// A member of an object as a cell of a table; `-` when it is absent, null or an empty list.
pub(crate) fn cell(object: &Value, member: &str) -> String {
    match &object[member] {
        Value::Null => "-".into(),
        Value::String(text) => text.clone(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.into(),
        Value::Array(items) if items.is_empty() => "-".into(),
        Value::Array(items) => items.iter().map(text_of).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The objects of a list.
pub(crate) fn items(list: &Value) -> &[Value] {
    list["items"].as_array().map(Vec::as_slice).unwrap_or_default()
}

pub(crate) fn say_json(answer: &Value) {
    say(&format!("{answer:#}"));
}

/// Prints an object as `name = value` lines; members of inner objects get the path as their name, as `set` takes them.
pub(crate) fn say_members(object: &Value, path: &str) {
    for (name, value) in object.as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        match value {
            Value::Object(_) => say_members(value, &path),
            Value::Null => say(&format!("{path} = none")),
            _ => say(&format!("{path} = {}", cell(object, name))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_are_for_people() {
        let object = json!({"a": "x", "b": true, "c": null, "d": [], "e": ["x", "y"], "f": 7});
        let cells = ["a", "b", "c", "d", "e", "f", "g"].map(|member| cell(&object, member));
        assert_eq!(cells, ["x", "yes", "-", "-", "x,y", "7", "-"]);
    }
}
