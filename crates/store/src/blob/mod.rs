//! Objects: named bytes that are durable once they are there, written whole and read by ranges.
//!
//! All calls block; async callers go through `spawn_blocking`. What objects mean, and when they may be erased, is
//! decided by journal and lake.

#[cfg(test)]
mod conformance;
mod directory;
mod memory;

pub use directory::DirectoryBlobs;
pub use memory::MemoryBlobs;

use bytes::Bytes;
use std::fmt::Debug;
use std::io;
use std::sync::Arc;
use tollbook_columns::parquet_file::ByteSource;
use tollbook_kit::fault::{Code, Fault};

/// One object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedObject {
    /// Its key.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written, in milliseconds since 1970-01-01T00:00:00Z.
    pub written_at_ms: i64,
}

/// Where objects are kept. Keys are `/`-separated, relative and plain: no empty segment, none that begins with a
/// dot, no backslash and no control character.
pub trait Blobs: Send + Sync + Debug {
    /// Writes a whole object, replacing one of that key. Durable when it returns.
    ///
    /// # Errors
    /// `storage_full`, or `internal`; then the key is as it was before.
    fn put(&self, path: &str, bytes: &[u8]) -> Result<(), Fault> {
        let mut writer = self.create(path)?;
        writer.write_all(bytes).map_err(|error| write_fault("writing an object", error))?;
        writer.publish()
    }

    /// Starts an object that is written bit by bit and cannot be seen before it is published.
    ///
    /// # Errors
    /// `storage_full` or `internal`.
    fn create(&self, path: &str) -> Result<Box<dyn BlobWriter>, Fault>;

    /// Opens an object for reading, if there is one of that key. It stays readable through this handle while it is being
    /// erased.
    ///
    /// # Errors
    /// `internal`.
    fn find(&self, path: &str) -> Result<Option<Arc<dyn ByteSource>>, Fault>;

    /// The same for who has its key from a row that says it is there.
    ///
    /// # Errors
    /// `internal`, also when it is not.
    fn open(&self, path: &str) -> Result<Arc<dyn ByteSource>, Fault> {
        let found = self.find(path)?;
        found.ok_or_else(|| Fault::internal("an object is not there").with_context(path))
    }

    /// Erases an object; none of that key is fine.
    ///
    /// # Errors
    /// `internal`.
    fn delete(&self, path: &str) -> Result<(), Fault>;

    /// Gives an object another key, replacing one of that key. Its bytes and the time it was written stay; none of the
    /// key `from` is fine. Durable when it returns; a crash leaves it under at least one of the keys.
    ///
    /// # Errors
    /// `storage_full` or `internal`.
    fn rename(&self, from: &str, to: &str) -> Result<(), Fault>;

    /// All objects whose key begins with the folder `prefix`, in no particular order.
    ///
    /// # Errors
    /// `internal`.
    fn list(&self, prefix: &str) -> Result<Vec<ListedObject>, Fault>;

    /// Room that is left, in bytes; `u64::MAX` where there is no bound to see.
    ///
    /// # Errors
    /// `internal`.
    fn free_bytes(&self) -> Result<u64, Fault>;
}

/// An object being written. Dropping it unpublished leaves nothing visible.
pub trait BlobWriter: io::Write + Send {
    /// Makes the object durable, then visible, as a whole.
    ///
    /// # Errors
    /// `storage_full` or `internal`. Never call again: after a failed fsync the bytes written are of unknown fate,
    /// so the object is given up and only a new one may be tried.
    fn publish(self: Box<Self>) -> Result<(), Fault>;
}

/// All bytes of an object.
///
/// # Errors
/// `internal` when it cannot be read.
pub fn read_whole(blobs: &dyn Blobs, path: &str) -> Result<Bytes, Fault> {
    let reader = blobs.open(path)?;
    let bytes = usize::try_from(reader.size())
        .map_err(|_| Fault::internal("an object is larger than the memory").with_context(path))?;
    reader
        .read_at(0, bytes)
        .map_err(|error| Fault::internal("reading an object").with_context(path).with_source(error))
}

/// What a failed write means: a full disk is the operator's to mend, anything else is ours.
pub(crate) fn write_fault(doing: &'static str, error: io::Error) -> Fault {
    let full = matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    );
    if full {
        storage_full().with_context(doing).with_source(error)
    } else {
        Fault::internal(doing).with_source(error)
    }
}

/// The refusal for want of room.
pub(crate) fn storage_full() -> Fault {
    Fault::new(Code::StorageFull, "the disk is full: nothing was stored; free some room and send again")
}

/// Refuses keys that could name anything outside the store, or one of its own working files.
fn check_path(path: &str) -> Result<(), Fault> {
    let plain = |segment: &str| {
        !segment.is_empty()
            && !segment.starts_with('.')
            && !segment.chars().any(|c| c == '\\' || c.is_control())
    };
    if path.split('/').all(plain) && path.len() <= 1024 {
        return Ok(());
    }
    Err(Fault::internal("an object's key is not a plain relative path"))
}

/// A key begins with a folder when the folder's name ends where a segment ends. The empty prefix is the whole store.
fn is_below(path: &str, prefix: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    prefix.is_empty() || path.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('/'))
}
