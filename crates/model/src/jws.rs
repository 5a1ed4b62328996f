//! Signatures: Ed25519 keys, their public form (JWK, RFC 8037) and name (RFC 7638), and compact JWS (RFC 7515).
//!
//! One algorithm and no choice of it: a header that says anything else is refused. Which key signs what is `app`'s.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::fmt;
use tollbook_kit::secret::Secret;

/// Length of the secret part of a key in bytes.
pub const SEED_BYTES: usize = 32;
/// The only algorithm.
const ALGORITHM: &str = "EdDSA";
/// Longest compact JWS that is read.
const MOST_BYTES: usize = 1 << 20;

/// A key that signs.
#[derive(Clone)]
pub struct JwsKey {
    signing: SigningKey,
    kid: String,
}

impl fmt::Debug for JwsKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JwsKey({})", self.kid)
    }
}

impl JwsKey {
    /// The key that this seed makes.
    pub fn from_seed(seed: &Secret<[u8; SEED_BYTES]>) -> Self {
        let signing = SigningKey::from_bytes(seed.reveal());
        let kid = thumbprint(&signing.verifying_key());
        Self { signing, kid }
    }

    /// Its name: the RFC 7638 thumbprint.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Its public part as a JWK, for publication.
    pub fn public_jwk(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.signing.verifying_key().as_bytes());
        json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.kid, "use": "sig", "alg": ALGORITHM})
    }

    /// The compact JWS of a payload, with a header of `alg`, `kid` and this `typ`.
    pub fn sign(&self, typ: &str, payload: &[u8]) -> String {
        let mut text = self.header(Some(typ));
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut text);
        let signature = self.signing.sign(text.as_bytes());
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(signature.to_bytes(), &mut text);
        text
    }

    /// The same with a header of `alg` and `kid` and without the payload, `header..signature` (RFC 7515 appendix F):
    /// whoever verifies it has the payload.
    pub fn sign_detached(&self, payload: &[u8]) -> String {
        let mut text = self.header(None);
        let header_bytes = text.len();
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut text);
        let signature = self.signing.sign(text.as_bytes());
        text.truncate(header_bytes);
        text.push_str("..");
        URL_SAFE_NO_PAD.encode_string(signature.to_bytes(), &mut text);
        text
    }

    fn header(&self, typ: Option<&str>) -> String {
        let mut header = Map::new();
        header.insert("alg".into(), ALGORITHM.into());
        header.insert("kid".into(), self.kid.as_str().into());
        if let Some(typ) = typ {
            header.insert("typ".into(), typ.into());
        }
        URL_SAFE_NO_PAD.encode(Value::Object(header).to_string())
    }
}

/// Public keys by their names.
#[derive(Debug, Clone, Default)]
pub struct JwsKeys(Vec<(String, VerifyingKey)>);

impl JwsKeys {
    /// The keys of a JWK Set (RFC 7517 section 5). Keys of other kinds are passed over; none when it is no such set.
    pub fn from_jwks(set: &Value) -> Option<Self> {
        let keys = set.get("keys")?.as_array()?.iter();
        Some(Self(keys.filter_map(read_key).collect()))
    }

