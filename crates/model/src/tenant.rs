//! Tenants: whose records they are, and what is done with their callers' numbers.

use crate::privacy::PseudonymKey;
use std::fmt;
use std::sync::Arc;

/// Name of a tenant: 1 to 63 of `a-z 0-9 _ -`, starting with a letter or digit. It is a folder name in the lake.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantName(Arc<str>);

impl TenantName {
    /// The tenant that exists until tenants can be created.
    pub fn default_tenant() -> Self {
        Self(Arc::from("default"))
    }

    /// Checks and takes a name; none when it could not be a folder name.
    pub fn parse(name: &str) -> Option<Self> {
        let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
        let first_ok = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        (first_ok && name.len() <= 63 && name.chars().all(ok)).then(|| Self(Arc::from(name)))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TenantName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What ingest does with the numbers of external callers (`natalia.md` section 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallerNumbers {
    /// They are replaced by pseudonyms; the original is kept sealed.
    Pseudonym,
    /// They are kept in clear.
    Plain,
}

/// A tenant as every use case needs it.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Its name.
    pub name: TenantName,
    /// Policy for callers' numbers.
    pub caller_numbers: CallerNumbers,
    /// Pseudonym keys by rising generation; the last one is used for new records. Never empty.
    pub pseudonym_keys: Vec<PseudonymKey>,
    /// Days (by start of the call) for which call records are kept.
    pub cdr_retention_days: u32,
}

impl Tenant {
    /// The key of the newest generation.
    ///
    /// # Panics
    /// When the tenant has no key, which the catalog never hands out.
    pub fn newest_key(&self) -> &PseudonymKey {
        self.pseudonym_keys.last().expect("a tenant has at least one pseudonym key")
    }

    /// A digest of a record's content as its source key may show it, 32 hexadecimal digits.
    ///
    /// Keys can be exported, and a caller's number is a short secret: whoever knows the rest of a record could try all
    /// numbers against a bare digest. So a tenant with pseudonyms gets it keyed; always with its first key, so that
    /// the same body keeps its ids when the keys are rotated.
    pub fn shown_digest(&self, digest: u128) -> String {
        let bare = format!("{digest:032x}");
        match (self.caller_numbers, self.pseudonym_keys.first()) {
            (CallerNumbers::Pseudonym, Some(key)) => {
                let keyed = key.pseudonym(&bare);
                keyed.rsplit('_').next().map_or(bare, str::to_owned)
            }
            _ => bare,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_keyed_where_numbers_are_hidden_and_survive_a_rotation() {
        let tenant = |caller_numbers, keys: &[u8]| Tenant {
            name: TenantName::default_tenant(),
            caller_numbers,
            pseudonym_keys: (1..).zip(keys).map(|(at, key)| PseudonymKey::new(at, [*key; 32])).collect(),
            cdr_retention_days: 400,
        };
        let digest = 0xABC;
        let bare = format!("{digest:032x}");
        assert_eq!(tenant(CallerNumbers::Plain, &[1]).shown_digest(digest), bare);
        let keyed = tenant(CallerNumbers::Pseudonym, &[1]).shown_digest(digest);
        assert_eq!((keyed.len(), keyed == bare), (32, false));
        assert_eq!(tenant(CallerNumbers::Pseudonym, &[1, 2]).shown_digest(digest), keyed, "rotated");
        assert_ne!(
            tenant(CallerNumbers::Pseudonym, &[2]).shown_digest(digest),
            keyed,
            "another tenant's key"
        );
        assert_ne!(tenant(CallerNumbers::Pseudonym, &[1]).shown_digest(digest + 1), keyed);
    }
}
