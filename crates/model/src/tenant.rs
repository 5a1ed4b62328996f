//! Tenants: whose records they are, and what is done with their callers' numbers.

use crate::privacy::PseudonymKey;
use std::fmt;
use std::sync::Arc;
use tollbook_kit::secret::Secret;

/// Name of a tenant: 1 to 128 of `A-Z a-z 0-9 . _ -`, case-sensitive (`omilia.md` section 2.1, where it is the group).
/// It is part of a folder's name in the lake. Not `.` and `..`, which no URL can hold as a segment.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantName(Arc<str>);

impl TenantName {
    /// Longest name in bytes.
    pub const MOST_BYTES: usize = 128;

    /// The tenant that exists from the first start on; the operator's own.
    pub fn default_tenant() -> Self {
        Self(Arc::from("default"))
    }

    /// Checks and takes a name; none when it could not be one.
    pub fn parse(name: &str) -> Option<Self> {
        let ok = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let fits = (1..=Self::MOST_BYTES).contains(&name.len()) && name.bytes().all(ok);
        (fits && name != "." && name != "..").then(|| Self(Arc::from(name)))
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

/// Settings of a tenant (`natalia.md` section 1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantSettings {
    /// Policy for callers' numbers.
    pub caller_numbers: CallerNumbers,
    /// Signs callbacks of every dialect; 8 to 128 printable ASCII characters.
    pub callback_secret: Option<Secret<String>>,
    /// Days (by start of the call) for which call records are kept, 1 to [`TenantSettings::MOST_DAYS`].
    pub cdr_days: u32,
    /// Days for which event records are kept, 1 to [`TenantSettings::MOST_DAYS`].
    pub event_days: u32,
    /// Months for which the audit log is kept, 1 to 1200.
    pub audit_months: u32,
    /// Seconds for which files of exports are kept, an hour to 30 days.
    pub file_retention_s: u32,
}

impl TenantSettings {
    /// Most days for which records can be kept: a hundred years.
    pub const MOST_DAYS: u32 = 36_500;
}

impl Default for TenantSettings {
    fn default() -> Self {
        Self {
            caller_numbers: CallerNumbers::Pseudonym,
            callback_secret: None,
            cdr_days: 400,
            event_days: 60,
            audit_months: 13,
            file_retention_s: 7 * 86_400,
        }
    }
}

/// What a tenant may use up at most. Set by the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantQuota {
    /// Direct exports at once per credential (`natalia.md` section 8).
    pub direct_exports: u32,
    /// Jobs that run at once.
    pub running_jobs: u32,
    /// Jobs that wait.
    pub queued_jobs: u32,
    /// Bytes of records in journal and lake; none: as many as the disk holds.
    pub stored_bytes: Option<u64>,
}

impl Default for TenantQuota {
    fn default() -> Self {
        Self { direct_exports: 4, running_jobs: 4, queued_jobs: 100, stored_bytes: None }
    }
}

/// Where a tenant is in its life (`natalia.md` section 15).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantState {
    /// In use.
    Open,
    /// Its contract has ended: nothing goes in, exports work until then, in milliseconds; then its data is deleted.
    Closing {
        /// The end.
        ends_at_ms: i64,
    },
    /// Its data is deleted; the name stays taken.
    Closed,
}

/// A tenant as every use case needs it.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Its name.
    pub name: TenantName,
    /// Its settings.
    pub settings: TenantSettings,
    /// What it may use up.
    pub quota: TenantQuota,
    /// Where it is in its life.
    pub state: TenantState,
    /// Pseudonym keys by rising generation; the last one is used for new records. Never empty.
    pub pseudonym_keys: Vec<PseudonymKey>,
    /// When it was made, in milliseconds.
    pub created_at_ms: i64,
}

impl Tenant {
    /// An open tenant with default settings and these keys, of which there is at least one.
    pub fn new(name: TenantName, pseudonym_keys: Vec<PseudonymKey>, created_at_ms: i64) -> Self {
        let (settings, quota) = (TenantSettings::default(), TenantQuota::default());
        Self { name, settings, quota, state: TenantState::Open, pseudonym_keys, created_at_ms }
    }

    /// The same tenant with another policy for callers' numbers.
    #[must_use]
    pub fn with_caller_numbers(mut self, caller_numbers: CallerNumbers) -> Self {
        self.settings.caller_numbers = caller_numbers;
        self
    }

    /// The same tenant that keeps call records for so many days.
    #[must_use]
    pub fn with_cdr_days(mut self, cdr_days: u32) -> Self {
        self.settings.cdr_days = cdr_days;
        self
    }

    /// Has its time to export ended, so that its data is to be deleted?
    pub fn is_over(&self, now_ms: i64) -> bool {
        match self.state {
            TenantState::Open => false,
            TenantState::Closing { ends_at_ms } => now_ms >= ends_at_ms,
            TenantState::Closed => true,
        }
    }

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
        match (self.settings.caller_numbers, self.pseudonym_keys.first()) {
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
        let tenant = |caller_numbers, keys: &[u8]| {
            let keys = (1..).zip(keys).map(|(at, key)| PseudonymKey::new(at, [*key; 32])).collect();
            Tenant::new(TenantName::default_tenant(), keys, 0).with_caller_numbers(caller_numbers)
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

    #[test]
    fn names_are_groups() {
        for name in ["default", "acme_bank", "Acme.Bank-2", "9", &"x".repeat(128)] {
            assert!(TenantName::parse(name).is_some(), "{name}");
        }
        for name in ["", ".", "..", "a b", "a/b", "é", "a=b", &"x".repeat(129)] {
            assert!(TenantName::parse(name).is_none(), "{name}");
        }
    }

    #[test]
    fn a_tenant_is_over_when_its_time_to_export_has_ended() {
        let mut tenant = Tenant::new(TenantName::default_tenant(), vec![PseudonymKey::new(1, [1; 32])], 0);
        assert!(!tenant.is_over(i64::MAX));
        tenant.state = TenantState::Closing { ends_at_ms: 10 };
        assert!(!tenant.is_over(9) && tenant.is_over(10));
        tenant.state = TenantState::Closed;
        assert!(tenant.is_over(0));
    }
}
