//! The access tokens of the built-in identity provider: JWTs of our own key, made here and read here.
//!
//! A genuine one says no more than which session it is of: what that session may do is looked up at every use, so that
//! the end of a login and the loss of a role take effect at once. The other claims are for clients that look inside.

use crate::signing_keys::SigningKeyRing;
use serde_json::{Map, Value, json};
use std::time::Duration;
use tollbook_kit::ids::IdSource;
use tollbook_kit::secret::Secret;
use tollbook_model::jws::{JwsKey, JwsKeys};
use tollbook_model::ports::KeyPurpose;
use tollbook_model::user::{LiveSession, SessionHolder};
use uuid::Uuid;

/// How long an access token is good.
pub(crate) const LIFE: Duration = Duration::from_secs(300);
/// Whom the tokens are for.
const AUDIENCE: &str = "tollbook";
/// `typ` in the header.
const HEADER_TYPE: &str = "JWT";
/// `typ` among the claims, by which such identity servers tell access tokens from others.
const CLAIM_TYPE: &str = "Bearer";
/// How much clocks may differ (`omilia.md` section 2.2).
const LEEWAY_S: i64 = 30;

/// Makes and reads access tokens.
pub(crate) struct AccessTokens {
    signing: JwsKey,
    verifying: JwsKeys,
    /// What the issuer of every realm begins with.
    issuers: String,
    ids: IdSource,
}

/// What is relied on of a genuine access token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AccessClaims {
    /// The session.
    pub(crate) session: Uuid,
    /// Whose it is: the id of a user or token.
    pub(crate) subject: Uuid,
}

impl AccessTokens {
    pub(crate) fn new(public_url: &str, keys: &SigningKeyRing, ids: IdSource) -> Self {
        let purpose = KeyPurpose::AccessToken;
        Self {
            signing: keys.newest(purpose).clone(),
            verifying: keys.verifying(purpose),
            issuers: format!("{}/", public_url.trim_end_matches('/')),
            ids,
        }
    }

    /// A token of this session, for a client, in the name of one of our issuers. It is good for as long as is said,
    /// [`LIFE`] at most.
    pub(crate) fn make(
        &self,
        live: &LiveSession,
        issuer: &str,
        client: &str,
        now_ms: i64,
        life: Duration,
    ) -> Secret<String> {
        let now_s = now_ms.div_euclid(1000);
        let life_s = i64::try_from(life.min(LIFE).as_secs()).unwrap_or(0);
        let claims = json!({
            "iss": issuer,
            "sub": subject(live.session.holder),
            "aud": AUDIENCE,
            "exp": now_s + life_s,
            "nbf": now_s,
            "iat": now_s,
            "jti": self.ids.next_id(),
            "sid": live.session.id,
            "typ": CLAIM_TYPE,
            "azp": client,
            "scope": "openid",
            "preferred_username": live.name,
            "groups": [live.tenant.as_str()],
            "realm_access": {"roles": [live.role.name()]},
        });
        Secret::new(self.signing.sign(HEADER_TYPE, claims.to_string().as_bytes()))
    }

    /// What a genuine token says that holds now; none for everything else.
    pub(crate) fn read(&self, token: &str, now_ms: i64) -> Option<AccessClaims> {
        let payload = self.verifying.verify(token, HEADER_TYPE).ok()?;
        let claims: Map<String, Value> = serde_json::from_slice(&payload).ok()?;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let second = |name: &str| claims.get(name).and_then(Value::as_i64);
        let id = |name: &str| text(name).and_then(|text| Uuid::try_parse(text).ok());
        let ours = text("iss")?.starts_with(&self.issuers) && text("aud")? == AUDIENCE;
        let now_s = now_ms.div_euclid(1000);
        let begun = second("nbf")?.max(second("iat")?) <= now_s.saturating_add(LEEWAY_S);
        let ended = now_s >= second("exp")?.saturating_add(LEEWAY_S);
        let holds = ours && text("typ")? == CLAIM_TYPE && begun && !ended;
        holds.then_some(AccessClaims { session: id("sid")?, subject: id("sub")? })
    }
}