    /// The public parts of these keys.
    pub fn of<'k>(keys: impl IntoIterator<Item = &'k JwsKey>) -> Self {
        Self(keys.into_iter().map(|key| (key.kid.clone(), key.signing.verifying_key())).collect())
    }

    /// Is there a key of that name?
    pub fn has(&self, kid: &str) -> bool {
        self.0.iter().any(|(known, _)| known == kid)
    }

    /// The payload of a compact JWS of this `typ` that one of the keys has signed.
    ///
    /// # Errors
    /// Why it cannot be relied on.
    pub fn verify(&self, jws: &str, typ: &str) -> Result<Vec<u8>, NotGenuine> {
        if jws.len() > MOST_BYTES {
            return Err(NotGenuine::Malformed);
        }
        let (signed, signature) = jws.rsplit_once('.').ok_or(NotGenuine::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(NotGenuine::Malformed)?;
        self.check(header, Some(typ), signed, signature)?;
        bytes(payload)
    }

    /// Has one of the keys signed this payload? The signature is one of [`JwsKey::sign_detached`].
    ///
    /// # Errors
    /// Why it cannot be relied on.
    pub fn verify_detached(&self, jws: &str, payload: &[u8]) -> Result<(), NotGenuine> {
        let (header, signature) = jws.split_once("..").ok_or(NotGenuine::Malformed)?;
        let mut signed = String::with_capacity(header.len() + 1 + payload.len().div_ceil(3) * 4);
        signed.push_str(header);
        signed.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut signed);
        self.check(header, None, &signed, signature)
    }

    fn check(
        &self,
        header: &str,
        typ: Option<&str>,
        signed: &str,
        signature: &str,
    ) -> Result<(), NotGenuine> {
        let header: Map<String, Value> =
            serde_json::from_slice(&bytes(header)?).map_err(|_| NotGenuine::Malformed)?;
        let says = |name: &str| header.get(name).and_then(Value::as_str);
        // What we do not understand we must not accept (RFC 7515 section 4.1.11).
        let is_typed = says("typ") == typ && (typ.is_some() || !header.contains_key("typ"));
        if says("alg") != Some(ALGORITHM) || !is_typed || header.contains_key("crit") {
            return Err(NotGenuine::OtherKind);
        }
        let kid = says("kid").ok_or(NotGenuine::UnknownKey)?;
        let (_, key) = self.0.iter().find(|(known, _)| known == kid).ok_or(NotGenuine::UnknownKey)?;
        let signature = Signature::from_slice(&bytes(signature)?).map_err(|_| NotGenuine::Malformed)?;
        key.verify_strict(signed.as_bytes(), &signature).map_err(|_| NotGenuine::WrongSignature)
    }
}

/// The `typ` that a compact JWS claims to be of, verified by nobody; good for telling what to verify it as.
pub fn claimed_type(jws: &str) -> Option<String> {
    let (header, _) = jws.split_once('.')?;
    let header: Map<String, Value> = serde_json::from_slice(&bytes(header).ok()?).ok()?;
    header.get("typ")?.as_str().map(str::to_owned)
}

fn bytes(text: &str) -> Result<Vec<u8>, NotGenuine> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| NotGenuine::Malformed)
}

/// Why a JWS cannot be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotGenuine {
    /// It is no compact JWS.
    Malformed,
    /// Its algorithm or type is another one.
    OtherKind,
    /// No key of that name is known.
    UnknownKey,
    /// It was changed, or signed with another key.
    WrongSignature,
}

impl fmt::Display for NotGenuine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "is not a compact JWS",
            Self::OtherKind => "is signed with another algorithm, or is of another type",
            Self::UnknownKey => "is signed with a key that is not among the given ones",
            Self::WrongSignature => "was changed after it was signed, or was signed with another key",
        })
    }
}

impl std::error::Error for NotGenuine {}

fn read_key(jwk: &Value) -> Option<(String, VerifyingKey)> {
    let says = |name: &str| jwk.get(name).and_then(Value::as_str);
    if says("kty") != Some("OKP") || says("crv") != Some("Ed25519") {
        return None;
    }
    let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(says("x")?).ok()?.try_into().ok()?;
    let key = VerifyingKey::from_bytes(&bytes).ok()?;
    Some((says("kid").map_or_else(|| thumbprint(&key), str::to_owned), key))
}

