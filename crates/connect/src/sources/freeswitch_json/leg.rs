//! One leg's JSON object, read key by key: a repeated `callflow` is kept every time, of any other repeated key the
//! first value counts, and values that are no text are kept as their JSON.
//!
//! Which variable means what is decided in `call`.

use percent_encoding::percent_decode_str;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;

/// A leg as the switch wrote it, its variables decoded.
#[derive(Debug, Default)]
pub(super) struct Leg {
    /// Names and values of variables in the order of the record.
    variables: Vec<(String, String)>,
    positions: HashMap<String, usize>,
    /// Profiles through which the call went, the newest first.
    profiles: Vec<Value>,
    /// Other keys of the object.
    others: Vec<(String, Value)>,
}

impl Leg {
    /// A variable with a value; an empty one says nothing.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let value = self.variables[*self.positions.get(name)?].1.as_str();
        (!value.is_empty()).then_some(value)
    }

    /// The first of these variables that has a value.
    pub(super) fn first_of(&self, names: &[&str]) -> Option<&str> {
        names.iter().find_map(|name| self.variable(name))
    }

    /// A variable that holds a whole number.
    pub(super) fn number(&self, name: &str) -> Option<i64> {
        self.variable(name)?.trim().parse().ok()
    }

    /// All variables.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Other keys of the object.
    pub(super) fn others(&self) -> &[(String, Value)] {
        &self.others
    }

    /// All profiles, the newest first.
    pub(super) fn profiles(&self) -> &[Value] {
        &self.profiles
    }

    /// A text of the caller profile in which the call is now (after transfers).
    pub(super) fn newest_profile(&self, name: &str) -> Option<&str> {
        profile_text(self.profiles.first()?, name)
    }

    /// A text of the caller profile with which the call began. Profiles are numbered from 1; without numbers the last
    /// one written is the oldest.
    pub(super) fn oldest_profile(&self, name: &str) -> Option<&str> {
        let index = |profile: &&Value| {
            profile.get("profile_index").and_then(Value::as_str).and_then(|text| text.parse::<u32>().ok())
        };
        let oldest = match self.profiles.iter().filter(|profile| index(profile).is_some()).min_by_key(index) {
            Some(numbered) => numbered,
            None => self.profiles.last()?,
        };
        profile_text(oldest, name)
    }

    /// A text of the profile of the leg that made this one.
    pub(super) fn originator_profile(&self, name: &str) -> Option<&str> {
        self.partner_profile("originator", name)
    }

    /// A text of the profile of the leg that this one made.
    pub(super) fn originatee_profile(&self, name: &str) -> Option<&str> {
        self.partner_profile("originatee", name)
    }

    fn partner_profile(&self, partner: &str, name: &str) -> Option<&str> {
        first_with(self.profiles.first()?.get("caller_profile")?.get(partner)?, name)
    }

    fn take_variable(&mut self, name: String, value: Value) {
        if let Entry::Vacant(free) = self.positions.entry(name.clone()) {
            free.insert(self.variables.len());
            self.variables.push((name, text_of(value)));
        }
    }

    fn take(&mut self, key: String, value: Value) {
        match (key.as_str(), value) {
            ("variables", Value::Object(variables)) => {
                variables.into_iter().for_each(|(name, value)| self.take_variable(name, value));
            }
            ("callflow", Value::Array(profiles)) => self.profiles.extend(profiles),
            ("callflow", profile @ Value::Object(_)) => self.profiles.push(profile),
            (_, value) => self.others.push((key, value)),
        }
    }

    /// With `encode-values` the switch percent-encodes every variable. Time stamps hold a blank and colons, which tells
    /// for sure; without stamps, some value must be encoded and none may hold what the switch would have encoded.
    fn decode_variables(&mut self) {
        let stamp = self.first_of(&["start_stamp", "end_stamp", "answer_stamp", "profile_start_stamp"]);
        let encoded = match stamp {
            Some(stamp) => !stamp.contains([' ', ':']) && stamp.contains('%'),
            None => {
                let mut values = self.variables.iter().map(|(_, value)| value.as_str());
                values.clone().all(is_cleanly_encoded) && values.any(|value| value.contains('%'))
            }
        };
        if encoded {
            for (_, value) in &mut self.variables {
                if value.contains('%') {
                    *value = percent_decode_str(value).decode_utf8_lossy().into_owned();
                }
            }
        }
    }
}

