//! Objects in memory, for tests and for trying things out. They are durable for as long as the process is.

use super::{BlobWriter, Blobs, ListedObject, check_path, is_below, storage_full};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tollbook_columns::parquet_file::ByteSource;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::Fault;

#[derive(Debug, Clone)]
struct Object {
    bytes: Bytes,
    written_at_ms: i64,
}

#[derive(Debug)]
struct Shared {
    objects: Mutex<BTreeMap<String, Object>>,
    free_bytes: AtomicU64,
    clock: Arc<dyn Clock>,
}

impl Shared {
    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Object>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Objects in memory. Clones share them.
#[derive(Debug, Clone)]
pub struct MemoryBlobs(Arc<Shared>);

impl MemoryBlobs {
    /// No objects, and no bound.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Shared { objects: Mutex::default(), free_bytes: AtomicU64::new(u64::MAX), clock }))
    }

    /// Pretends that this much room is left; at 0 nothing can be published.
    pub fn set_free_bytes(&self, bytes: u64) {
        self.0.free_bytes.store(bytes, Ordering::SeqCst);
    }
}

impl Blobs for MemoryBlobs {
    fn create(&self, path: &str) -> Result<Box<dyn BlobWriter>, Fault> {
        check_path(path)?;
        Ok(Box::new(Unpublished { shared: Arc::clone(&self.0), path: path.to_owned(), bytes: Vec::new() }))
    }

    fn find(&self, path: &str) -> Result<Option<Arc<dyn ByteSource>>, Fault> {
        check_path(path)?;
        let objects = self.0.objects();
        Ok(objects.get(path).map(|object| Arc::new(Opened(object.bytes.clone())) as Arc<dyn ByteSource>))
    }

    fn delete(&self, path: &str) -> Result<(), Fault> {
        check_path(path)?;
        self.0.objects().remove(path);
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), Fault> {
        check_path(from)?;
        check_path(to)?;
        let mut objects = self.0.objects();
        if let Some(object) = objects.remove(from) {
            objects.insert(to.to_owned(), object);
        }
        Ok(())
    }

    fn list(&self, prefix: &str) -> Result<Vec<ListedObject>, Fault> {
        let objects = self.0.objects();
        let below = objects.iter().filter(|(path, _)| is_below(path, prefix));
        Ok(below
            .map(|(path, object)| ListedObject {
                path: path.clone(),
                bytes: object.bytes.len() as u64,
                written_at_ms: object.written_at_ms,
            })
            .collect())
    }

    fn free_bytes(&self) -> Result<u64, Fault> {
        Ok(self.0.free_bytes.load(Ordering::SeqCst))
    }
}

struct Unpublished {
    shared: Arc<Shared>,
    path: String,
    bytes: Vec<u8>,
}

impl io::Write for Unpublished {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl BlobWriter for Unpublished {
    fn publish(self: Box<Self>) -> Result<(), Fault> {
        if self.shared.free_bytes.load(Ordering::SeqCst) == 0 {
            return Err(storage_full());
        }
        let object = Object { bytes: Bytes::from(self.bytes), written_at_ms: self.shared.clock.now_ms() };
        self.shared.objects().insert(self.path, object);
        Ok(())
    }
}

struct Opened(Bytes);

impl ByteSource for Opened {
    fn size(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, bytes: usize) -> io::Result<Bytes> {
        let from = usize::try_from(offset).map_err(|_| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        match from.checked_add(bytes) {
            Some(to) if to <= self.0.len() => Ok(self.0.slice(from..to)),
            _ => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}
