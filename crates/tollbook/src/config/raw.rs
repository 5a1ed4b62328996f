//! The layers of settings, merged key by key. Every key is in the embedded default file; others are refused.
//!
//! Only types are looked at here; what is wrong is collected, so that it is told together with wrong values.

use super::duration;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tollbook_kit::fault::{Detail, InvalidKind};
use toml::{Table, Value};

/// The default file, with a comment for every key.
const DEFAULT: &str = include_str!("default.toml");
/// Variables that are not settings: they name the file, or hold secrets and the client's own options.
const OTHER_VARIABLES: [&str; 6] = [
    "TOLLBOOK_CONFIG",
    "TOLLBOOK_BOOTSTRAP_TOKEN",
    "TOLLBOOK_SEALING_KEY",
    "TOLLBOOK_SERVER",
    "TOLLBOOK_TOKEN",
    "TOLLBOOK_CA_FILE",
];
const PREFIX: &str = "TOLLBOOK_";
/// What Kubernetes puts into the environment of every pod beside a service that is named tollbook.
const OF_KUBERNETES: [&str; 2] = ["TOLLBOOK_SERVICE_", "TOLLBOOK_PORT"];

/// Where settings come from, weakest first after the default file.
#[derive(Debug, Default)]
pub(crate) struct Layers {
    /// The file, if one is named.
    pub(crate) file: Option<PathBuf>,
    /// Variables of the environment.
    pub(crate) environment: Vec<(String, String)>,
    /// Flags: paths of keys such as `listen`, and their texts.
    pub(crate) flags: Vec<(&'static str, String)>,
}

/// The settings of all layers together.
#[derive(Debug)]
pub(super) struct Merged {
    /// Every key of the default file, each of the type that it has there.
    pub(super) settings: Table,
    /// For every key that a layer sets: which one, by path.
    pub(super) origins: BTreeMap<String, String>,
    /// Keys that are unknown or of another type than their default, and a file that cannot be read.
    pub(super) wrong: Vec<Detail>,
}

/// Merges the layers.
pub(super) fn merged(layers: &Layers) -> Merged {
    let settings = toml::from_str(DEFAULT).expect("the embedded file is TOML, as every test reads");
    let mut merged = Merged { settings, origins: BTreeMap::new(), wrong: Vec::new() };
    if let Some(path) = &layers.file {
        let name = path.display().to_string();
        match read(path) {
            Ok(table) => merged.merge(table, &name),
            Err(reason) => merged.refuse(name, reason, InvalidKind::InvalidParameter),
        }
    }
    let is_other = |name: &str| {
        OTHER_VARIABLES.contains(&name) || OF_KUBERNETES.iter().any(|start| name.starts_with(start))
    };
    for (name, text) in layers.environment.iter().filter(|(name, _)| !is_other(name)) {
        let Some(path) = name.strip_prefix(PREFIX) else { continue };
        let path = path.to_ascii_lowercase().replace("__", ".");
        merged.set(&path, text, name);
    }
    for (path, text) in &layers.flags {
        merged.set(path, text, &format!("--{path}"));
    }
    merged
}

fn read(path: &Path) -> Result<Table, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    // The text of the error says what was expected; its display would also repeat the line, which may hold anything.
    toml::from_str(&text).map_err(|error: toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        format!("is not TOML: line {line}: {}", error.message())
    })
}

impl Merged {
    /// Lays a file over what is known.
    fn merge(&mut self, file: Table, origin: &str) {
        let mut left: Vec<(String, Value)> = file.into_iter().rev().collect();
        while let Some((path, value)) = left.pop() {
            let known = value_at(&mut self.settings, &path);
            match (known, value) {
                (None, _) => self.refuse_unknown(path),
                (Some(Value::Table(_)), Value::Table(inner)) => {
                    left.extend(inner.into_iter().rev().map(|(key, value)| (format!("{path}.{key}"), value)));
                }
                (Some(known), given) => match of_type(known, given) {
                    Some(given) => {
                        *known = given;
                        self.origins.insert(path, origin.to_owned());
                    }
                    None => {
                        let reason = wanted(known);
                        self.refuse(path, reason, InvalidKind::InvalidParameter);
                    }
                },
            }
        }
    }

