//! The signature of Standard Webhooks: headers by which a receiver knows a call, its age and its sender.
//!
//! What is called with and when belongs to those who use it.

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::borrow::Cow;
use tollbook_kit::secret::Secret;

/// What a secret begins with whose rest is a key in base64.
const ENCODED: &str = "whsec_";
/// Takes keys with and without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The id of a message that is known by these texts: the same for the same texts.
pub(crate) fn message_id(texts: &[&str]) -> String {
    let digest = hex::encode(Sha256::digest(texts.join("\n")));
    format!("msg_{}", &digest[..32])
}

/// The headers of one attempt: id, time, and the signature where there is a secret.
pub(crate) fn headers(
    id: &str,
    now_ms: i64,
    body: &str,
    secret: Option<&Secret<String>>,
) -> Vec<(&'static str, String)> {
    let timestamp = now_ms.div_euclid(1000).to_string();
    let signature = secret.map(|secret| {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&key(secret.reveal())).expect("HMAC takes keys of any length");
        mac.update(format!("{id}.{timestamp}.{body}").as_bytes());
        ("webhook-signature", format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
    });
    let known = [("webhook-id", id.to_owned()), ("webhook-timestamp", timestamp)];
    known.into_iter().chain(signature).collect()
}

/// The key that a secret stands for: what is encoded in it, else its bytes.
fn key(secret: &str) -> Cow<'_, [u8]> {
    let encoded = secret.strip_prefix(ENCODED).filter(|text| !text.is_empty());
    let decoded = encoded.and_then(|text| LENIENT.decode(text).ok());
    decoded.map_or(Cow::Borrowed(secret.as_bytes()), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = concat!(
        r#"{"schemaName":"acme_cdr_end","sessionId":"8f0c2d7e-5a41-4c1b-9b1e-2f60d3c4a5b6","#,
        r#""sessionStartingSequenceNumber":"0","messages":[{"message_type":"dialog_end","id":"d1"}]}"#
    );

    #[test]
    fn the_contracts_vector() {
        let id = message_id(&[
            "c1d2e3f4-0a1b-4c2d-8e3f-405162738495",
            "8f0c2d7e-5a41-4c1b-9b1e-2f60d3c4a5b6",
            "0",
            "0",
        ]);
        assert_eq!((id.as_str(), BODY.len()), ("msg_3d4c3fa481554df8c81863574406d3d7", 169));
        let secret = Secret::new("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=".to_owned());
        let expected = [
            ("webhook-id", id.clone()),
            ("webhook-timestamp", "1768219300".to_owned()),
            ("webhook-signature", "v1,DsGfdfUsW1CWyryPh3kXsoMtPpbPEUFDGheQv7ocVIA=".to_owned()),
        ];
        assert_eq!(headers(&id, 1_768_219_300_999, BODY, Some(&secret)), expected);
        assert_eq!(headers(&id, 1_768_219_300_000, BODY, None), expected[..2]);
    }

    #[test]
    fn secrets_stand_for_keys() {
        let (secret, bytes): ([&str; 6], [&[u8]; 6]) = (
            ["whsec_AAEC", "whsec_AAE=", "whsec_AAE", "hush-hush", "whsec_not base64", "whsec_"],
            [&[0, 1, 2], &[0, 1], &[0, 1], b"hush-hush", b"whsec_not base64", b"whsec_"],
        );
        for (secret, bytes) in secret.into_iter().zip(bytes) {
            assert_eq!(&*key(secret), bytes, "{secret}");
        }
    }
}
