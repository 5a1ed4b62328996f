//! Configured sources of records: the PBXs and files of a tenant.

use serde_json::{Map, Value};
use uuid::Uuid;

/// Bound of a source's name in bytes.
pub const ALIAS_BYTES: usize = 100;

/// A configured source (a record of the dataset `agent-configuration`).
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its id.
    pub id: Uuid,
    /// Its name: `pbx_alias` of every record that it sends.
    pub pbx_alias: String,
    /// Name of the connector that reads it, such as `csv`.
    pub kind: String,
    /// Settings of that connector, as configured and checked.
    pub settings: Map<String, Value>,
    /// Does it take records?
    pub enabled: bool,
    /// Counts its changes from 1.
    pub version: u64,
    /// When it last sent records, in milliseconds.
    pub last_seen_at_ms: Option<i64>,
    /// When it last changed, in milliseconds.
    pub updated_at_ms: i64,
}

/// May this text name a source? 1 to [`ALIAS_BYTES`] bytes, no control characters, no `/`.
pub fn is_alias(text: &str) -> bool {
    !text.is_empty() && text.len() <= ALIAS_BYTES && !text.chars().any(|c| c.is_control() || c == '/')
}