/// SHA-256 over the required members in their fixed order (RFC 7638 section 3, RFC 8037 section 2).
fn thumbprint(key: &VerifyingKey) -> String {
    let x = URL_SAFE_NO_PAD.encode(key.as_bytes());
    let members = format!("{{\"crv\":\"Ed25519\",\"kty\":\"OKP\",\"x\":\"{x}\"}}");
    URL_SAFE_NO_PAD.encode(Sha256::digest(members.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of RFC 8037 appendix A.
    fn rfc_key() -> JwsKey {
        let d = URL_SAFE_NO_PAD.decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        JwsKey::from_seed(&Secret::new(d.try_into().unwrap()))
    }

    #[test]
    fn the_examples_of_rfc_8037() {
        let key = rfc_key();
        assert_eq!(key.kid(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(key.public_jwk()["x"], "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        // Appendix A.4 has a header of `alg` alone; the signature over its text must still be ours.
        let signed = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let wanted = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        assert_eq!(URL_SAFE_NO_PAD.encode(key.signing.sign(signed.as_bytes()).to_bytes()), wanted);
    }

    #[test]
    fn what_was_signed_is_verified_and_every_change_is_found() {
        let key = rfc_key();
        let keys =
            JwsKeys::from_jwks(&json!({"keys": [{"kty": "RSA", "kid": "x"}, key.public_jwk()]})).unwrap();
        let jws = key.sign("some+jws", b"{\"a\":1}");
        assert_eq!(keys.verify(&jws, "some+jws").unwrap(), b"{\"a\":1}");
        assert_eq!(keys.verify(&jws, "other+jws"), Err(NotGenuine::OtherKind));
        assert_eq!(JwsKeys::default().verify(&jws, "some+jws"), Err(NotGenuine::UnknownKey));
        let stranger = JwsKey::from_seed(&Secret::new([7; 32]));
        let mut disguised = stranger.public_jwk();
        disguised["kid"] = key.kid().into();
        let wrong = JwsKeys::from_jwks(&json!({"keys": [disguised]})).unwrap();
        assert_eq!(wrong.verify(&jws, "some+jws"), Err(NotGenuine::WrongSignature));
        for at in 0..jws.len() {
            let mut changed = jws.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(keys.verify(&changed, "some+jws").is_err(), "character {at}");
        }
    }

    #[test]
    fn a_detached_signature_is_the_whole_one_without_its_payload() {
        let key = rfc_key();
        let keys = JwsKeys::of([&key]);
        let (payload, jws) = (br#"{"a":1}"#, key.sign_detached(br#"{"a":1}"#));
        let (header, signature) = jws.split_once("..").unwrap();
        let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
        assert_eq!(header, json!({"alg": "EdDSA", "kid": key.kid()}));
        // RFC 7515 appendix F: with the payload put back it is an ordinary JWS.
        let signed = jws.replacen("..", &format!(".{}.", URL_SAFE_NO_PAD.encode(payload)), 1);
        let (signed, _) = signed.rsplit_once('.').unwrap();
        assert_eq!(URL_SAFE_NO_PAD.encode(key.signing.sign(signed.as_bytes()).to_bytes()), signature);

        assert_eq!(keys.verify_detached(&jws, payload), Ok(()));
        assert_eq!(keys.verify_detached(&jws, br#"{"a":2}"#), Err(NotGenuine::WrongSignature));
        assert_eq!(JwsKeys::default().verify_detached(&jws, payload), Err(NotGenuine::UnknownKey));
        let typed = key.sign("t", payload);
        let (header, signature) = (typed.split('.').next().unwrap(), typed.rsplit('.').next().unwrap());
        let disguised = format!("{header}..{signature}");
        assert_eq!(
            keys.verify_detached(&disguised, payload),
            Err(NotGenuine::OtherKind),
            "a manifest is no record"
        );
        for at in 0..jws.len() {
            let mut changed = jws.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(keys.verify_detached(&changed, payload).is_err(), "character {at}");
        }
    }

    #[test]
    fn a_type_is_claimed_before_it_is_verified() {
        assert_eq!(claimed_type(&rfc_key().sign("t", b"x")).as_deref(), Some("t"));
        for none in ["", "x", "e30.e30.x", &rfc_key().sign_detached(b"x")] {
            assert_eq!(claimed_type(none), None, "{none}");
        }
    }

    #[test]
    fn other_algorithms_are_refused_whatever_they_claim() {
        let key = rfc_key();
        let keys = JwsKeys::of([&key]);
        for header in [
            json!({"alg": "none", "kid": key.kid(), "typ": "t"}),
            json!({"alg": "HS256", "kid": key.kid(), "typ": "t"}),
            json!({"alg": "EdDSA", "kid": key.kid(), "typ": "t", "crit": ["x"]}),
            json!({"alg": "EdDSA", "kid": "nobody", "typ": "t"}),
            json!({"alg": "EdDSA", "typ": "t"}),
        ] {
            let signed = format!("{}.e30", URL_SAFE_NO_PAD.encode(header.to_string()));
            let signature = URL_SAFE_NO_PAD.encode(key.signing.sign(signed.as_bytes()).to_bytes());
            assert!(keys.verify(&format!("{signed}.{signature}"), "t").is_err(), "{header}");
            assert!(keys.verify(&format!("{signed}."), "t").is_err(), "{header}");
        }
    }
}