/// The id of whoever holds a session.
pub(crate) fn subject(holder: SessionHolder) -> Uuid {
    match holder {
        SessionHolder::User(id) | SessionHolder::Token(id) => id,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tollbook_kit::clock::ManualClock;
    use tollbook_kit::ids::SeededRandomness;
    use tollbook_model::access::Role;
    use tollbook_model::tenant::TenantName;
    use tollbook_model::user::Session;

    const NOW_MS: i64 = 1_780_272_000_000;
    const NOW_S: i64 = NOW_MS / 1000;
    const ISSUER: &str = "https://cdr.example.net:8443/auth/realms/master";

    fn key(byte: u8) -> JwsKey {
        JwsKey::from_seed(&Secret::new([byte; 32]))
    }

    fn tokens() -> AccessTokens {
        let signing = key(1);
        let verifying = JwsKeys::of([&signing]);
        let ids = IdSource::new(Arc::new(ManualClock::at(NOW_MS)), Arc::new(SeededRandomness::new(1)));
        AccessTokens { signing, verifying, issuers: "https://cdr.example.net:8443/".into(), ids }
    }

    fn live() -> LiveSession {
        LiveSession {
            session: Session {
                id: Uuid::from_u128(1),
                holder: SessionHolder::User(Uuid::from_u128(2)),
                created_at_ms: NOW_MS,
                expires_at_ms: NOW_MS + 1_800_000,
            },
            tenant: TenantName::default_tenant(),
            role: Role::Analyst,
            name: "eve".into(),
        }
    }

    fn claims() -> Map<String, Value> {
        let made = tokens().make(&live(), ISSUER, "ocp", NOW_MS, LIFE);
        let payload = tokens().verifying.verify(made.reveal(), HEADER_TYPE).unwrap();
        serde_json::from_slice(&payload).unwrap()
    }

    #[test]
    fn a_token_says_what_clients_look_for() {
        let mut claims = claims();
        assert!(claims.remove("jti").unwrap().as_str().is_some_and(|jti| Uuid::try_parse(jti).is_ok()));
        let wanted = json!({
            "iss": ISSUER, "sub": Uuid::from_u128(2), "aud": "tollbook", "exp": NOW_S + 300, "nbf": NOW_S, "iat": NOW_S,
            "sid": Uuid::from_u128(1), "typ": "Bearer", "azp": "ocp", "scope": "openid", "preferred_username": "eve",
            "groups": ["default"], "realm_access": {"roles": ["analyst"]},
        });
        assert_eq!(Value::Object(claims), wanted);
    }

    #[test]
    fn a_token_is_good_for_its_life_and_the_leeway() {
        let made = tokens().make(&live(), ISSUER, "ocp", NOW_MS, LIFE);
        let read = |second: i64| tokens().read(made.reveal(), NOW_MS + second * 1000);
        assert_eq!(read(0), Some(AccessClaims { session: Uuid::from_u128(1), subject: Uuid::from_u128(2) }));
        for (second, good) in [(-31, false), (-30, true), (329, true), (330, false), (331, false)] {
            assert_eq!(read(second).is_some(), good, "{second}");
        }
        let short = tokens().make(&live(), ISSUER, "ocp", NOW_MS, Duration::from_secs(5));
        assert_eq!(tokens().read(short.reveal(), NOW_MS + 35_000), None);
    }

    #[test]
    fn claims_of_another_kind_or_type_are_refused() {
        let tokens = tokens();
        let read = |claims: &Map<String, Value>| {
            let text = Value::Object(claims.clone()).to_string();
            tokens.read(&tokens.signing.sign(HEADER_TYPE, text.as_bytes()), NOW_MS)
        };
        assert!(read(&claims()).is_some());
        for (name, value) in [
            ("iss", json!("https://cdr.example.net:8443.evil.example/auth/realms/master")),
            ("iss", json!("https://cdr.example.net:8443")),
            ("iss", json!([ISSUER])),
            ("aud", json!("other")),
            ("aud", json!(["other"])),
            ("exp", json!((NOW_S + 300).to_string())),
            ("exp", json!(1e300)),
            ("exp", json!(null)),
            ("nbf", json!(NOW_S + 31)),
            ("nbf", json!(true)),
            ("iat", json!(NOW_S + 31)),
            ("typ", json!("Refresh")),
            ("typ", json!("ID")),
            ("sid", json!("x")),
            ("sid", json!(7)),
            ("sub", json!("")),
        ] {
            let mut changed = claims();
            changed[name] = value.clone();
            assert_eq!(read(&changed), None, "{name} {value}");
            changed.remove(name);
            assert_eq!(read(&changed), None, "no {name}");
        }
    }

    #[test]
    fn forged_tokens_are_refused() {
        use base64::Engine;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        use hmac::{Hmac, KeyInit, Mac};
        let tokens = tokens();
        let payload = Value::Object(claims()).to_string();
        assert!(tokens.read(&tokens.signing.sign(HEADER_TYPE, payload.as_bytes()), NOW_MS).is_some());
        assert_eq!(tokens.read(&key(2).sign(HEADER_TYPE, payload.as_bytes()), NOW_MS), None, "another key");
        assert_eq!(
            tokens.read(&tokens.signing.sign("at+jwt", payload.as_bytes()), NOW_MS),
            None,
            "another type"
        );

        let kid = tokens.signing.kid();
        let unsigned = |header: Value| {
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(&payload))
        };
        for alg in ["none", "None", "HS256", "RS256", "EdDSA"] {
            let text = unsigned(json!({"alg": alg, "kid": kid, "typ": "JWT"}));
            // The public key as an HMAC secret: what a verifier that lets the token choose would accept.
            let public = tokens.signing.public_jwk()["x"].as_str().unwrap().to_owned();
            for secret in [public.clone().into_bytes(), URL_SAFE_NO_PAD.decode(public).unwrap()] {
                let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&secret).unwrap();
                mac.update(text.as_bytes());
                let signature = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
                assert_eq!(tokens.read(&format!("{text}.{signature}"), NOW_MS), None, "{alg}");
            }
            assert_eq!(tokens.read(&format!("{text}."), NOW_MS), None, "{alg}");
            assert_eq!(tokens.read(&text, NOW_MS), None, "{alg}");
        }
        // A key that the token itself brings along.
        let own = key(2);
        let made = own.sign(HEADER_TYPE, payload.as_bytes());
        let (_, signature) = made.rsplit_once('.').unwrap();
        let header = json!({"alg": "EdDSA", "kid": kid, "typ": "JWT", "jwk": own.public_jwk()});
        assert_eq!(tokens.read(&format!("{}.{signature}", unsigned(header)), NOW_MS), None);
    }
}
