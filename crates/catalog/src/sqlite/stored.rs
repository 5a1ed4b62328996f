//! Values on their way into and out of columns. SQLite's integers are signed: what does not fit is an error of the
//! statement, never a wrapped number.

use sqlx::Error;
use tollbook_kit::retry::Pending;
use tollbook_model::access::Role;
use tollbook_model::dataset::Dataset;
use tollbook_model::tenant::TenantName;
use uuid::Uuid;

/// A count for a column.
pub(super) fn column(count: u64) -> Result<i64, Error> {
    i64::try_from(count).map_err(|_| Error::Encode("a count is over 63 bits".into()))
}

/// A count from a column.
pub(super) fn count(column: i64) -> Result<u64, Error> {
    u64::try_from(column).map_err(|_| unreadable("a count is negative"))
}

/// A 32-bit count from a column.
pub(super) fn small_count(column: i64) -> Result<u32, Error> {
    u32::try_from(column).map_err(|_| unreadable("a count is not of 32 bits"))
}

/// An id for a column.
pub(super) fn id_column(id: &Uuid) -> Vec<u8> {
    id.as_bytes().to_vec()
}

/// An id from a column.
pub(super) fn id(column: &[u8]) -> Result<Uuid, Error> {
    Uuid::from_slice(column).map_err(|error| Error::Decode(error.into()))
}

/// A tenant's name from a column.
pub(super) fn tenant(column: &str) -> Result<TenantName, Error> {
    TenantName::parse(column).ok_or_else(|| unreadable("a tenant's name is not one"))
}

/// A role from a column.
pub(super) fn role(column: &str) -> Result<Role, Error> {
    Role::from_name(column).ok_or_else(|| unreadable("a role is unknown to this version"))
}

/// A SHA-256 hash from a column.
pub(super) fn hash(column: &[u8]) -> Result<[u8; 32], Error> {
    column.try_into().map_err(|_| unreadable("a hash is not of 32 bytes"))
}

/// A dataset from a column.
pub(super) fn dataset(column: &str) -> Result<Dataset, Error> {
    Dataset::from_name(column).ok_or_else(|| unreadable("a dataset is unknown to this version"))
}

/// A wait from its two columns, of which both or none have a value.
pub(super) fn pending(since_ms: Option<i64>, wait_ms: Option<i64>) -> Option<Pending> {
    Some(Pending { since_ms: since_ms?, wait_ms: wait_ms? })
}

/// A column that holds what this version cannot read.
pub(super) fn unreadable(what: &'static str) -> Error {
    Error::Decode(what.into())
}
