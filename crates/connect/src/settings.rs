//! Settings of sources: read by name, completed with defaults, every fault listed at once.
//!
//! What a setting means is the connector's business. Nothing here reads files.

use crate::normalise::direction::Lines;
use crate::normalise::local_time::LocalZone;
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};
use tollbook_kit::fault::{Detail, Fault, InvalidKind};

/// Bound of a pattern's text in bytes.
const PATTERN_BYTES: usize = 1000;
/// Bound of a compiled pattern in bytes.
const PATTERN_MEMORY: usize = 1 << 20;

/// Settings in the form people write, as the map that connectors check: a TOML file of any kind of source.
///
/// # Errors
/// `invalid`: the text is not TOML.
pub fn settings_from_toml(text: &str) -> Result<Map<String, Value>, Fault> {
    let table: toml::Table =
        toml::from_str(text).map_err(|error| Fault::malformed(format!("not TOML: {}", error.message())))?;
    Ok(table.into_iter().map(|(name, value)| (name, json_of(value))).collect())
}

fn json_of(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => Value::from(number),
        toml::Value::Boolean(flag) => Value::Bool(flag),
        toml::Value::Datetime(moment) => Value::String(moment.to_string()),
        toml::Value::Array(values) => values.into_iter().map(json_of).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(name, value)| (name, json_of(value))).collect())
        }
    }
}

/// Reads the settings of one source and remembers what it read, what was wrong and what the defaults were.
pub(crate) struct SettingsReader<'m> {
    given: &'m Map<String, Value>,
    known: Vec<&'static str>,
    completed: Map<String, Value>,
    faults: Vec<Detail>,
}

impl<'m> SettingsReader<'m> {
    /// A reader that has read nothing yet.
    pub(crate) fn new(given: &'m Map<String, Value>) -> Self {
        Self { given, known: Vec::new(), completed: Map::new(), faults: Vec::new() }
    }

    /// Notes that a setting is wrong.
    pub(crate) fn fault(&mut self, name: impl Into<String>, reason: impl Into<String>) {
        self.faults.push(Detail {
            name: name.into(),
            reason: reason.into(),
            kind: InvalidKind::InvalidParameter,
        });
    }

    /// A setting as given; JSON null counts as not given.
    pub(crate) fn given(&mut self, name: &'static str) -> Option<&'m Value> {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
        self.given.get(name).filter(|value| !value.is_null())
    }

    /// Puts a setting into the completed map.
    pub(crate) fn complete(&mut self, name: &str, value: Value) {
        self.completed.insert(name.to_owned(), value);
    }

    /// A text, or its default.
    pub(crate) fn text(&mut self, name: &'static str, default: Option<&str>) -> Option<String> {
        let text = match self.given(name) {
            None => default.map(str::to_owned),
            Some(Value::String(text)) => Some(text.clone()),
            Some(_) => {
                self.fault(name, "must be text");
                None
            }
        };
        if let Some(text) = &text {
            self.complete(name, Value::from(text.as_str()));
        }
        text
    }

    /// One of several words, or the first.
    pub(crate) fn word(&mut self, name: &'static str, words: &[&'static str]) -> &'static str {
        let Some(text) = self.text(name, words.first().copied()) else { return words[0] };
        match words.iter().find(|word| **word == text) {
            Some(word) => word,
            None => {
                self.fault(name, format!("must be one of {}", words.join(", ")));
                words[0]
            }
        }
    }

    /// Yes or no.
    pub(crate) fn flag(&mut self, name: &'static str, default: bool) -> bool {
        let flag = match self.given(name) {
            None => default,
            Some(Value::Bool(flag)) => *flag,
            Some(_) => {
                self.fault(name, "must be true or false");
                default
            }
        };
        self.complete(name, Value::Bool(flag));
        flag
    }

    /// A list of texts.
    pub(crate) fn texts(&mut self, name: &'static str, default: &[&str]) -> Vec<String> {
        let texts = match self.given(name) {
            None => default.iter().map(|text| (*text).to_owned()).collect(),
            Some(value) => match texts_of(value) {
                Some(texts) => texts,
                None => {
                    self.fault(name, "must be a list of texts");
                    Vec::new()
                }
            },
        };
        self.complete(name, Value::from(texts.clone()));
        texts
    }

    /// A regular expression, bounded in size.
    pub(crate) fn pattern(&mut self, name: &'static str) -> Option<Regex> {
        let text = self.text(name, None)?;
        if text.len() > PATTERN_BYTES {
            self.fault(name, format!("longer than {PATTERN_BYTES} bytes"));
            return None;
        }
        let compiled =
            RegexBuilder::new(&text).size_limit(PATTERN_MEMORY).dfa_size_limit(PATTERN_MEMORY).build();
        if compiled.is_err() {
            self.fault(
                name,
                "must be a regular expression without look-around or back references, and not huge",
            );
        }
        compiled.ok()
    }

    /// `trunks` and `extension_pattern`.
    pub(crate) fn lines(&mut self, default_trunks: &[&str]) -> Lines {
        Lines {
            trunks: self.texts("trunks", default_trunks),
            extension_pattern: self.pattern("extension_pattern"),
        }
    }

    /// `zone`. Without one UTC is assumed, and the completed settings have none either: whoever sends back what he was
    /// shown must not confirm a zone that nobody chose.
    pub(crate) fn zone(&mut self) -> LocalZone {
        let given = self.text("zone", None);
        let zone = LocalZone::named(given.as_deref().unwrap_or("UTC"), given.is_none());
        zone.unwrap_or_else(|| {
            self.fault("zone", "must be the name of a time zone such as Europe/Berlin");
            LocalZone::named("UTC", true).expect("UTC is always known")
        })
    }

    /// The completed settings.
    ///
    /// # Errors
    /// Every fault that was noted, and every setting that nobody asked for.
    pub(crate) fn finish(mut self) -> Result<Map<String, Value>, Fault> {
        for name in self.given.keys() {
            if !self.known.contains(&name.as_str()) {
                self.faults.push(Detail {
                    name: name.clone(),
                    reason: format!("is not a setting of this kind; known are {}", self.known.join(", ")),
                    kind: InvalidKind::UnknownParameter,
                });
            }
        }
        if self.faults.is_empty() { Ok(self.completed) } else { Err(Fault::from_details(self.faults)) }
    }
}

