//! Hashes as they are written in records and manifests.

/// Digits of a hash.
const HASH_DIGITS: usize = 64;

/// Is it a hash as it is written: 64 digits, letters in lower case?
pub(super) fn is_hash(text: &str) -> bool {
    text.len() == HASH_DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A hash as it is written.
pub(super) fn hex_text(hash: [u8; 32]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}
