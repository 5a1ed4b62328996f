//! Credentials: from the `Authorization` header to the caller. Never from a query or a cookie.

use crate::api::Api;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use tollbook_kit::fault::{Code, Fault};
use tollbook_model::access::Caller;

/// Which forms of credentials a route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Schemes {
    /// `Bearer` only.
    Bearer,
    /// Also `Basic`, with the token as password: some switches can send nothing else.
    BearerOrBasic,
}

/// The caller of a request.
///
/// # Errors
/// `unauthenticated` without exactly one credential of a form taken here, or when the token is not known.
pub(crate) async fn caller(api: &Api, headers: &HeaderMap, schemes: Schemes) -> Result<Caller, Fault> {
    let missing = || Fault::new(Code::Unauthenticated, "send a token as Authorization: Bearer <token>");
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(missing());
    };
    let token = value.to_str().ok().and_then(|text| token(text, schemes)).ok_or_else(missing)?;
    api.app.tokens.authenticate(&token).await
}

/// The token inside a header value; none when the form is not taken.
fn token(value: &str, schemes: Schemes) -> Option<String> {
    let (scheme, rest) = value.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return (!rest.is_empty()).then(|| rest.to_owned());
    }
    if schemes == Schemes::BearerOrBasic && scheme.eq_ignore_ascii_case("basic") {
        let pair = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
        return pair.split_once(':').map(|(_user, password)| password.to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_come_from_bearer_and_where_allowed_from_basic() {
        use Schemes::{Bearer, BearerOrBasic};
        for (value, schemes, wanted) in [
            ("Bearer abc", Bearer, Some("abc")),
            ("bearer  abc ", Bearer, Some("abc")),
            ("Bearer ", Bearer, None),
            ("Bearer", Bearer, None),
            ("Token abc", Bearer, None),
            ("Basic dXNlcjphOmI=", Bearer, None),
            ("Basic dXNlcjphOmI=", BearerOrBasic, Some("a:b")),
            ("basic OmFiYw==", BearerOrBasic, Some("abc")),
            ("Basic !!!", BearerOrBasic, None),
            ("Basic YWJj", BearerOrBasic, None),
        ] {
            assert_eq!(token(value, schemes).as_deref(), wanted, "{value}");
        }
    }
}
