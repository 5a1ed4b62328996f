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
}
