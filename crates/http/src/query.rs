//! Parameters, mostly of query strings, and the collecting of everything that is wrong with them.
//!
//! What the parameters mean is each dialect's business.

use percent_encoding::percent_decode_str;
use tollbook_kit::fault::{Detail, Fault, InvalidKind};

/// Most parameters of one query.
const MOST_PARAMETERS: usize = 1000;

/// The parameters of one request, and the faults found in them so far.
#[derive(Debug, Default)]
pub(crate) struct Parameters {
    pairs: Vec<(String, String)>,
    /// Names with values that are no texts, and what is wrong with them.
    unreadable: Vec<(String, &'static str)>,
    faults: Vec<Detail>,
}

impl Parameters {
    /// Decodes a query string once: `+` is a space, `%XX` a byte, and the whole must be UTF-8.
    pub(crate) fn parse(query: Option<&str>) -> Self {
        let mut parameters = Self::default();
        let pieces = query.unwrap_or("").split('&').filter(|piece| !piece.is_empty());
        for (at, piece) in pieces.enumerate() {
            if at == MOST_PARAMETERS {
                parameters.invalid("query", format!("must not have more than {MOST_PARAMETERS} parameters"));
                break;
            }
            let (name, value) = piece.split_once('=').unwrap_or((piece, ""));
            match (decode(name), decode(value)) {
                (Some(name), Some(value)) => parameters.pairs.push((name, value)),
                (Some(name), None) => parameters.push_unreadable(name, "must be UTF-8"),
                (None, _) => parameters.invalid("query", "names must be UTF-8"),
            }
        }
        parameters
    }

    /// Adds a parameter.
    pub(crate) fn push(&mut self, name: String, value: String) {
        self.pairs.push((name, value));
    }

    /// Adds a parameter whose value is no text. If its name is known, that is its fault.
    pub(crate) fn push_unreadable(&mut self, name: String, reason: &'static str) {
        self.unreadable.push((name, reason));
    }

    /// All parameters in their order.
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.pairs
    }

    /// Refuses every parameter whose name is not `known`.
    pub(crate) fn refuse_unknown(&mut self, known: impl Fn(&str) -> bool) {
        let mut refused: Vec<&str> = Vec::new();
        let names = self.pairs.iter().map(|(name, _)| name);
        for name in names.chain(self.unreadable.iter().map(|(name, _)| name)) {
            if !known(name) && !refused.contains(&name.as_str()) {
                refused.push(name);
                self.faults.push(Detail {
                    name: name.clone(),
                    reason: "is not a parameter of this call".into(),
                    kind: InvalidKind::UnknownParameter,
                });
            }
        }
        self.unreadable.retain(|(name, _)| known(name));
    }

    /// The value of a parameter that may be given once. Repeated or empty ones are faults.
    pub(crate) fn single(&mut self, name: &str) -> Option<String> {
        let mut values = self.pairs.iter().filter(|(given, _)| given == name).map(|(_, value)| value);
        let (value, repeated) = (values.next()?.clone(), values.next().is_some());
        if repeated {
            self.invalid(name, "must be given once");
            return None;
        }
        if value.is_empty() {
            self.invalid(name, "must not be empty");
            return None;
        }
        Some(value)
    }

    /// The values of a parameter that may be repeated. Empty ones are faults.
    pub(crate) fn repeated(&mut self, name: &str) -> Vec<String> {
        let values: Vec<String> =
            self.pairs.iter().filter(|(given, _)| given == name).map(|(_, value)| value.clone()).collect();
        if values.iter().any(String::is_empty) {
            self.invalid(name, "must not be empty");
        }
        values
    }

    /// Was the parameter given at all?
    pub(crate) fn has(&self, name: &str) -> bool {
        self.pairs.iter().any(|(given, _)| given == name)
            || self.unreadable.iter().any(|(given, _)| given == name)
    }

    /// Was anything wrong so far?
    pub(crate) fn is_wrong(&self) -> bool {
        !self.faults.is_empty() || !self.unreadable.is_empty()
    }

    /// Takes along what others found wrong.
    pub(crate) fn extend(&mut self, faults: impl IntoIterator<Item = Detail>) {
        self.faults.extend(faults);
    }

    /// Notes a wrong value.
    pub(crate) fn invalid(&mut self, name: &str, reason: impl Into<String>) {
        let kind = InvalidKind::InvalidParameter;
        self.faults.push(Detail { name: name.to_owned(), reason: reason.into(), kind });
    }

    /// Notes that a required parameter is absent.
    pub(crate) fn missing(&mut self, name: &str) {
        let kind = InvalidKind::MissingParameter;
        self.faults.push(Detail { name: name.to_owned(), reason: "is required".into(), kind });
    }

    /// Everything that is wrong, in one fault. Unknown names come first: a slip in a name often makes another fault
    /// (what should have been there is missing), and the answer as a whole speaks of the first.
    ///
    /// # Errors
    /// `invalid`, when anything is.
    pub(crate) fn finish(self) -> Result<(), Fault> {
        let kind = InvalidKind::InvalidParameter;
        let unreadable = self.unreadable.into_iter();
        let mut faults: Vec<Detail> =
            unreadable.map(|(name, reason)| Detail { name, reason: reason.into(), kind }).collect();
        faults.extend(self.faults);
        faults.sort_by_key(|fault| fault.kind != InvalidKind::UnknownParameter);
        if faults.is_empty() { Ok(()) } else { Err(Fault::from_details(faults)) }
    }
}

fn decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_once() {
        let parameters = Parameters::parse(Some("a=%2B49+30&b&&c=%2541&d=%C3%A4=x"));
        let pairs: Vec<_> = parameters.pairs().iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("a", "+49 30"), ("b", ""), ("c", "%41"), ("d", "ä=x")]);
        assert!(parameters.finish().is_ok());
    }

    #[test]
    fn all_faults_come_together() {
        let mut parameters = Parameters::parse(Some("a=1&a=2&b=&x=1&x=2&c=%FF"));
        parameters.refuse_unknown(|name| name != "x");
        assert_eq!(
            (parameters.single("a"), parameters.single("b"), parameters.single("none")),
            (None, None, None)
        );
        let fault = parameters.finish().unwrap_err();
        let names: Vec<_> = fault.details().iter().map(|detail| detail.name.as_str()).collect();
        assert_eq!(names, ["x", "c", "a", "b"]);
    }

    #[test]
    fn what_is_no_text_was_given_all_the_same() {
        let mut parameters = Parameters::parse(Some("a=%FF"));
        parameters.push("b".into(), "1".into());
        parameters.push_unreadable("c".into(), "must be a text");
        parameters.push_unreadable("x".into(), "must be a text");
        parameters.refuse_unknown(|name| name != "x");
        assert!(parameters.has("a") && parameters.has("b") && parameters.has("c"));
        assert_eq!((parameters.single("a"), parameters.single("b").as_deref()), (None, Some("1")));
        assert!(parameters.repeated("c").is_empty());
        let fault = parameters.finish().unwrap_err();
        let told: Vec<_> = fault.details().iter().map(|d| (d.name.as_str(), d.kind)).collect();
        let (unknown, invalid) = (InvalidKind::UnknownParameter, InvalidKind::InvalidParameter);
        assert_eq!(told, [("x", unknown), ("a", invalid), ("c", invalid)]);
    }
}
