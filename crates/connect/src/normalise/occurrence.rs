//! Keys for rows whose source gives them none (`record.md` section 4).
//!
//! The bare content is never the key: two equal rows are two records. Rows of one body that are equal are numbered in
//! their order, so that the same file sent again has the same keys.

use sha2::{Digest, Sha256};
use std::collections::HashMap;
use tollbook_model::tenant::Tenant;

/// Numbers the equal rows of one body.
#[derive(Debug)]
pub struct Occurrences<'t> {
    tenant: &'t Tenant,
    seen: HashMap<u128, u32>,
}

impl<'t> Occurrences<'t> {
    /// Nothing has been seen of the body yet.
    pub fn new(tenant: &'t Tenant) -> Self {
        Self { tenant, seen: HashMap::new() }
    }

    /// The key of a row: digest of its bytes as the tenant shows digests, and how many equal rows came before it. A
    /// row holds its start, so equal rows are of the same second.
    pub fn key(&mut self, row: &[u8]) -> String {
        let digest = Sha256::digest(row);
        let mut short = [0u8; 16];
        short.copy_from_slice(&digest[..16]);
        let short = u128::from_be_bytes(short);
        let before = self.seen.entry(short).or_insert(0);
        let key = format!("row:{}:{before}", self.tenant.shown_digest(short));
        *before += 1;
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollbook_model::privacy::PseudonymKey;
    use tollbook_model::tenant::{CallerNumbers, TenantName};

    fn tenant(caller_numbers: CallerNumbers) -> Tenant {
        Tenant::new(TenantName::default_tenant(), vec![PseudonymKey::new(1, [7; 32])], 0)
            .with_caller_numbers(caller_numbers)
    }

    fn keys(tenant: &Tenant, rows: &[&[u8]]) -> Vec<String> {
        let mut occurrences = Occurrences::new(tenant);
        rows.iter().map(|row| occurrences.key(row)).collect()
    }

    #[test]
    fn equal_rows_differ_and_a_resent_body_has_the_same_keys() {
        let tenant = tenant(CallerNumbers::Pseudonym);
        let first = keys(&tenant, &[b"a", b"b", b"a"]);
        assert_ne!(first[0], first[2]);
        assert_ne!(first[0], first[1]);
        assert_eq!(first, keys(&tenant, &[b"a", b"b", b"a"]));
        assert_eq!(first[0], keys(&tenant, &[b"b", b"a"])[1], "the key does not depend on other rows");
    }

    #[test]
    fn a_number_cannot_be_found_by_trying_where_numbers_are_hidden() {
        let row = b"+442071234567,101,2026-01-05 09:00:00";
        let bare: String = Sha256::digest(row)[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(keys(&tenant(CallerNumbers::Plain), &[row])[0].contains(&bare));
        assert!(!keys(&tenant(CallerNumbers::Pseudonym), &[row])[0].contains(&bare));
    }
}