    /// Sets one key from text; the default's type says how the text is read.
    fn set(&mut self, path: &str, text: &str, origin: &str) {
        match value_at(&mut self.settings, path) {
            None | Some(Value::Table(_)) => self.refuse_unknown(origin.to_owned()),
            Some(known) => match of_text(known, text) {
                Some(given) => {
                    *known = given;
                    self.origins.insert(path.to_owned(), origin.to_owned());
                }
                None => {
                    let reason = wanted(known);
                    self.refuse(origin.to_owned(), reason, InvalidKind::InvalidParameter);
                }
            },
        }
    }

    fn refuse_unknown(&mut self, name: String) {
        let reason = "is not a setting; `tollbook config show` lists them";
        self.refuse(name, reason.into(), InvalidKind::UnknownParameter);
    }

    fn refuse(&mut self, name: String, reason: String, kind: InvalidKind) {
        self.wrong.push(Detail { name, reason, kind });
    }
}

fn value_at<'s>(settings: &'s mut Table, path: &str) -> Option<&'s mut Value> {
    let (folders, key) = path.rsplit_once('.').unwrap_or(("", path));
    let mut table = settings;
    for folder in folders.split('.').filter(|folder| !folder.is_empty()) {
        table = table.get_mut(folder)?.as_table_mut()?;
    }
    table.get_mut(key)
}

/// A key whose default is a duration takes durations.
fn is_duration(known: &Value) -> bool {
    known.as_str().is_some_and(|text| duration(text).is_some())
}

/// The value of a file as the default's type; none when it is of another.
fn of_type(known: &Value, given: Value) -> Option<Value> {
    match given {
        Value::Integer(seconds) if is_duration(known) => Some(Value::String(format!("{seconds}s"))),
        Value::Array(items) if known.is_array() => {
            items.iter().all(Value::is_str).then_some(Value::Array(items))
        }
        given => known.same_type(&given).then_some(given),
    }
}

fn of_text(known: &Value, text: &str) -> Option<Value> {
    match known {
        Value::Integer(_) => text.trim().parse().ok().map(Value::Integer),
        Value::Boolean(_) => text.trim().parse().ok().map(Value::Boolean),
        Value::String(_) => Some(Value::String(text.to_owned())),
        Value::Array(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Some(Value::Array(items.map(|item| Value::String(item.to_owned())).collect()))
        }
        _ => None,
    }
}

