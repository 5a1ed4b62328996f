//! What a token of an issuer says, before anybody has looked at its signature: its parts, and whether its header and
//! claims are those of an access token that holds now.
//!
//! Pure: time is handed in, keys are unknown here. Nothing that is read here may be believed before `keys` has verified
//! the signature.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;
use serde_json::{Map, Value};

/// Longest token that is read, in bytes: those of people with hundreds of groups have a few thousand.
const MOST_TOKEN_BYTES: usize = 16 * 1024;
/// How far the issuer's clock and ours may be apart, in seconds.
const LEEWAY_S: f64 = 30.0;

/// The algorithms that are taken. All of them are asymmetric: a public key can never be mistaken for a shared secret.
const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// Claims that only ID tokens have (OpenID Connect Core, 3.1.3.6 and 3.3.2.11): hashes of what was issued beside them.
const ID_TOKEN_CLAIMS: [&str; 2] = ["at_hash", "c_hash"];

/// Why a token is refused; for the log alone.
pub(super) type Reason = &'static str;

/// The algorithm of this name, if it is taken.
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    ALGORITHMS.iter().find(|(known, _)| *known == name).map(|(_, algorithm)| *algorithm)
}

/// What the claims must say.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected<'c> {
    /// Exactly the claim `iss`.
    pub(super) issuer: &'c str,
    /// One of these must be in `aud`; any will do when there are none.
    pub(super) audience: &'c [String],
    /// Now, in milliseconds since the epoch.
    pub(super) now_ms: i64,
}

/// A token that has been read but not verified.
#[derive(Debug)]
pub(super) struct Unverified<'t> {
    /// Header and claims as they were signed.
    pub(super) signed: &'t str,
    /// The signature's text.
    pub(super) signature: &'t str,
    /// How it claims to be signed.
    pub(super) algorithm: Algorithm,
    /// The name of the key that it claims to be signed with.
    pub(super) kid: String,
    /// Its claims.
    pub(super) claims: Map<String, Value>,
}

impl<'t> Unverified<'t> {
    /// Reads a compact JWT and judges its header.
    pub(super) fn read(token: &'t str) -> Result<Self, Reason> {
        if token.len() > MOST_TOKEN_BYTES {
            return Err("it is too long");
        }
        let (signed, signature) = token.rsplit_once('.').ok_or("it is no JWT")?;
        let (header, claims) = signed.split_once('.').ok_or("it is no JWT")?;
        let header = object(header).ok_or("its header is no JSON object")?;
        let says = |name: &str| header.get(name).and_then(Value::as_str);
        let algorithm = says("alg").and_then(algorithm).ok_or("its algorithm is not taken")?;
        let kid = says("kid").filter(|kid| !kid.is_empty()).ok_or("it names no key")?.to_owned();
        if header.contains_key("crit") {
            return Err("it demands to understand an extension");
        }
        if header.contains_key("typ") && !says("typ").is_some_and(is_access_token) {
            return Err("it is of another type");
        }
        let claims = object(claims).ok_or("its claims are no JSON object")?;
        Ok(Self { signed, signature, algorithm, kid, claims })
    }

    /// Do the claims say what they must?
    pub(super) fn check_claims(&self, expected: &Expected<'_>) -> Result<(), Reason> {
        let text = |name: &str| self.claims.get(name).and_then(Value::as_str);
        if text("iss") != Some(expected.issuer) {
            return Err("it is of another issuer");
        }
        if text("sub").is_none_or(str::is_empty) {
            return Err("it names no subject");
        }
        if self.is_for_the_client() {
            return Err("it is a token of another kind than for access");
        }
        let now_s = expected.now_ms as f64 / 1000.0;
        let expiry = self.claims.get("exp").and_then(Value::as_f64).ok_or("it has no expiry as a number")?;
        if now_s >= expiry + LEEWAY_S {
            return Err("it has expired");
        }
        if let Some(not_before) = self.claims.get("nbf") {
            let not_before = not_before.as_f64().ok_or("it has a beginning that is no number")?;
            if now_s + LEEWAY_S < not_before {
                return Err("it does not hold yet");
            }
        }
        if expected.audience.is_empty() || self.is_meant_for(expected.audience) {
            Ok(())
        } else {
            Err("it is meant for another audience")
        }
    }

