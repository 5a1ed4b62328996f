//! The attributes of an export to be made, and of one to be changed (`didww.md` sections 4.4 and 5.1): what they may hold. All
//! that is wrong is named.
//!
//! Whether an address may be called, and whether a call could be signed, is not known here.

use super::callback_url::CallbackUrl;
use super::errors::Broken;
use super::filters::{self, ExportType, Filters};
use super::versions::ApiVersion;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tollbook_model::export_job::REFERENCE_CHARACTERS;

const NOT_IN_LIST: &str = "is not included in the list";
const BLANK: &str = "can't be blank";
const INVALID: &str = "is invalid";
/// Longest address, in characters.
const URL_CHARACTERS: usize = 2048;

/// The method of a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum CallbackMethod {
    /// The parameters are put behind the address.
    Get,
    /// The parameters are the body.
    Post,
}

impl CallbackMethod {
    /// The word for it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
        }
    }
}

/// Attributes that have been read; what is wrong is none.
#[derive(Debug)]
pub(super) struct Attributes {
    pub(super) kind: Option<ExportType>,
    pub(super) filters: Option<Filters>,
    pub(super) callback_url: Option<String>,
    pub(super) callback_method: Option<CallbackMethod>,
    pub(super) reference: Option<String>,
    /// Everything that is wrong.
    pub(super) broken: Vec<Broken>,
}

impl Attributes {
    /// Reads the attributes of an export to be made. Null is as if it were not there.
    pub(super) fn read(given: &Map<String, Value>, version: ApiVersion, now_ms: i64) -> Self {
        let mut broken = Vec::new();
        let mut told = |name: &str, message: &str| broken.push(Broken::attribute(name, message));
        let present = |name: &str| given.get(name).filter(|value| !value.is_null());
        let kind = match present("export_type").map(|value| value.as_str().and_then(ExportType::from_name)) {
            Some(Some(kind)) => Some(kind),
            Some(None) => {
                told("export_type", NOT_IN_LIST);
                None
            }
            None => {
                told("export_type", BLANK);
                None
            }
        };
        let filters = match present("filters") {
            None => {
                told("filters", BLANK);
                None
            }
            Some(Value::Object(filters)) => match filters::read(filters, kind, version, now_ms) {
                Ok(filters) => Some(filters),
                Err(wrong) => {
                    broken.extend(wrong);
                    None
                }
            },
            Some(_) => {
                told("filters", INVALID);
                None
            }
        };
        let callback_url = present("callback_url").and_then(|value| {
            let url = address(value);
            broken.extend(url.is_none().then(|| Broken::attribute("callback_url", INVALID)));
            url
        });
        let callback_method = present("callback_method").and_then(|value| {
            let known = [CallbackMethod::Get, CallbackMethod::Post];
            let method = known.into_iter().find(|method| value.as_str() == Some(method.name()));
            broken.extend(method.is_none().then(|| Broken::attribute("callback_method", NOT_IN_LIST)));
            method
        });
        let method_of_url = callback_url.as_ref().map(|_| CallbackMethod::Post);
        let reference = reference(given).unwrap_or_else(|wrong| {
            broken.push(wrong);
            None
        });
        let callback_method = callback_method.or(method_of_url);
        Self { kind, filters, callback_url, callback_method, reference, broken }
    }
}

/// An absolute address of HTTP; none when the value is none.
fn address(value: &Value) -> Option<String> {
    let text = value.as_str().filter(|text| text.chars().count() <= URL_CHARACTERS)?;
    CallbackUrl::parse(text).map(|_| text.to_owned())
}

/// The caller's own name for the export.
///
/// # Errors
/// What is wrong with it.
pub(super) fn reference(given: &Map<String, Value>) -> Result<Option<String>, Broken> {
    const NAME: &str = "external_reference_id";
    match given.get(NAME) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.chars().count() <= REFERENCE_CHARACTERS => Ok(Some(text.clone())),
        Some(Value::String(_)) => {
            let message = format!("is too long (maximum is {REFERENCE_CHARACTERS} characters)");
            Err(Broken::attribute(NAME, message))
        }
        Some(_) => Err(Broken::attribute(NAME, INVALID)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tollbook_model::time_range::parse_instant;

    fn read(given: &Value) -> Attributes {
        let now_ms = parse_instant("2026-04-20T12:00:00Z").unwrap();
        Attributes::read(given.as_object().unwrap(), ApiVersion::V20261119, now_ms)
    }

    /// Reads good attributes, this one of them changed.
    fn with(name: &str, value: Value) -> Attributes {
        let mut given = json!({
            "export_type": "cdr_in",
            "filters": {"from": "2026-03-01 00:00:00", "to": "2026-04-01 00:00:00"},
        });
        given[name] = value;
        read(&given)
    }

    #[test]
    fn bad_attributes_are_told_by_their_rules() {
        let long = format!("https://a.example/{}", "x".repeat(2048));
        for (name, value, message) in [
            ("export_type", json!("cdr_out"), None),
            ("export_type", Value::Null, Some(BLANK)),
            ("export_type", json!("sms_in"), Some(NOT_IN_LIST)),
            ("export_type", json!("CDR_IN"), Some(NOT_IN_LIST)),
            ("export_type", json!(1), Some(NOT_IN_LIST)),
            ("filters", Value::Null, Some(BLANK)),
            ("filters", json!([]), Some(INVALID)),
            ("filters", json!("x"), Some(INVALID)),
            ("callback_url", Value::Null, None),
            ("callback_url", json!("https://user:word@a.example/x?y#z"), None),
            ("callback_url", json!("a.example"), Some(INVALID)),
            ("callback_url", json!(""), Some(INVALID)),
            ("callback_url", json!({}), Some(INVALID)),
            ("callback_url", json!(&long[..2048]), None),
            ("callback_url", json!(&long[..2049]), Some(INVALID)),
            ("callback_method", Value::Null, None),
            ("callback_method", json!("get"), None),
            ("callback_method", json!("POST"), Some(NOT_IN_LIST)),
            ("callback_method", json!(""), Some(NOT_IN_LIST)),
            ("external_reference_id", json!("ä".repeat(100)), None),
            ("external_reference_id", json!(""), None),
            (
                "external_reference_id",
                json!("x".repeat(101)),
                Some("is too long (maximum is 100 characters)"),
            ),
            ("external_reference_id", json!(5), Some(INVALID)),
        ] {
            let wanted: Vec<_> =
                message.map(|message| Broken::attribute(name, message)).into_iter().collect();
            assert_eq!(with(name, value.clone()).broken, wanted, "{name} {value}");
        }
        let nothing = read(&json!({})).broken;
        assert_eq!(nothing, [Broken::attribute("export_type", BLANK), Broken::attribute("filters", BLANK)]);
        let all = json!({"export_type": "x", "filters": {}, "callback_url": "x", "callback_method": "x",
                         "external_reference_id": []});
        assert_eq!(read(&all).broken.len(), 6, "all faults in one answer");
    }

    #[test]
    fn a_callback_is_a_post_unless_it_is_said() {
        let method = |attributes: Attributes| attributes.callback_method;
        assert_eq!(method(with("callback_url", json!("https://a.example"))), Some(CallbackMethod::Post));
        assert_eq!(method(with("callback_method", json!("get"))), Some(CallbackMethod::Get));
        assert_eq!(method(with("callback_url", Value::Null)), None);
    }
}
