//! Media types of requests (`didww.md` section 2): what `Accept` and `Content-Type` may say.

use super::errors::{self, MEDIA_TYPE};
use crate::refusal::Refusal;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName};

/// Does the client take JSON:API documents?
///
/// # Errors
/// 406.
pub(super) fn accepts(headers: &HeaderMap) -> Result<(), Refusal> {
    let given = lines(headers, &ACCEPT);
    let mut entries = given.split(',').map(str::trim).filter(|entry| !entry.is_empty()).peekable();
    if entries.peek().is_none() {
        return Ok(());
    }
    let mut takes_any = false;
    let mut of_json_api = Vec::new();
    for entry in entries {
        let mut pieces = entry.split(';').map(str::trim);
        let media_type = pieces.next().unwrap_or("").to_ascii_lowercase();
        takes_any |= matches!(media_type.as_str(), "*/*" | "application/*");
        if media_type == MEDIA_TYPE {
            of_json_api.push(pieces.all(is_weight));
        }
    }
    let accepted = if of_json_api.is_empty() { takes_any } else { of_json_api.contains(&true) };
    if accepted { Ok(()) } else { Err(errors::not_acceptable(&given)) }
}

/// Is the body, if there is one, a JSON:API document?
///
/// # Errors
/// 415.
pub(super) fn sends(headers: &HeaderMap, has_body: bool) -> Result<(), Refusal> {
    let given = lines(headers, &CONTENT_TYPE);
    let is_absent = !headers.contains_key(CONTENT_TYPE);
    if given.eq_ignore_ascii_case(MEDIA_TYPE) || (is_absent && !has_body) {
        return Ok(());
    }
    Err(errors::unsupported_media_type(&given))
}

/// Is this parameter the weight, which is none of the media type? An empty one is nothing.
fn is_weight(parameter: &str) -> bool {
    let name = parameter.split('=').next().unwrap_or("").trim();
    name.is_empty() || name.eq_ignore_ascii_case("q")
}

/// All lines of a header as one list.
fn lines(headers: &HeaderMap, name: &HeaderName) -> String {
    let lines = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    lines.collect::<Vec<_>>().join(", ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderValue, StatusCode};

    fn headers(name: HeaderName, lines: &[&'static str]) -> HeaderMap {
        lines.iter().map(|line| (name.clone(), HeaderValue::from_static(line))).collect()
    }

    #[test]
    fn accept_names_the_type_bare_or_anything() {
        for (lines, accepted) in [
            (&[][..], true),
            (&[""], true),
            (&["application/vnd.api+json"], true),
            (&["application/vnd.api+json;q=0.5"], true),
            (&["application/vnd.api+json; charset=utf-8"], false),
            (&["application/vnd.api+json; charset=utf-8", "application/vnd.api+json"], true),
            (&["application/vnd.api+json; ext=\"x\", */*"], false),
            (&["*/*"], true),
            (&["application/*;q=0.1"], true),
            (&["text/html, */*;q=0.8"], true),
            (&["application/json"], false),
            (&["application/json, application/vnd.api+json"], true),
            (&["text/*"], false),
            (&["text/csv"], false),
        ] {
            let verdict = accepts(&headers(ACCEPT, lines));
            assert_eq!(verdict.is_ok(), accepted, "{lines:?}");
            assert!(verdict.is_ok() || verdict.is_err_and(|no| no.status() == StatusCode::NOT_ACCEPTABLE));
        }
    }

    #[test]
    fn bodies_are_of_exactly_one_type() {
        for (lines, has_body, taken) in [
            (&["application/vnd.api+json"][..], true, true),
            (&["application/vnd.api+json"], false, true),
            (&["application/vnd.api+json; charset=utf-8"], true, false),
            (&["application/vnd.api+json;"], true, false),
            (&["application/json"], false, false),
            (&["application/vnd.api+json", "application/vnd.api+json"], true, false),
            (&[""], true, false),
            (&[], true, false),
            (&[], false, true),
        ] {
            let verdict = sends(&headers(CONTENT_TYPE, lines), has_body);
            assert_eq!(verdict.is_ok(), taken, "{lines:?}");
        }
    }
}
