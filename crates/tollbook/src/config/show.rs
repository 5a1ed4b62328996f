//! Prints the settings in effect as a settings file, with a comment where a value comes from.
//!
//! No secret is a setting; a URL may still hold one before its host, which is left out.

use super::raw::Merged;
use toml::{Table, Value};

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
        text.push_str(&format!("{key} = {}", redacted(value)));
        if let Some(origin) = merged.origins.get(&path_of(key)) {
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

fn redacted(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(without_userinfo(text)),
        Value::Array(items) => Value::Array(items.iter().map(redacted).collect()),
        other => other.clone(),
    }
}

/// A URL without name and password; any other text as it is.
fn without_userinfo(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://redacted@{host}{path}"),
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
