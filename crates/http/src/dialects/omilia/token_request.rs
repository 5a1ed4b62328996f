//! What clients send to the token endpoint: a form, as identity servers take, or JSON, as the vendor's page shows.

use crate::refusal::Refusal;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde_json::{Map, Value};
use std::collections::HashMap;
use tollbook_kit::fault::{Code, Fault};

/// How the names and values of a body are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `application/x-www-form-urlencoded`.
    UrlEncoded,
    /// `application/json`: an object.
    Json,
    /// Not said: JSON begins with a brace.
    Unsaid,
}

/// How a client proves himself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grant {
    /// With a user's name and password.
    Password,
    /// With the refresh token of an earlier login.
    RefreshToken,
    /// With an API token.
    ClientCredentials,
}

/// Names and values of a body. What is not asked for is ignored, as RFC 6749 wants it.
pub(super) struct Form(HashMap<String, Value>);

impl Form {
    /// How the body of a request is written.
    ///
    /// # Errors
    /// `unsupported_media` for other types.
    pub(super) fn kind(headers: &HeaderMap) -> Result<Kind, Fault> {
        let Some(value) = headers.get(CONTENT_TYPE) else { return Ok(Kind::Unsaid) };
        let media_type = value.to_str().unwrap_or("?").split(';').next().unwrap_or("").trim();
        match media_type.to_ascii_lowercase().as_str() {
            "application/x-www-form-urlencoded" => Ok(Kind::UrlEncoded),
            "application/json" => Ok(Kind::Json),
            "" => Ok(Kind::Unsaid),
            _ => Err(Fault::new(
                Code::UnsupportedMedia,
                "send the body as application/x-www-form-urlencoded or application/json",
            )),
        }
    }

    /// Reads a body.
    ///
    /// # Errors
    /// `invalid` when it is not of its kind, or a form gives a name twice.
    pub(super) fn parse(kind: Kind, body: &[u8]) -> Result<Self, Fault> {
        let is_object = body.trim_ascii_start().first() == Some(&b'{');
        if kind == Kind::Json || (kind == Kind::Unsaid && is_object) {
            let object: Map<String, Value> = serde_json::from_slice(body)
                .map_err(|_| Fault::new(Code::Invalid, "the body is not a JSON object"))?;
            return Ok(Self(object.into_iter().collect()));
        }
        if std::str::from_utf8(body).is_err() {
            return Err(Fault::new(Code::Invalid, "the body is not UTF-8"));
        }
        let mut members = HashMap::new();
        for (name, value) in form_urlencoded::parse(body) {
            if members.insert(name.into_owned(), Value::String(value.into_owned())).is_some() {
                return Err(Fault::new(Code::Invalid, "a parameter is given twice; send each once"));
            }
        }
        Ok(Self(members))
    }

    /// How the client proves himself.
    ///
    /// # Errors
    /// `invalid`, without `grant_type` or with one that is not taken.
    pub(super) fn grant(&mut self) -> Result<Grant, Refusal> {
        match self.required("grant_type")?.as_str() {
            "password" => Ok(Grant::Password),
            "refresh_token" => Ok(Grant::RefreshToken),
            "client_credentials" => Ok(Grant::ClientCredentials),
            _ => {
                let text = "grant_type must be password, refresh_token or client_credentials";
                Err(Refusal::from(Fault::new(Code::Invalid, text)).called("unsupported_grant_type"))
            }
        }
    }

    /// A value that must be there.
    ///
    /// # Errors
    /// `invalid` when it is not.
    pub(super) fn required(&mut self, name: &'static str) -> Result<String, Fault> {
        self.optional(name)?.ok_or_else(|| Fault::new(Code::Invalid, format!("{name} is missing; send it")))
    }

    /// A value that may be there; an empty one is none.
    ///
    /// # Errors
    /// `invalid` when it is no text.
    pub(super) fn optional(&mut self, name: &'static str) -> Result<Option<String>, Fault> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok((!text.is_empty()).then_some(text)),
            Some(_) => Err(Fault::new(Code::Invalid, format!("{name} must be a text"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(kind: Kind, body: &str) -> Option<(Option<String>, Option<String>)> {
        let mut form = Form::parse(kind, body.as_bytes()).ok()?;
        Some((form.optional("a").ok()?, form.optional("b").ok()?))
    }

    #[test]
    fn forms_and_json_say_the_same() {
        let (a, b) = (Some("ä &=+".to_owned()), Some("2".to_owned()));
        let form = "a=%C3%A4+%26%3D%2B&b=2&c=ignored";
        let json = r#" {"a":"ä &=+","b":"2","c":[1]}"#;
        for (kind, body) in
            [(Kind::UrlEncoded, form), (Kind::Unsaid, form), (Kind::Json, json), (Kind::Unsaid, json)]
        {
            assert_eq!(parse(kind, body), Some((a.clone(), b.clone())), "{kind:?} {body}");
        }
        assert_eq!(parse(Kind::UrlEncoded, "a=&x"), Some((None, None)), "empty is absent");
        assert_eq!(parse(Kind::Json, r#"{"a":"","b":null}"#), Some((None, None)));
        for (kind, body) in [
            (Kind::UrlEncoded, "a=1&a=1"),
            (Kind::UrlEncoded, "x=1&x=2"),
            (Kind::Json, "a=1"),
            (Kind::Json, "[]"),
            (Kind::Json, r#"{"a":1}"#),
        ] {
            assert_eq!(parse(kind, body), None, "{kind:?} {body}");
        }
    }

    #[test]
    fn types_are_read_without_their_parameters() {
        let kind = |value: &str| {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, value.parse().unwrap())]);
            Form::kind(&headers).ok()
        };
        assert_eq!(kind("Application/JSON; charset=utf-8"), Some(Kind::Json));
        assert_eq!(kind("application/x-www-form-urlencoded;charset=UTF-8"), Some(Kind::UrlEncoded));
        assert_eq!(kind("text/xml"), None);
        assert_eq!(Form::kind(&HeaderMap::new()).ok(), Some(Kind::Unsaid));
    }
}
