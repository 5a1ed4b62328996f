//! The table of keys that sign. Their secret parts are sealed at rest.

use crate::audit::AuditEntry;
use async_trait::async_trait;
use tollbook_kit::fault::Fault;
use tollbook_kit::secret::Secret;

/// What a key signs; the keys of different purposes differ (`natalia.md` section 11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyPurpose {
    /// Checkpoints of audit logs.
    AuditLog,
    /// Access tokens of the built-in identity provider.
    AccessToken,
    /// Manifests of exports, and records in them.
    Manifest,
    /// Links to files of exports: an HMAC key, which is never published.
    DownloadLink,
}

impl KeyPurpose {
    /// Every purpose.
    pub const ALL: [Self; 4] = [Self::AuditLog, Self::AccessToken, Self::Manifest, Self::DownloadLink];

    /// The word in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::AuditLog => "audit-log",
            Self::AccessToken => "access-token",
            Self::Manifest => "manifest",
            Self::DownloadLink => "download-link",
        }
    }

    /// The purpose of that word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == name)
    }
}

/// A key that signs, as it is kept.
#[derive(Debug, Clone)]
pub struct StoredSigningKey {
    /// What it signs.
    pub purpose: KeyPurpose,
    /// Its name: the RFC 7638 thumbprint, or `k` and a number for links.
    pub kid: String,
    /// Its secret part.
    pub seed: Secret<[u8; 32]>,
    /// When it was made, in milliseconds. The newest of a purpose signs.
    pub created_at_ms: i64,
}

/// Signing keys in the control database.
#[async_trait]
pub trait SigningKeys: Send + Sync {
    /// All keys, oldest first.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    async fn list(&self) -> Result<Vec<StoredSigningKey>, Fault>;

    /// Keeps a new key; with an entry when somebody asked for it.
    ///
    /// # Errors
    /// `conflict` when there is a key of that purpose and name; `storage_full`, `unavailable` or `internal`.
    async fn create(&self, key: StoredSigningKey, audit: Option<AuditEntry>) -> Result<(), Fault>;

    /// Removes a key: what it signed no longer holds. False if there is none of that purpose and name.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    async fn remove(&self, purpose: KeyPurpose, kid: &str, audit: Option<AuditEntry>) -> Result<bool, Fault>;
}