fn wanted(known: &Value) -> String {
    match known {
        Value::Array(_) => "must be a list of texts".into(),
        Value::String(_) if is_duration(known) => {
            "must be a duration such as \"60s\", \"24h\" or \"7d\"".into()
        }
        Value::String(_) => "must be text".into(),
        Value::Boolean(_) => "must be true or false".into(),
        Value::Table(_) => "must be a table".into(),
        _ => "must be a whole number".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(file: &str, environment: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Merged {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tollbook.toml");
        std::fs::write(&path, file).unwrap();
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        merged(&Layers {
            file: Some(path),
            environment: environment.iter().map(owned).collect(),
            flags: flags.iter().map(|(path, text)| (*path, (*text).to_owned())).collect(),
        })
    }

    fn wrong(merged: &Merged) -> Vec<&str> {
        merged.wrong.iter().map(|detail| detail.name.as_str()).collect()
    }

    #[test]
    fn stronger_layers_win_and_types_stay() {
        let merged = with(
            "data = \"/file\"\nlisten = \"file:1\"\n[log]\nformat = \"json\"\n",
            &[
                ("TOLLBOOK_LISTEN", "env:2"),
                ("TOLLBOOK_HTTP__MAX_CONNECTIONS", "5"),
                ("TOLLBOOK_TOKEN", "a secret of the client"),
                ("TOLLBOOK_SEALING_KEY", "a secret of the service"),
                ("TOLLBOOK_PORT_8443_TCP", "tcp://10.0.0.1:8443"),
                ("HOME", "/root"),
            ],
            &[("listen", "flag:3")],
        );
        assert!(merged.wrong.is_empty(), "{:?}", merged.wrong);
        let settings = &merged.settings;
        assert_eq!(settings["data"].as_str(), Some("/file"));
        assert_eq!(settings["listen"].as_str(), Some("flag:3"));
        assert_eq!(settings["log"]["format"].as_str(), Some("json"));
        assert_eq!(settings["http"]["max_connections"].as_integer(), Some(5));
        assert_eq!(settings["log"]["filter"].as_str(), Some("info"));
        assert_eq!(merged.origins["listen"], "--listen");
        assert_eq!(merged.origins["http.max_connections"], "TOLLBOOK_HTTP__MAX_CONNECTIONS");
        assert!(merged.origins["log.format"].ends_with("tollbook.toml"));
        assert_eq!(merged.origins.len(), 4);
    }

    #[test]
    fn lists_and_durations_are_read_from_files_and_variables() {
        let list = |merged: &Merged| merged.settings["egress"]["allow"].to_string();
        let window = |merged: &Merged| merged.settings["rate_limit"]["window"].as_str().unwrap().to_owned();
        let file = with("[egress]\nallow = [\"a\", \"10.0.0.0/8\"]\n[rate_limit]\nwindow = 90\n", &[], &[]);
        assert_eq!((list(&file), window(&file)), ("[\"a\", \"10.0.0.0/8\"]".into(), "90s".into()));
        for (text, items) in [(" a ,10.0.0.0/8,", "[\"a\", \"10.0.0.0/8\"]"), ("", "[]"), (" ", "[]")] {
            let variables =
                with("", &[("TOLLBOOK_EGRESS__ALLOW", text), ("TOLLBOOK_RATE_LIMIT__WINDOW", "90")], &[]);
            assert_eq!((list(&variables), window(&variables)), (items.into(), "90".into()));
        }
    }

    #[test]
    fn unknown_and_mistyped_keys_are_all_named() {
        let variables =
            [("TOLLBOOK_LISTN", "x"), ("TOLLBOOK_LOG", "x"), ("TOLLBOOK_STORE__RESERVE_MIB", "lots")];
        let file = "lisen = 1\ndata = 1\nhttp = 1\n[log]\nlevel = \"x\"\n[egress]\nallow = [1]\nallow_http = \"no\"\n\
                    [rate_limit]\npermits = \"60\"\nwindow = 1.5\n[none]\nsuch = 1\n";
        let both = with(file, &variables, &[]);
        let mut names = wrong(&both);
        names.sort_unstable();
        assert_eq!(
            names,
            [
                "TOLLBOOK_LISTN",
                "TOLLBOOK_LOG",
                "TOLLBOOK_STORE__RESERVE_MIB",
                "data",
                "egress.allow",
                "egress.allow_http",
                "http",
                "lisen",
                "log.level",
                "none",
                "rate_limit.permits",
                "rate_limit.window"
            ]
        );
        assert!(both.origins.is_empty());
    }

    #[test]
    fn a_file_that_is_no_settings_is_named_with_its_line_and_not_repeated() {
        let broken = with("data = \"x\"\nlisten = a secret\n", &[("TOLLBOOK_LISTN", "x")], &[]);
        assert_eq!(broken.wrong.len(), 2);
        let reason = &broken.wrong[0].reason;
        assert!(reason.contains("line 2") && !reason.contains("a secret"), "{reason}");
        let none = merged(&Layers { file: Some("/none.toml".into()), ..Layers::default() });
        assert_eq!(wrong(&none), ["/none.toml"]);
    }
}