fn is_cleanly_encoded(value: &str) -> bool {
    let bytes = value.as_bytes();
    let escapes_hold = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'%').all(|(at, _)| {
        bytes.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    escapes_hold && !value.contains([' ', '"', '<', '>', '#', '{', '}', '\n', '\r'])
}

fn profile_text<'l>(profile: &'l Value, name: &str) -> Option<&'l str> {
    profile.get("caller_profile")?.get(name)?.as_str().filter(|text| !text.is_empty())
}

/// The first text of that name in nested objects and lists; their depth is bounded by the parser.
fn first_with<'l>(value: &'l Value, name: &str) -> Option<&'l str> {
    match value {
        Value::Object(object) => match object.get(name) {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            _ => object.values().find_map(|inner| first_with(inner, name)),
        },
        Value::Array(values) => values.iter().find_map(|inner| first_with(inner, name)),
        _ => None,
    }
}

/// A value as text: JSON of what is no text.
pub(super) fn text_of(value: Value) -> String {
    match value {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

impl<'de> Deserialize<'de> for Leg {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct LegVisitor;
        impl<'de> Visitor<'de> for LegVisitor {
            type Value = Leg;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Leg, A::Error> {
                let mut leg = Leg::default();
                while let Some(key) = map.next_key::<String>()? {
                    if key == "variables" {
                        for (name, value) in map.next_value::<Pairs>()?.0 {
                            leg.take_variable(name, value);
                        }
                    } else {
                        leg.take(key, map.next_value()?);
                    }
                }
                leg.decode_variables();
                Ok(leg)
            }
        }
        deserializer.deserialize_map(LegVisitor)
    }
}

/// An object with its repeated keys.
struct Pairs(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct PairsVisitor;
        impl<'de> Visitor<'de> for PairsVisitor {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of variables")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = Vec::new();
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(PairsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leg(json: &str) -> Leg {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn encoded_values_are_told_from_plain_ones() {
        for (variables, name, value) in [
            (r#"{"start_stamp":"2019-04-05%2010%3A50%3A43","a":"%2B49%20x"}"#, "a", "+49 x"),
            (r#"{"start_stamp":"2019-04-05 10:50:43","a":"100%25 sure"}"#, "a", "100%25 sure"),
            (r#"{"a":"%2B4930","b":"plain"}"#, "a", "+4930"),
            (r#"{"a":"%2B4930","b":"has blank"}"#, "a", "%2B4930"),
            (r#"{"a":"50%","b":"%20"}"#, "b", "%20"),
            (r#"{"a":"first","a":"second"}"#, "a", "first"),
            (r#"{"a":["x",1],"b":"y"}"#, "a", r#"["x",1]"#),
            (r#"{"start_stamp":"2019-04-05%2010%3A50%3A43","a":"%FF%ZZ"}"#, "a", "\u{fffd}%ZZ"),
        ] {
            let leg = leg(&format!(r#"{{"variables":{variables}}}"#));
            assert_eq!(leg.variable(name), Some(value), "{variables}");
        }
    }

    #[test]
    fn repeated_and_listed_profiles_are_the_same() {
        let newest = r#"{"profile_index":"2","caller_profile":{"destination_number":"101","originator":{"originator_caller_profiles":[{"username":"102"}]}}}"#;
        let oldest = r#"{"profile_index":"1","caller_profile":{"destination_number":"+4930"}}"#;
        for json in [
            format!(r#"{{"callflow":{newest},"variables":{{}},"callflow":{oldest}}}"#),
            format!(r#"{{"callflow":[{newest},{oldest}]}}"#),
        ] {
            let leg = leg(&json);
            assert_eq!(leg.newest_profile("destination_number"), Some("101"));
            assert_eq!(leg.oldest_profile("destination_number"), Some("+4930"));
            assert_eq!(leg.originator_profile("username"), Some("102"));
        }
    }
}
