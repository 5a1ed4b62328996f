//! One-time passwords by time (RFC 6238): HMAC-SHA-1, six digits, steps of 30 s, as authenticator apps have them.
//!
//! Where a user's key is kept, and which step he used last, is the catalog's.

use hmac::{Hmac, KeyInit, Mac};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sha1::Sha1;
use tollbook_kit::secret::Secret;

/// Length of a key in bytes: that of the digest (RFC 4226 section 4).
pub(crate) const KEY_BYTES: usize = 20;
const STEP_MS: i64 = 30_000;
const DIGITS: u32 = 6;
/// Clocks of telephones may be wrong by this many steps.
const SKEW: i64 = 1;
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The time step whose code this is, if it is one that is good now. Whether it was used is not looked at.
pub(crate) fn step_of(key: &Secret<Vec<u8>>, code: &str, now_ms: i64) -> Option<i64> {
    let now = now_ms.div_euclid(STEP_MS);
    let code = read(code)?;
    let steps = (now - SKEW).max(0)..=now + SKEW;
    // The newest that fits, without an early end: how long it takes must not tell which one it was.
    steps.fold(None, |found, step| if code_at(key, step) == code { Some(step) } else { found })
}

/// What an authenticator app reads the key from, usually as a QR code.
pub(crate) fn otpauth_uri(username: &str, key: &Secret<Vec<u8>>) -> Secret<String> {
    let account = utf8_percent_encode(username, NON_ALPHANUMERIC);
    let key = base32(key.reveal());
    Secret::new(format!(
        "otpauth://totp/Tollbook:{account}?secret={key}&issuer=Tollbook&algorithm=SHA1&digits={DIGITS}&period=30"
    ))
}

fn read(code: &str) -> Option<u32> {
    let digits = code.len() == DIGITS as usize && code.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| code.parse().ok())?
}

fn code_at(key: &Secret<Vec<u8>>, step: i64) -> u32 {
    truncated(key.reveal(), step) % 10u32.pow(DIGITS)
}

/// The dynamic truncation of RFC 4226 section 5.3.
fn truncated(key: &[u8], step: i64) -> u32 {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let at = usize::from(digest[19] & 0x0F);
    let bytes = [digest[at], digest[at + 1], digest[at + 2], digest[at + 3]];
    u32::from_be_bytes(bytes) & 0x7FFF_FFFF
}

/// RFC 4648 section 6 without padding, as authenticator apps want it.
fn base32(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let mut group = [0u8; 8];
        group[3..3 + chunk.len()].copy_from_slice(chunk);
        let group = u64::from_be_bytes(group);
        for place in 0..(chunk.len() * 8).div_ceil(5) {
            let letter = usize::try_from((group >> (35 - 5 * place)) & 31).expect("five bits");
            text.push(char::from(BASE32[letter]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc_key() -> Secret<Vec<u8>> {
        Secret::new(b"12345678901234567890".to_vec())
    }

    /// Appendix B of RFC 6238, of whose eight digits the last six are ours.
    #[test]
    fn the_vectors_of_rfc_6238() {
        for (second, code) in [
            (59, 94_287_082),
            (1_111_111_109, 7_081_804),
            (1_111_111_111, 14_050_471),
            (1_234_567_890, 89_005_924),
            (2_000_000_000, 69_279_037),
            (20_000_000_000, 65_353_130),
        ] {
            let step = second / 30;
            assert_eq!(truncated(rfc_key().reveal(), step) % 100_000_000, code, "{second}");
            assert_eq!(code_at(&rfc_key(), step), code % 1_000_000, "{second}");
        }
    }

    #[test]
    fn a_code_is_good_for_three_steps() {
        let text = |step| format!("{:06}", code_at(&rfc_key(), step));
        let now_ms = 100 * STEP_MS + 17;
        for (step, good) in [(98, false), (99, true), (100, true), (101, true), (102, false)] {
            assert_eq!(step_of(&rfc_key(), &text(step), now_ms), good.then_some(step), "{step}");
        }
        for bad in ["", "12345", "1234567", "12345x", "+12345", "１２３４５６"] {
            assert_eq!(step_of(&rfc_key(), bad, now_ms), None, "{bad}");
        }
    }

    /// Section 10 of RFC 4648.
    #[test]
    fn the_vectors_of_base32() {
        for (plain, coded) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(plain.as_bytes()), coded);
        }
        let uri = otpauth_uri("eve&x=1", &rfc_key());
        let wanted = "otpauth://totp/Tollbook:eve%26x%3D1?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Tollbook&algorithm=SHA1&digits=6&period=30";
        assert_eq!(uri.reveal(), wanted);
    }
}
