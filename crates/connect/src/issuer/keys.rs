//! The keys that an issuer publishes (RFC 7517), each bound to the algorithms that it may verify.
//!
//! A key is taken only when it is a public signing key of a kind and size that is safe today; what its set says of it is
//! never widened by what a token says.

use super::token::{Unverified, algorithm};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey};
use serde_json::Value;
use std::fmt;

/// Keys of one set that are read; the rest is passed over.
const MOST_KEYS: usize = 100;
/// Sizes of RSA moduli that are taken, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// The usable keys of a JWK Set.
pub(super) struct KeySet(Vec<PublishedKey>);

struct PublishedKey {
    kid: String,
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| &key.kid)).finish()
    }
}

/// Why no key of a set vouches for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotVouched {
    /// The set has no key of that name.
    UnknownKey,
    /// The key of that name does not sign with that algorithm.
    OtherAlgorithm,
    /// The key of that name has not signed it.
    WrongSignature,
}

impl KeySet {
    /// The usable keys of a set; none when it is no set.
    pub(super) fn read(set: &Value) -> Option<Self> {
        let keys = set.get("keys")?.as_array()?;
        Some(Self(keys.iter().take(MOST_KEYS).filter_map(read_key).collect()))
    }

    /// Is there none?
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Has a key of the token's name signed it? Should several have that name, any of them will do.
    pub(super) fn vouch_for(&self, token: &Unverified<'_>) -> Result<(), NotVouched> {
        let mut named = self.0.iter().filter(|key| key.kid == token.kid).peekable();
        if named.peek().is_none() {
            return Err(NotVouched::UnknownKey);
        }
        let mut fitting = named.filter(|key| key.algorithms.contains(&token.algorithm)).peekable();
        if fitting.peek().is_none() {
            return Err(NotVouched::OtherAlgorithm);
        }
        let has_signed = |key: &PublishedKey| {
            let message = token.signed.as_bytes();
            jsonwebtoken::crypto::verify(token.signature, message, &key.key, token.algorithm).unwrap_or(false)
        };
        if fitting.any(has_signed) { Ok(()) } else { Err(NotVouched::WrongSignature) }
    }
}

fn read_key(jwk: &Value) -> Option<PublishedKey> {
    let says = |name: &str| jwk.get(name).and_then(Value::as_str);
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(says(name)?).ok();
    let kid = says("kid").filter(|kid| !kid.is_empty())?.to_owned();
    if !is_for_signatures(jwk) {
        return None;
    }
    let (mut algorithms, key) = match (says("kty")?, says("crv")) {
        ("RSA", _) => {
            let (modulus, exponent) = (bytes("n")?, bytes("e")?);
            if !RSA_BITS.contains(&bits(&modulus)) {
                return None;
            }
            let key = DecodingKey::from_rsa_raw_components(&modulus, &exponent);
            (AlgorithmFamily::Rsa.algorithms().to_vec(), key)
        }
        ("EC", Some("P-256")) => (vec![Algorithm::ES256], curve_point(bytes("x")?, bytes("y")?, 32)?),
        ("EC", Some("P-384")) => (vec![Algorithm::ES384], curve_point(bytes("x")?, bytes("y")?, 48)?),
        ("OKP", Some("Ed25519")) => {
            let point = bytes("x").filter(|point| point.len() == 32)?;
            (vec![Algorithm::EdDSA], DecodingKey::from_ed_der(&point))
        }
        // Shared secrets too: a published one is no secret.
        _ => return None,
    };
    if let Some(named) = jwk.get("alg") {
        let only = named.as_str().and_then(algorithm)?;
        algorithms.retain(|algorithm| *algorithm == only);
    }
    if algorithms.is_empty() { None } else { Some(PublishedKey { kid, algorithms, key }) }
}

/// Does the key serve signatures, as far as its set says what it serves?
fn is_for_signatures(jwk: &Value) -> bool {
    let use_fits = jwk.get("use").is_none_or(|purpose| purpose == "sig");
    let operations = jwk.get("key_ops");
    use_fits
        && operations
            .is_none_or(|named| named.as_array().is_some_and(|named| named.iter().any(|one| one == "verify")))
}

