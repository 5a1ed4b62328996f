//! Prints the settings in effect as a settings file, with a comment where a value comes from.
//!
//! Secret settings are left out, and so is what stands in a URL before its host, which may be a password.

use super::raw::Merged;
use toml::{Table, Value};

/// Settings whose values are secrets. Others, such as the first token and the sealing key, are no settings.
const SECRETS: [&str; 1] = ["mail.password"];
/// Shown instead of what is secret.
const REDACTED: &str = "redacted";

/// The settings in effect; the text is TOML.
pub(super) fn shown(merged: &Merged) -> String {
    let mut text = String::new();
    print(merged, "", &merged.settings, &mut text);
    text
}

/// Prints the keys of a table, then the tables inside.
fn print(merged: &Merged, path: &str, table: &Table, text: &mut String) {
    let (tables, keys): (Vec<_>, Vec<_>) = table.iter().partition(|(_, value)| value.is_table());
    let path_of = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    for (key, value) in keys {
        let path = path_of(key);
        text.push_str(&format!("{key} = {}", redacted(&path, value)));
        if let Some(origin) = merged.origins.get(&path) {
            text.push_str(&format!("  # from {}", origin.escape_debug()));
        }
        text.push('\n');
    }
    for (key, value) in tables {
        let path = path_of(key);
        text.push_str(&format!("\n[{path}]\n"));
        if let Value::Table(inner) = value {
            print(merged, &path, inner, text);
        }
    }
}

fn redacted(path: &str, value: &Value) -> Value {
    match value {
        // Whether a secret is set may be known.
        Value::String(text) if SECRETS.contains(&path) && !text.is_empty() => Value::String(REDACTED.into()),
        Value::String(text) => Value::String(without_userinfo(text)),
        Value::Array(items) => Value::Array(items.iter().map(|item| redacted(path, item)).collect()),
        other => other.clone(),
    }
}

/// A URL without name and password; any other text as it is.
fn without_userinfo(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{REDACTED}@{host}{path}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw::{Layers, merged};

    #[test]
    fn what_is_shown_is_settings_again() {
        let layers = Layers {
            environment: vec![("TOLLBOOK_EGRESS__ALLOW".into(), "a,b".into())],
            flags: vec![("listen", "127.0.0.1:1".into())],
            file: None,
        };
        let first = merged(&layers);
        let text = shown(&first);
        assert_eq!(toml::from_str::<Table>(&text).unwrap(), first.settings, "{text}");
        assert!(text.contains("listen = \"127.0.0.1:1\"  # from --listen\n"), "{text}");
        assert!(text.contains("allow = [\"a\", \"b\"]  # from TOLLBOOK_EGRESS__ALLOW\n"), "{text}");
        assert_eq!(text.matches("# from").count(), 2);
    }

    #[test]
    fn secrets_are_not_shown_but_that_they_are_set_is() {
        let of = |password: &str| {
            let environment = vec![("TOLLBOOK_MAIL__PASSWORD".into(), password.to_owned())];
            shown(&merged(&Layers { environment, ..Layers::default() }))
        };
        let set = of("hunter2");
        assert!(set.contains("password = \"redacted\"  # from TOLLBOOK_MAIL__PASSWORD\n"), "{set}");
        assert!(!set.contains("hunter2") && of("").contains("password = \"\"  # from"), "{set}");
        for path in SECRETS {
            let (folder, key) = path.split_once('.').unwrap();
            assert!(merged(&Layers::default()).settings[folder].get(key).is_some(), "{path} is a setting");
        }
    }

    #[test]
    fn what_stands_before_a_host_is_not_shown() {
        for (url, wanted) in [
            ("https://me:hunter2@idp.net/x@y", "https://redacted@idp.net/x@y"),
            ("https://me:hun@ter2@idp.net", "https://redacted@idp.net"),
            ("https://idp.net/x@y", "https://idp.net/x@y"),
            ("info,a=b@c", "info,a=b@c"),
        ] {
            assert_eq!(without_userinfo(url), wanted);
        }
    }
}
