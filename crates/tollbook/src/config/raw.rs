//! The layers of settings, merged key by key. Every key is in the embedded default file; others are refused.

use std::path::{Path, PathBuf};
use tollbook_kit::fault::{Detail, Fault, InvalidKind};
use toml::{Table, Value};

/// The default file, with a comment for every key.
pub(super) const DEFAULT: &str = include_str!("default.toml");
/// Variables that are not settings: they name the file, or hold secrets and the client's own options.
const OTHER_VARIABLES: [&str; 4] =
    ["TOLLBOOK_CONFIG", "TOLLBOOK_BOOTSTRAP_TOKEN", "TOLLBOOK_SERVER", "TOLLBOOK_TOKEN"];
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
///
/// # Errors
/// `invalid`, naming every key that is unknown or of another type than its default.
pub(crate) fn effective(layers: &Layers) -> Result<Table, Fault> {
    let mut wrong = Vec::new();
    // The file is part of the program; a test reads it.
    let mut settings: Table = toml::from_str(DEFAULT)
        .map_err(|error| Fault::internal("the embedded settings").with_source(error))?;
    if let Some(path) = &layers.file {
        merge(&mut settings, read(path)?, "", &mut wrong);
    }
    let is_other = |name: &str| {
        OTHER_VARIABLES.contains(&name) || OF_KUBERNETES.iter().any(|start| name.starts_with(start))
    };
    let variables = layers.environment.iter().filter(|(name, _)| !is_other(name));
    for (name, text) in variables {
        let Some(path) = name.strip_prefix(PREFIX) else { continue };
        let path = path.to_ascii_lowercase().replace("__", ".");
        set(&mut settings, &path, text, name, &mut wrong);
    }
    for (path, text) in &layers.flags {
        set(&mut settings, path, text, &format!("--{path}"), &mut wrong);
    }
    if wrong.is_empty() { Ok(settings) } else { Err(Fault::from_details(wrong)) }
}

fn read(path: &Path) -> Result<Table, Fault> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Fault::parameter(name.clone(), format!("cannot be read: {error}")))?;
    toml::from_str(&text).map_err(|error| Fault::parameter(name, format!("is not TOML: {}", error.message())))
}

fn merge(into: &mut Table, from: Table, path: &str, wrong: &mut Vec<Detail>) {
    for (key, value) in from {
        let name = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (into.get_mut(&key), value) {
            (None, _) => wrong.push(unknown(name)),
            (Some(Value::Table(known)), Value::Table(given)) => merge(known, given, &name, wrong),
            (Some(known), given) if known.same_type(&given) => *known = given,
            (Some(known), _) => wrong.push(mistyped(name, known)),
        }
    }
}

/// Sets one key from text; the default's type says how the text is read.
fn set(settings: &mut Table, path: &str, text: &str, name: &str, wrong: &mut Vec<Detail>) {
    let (folders, key) = path.rsplit_once('.').unwrap_or(("", path));
    let mut table = Some(settings);
    for folder in folders.split('.').filter(|folder| !folder.is_empty()) {
        table = table.and_then(|table| table.get_mut(folder)).and_then(Value::as_table_mut);
    }
    match table.and_then(|table| table.get_mut(key)) {
        None | Some(Value::Table(_)) => wrong.push(unknown(name.to_owned())),
        Some(known) => {
            let given = match known {
                Value::Integer(_) => text.parse().ok().map(Value::Integer),
                Value::Boolean(_) => text.parse().ok().map(Value::Boolean),
                _ => Some(Value::String(text.to_owned())),
            };
            match given {
                Some(given) => *known = given,
                None => wrong.push(mistyped(name.to_owned(), known)),
            }
        }
    }
}

fn unknown(name: String) -> Detail {
    let reason = "is not a setting; `tollbook config show` lists them".into();
    Detail { name, reason, kind: InvalidKind::UnknownParameter }
}

fn mistyped(name: String, known: &Value) -> Detail {
    let reason = format!("must be of the type {}", known.type_str());
    Detail { name, reason, kind: InvalidKind::InvalidParameter }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(environment: &[(&str, &str)], flags: &[(&'static str, &str)]) -> Result<Table, Fault> {
        let owned = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
        effective(&Layers {
            file: None,
            environment: environment.iter().map(owned).collect(),
            flags: flags.iter().map(|(path, text)| (*path, (*text).to_owned())).collect(),
        })
    }

    #[test]
    fn stronger_layers_win_and_types_stay() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tollbook.toml");
        std::fs::write(&file, "data = \"/file\"\nlisten = \"file:1\"\n[log]\nformat = \"json\"\n").unwrap();
        let layers = Layers {
            file: Some(file),
            environment: vec![
                ("TOLLBOOK_LISTEN".into(), "env:2".into()),
                ("TOLLBOOK_HTTP__MAX_CONNECTIONS".into(), "5".into()),
                ("TOLLBOOK_TOKEN".into(), "a secret of the client".into()),
                ("TOLLBOOK_PORT_8443_TCP".into(), "tcp://10.0.0.1:8443".into()),
                ("HOME".into(), "/root".into()),
            ],
            flags: vec![("listen", "flag:3".into())],
        };
        let settings = effective(&layers).unwrap();
        assert_eq!(settings["data"].as_str(), Some("/file"));
        assert_eq!(settings["listen"].as_str(), Some("flag:3"));
        assert_eq!(settings["log"]["format"].as_str(), Some("json"));
        assert_eq!(settings["http"]["max_connections"].as_integer(), Some(5));
        assert_eq!(settings["log"]["filter"].as_str(), Some("info"));
    }

    #[test]
    fn unknown_and_mistyped_keys_are_all_named() {
        let wrong = [("TOLLBOOK_LISTN", "x"), ("TOLLBOOK_LOG", "x"), ("TOLLBOOK_STORE__RESERVE_MIB", "lots")];
        let fault = with(&wrong, &[]).unwrap_err();
        let names: Vec<_> = fault.details().iter().map(|detail| detail.name.as_str()).collect();
        assert_eq!(names, ["TOLLBOOK_LISTN", "TOLLBOOK_LOG", "TOLLBOOK_STORE__RESERVE_MIB"]);
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("tollbook.toml");
        std::fs::write(&file, "lisen = 1\ndata = 1\n[log]\nlevel = \"x\"\n").unwrap();
        let fault = effective(&Layers { file: Some(file), ..Layers::default() }).unwrap_err();
        let mut names: Vec<_> = fault.details().iter().map(|detail| detail.name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["data", "lisen", "log.level"]);
    }
}