/// An uncompressed point of a curve whose coordinates have `length` bytes.
fn curve_point(x: Vec<u8>, y: Vec<u8>, length: usize) -> Option<DecodingKey> {
    if x.len() != length || y.len() != length {
        return None;
    }
    let point: Vec<u8> = [4].into_iter().chain(x).chain(y).collect();
    Some(DecodingKey::from_ec_der(&point))
}

fn bits(number: &[u8]) -> usize {
    let significant = number.iter().position(|byte| *byte != 0).map_or(&[][..], |at| &number[at..]);
    significant.first().map_or(0, |first| significant.len() * 8 - first.leading_zeros() as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(length: usize, first: u8) -> String {
        let mut bytes = vec![0xff; length];
        bytes[0] = first;
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The algorithms of a key that differs from a usable one in this.
    fn algorithms(base: &Value, change: Value) -> Vec<Algorithm> {
        let mut jwk = base.clone();
        for (name, value) in change.as_object().unwrap() {
            jwk[name] = value.clone();
        }
        let set = KeySet::read(&json!({ "keys": [jwk] })).unwrap();
        set.0.into_iter().next().map(|key| key.algorithms).unwrap_or_default()
    }

    #[test]
    fn keys_are_bound_to_their_algorithms() {
        let rsa = json!({"kty": "RSA", "kid": "k", "n": text(256, 0x80), "e": "AQAB"});
        assert_eq!(algorithms(&rsa, json!({})), AlgorithmFamily::Rsa.algorithms());
        assert_eq!(algorithms(&rsa, json!({"use": "sig", "alg": "PS384"})), [Algorithm::PS384]);
        assert_eq!(algorithms(&rsa, json!({"n": text(1024, 0xff)})).len(), 6);
        let p256 = json!({"kty": "EC", "crv": "P-256", "kid": "k", "x": text(32, 1), "y": text(32, 0)});
        assert_eq!(algorithms(&p256, json!({"key_ops": ["sign", "verify"]})), [Algorithm::ES256]);
        let p384 = json!({"kty": "EC", "crv": "P-384", "kid": "k", "x": text(48, 1), "y": text(48, 1)});
        assert_eq!(algorithms(&p384, json!({"alg": "ES384"})), [Algorithm::ES384]);
        let ed = json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": text(32, 1)});
        assert_eq!(algorithms(&ed, json!({"alg": "EdDSA"})), [Algorithm::EdDSA]);
    }

    #[test]
    fn unsafe_and_foreign_keys_are_passed_over() {
        let rsa = json!({"kty": "RSA", "kid": "k", "n": text(256, 0x80), "e": "AQAB"});
        for change in [
            json!({"n": text(128, 0xff)}),
            json!({"n": text(256, 0x7f)}),
            json!({"n": text(1025, 0x01)}),
            json!({"n": ""}),
            json!({"n": "+/+/"}),
            json!({"e": null}),
            json!({"kid": ""}),
            json!({"kid": null}),
            json!({"use": "enc"}),
            json!({"use": ""}),
            json!({"use": null}),
            json!({"key_ops": ["encrypt"]}),
            json!({"key_ops": []}),
            json!({"key_ops": "verify"}),
            json!({"alg": "RSA-OAEP"}),
            json!({"alg": "ES256"}),
            json!({"alg": "HS256"}),
            json!({"alg": null}),
            json!({"kty": "oct", "k": text(32, 1)}),
            json!({"kty": "EC"}),
            json!({"kty": "rsa"}),
        ] {
            assert_eq!(algorithms(&rsa, change.clone()), [], "{change}");
        }
        let p256 = json!({"kty": "EC", "crv": "P-256", "kid": "k", "x": text(32, 1), "y": text(32, 1)});
        for change in [
            json!({"crv": "P-384"}),
            json!({"crv": "P-521"}),
            json!({"crv": "secp256k1"}),
            json!({"alg": "ES384"}),
            json!({"x": text(31, 1)}),
            json!({"y": null}),
        ] {
            assert_eq!(algorithms(&p256, change.clone()), [], "{change}");
        }
        let ed = json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": text(32, 1)});
        for change in [
            json!({"crv": "X25519"}),
            json!({"crv": "Ed448"}),
            json!({"x": text(33, 1)}),
            json!({"kty": "EC"}),
        ] {
            assert_eq!(algorithms(&ed, change.clone()), [], "{change}");
        }
        assert!(KeySet::read(&json!({"keys": {}})).is_none() && KeySet::read(&json!([])).is_none());
    }
}
