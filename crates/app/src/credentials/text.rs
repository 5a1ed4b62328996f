//! The text of a token: its form, its checksum and its hash.
//!
//! # For scanners of source code and logs
//!
//! A token that was made here matches `tbr?_[a-kmnp-z2-9]{46}`: `tb_` begins an API token, `tbr_` a refresh token. Its
//! last six characters are a checksum over everything before them: of each of the first six bytes of that text's
//! SHA-256, the lowest five bits choose a character of `abcdefghijkmnpqrstuvwxyz23456789`. Whatever matches with a right
//! checksum is a token (of other texts, one in 2^30 would be), living or dead. Values that administrators brought along
//! have no form of ours.

use sha2::{Digest, Sha256};
use std::ops::RangeInclusive;
use tollbook_kit::ids::Randomness;
use tollbook_kit::secret::Secret;

/// Length of a token in characters, from and to.
pub const TOKEN_LENGTH: RangeInclusive<usize> = 20..=200;
/// What every text of an API token made here begins with.
pub(crate) const API_TOKEN: &str = "tb_";
/// What every text of a refresh token begins with.
pub(crate) const REFRESH_TOKEN: &str = "tbr_";
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
/// Of five random bits each: 200 in all.
const RANDOM_CHARACTERS: usize = 40;
const CHECK_CHARACTERS: usize = 6;

/// A new token: the prefix, 200 random bits and the checksum.
pub(crate) fn make(prefix: &str, randomness: &dyn Randomness) -> Secret<String> {
    let mut bytes = [0u8; RANDOM_CHARACTERS];
    randomness.fill(&mut bytes);
    let mut token = String::from(prefix);
    token.extend(bytes.iter().map(|&byte| letter(byte)));
    let digest = Sha256::digest(token.as_bytes());
    token.extend(digest.iter().take(CHECK_CHARACTERS).map(|&byte| letter(byte)));
    Secret::new(token)
}

/// Could this text be a token at all? 20 to 200 printable ASCII characters.
pub(crate) fn is_token(text: &str) -> bool {
    TOKEN_LENGTH.contains(&text.len()) && text.bytes().all(|byte| (0x20..=0x7E).contains(&byte))
}

/// May somebody bring this text along as his token? Like any token, but without spaces at its ends: they get lost in
/// headers.
pub(crate) fn is_own_value(text: &str) -> bool {
    is_token(text) && text.trim_matches(' ') == text
}

/// What is kept of a token. It is long and random, so a fast hash is enough.
pub(crate) fn hash_of(secret: &str) -> [u8; 32] {
    Sha256::digest(secret.as_bytes()).into()
}

fn letter(byte: u8) -> char {
    char::from(ALPHABET[usize::from(byte % 32)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollbook_kit::ids::SeededRandomness;

    /// What the documentation above tells a scanner to do.
    fn scanned(text: &str) -> bool {
        let Some(rest) = text.strip_prefix("tbr_").or_else(|| text.strip_prefix("tb_")) else { return false };
        let allowed = |c: char| matches!(c, 'a'..='k' | 'm' | 'n' | 'p'..='z' | '2'..='9');
        if rest.len() != 46 || !rest.chars().all(allowed) {
            return false;
        }
        let (checked, sum) = text.split_at(text.len() - 6);
        let digest = Sha256::digest(checked.as_bytes());
        sum.bytes().zip(digest).all(|(c, byte)| c == ALPHABET[usize::from(byte & 31)])
    }

    #[test]
    fn made_tokens_are_found_by_scanners_and_others_are_not() {
        let randomness = SeededRandomness::new(3);
        for prefix in [API_TOKEN, REFRESH_TOKEN] {
            let token = make(prefix, &randomness);
            let token = token.reveal();
            assert!(scanned(token) && is_token(token) && is_own_value(token), "{token}");
            let last = if token.ends_with('a') { 'b' } else { 'a' };
            assert!(!scanned(&format!("{}{last}", &token[..token.len() - 1])));
        }
        assert_ne!(make(API_TOKEN, &randomness), make(API_TOKEN, &randomness));
    }

    #[test]
    fn forms_of_tokens() {
        for (text, token, own) in [
            ("x".repeat(19), false, false),
            ("x".repeat(20), true, true),
            ("x".repeat(200), true, true),
            ("x".repeat(201), false, false),
            (format!("{} {}", "x".repeat(10), "y".repeat(10)), true, true),
            (format!(" {}", "x".repeat(20)), true, false),
            (format!("{} ", "x".repeat(20)), true, false),
            (format!("{}\n", "x".repeat(20)), false, false),
            ("ä".repeat(20), false, false),
        ] {
            assert_eq!((is_token(&text), is_own_value(&text)), (token, own), "{text:?}");
        }
    }
}
