//! The completeness report: what there is of each hour, in numbers that whoever holds the records can make himself.
//!
//! Where the records come from is the data plane's; here are only the words.

use crate::merkle::Hash;

/// Milliseconds of an hour.
pub const HOUR_MS: i64 = 3_600_000;

/// One hour of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HourDigest {
    /// Start of the hour, in hours since 1970-01-01T00:00:00Z.
    pub hour: i64,
    /// Records whose time lies in it, each id once, in its latest revision.
    pub records: u64,
    /// Least and greatest sequence number among them; none where the dataset has none.
    pub sequences: Option<(u64, u64)>,
    /// Root of the RFC 6962 tree over them in the order of an export (time, then id), each as an export in NDJSON with
    /// default columns in UTC shows it: what `merkle.root` of that export's manifest would say.
    pub root: Hash,
}
