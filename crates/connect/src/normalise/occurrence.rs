//! Keys for rows whose source gives them none (`record.md` section 4).
//!
//! The bare content is never the key: two equal rows are two records. Rows of one body that are equal are numbered in
//! their order, so that the same file sent again has the same keys.

use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// Numbers the equal rows of one body.
#[derive(Debug, Default)]
pub struct Occurrences {
    seen: HashMap<[u8; 16], u32>,
}

impl Occurrences {
    /// The key of a row: digest of its bytes, and how many equal rows came before it. A row holds its start, so equal
    /// rows are of the same second.
    pub fn key(&mut self, row: &[u8]) -> String {
        let digest = Sha256::digest(row);
        let mut short = [0u8; 16];
        short.copy_from_slice(&digest[..16]);
        let before = self.seen.entry(short).or_insert(0);
        let key = format!("row:{:032x}:{before}", u128::from_be_bytes(short));
        *before += 1;
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_rows_differ_and_a_resent_body_has_the_same_keys() {
        let keys = |rows: &[&[u8]]| {
            let mut occurrences = Occurrences::default();
            rows.iter().map(|row| occurrences.key(row)).collect::<Vec<_>>()
        };
        let first = keys(&[b"a", b"b", b"a"]);
        assert_ne!(first[0], first[2]);
        assert_ne!(first[0], first[1]);
        assert_eq!(first, keys(&[b"a", b"b", b"a"]));
        assert_eq!(first[0], keys(&[b"b", b"a"])[1], "the key does not depend on other rows");
    }
}