/// A JSON list of texts; none for anything else.
pub(crate) fn texts_of(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_fault_is_listed_at_once() {
        let given = json!({"zone": "Nowhere/Land", "trunks": "a", "extension_pattern": "(", "colour": 1});
        let given = given.as_object().unwrap();
        let mut reader = SettingsReader::new(given);
        reader.zone();
        reader.lines(&[]);
        let fault = reader.finish().unwrap_err();
        let names: Vec<&str> = fault.details().iter().map(|detail| detail.name.as_str()).collect();
        assert_eq!(names, ["zone", "trunks", "extension_pattern", "colour"]);
    }

    #[test]
    fn known_settings_are_listed_once_and_are_those_that_people_may_set() {
        let given = json!({"colour": 1, "zone": "Europe/Berlin"});
        let mut reader = SettingsReader::new(given.as_object().unwrap());
        reader.zone();
        reader.lines(&[]);
        reader.given("zone");
        let fault = reader.finish().unwrap_err();
        let wanted = "colour: is not a setting of this kind; known are zone, trunks, extension_pattern";
        assert_eq!(fault.message(), wanted);
    }

    #[test]
    fn a_zone_that_nobody_chose_is_not_shown_as_chosen() {
        let completed = |given: Value| {
            let mut reader = SettingsReader::new(given.as_object().unwrap());
            reader.zone();
            Value::Object(reader.finish().unwrap())
        };
        assert_eq!(completed(json!({})), json!({}));
        assert_eq!(completed(json!({"zone": null})), json!({}));
        assert_eq!(completed(json!({"zone": "UTC"})), json!({"zone": "UTC"}));
    }

    #[test]
    fn hostile_patterns_are_refused_or_harmless() {
        for pattern in [r"(\w{1000}){1000}", &"a".repeat(2000), r"(?=x)", r"(a)\1"] {
            let given = json!({ "extension_pattern": pattern });
            let mut reader = SettingsReader::new(given.as_object().unwrap());
            assert!(reader.pattern("extension_pattern").is_none(), "{}", &pattern[..pattern.len().min(20)]);
            assert!(reader.finish().is_err());
        }
    }

    #[test]
    fn toml_files_become_settings() {
        let settings =
            settings_from_toml("kind = \"csv\"\nheader = false\n[fields]\nstart_at = \"Start\"\n").unwrap();
        assert_eq!(
            Value::Object(settings),
            json!({"kind": "csv", "header": false, "fields": {"start_at": "Start"}})
        );
        assert!(settings_from_toml("kind = ").is_err());
    }
}
