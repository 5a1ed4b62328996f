//! From a posted body to JSON texts: raw, as a form, or in base64, told apart by the bytes alone. With some options the
//! switch announces a form and sends JSON, so that `Content-Type` is never asked.

use crate::delimited::{line_feeds, without_mark};
use crate::rows::RowProblem;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use std::borrow::Cow;
use tollbook_kit::fault::Fault;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A JSON text with the line of the body on which it begins, or why a part of the body is none.
pub(super) type Document<'b> = (u64, Result<Cow<'b, [u8]>, RowProblem>);

/// The JSON texts of a body.
///
/// # Errors
/// `invalid`: the body is neither JSON nor a form named `cdr`.
pub(super) fn open(body: &[u8]) -> Result<Vec<Document<'_>>, Fault> {
    let body = without_mark(body);
    let start = body.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(body.len());
    let (line, content) = (1 + line_feeds(&body[..start]), &body[start..]);
    match content {
        [] => Ok(Vec::new()),
        [b'{' | b'[', ..] => Ok(vec![(line, Ok(readable(Cow::Borrowed(content))))]),
        [b'<', ..] => {
            Err(Fault::malformed("this is XML: set mod_json_cdr up in the switch, not mod_xml_cdr"))
        }
        _ if content.starts_with(b"cdr=") => Ok(open_forms(line, content)),
        _ => Err(Fault::malformed("must be JSON, or a form with the field cdr, as mod_json_cdr posts them")),
    }
}

/// One form, or several on a line each, as people concatenate files of the error directory.
fn open_forms(first_line: u64, content: &[u8]) -> Vec<Document<'_>> {
    let value = &content[b"cdr=".len()..];
    if value.first() == Some(&b'{') {
        return vec![(first_line, Ok(readable(Cow::Borrowed(value))))];
    }
    let mut documents = Vec::new();
    for (line, text) in (first_line..).zip(content.split(|&byte| byte == b'\n')) {
        let text = text.trim_ascii();
        if !text.is_empty() {
            let value = text.strip_prefix(b"cdr=");
            let decoded = value.and_then(decode).ok_or_else(|| {
                RowProblem::new("the form field cdr must hold JSON, percent-encoded or in base64")
            });
            documents.push((line, decoded.map(|json| readable(Cow::Owned(json)))));
        }
    }
    documents
}

/// The value of the form field. JSON begins with `{`, which no base64 text holds and every form encodes.
fn decode(value: &[u8]) -> Option<Vec<u8>> {
    if value.first() == Some(&b'{') {
        return Some(value.to_vec());
    }
    if value.get(..3).is_some_and(|head| head.eq_ignore_ascii_case(b"%7B")) {
        let value = value.split(|&byte| byte == b'&').next()?;
        let spaced: Vec<u8> = value.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
        return Some(percent_encoding::percent_decode(&spaced).collect());
    }
    // The switch does not percent-encode base64, other senders do; a `+` is a digit of it and never a blank.
    let plain: Vec<u8> = percent_encoding::percent_decode(value).collect();
    BASE64.decode(plain).ok().filter(|json| json.trim_ascii_start().first() == Some(&b'{'))
}

/// The text with U+FFFD in place of bytes that are no UTF-8: a caller's name must not cost the record.
fn readable(json: Cow<'_, [u8]>) -> Cow<'_, [u8]> {
    match std::str::from_utf8(&json) {
        Ok(_) => json,
        Err(_) => Cow::Owned(String::from_utf8_lossy(&json).into_owned().into_bytes()),
    }
}

/// The uuid that the address announces (`?uuid=`), without the `a_` of an A leg. The switch always appends `?`, so that
/// it may be found inside the value or the name of another parameter.
pub(super) fn announced_uuid(query: &[(String, String)]) -> Option<String> {
    query.iter().find_map(|(name, value)| {
        let announced = if name.trim_start_matches('?') == "uuid" {
            Some(value.as_str())
        } else {
            name.split_once("?uuid=").or_else(|| value.split_once("?uuid=")).map(|(_, uuid)| uuid)
        };
        let announced = announced.or_else(|| name.ends_with("?uuid").then_some(value.as_str()))?;
        Some(announced.strip_prefix("a_").unwrap_or(announced).to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const JSON: &str = r#"{"variables":{"uuid":"u","x":"a>>?b c+d"}}"#;

    #[test]
    fn every_envelope_holds_the_same_json() {
        let form: String = form_urlencoded::byte_serialize(JSON.as_bytes()).collect();
        let switch_form = form.replace('+', "%20");
        let base64 = base64::engine::general_purpose::STANDARD.encode(JSON);
        assert!(base64.contains('+') || base64.contains('/'), "the sample must hold the digits in question");
        for body in [
            JSON.to_owned(),
            format!("\u{feff}\n {JSON}"),
            format!("cdr={JSON}"),
            format!("cdr={form}"),
            format!("cdr={switch_form}"),
            format!("cdr={base64}"),
            format!("cdr={}", base64.trim_end_matches('=')),
            format!("cdr={}", base64.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D")),
        ] {
            let documents = open(body.as_bytes()).unwrap();
            let (_, json) = documents.first().expect("a document");
            assert_eq!(json.as_deref().expect("JSON").trim_ascii(), JSON.as_bytes(), "{body}");
        }
    }

    #[test]
    fn forms_on_lines_are_documents_of_their_own() {
        let form: String = form_urlencoded::byte_serialize(JSON.as_bytes()).collect();
        let body = format!("cdr={form}\ncdr=!!!\n\ncdr={form}\n");
        let lines: Vec<(u64, bool)> =
            open(body.as_bytes()).unwrap().iter().map(|d| (d.0, d.1.is_ok())).collect();
        assert_eq!(lines, [(1, true), (2, false), (4, true)]);
    }

    #[test]
    fn other_bodies_are_refused_as_a_whole() {
        assert!(open(b"<?xml version='1.0'?><cdr/>").is_err());
        assert!(open(b"hello").is_err());
        assert!(open(b" \n").unwrap().is_empty());
    }

    #[test]
    fn the_address_announces_the_uuid() {
        let pair = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
        for (query, uuid) in [
            (pair("uuid", "1-2"), Some("1-2")),
            (pair("uuid", "a_1-2"), Some("1-2")),
            (pair("?uuid", "1-2"), Some("1-2")),
            (pair("token", "x?uuid=1-2"), Some("1-2")),
            (pair("token?uuid", "a_1-2"), Some("1-2")),
            (pair("token", "x"), None),
            (vec![], None),
        ] {
            assert_eq!(announced_uuid(&query).as_deref(), uuid, "{query:?}");
        }
    }
}