    /// Is it an ID token, a refresh token or the like? These stay with the client that got them: whoever shows one here
    /// has it from a log, or has mixed them up. Keycloak says in the claim `typ` what a token is, and in the header of
    /// all alike that it is a JWT.
    fn is_for_the_client(&self) -> bool {
        let is_bearer = |typ: &Value| typ.as_str().is_some_and(|typ| typ.eq_ignore_ascii_case("bearer"));
        self.claims.get("typ").is_some_and(|typ| !is_bearer(typ))
            || ID_TOKEN_CLAIMS.iter().any(|name| self.claims.contains_key(*name))
    }

    fn is_meant_for(&self, audience: &[String]) -> bool {
        let is_ours = |name: &str| audience.iter().any(|ours| ours == name);
        match self.claims.get("aud") {
            Some(Value::String(name)) => is_ours(name),
            Some(Value::Array(names)) => {
                names.iter().all(Value::is_string) && names.iter().filter_map(Value::as_str).any(is_ours)
            }
            _ => false,
        }
    }
}

/// `JWT`, or the media type of access tokens (RFC 9068), with or without its prefix.
fn is_access_token(typ: &str) -> bool {
    ["jwt", "at+jwt", "application/at+jwt"].iter().any(|known| typ.eq_ignore_ascii_case(known))
}

