//! Credentials: where each dialect looks for one in the headers. Never in a query or a cookie.
//!
//! Whose a credential is, is decided in `app`; the order of the checks around that is each dialect's gate.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::secret::Secret;

const API_KEY: HeaderName = HeaderName::from_static("api-key");
const PERSONAL_ACCESS_TOKEN: HeaderName = HeaderName::from_static("x-ocp-personal-access-token");
const TENANT: HeaderName = HeaderName::from_static("tollbook-tenant");

/// Which forms of credentials a native route takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Schemes {
    /// `Bearer` only.
    Bearer,
    /// Also `Basic`, with the token as password: some switches can send nothing else.
    BearerOrBasic,
}

/// The credential of a native request.
///
/// # Errors
/// `unauthenticated` without exactly one, of a form taken here.
pub(crate) fn native(headers: &HeaderMap, schemes: Schemes) -> Result<Secret<String>, Fault> {
    single(headers, &AUTHORIZATION)
        .and_then(|value| token(value, schemes))
        .ok_or_else(|| missing("send a token as Authorization: Bearer <token>"))
}

/// The credential of a request in the DIDWW dialect: with an `Api-Key`, even a bad one, nothing else counts.
///
/// # Errors
/// `unauthenticated` without exactly one.
pub(crate) fn didww(headers: &HeaderMap) -> Result<Secret<String>, Fault> {
    let key = if headers.contains_key(&API_KEY) {
        single(headers, &API_KEY).map(|key| Secret::new(key.to_owned()))
    } else {
        single(headers, &AUTHORIZATION).and_then(|value| token(value, Schemes::Bearer))
    };
    key.ok_or_else(|| missing("send a key as Api-Key: <key>"))
}

/// The credential of a request in the Omilia dialect: with an `Authorization`, even a bad one, nothing else counts.
///
/// # Errors
/// `unauthenticated` without exactly one.
pub(crate) fn omilia(headers: &HeaderMap) -> Result<Secret<String>, Fault> {
    let credential = if headers.contains_key(AUTHORIZATION) {
        single(headers, &AUTHORIZATION).and_then(|value| token(value, Schemes::Bearer))
    } else {
        single(headers, &PERSONAL_ACCESS_TOKEN).map(|token| Secret::new(token.to_owned()))
    };
    credential.ok_or_else(|| {
        missing("send a token as Authorization: Bearer <token> or X-OCP-PERSONAL-ACCESS-TOKEN: <token>")
    })
}

/// The tenant that the caller names, which he must when his credential is good for several.
///
/// # Errors
/// `forbidden` when he names several, or one that no text can name.
pub(crate) fn named_tenant(headers: &HeaderMap) -> Result<Option<&str>, Fault> {
    if !headers.contains_key(&TENANT) {
        return Ok(None);
    }
    let name = single(headers, &TENANT);
    name.map(Some).ok_or_else(|| Fault::new(Code::Forbidden, "name one tenant in the header Tollbook-Tenant"))
}

/// The value of a header that is there once, as text.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let (value, None) = (values.next()?, values.next()) else { return None };
    value.to_str().ok()
}

fn missing(text: &'static str) -> Fault {
    Fault::new(Code::Unauthenticated, text)
}

/// The token inside a value of `Authorization`; none when the form is not taken.
fn token(value: &str, schemes: Schemes) -> Option<Secret<String>> {
    let (scheme, rest) = value.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return (!rest.is_empty()).then(|| Secret::new(rest.to_owned()));
    }
    if schemes == Schemes::BearerOrBasic && scheme.eq_ignore_ascii_case("basic") {
        let pair = String::from_utf8(STANDARD.decode(rest).ok()?).ok()?;
        return pair.split_once(':').map(|(_user, password)| Secret::new(password.to_owned()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

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
            let found = token(value, schemes).map(|token| token.reveal().clone());
            assert_eq!(found.as_deref(), wanted, "{value}");
        }
    }

    type Finder = fn(&HeaderMap) -> Result<Secret<String>, Fault>;

    #[test]
    fn each_dialect_looks_in_its_own_headers() {
        let native: Finder = |headers| native(headers, Schemes::Bearer);
        let (bearer, basic) = (("authorization", "Bearer b"), ("authorization", "Basic OmFiYw=="));
        let (key, pat) = (("api-key", "k"), ("x-ocp-personal-access-token", "p"));
        type Case<'c> = (Finder, &'c [(&'c str, &'c str)], Option<&'c str>);
        let cases: [Case<'_>; 17] = [
            (native, &[bearer], Some("b")),
            (native, &[bearer, key, pat], Some("b")),
            (native, &[key, pat, ("cookie", "token=x")], None),
            (native, &[bearer, bearer], None),
            (native, &[basic], None),
            (didww, &[key], Some("k")),
            (didww, &[bearer], Some("b")),
            (didww, &[bearer, key], Some("k")),
            (didww, &[bearer, ("api-key", "")], Some("")),
            (didww, &[key, key], None),
            (didww, &[bearer, key, key], None),
            (didww, &[pat], None),
            (omilia, &[bearer, pat], Some("b")),
            (omilia, &[pat], Some("p")),
            (omilia, &[basic, pat], None),
            (omilia, &[bearer, bearer, pat], None),
            (omilia, &[key], None),
        ];
        for (at, (find, pairs, wanted)) in cases.into_iter().enumerate() {
            let mut given = HeaderMap::new();
            for (name, value) in pairs {
                given.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
            }
            let found = find(&given);
            assert_eq!(found.as_ref().ok().map(|secret| secret.reveal().as_str()), wanted, "case {at}");
            if let Err(fault) = found {
                assert_eq!(fault.code(), Code::Unauthenticated);
            }
        }
    }

    #[test]
    fn a_tenant_is_named_once() {
        assert_eq!(named_tenant(&HeaderMap::new()).unwrap(), None);
        assert_eq!(named_tenant(&headers(&[("tollbook-tenant", "acme")])).unwrap(), Some("acme"));
        let twice = headers(&[("tollbook-tenant", "acme"), ("tollbook-tenant", "acme")]);
        assert_eq!(named_tenant(&twice).unwrap_err().code(), Code::Forbidden);
    }
}
