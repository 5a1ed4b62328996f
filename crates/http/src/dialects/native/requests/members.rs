//! The members of a JSON object, taken one by one; everything that is wrong with them is found in one pass.
//!
//! Only names and types are judged here. Bounds of values are the use cases' business, whose verdict is taken along.

use serde_json::{Map, Value};
use tollbook_kit::fault::{Detail, Fault, InvalidKind};

/// The members of an object that nobody took yet, and the faults found so far.
#[derive(Debug)]
pub(crate) struct Members {
    rest: Map<String, Value>,
    /// What stands before the names of members in faults, such as `retention.`.
    prefix: String,
    faults: Vec<Detail>,
}

impl Members {
    /// The members of a whole body.
    pub(crate) fn of(object: Map<String, Value>) -> Self {
        Self { rest: object, prefix: String::new(), faults: Vec::new() }
    }

    /// Was the member given?
    pub(crate) fn has(&self, name: &str) -> bool {
        self.rest.contains_key(name)
    }

    /// A text.
    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match self.rest.remove(name)? {
            Value::String(text) => Some(text),
            _ => self.invalid(name, "must be a text"),
        }
    }

    /// A text that must be there.
    pub(crate) fn required_text(&mut self, name: &str) -> Option<String> {
        if !self.has(name) {
            self.fault(name, "is required", InvalidKind::MissingParameter);
        }
        self.text(name)
    }

    /// A text, or `null`.
    pub(crate) fn text_or_null(&mut self, name: &str) -> Option<Option<String>> {
        match self.rest.remove(name)? {
            Value::Null => Some(None),
            Value::String(text) => Some(Some(text)),
            _ => self.invalid(name, "must be a text or null"),
        }
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, name: &str) -> Option<bool> {
        match self.rest.remove(name)? {
            Value::Bool(value) => Some(value),
            _ => self.invalid(name, "must be true or false"),
        }
    }

    /// A whole number.
    pub(crate) fn number(&mut self, name: &str) -> Option<u32> {
        let number = whole(&self.rest.remove(name)?).and_then(|number| u32::try_from(number).ok());
        number.or_else(|| self.invalid(name, "must be a whole number from 0 to 4294967295"))
    }

    /// A whole number, or `null`.
    pub(crate) fn number_or_null(&mut self, name: &str) -> Option<Option<u64>> {
        match self.rest.remove(name)? {
            Value::Null => Some(None),
            value => match whole(&value) {
                Some(number) => Some(Some(number)),
                None => self.invalid(name, "must be a whole number or null"),
            },
        }
    }

    /// A list of texts; `null` is an empty one.
    pub(crate) fn texts(&mut self, name: &str) -> Option<Vec<String>> {
        let texts = match self.rest.remove(name)? {
            Value::Null => Some(Vec::new()),
            Value::Array(items) => items
                .into_iter()
                .map(|item| match item {
                    Value::String(text) => Some(text),
                    _ => None,
                })
                .collect(),
            _ => None,
        };
        texts.or_else(|| self.invalid(name, "must be a list of texts"))
    }

    /// What a text stands for.
    pub(crate) fn parsed<T>(
        &mut self,
        name: &str,
        text: Option<String>,
        parse: impl Fn(&str) -> Option<T>,
        reason: impl Into<String>,
    ) -> Option<T> {
        let text = text?;
        parse(&text).or_else(|| self.invalid(name, reason))
    }

    /// Reads the members of an object among the members; in faults they are named `name.member`.
    pub(crate) fn within<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let prefix = format!("{}{name}.", self.prefix);
        self.inside(name, prefix, read)
    }

    /// Like [`Members::within`], for an object whose members are named in faults as if they stood outside of it.
    pub(crate) fn among<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.inside(name, self.prefix.clone(), read)
    }

    fn inside<T>(&mut self, name: &str, prefix: String, read: impl FnOnce(&mut Self) -> T) -> Option<T> {
        let Value::Object(rest) = self.rest.remove(name)? else {
            return self.invalid(name, "must be an object");
        };
        let mut inner = Self { rest, prefix, faults: Vec::new() };
        let value = read(&mut inner);
        inner.refuse_rest();
        self.faults.append(&mut inner.faults);
        Some(value)
    }

    /// Takes along what a use case finds wrong with what was read, so that one answer names it all.
    pub(crate) fn judged(&mut self, faults: Vec<Detail>) {
        self.faults.extend(faults);
    }

    /// Notes a wrong value; answers none, in place of it.
    pub(crate) fn invalid<T>(&mut self, name: &str, reason: impl Into<String>) -> Option<T> {
        self.fault(name, reason, InvalidKind::InvalidParameter);
        None
    }

    fn fault(&mut self, name: &str, reason: impl Into<String>, kind: InvalidKind) {
        self.faults.push(Detail { name: format!("{}{name}", self.prefix), reason: reason.into(), kind });
    }

    fn refuse_rest(&mut self) {
        for (name, _) in std::mem::take(&mut self.rest) {
            self.fault(&name, "is not a member of this object", InvalidKind::UnknownParameter);
        }
    }

    /// Everything that is wrong, in one fault; what nobody took is unknown. Unknown names come first: a slip in a name
    /// often makes another fault, and the answer as a whole speaks of the first.
    ///
    /// # Errors
    /// `invalid`, when anything is.
    pub(crate) fn finish(mut self) -> Result<(), Fault> {
        self.refuse_rest();
        self.faults.sort_by_key(|fault| fault.kind != InvalidKind::UnknownParameter);
        if self.faults.is_empty() { Ok(()) } else { Err(Fault::from_details(self.faults)) }
    }
}