fn object(part: &str) -> Option<Map<String, Value>> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const NOW_S: i64 = 1_800_000_000;

    fn token(header: &Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.c2ln", part(header), part(claims))
    }

    fn merged(base: Value, change: &Value) -> Value {
        let mut base = base;
        for (name, value) in change.as_object().unwrap() {
            base[name] = value.clone();
        }
        base
    }

    fn judged(header: &Value, claims: &Value, audience: &[&str]) -> Result<(), Reason> {
        let header = merged(json!({"alg": "RS256", "kid": "k1"}), header);
        let claims = merged(json!({"iss": "https://issuer.example", "sub": "u1", "exp": NOW_S + 60}), claims);
        let audience: Vec<String> = audience.iter().map(|name| (*name).to_owned()).collect();
        let expected =
            Expected { issuer: "https://issuer.example", audience: &audience, now_ms: NOW_S * 1000 };
        Unverified::read(&token(&header, &claims))?.check_claims(&expected)
    }

    #[test]
    fn headers_of_access_tokens_are_taken_and_no_others() {
        for (header, fine) in [
            (json!({}), true),
            (json!({"typ": "JWT"}), true),
            (json!({"typ": "jwt", "jku": "https://evil.example", "x5u": "y"}), true),
            (json!({"typ": "at+jwt"}), true),
            (json!({"typ": "application/at+JWT"}), true),
            (json!({"alg": "PS512"}), true),
            (json!({"alg": "EdDSA"}), true),
            (json!({"typ": "logout+jwt"}), false),
            (json!({"typ": "dpop+jwt"}), false),
            (json!({"typ": ""}), false),
            (json!({"typ": null}), false),
            (json!({"typ": 1}), false),
            (json!({"alg": "none"}), false),
            (json!({"alg": "NONE"}), false),
            (json!({"alg": ""}), false),
            (json!({"alg": null}), false),
            (json!({"alg": ["RS256"]}), false),
            (json!({"alg": "rs256"}), false),
            (json!({"alg": "HS256"}), false),
            (json!({"alg": "HS512"}), false),
            (json!({"alg": "ES512"}), false),
            (json!({"alg": "ES256K"}), false),
            (json!({"alg": "RS1"}), false),
            (json!({"alg": "RSA-OAEP"}), false),
            (json!({"kid": ""}), false),
            (json!({"kid": null}), false),
            (json!({"kid": 1}), false),
            (json!({"crit": []}), false),
            (json!({"crit": ["b64"], "b64": false}), false),
        ] {
            assert_eq!(judged(&header, &json!({}), &[]).is_ok(), fine, "{header}");
        }
    }

    #[test]
    fn claims_that_hold_now_are_taken_and_no_others() {
        for (claims, fine) in [
            (json!({}), true),
            (json!({"iss": "https://issuer.example/"}), false),
            (json!({"iss": "HTTPS://issuer.example"}), false),
            (json!({"iss": ["https://issuer.example"]}), false),
            (json!({"iss": null}), false),
            (json!({"sub": ""}), false),
            (json!({"sub": null}), false),
            (json!({"sub": 7}), false),
            (json!({"exp": NOW_S - 29}), true),
            (json!({"exp": NOW_S as f64 - 29.5}), true),
            (json!({"exp": NOW_S - 30}), false),
            (json!({"exp": NOW_S - 31}), false),
            (json!({"exp": 0}), false),
            (json!({"exp": -1}), false),
            (json!({"exp": null}), false),
            (json!({"exp": true}), false),
            (json!({"exp": (NOW_S + 60).to_string()}), false),
            (json!({"exp": [NOW_S + 60]}), false),
            (json!({"exp": "Infinity"}), false),
            (json!({"nbf": NOW_S + 30}), true),
            (json!({"nbf": NOW_S + 31}), false),
            (json!({"nbf": null}), false),
            (json!({"nbf": (NOW_S - 60).to_string()}), false),
            (json!({"nbf": NOW_S - 60, "iat": NOW_S}), true),
        ] {
            assert_eq!(judged(&json!({}), &claims, &[]).is_ok(), fine, "{claims}");
        }
    }

    #[test]
    fn tokens_that_are_not_for_access_are_refused_whatever_their_audience() {
        for (claims, fine) in [
            (json!({"typ": "Bearer"}), true),
            (json!({"typ": "bearer"}), true),
            (json!({"nonce": "n", "azp": "client"}), true),
            (json!({"typ": "ID"}), false),
            (json!({"typ": "Refresh"}), false),
            (json!({"typ": "Offline"}), false),
            (json!({"typ": "Logout"}), false),
            (json!({"typ": "DPoP"}), false),
            (json!({"typ": ""}), false),
            (json!({"typ": null}), false),
            (json!({"typ": ["Bearer"]}), false),
            (json!({"nonce": "n", "at_hash": "aGFzaA"}), false),
            (json!({"at_hash": null}), false),
            (json!({"typ": "Bearer", "c_hash": "aGFzaA"}), false),
        ] {
            assert_eq!(judged(&json!({}), &claims, &[]).is_ok(), fine, "{claims}");
            let ours = merged(claims, &json!({"aud": "tollbook"}));
            assert_eq!(judged(&json!({}), &ours, &["tollbook"]).is_ok(), fine, "{ours}");
        }
    }

    #[test]
    fn the_audience_counts_where_one_is_configured() {
        for (claims, fine) in [
            (json!({"aud": "tollbook"}), true),
            (json!({"aud": ["account", "tollbook"]}), true),
            (json!({"aud": "cdr"}), true),
            (json!({}), false),
            (json!({"aud": null}), false),
            (json!({"aud": "Tollbook"}), false),
            (json!({"aud": "tollbook account"}), false),
            (json!({"aud": []}), false),
            (json!({"aud": ["account"]}), false),
            (json!({"aud": ["tollbook", 7]}), false),
            (json!({"aud": {"tollbook": true}}), false),
        ] {
            assert_eq!(judged(&json!({}), &claims, &["tollbook", "cdr"]).is_ok(), fine, "{claims}");
            assert!(judged(&json!({}), &claims, &[]).is_ok(), "{claims}");
        }
    }

    #[test]
    fn what_is_no_jwt_is_refused() {
        let whole = token(&json!({"alg": "RS256", "kid": "k1"}), &json!({}));
        assert!(Unverified::read(&whole).is_ok());
        for text in [
            "",
            ".",
            "..",
            "...",
            "a.b.c",
            "eyJhbGciOiJub25lIn0",
            "e30.e30",
            "e30.e30.",
            &format!("{whole}.x"),
        ] {
            assert!(Unverified::read(text).is_err(), "{text}");
        }
        assert!(Unverified::read(&format!("{}=.e30.c2ln", whole.split('.').next().unwrap())).is_err());
        let array = format!("{}.W10.c2ln", whole.split('.').next().unwrap());
        assert_eq!(Unverified::read(&array).unwrap_err(), "its claims are no JSON object");
        let signed = whole.strip_suffix("c2ln").unwrap();
        let longest = format!("{signed}{}", "a".repeat(MOST_TOKEN_BYTES - signed.len()));
        assert!(Unverified::read(&longest).is_ok());
        assert_eq!(Unverified::read(&format!("{longest}a")).err(), Some("it is too long"));
        let infinite = format!(
            "{}.{}.c2ln",
            whole.split('.').next().unwrap(),
            URL_SAFE_NO_PAD.encode("{\"exp\":1e999}")
        );
        assert!(Unverified::read(&infinite).is_err());
    }
}
