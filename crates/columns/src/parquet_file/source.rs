//! Bytes of a stored file, read by range.

use bytes::Bytes;
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};
use std::io::{self, Read};
use std::sync::Arc;

/// A file that never changes, read at any place by any thread.
pub trait ByteSource: Send + Sync {
    /// Its length in bytes.
    fn size(&self) -> u64;

    /// Exactly `length` bytes from `offset`.
    ///
    /// # Errors
    /// The range is not all there, or reading failed.
    fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes>;
}

impl ByteSource for Bytes {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, length: usize) -> io::Result<Bytes> {
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        match from.checked_add(length) {
            Some(to) if to <= self.len() => Ok(self.slice(from..to)),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// A stored Parquet file as the `parquet` crate reads it. Clones share the source.
#[derive(Clone)]
pub struct PartSource(Arc<dyn ByteSource>);

impl PartSource {
    /// Reads from `source`.
    pub fn new(source: Arc<dyn ByteSource>) -> Self {
        Self(source)
    }

    /// The bytes behind it.
    pub fn bytes(&self) -> &Arc<dyn ByteSource> {
        &self.0
    }
}

impl Length for PartSource {
    fn len(&self) -> u64 {
        self.0.size()
    }
}

impl ChunkReader for PartSource {
    type T = Sequential;

    fn get_read(&self, start: u64) -> ParquetResult<Sequential> {
        Ok(Sequential { source: Arc::clone(&self.0), next: start, ahead: Bytes::new() })
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        self.0.read_at(start, length).map_err(|error| ParquetError::External(Box::new(error)))
    }
}

/// Reads on from a place. Only page headers are read this way, so it looks ahead only a little.
pub struct Sequential {
    source: Arc<dyn ByteSource>,
    next: u64,
    ahead: Bytes,
}

const LOOK_AHEAD: u64 = 512;

impl Read for Sequential {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.ahead.is_empty() {
            let left = self.source.size().saturating_sub(self.next);
            let wanted = LOOK_AHEAD.max(into.len() as u64).min(left);
            let wanted = usize::try_from(wanted).map_err(io::Error::other)?;
            self.ahead = self.source.read_at(self.next, wanted)?;
            self.next += wanted as u64;
        }
        let count = into.len().min(self.ahead.len());
        into[..count].copy_from_slice(&self.ahead.split_to(count));
        Ok(count)
    }
}