/// A number without a fraction, also when it is written with one: `7.0` is the same number as `7`.
fn whole(value: &Value) -> Option<u64> {
    /// 2^49: up to here floats are so close to each other that a slip of the last digits makes a fraction, which is
    /// refused, and never another whole number.
    const EXACT: f64 = 562_949_953_421_312.0;
    let written_with_fraction = |number: f64| {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole, and between the bounds"
        )]
        let whole = number as u64;
        (number.fract() == 0.0 && (0.0..EXACT).contains(&number)).then_some(whole)
    };
    value.as_u64().or_else(|| value.as_f64().and_then(written_with_fraction))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn members(value: Value) -> Members {
        let Value::Object(object) = value else { panic!("an object") };
        Members::of(object)
    }

    #[test]
    fn members_are_taken_by_type() {
        let mut given = members(json!({
            "text": "a", "none": null, "flag": true, "number": 7, "bytes": 1u64 << 40, "list": ["a", "b"],
            "inner": {"number": 1}, "outer": {"text": "b"}
        }));
        assert_eq!(given.text("text").as_deref(), Some("a"));
        assert_eq!(given.text_or_null("none"), Some(None));
        assert_eq!(given.boolean("flag"), Some(true));
        assert_eq!(given.number("number"), Some(7));
        assert_eq!(given.number_or_null("bytes"), Some(Some(1 << 40)));
        assert_eq!(given.texts("list").unwrap(), ["a", "b"]);
        assert_eq!(given.within("inner", |inner| inner.number("number")), Some(Some(1)));
        assert_eq!(given.among("outer", |outer| outer.text("text")), Some(Some("b".to_owned())));
        assert_eq!(given.text("absent"), None);
        assert!(given.finish().is_ok());
    }

    #[test]
    fn numbers_may_be_written_with_a_fraction_of_nothing() {
        for (text, wanted) in [
            ("7", Some(7)),
            ("7.0", Some(7)),
            ("7e2", Some(700)),
            ("562949953421311.0", Some((1 << 49) - 1)),
            ("562949953421312.0", None),
            ("18446744073709551615", Some(u64::MAX)),
            ("7.5", None),
            ("-1", None),
            ("-1.0", None),
            ("1e300", None),
            ("\"7\"", None),
        ] {
            assert_eq!(whole(&serde_json::from_str(text).unwrap()), wanted, "{text}");
        }
    }

    #[test]
    fn every_fault_is_named_and_unknown_members_come_first() {
        let mut given = members(json!({
            "text": 1, "flag": "true", "number": -1, "large": 4294967296u64, "share": 1.5, "list": ["a", 1],
            "inner": {"number": null, "typo": 1}, "outer": {"typo": 1}, "object": [], "typo": {}
        }));
        given.text("text");
        given.boolean("flag");
        given.number("number");
        given.number("large");
        given.number_or_null("share");
        given.texts("list");
        given.within("inner", |inner| inner.number("number"));
        given.among("outer", |outer| outer.number("number"));
        given.within("object", |_| ());
        given.required_text("absent");
        let fault = given.finish().unwrap_err();
        let names: Vec<_> = fault.details().iter().map(|detail| detail.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "inner.typo",
                "typo",
                "typo",
                "text",
                "flag",
                "number",
                "large",
                "share",
                "list",
                "inner.number",
                "object",
                "absent"
            ]
        );
    }
}
