//! What readers of files get, whatever keeps the objects; each kind is run through the same checks.

use super::{PartStore, StoredArtifacts};
use crate::blob::{Blobs, DirectoryBlobs, MemoryBlobs};
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use std::ops::Range;
use std::sync::Arc;
use std::sync::Mutex;
use tollbook_columns::parquet_file::ByteSource;
use tollbook_kit::clock::{Clock, SystemClock};
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::ids::{IdSource, SeededRandomness};
use tollbook_model::export_job::ExportPart;
use tollbook_model::ports::{Artifacts, CHUNK_BYTES};
use tollbook_model::tenant::TenantName;
use uuid::Uuid;

/// Sizes of the parts of the file that is read: some empty, some of several chunks.
const SIZES: [usize; 6] = [10, 0, 3 * CHUNK_BYTES + 7, 1, 0, CHUNK_BYTES];

fn part_store(blobs: &Arc<dyn Blobs>, reserve_bytes: u64) -> PartStore {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let ids = IdSource::new(clock, Arc::new(SeededRandomness::new(5)));
    PartStore::new(Arc::clone(blobs), ids, reserve_bytes)
}

/// A file, its bytes and its parts.
fn write(blobs: &Arc<dyn Blobs>) -> (Vec<u8>, Vec<ExportPart>) {
    let store = part_store(blobs, 0);
    let mut file = Vec::new();
    let mut parts = Vec::new();
    for (number, size) in (0..).zip(SIZES) {
        let bytes: Vec<u8> = (file.len()..file.len() + size).map(|at| (at % 251) as u8).collect();
        let path = (size > 0).then(|| {
            let mut part = store.create(&TenantName::default_tenant(), Uuid::from_u128(9)).unwrap();
            bytes.chunks(1000).for_each(|some| part.write(some).unwrap());
            part.publish().unwrap()
        });
        file.extend_from_slice(&bytes);
        parts.push(ExportPart { number, path, bytes: size as u64, state: Vec::new() });
    }
    (file, parts)
}

async fn read(
    artifacts: &StoredArtifacts,
    parts: &[ExportPart],
    range: Range<u64>,
) -> Result<Vec<Bytes>, Fault> {
    artifacts.read(parts.to_vec(), range).await?.try_collect().await
}

async fn check_all(blobs: Arc<dyn Blobs>) {
    let (file, parts) = write(&blobs);
    let artifacts = StoredArtifacts::new(Arc::clone(&blobs));
    every_range_is_exact(&artifacts, &file, &parts).await;
    parts_that_no_range_needs_may_be_gone(&blobs, &artifacts, &file).await;
    only_parts_are_erased(&blobs, &artifacts, &parts).await;
}

async fn every_range_is_exact(artifacts: &StoredArtifacts, file: &[u8], parts: &[ExportPart]) {
    let end = file.len();
    let chunk = CHUNK_BYTES;
    let edges = [0, 1, 9, 10, 11, chunk, chunk + 10, 3 * chunk + 17, 3 * chunk + 18, end - 1, end];
    for from in edges {
        for to in edges.into_iter().filter(|&to| to >= from) {
            let chunks = read(artifacts, parts, from as u64..to as u64).await.unwrap();
            assert!(chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= CHUNK_BYTES));
            assert!(chunks.concat() == file[from..to], "{from}..{to}");
        }
    }
    for outside in [0..end as u64 + 1, end as u64 + 1..end as u64 + 1, 0..u64::MAX] {
        let fault = read(artifacts, parts, outside.clone()).await.unwrap_err();
        assert_eq!(fault.code(), Code::Internal, "{outside:?}");
    }
    assert!(read(artifacts, &[], 0..0).await.unwrap().is_empty());
}

async fn parts_that_no_range_needs_may_be_gone(
    blobs: &Arc<dyn Blobs>,
    artifacts: &StoredArtifacts,
    file: &[u8],
) {
    let (_, parts) = write(blobs);
    artifacts.erase(vec![parts[3].path.clone().unwrap()]).await.unwrap();
    let missing_at = 10 + SIZES[2] as u64;
    for kept in [0..missing_at, missing_at + 1..file.len() as u64] {
        let wanted = &file[kept.start as usize..kept.end as usize];
        assert!(read(artifacts, &parts, kept).await.unwrap().concat() == wanted);
    }
    let refused = artifacts.read(parts.clone(), missing_at..missing_at + 5).await.err().unwrap();
    assert_eq!(refused.code(), Code::Gone, "before the first byte");
    let mut broken = artifacts.read(parts, 5..file.len() as u64).await.unwrap();
    let mut whole = Vec::new();
    let fault = loop {
        match broken.next().await.expect("it does not end cleanly") {
            Ok(chunk) => whole.extend_from_slice(&chunk),
            Err(fault) => break fault,
        }
    };
    assert_eq!((fault.code(), whole.len() as u64), (Code::Gone, missing_at - 5));
    assert!(broken.next().await.is_none(), "nothing follows");

    let (_, parts) = write(blobs);
    let mut reading = artifacts.read(parts.clone(), 10..file.len() as u64).await.unwrap();
    reading.next().await.unwrap().unwrap();
    artifacts.erase(vec![parts[2].path.clone().unwrap()]).await.unwrap();
    let fault = reading.next().await.unwrap().unwrap_err();
    assert_eq!(fault.code(), Code::Gone, "what is taken back is taken from those who read it, too");
}

async fn only_parts_are_erased(blobs: &Arc<dyn Blobs>, artifacts: &StoredArtifacts, parts: &[ExportPart]) {
    blobs.put("lake/a", b"records").unwrap();
    let paths: Vec<String> = parts.iter().filter_map(|part| part.path.clone()).collect();
    for other in ["lake/a", "exports", "exports-of-others/a", "exports/../lake/a"] {
        let mixed = paths.iter().cloned().chain([other.to_owned()]).collect();
        assert!(artifacts.erase(mixed).await.is_err(), "{other}");
    }
    blobs.open("lake/a").unwrap();
    for _ in 0..2 {
        artifacts.erase(paths.clone()).await.unwrap();
    }
    assert!(paths.iter().all(|path| blobs.find(path).unwrap().is_none()));
}

#[tokio::test]
async fn memory_conforms() {
    check_all(Arc::new(MemoryBlobs::new(Arc::new(SystemClock::new())))).await;
}

#[tokio::test]
async fn a_directory_conforms() {
    let folder = tempfile::tempdir().unwrap();
    check_all(Arc::new(DirectoryBlobs::open(folder.path()).unwrap())).await;
}

/// Notes which objects are opened and what is read of them.
#[derive(Debug)]
struct Watched {
    inner: MemoryBlobs,
    seen: Arc<Mutex<Vec<String>>>,
}

struct WatchedSource(Arc<dyn ByteSource>, Arc<Mutex<Vec<String>>>);

impl Drop for WatchedSource {
    fn drop(&mut self) {
        self.1.lock().unwrap().push("close".to_owned());
    }
}

impl ByteSource for WatchedSource {
    fn size(&self) -> u64 {
        self.0.size()
    }
    fn read_at(&self, offset: u64, length: usize) -> std::io::Result<Bytes> {
        self.1.lock().unwrap().push(format!("read {offset} {length}"));
        self.0.read_at(offset, length)
    }
}

impl Blobs for Watched {
    fn create(&self, path: &str) -> Result<Box<dyn crate::blob::BlobWriter>, Fault> {
        self.inner.create(path)
    }
    fn find(&self, path: &str) -> Result<Option<Arc<dyn ByteSource>>, Fault> {
        self.seen.lock().unwrap().push("open".to_owned());
        let found = self.inner.find(path)?;
        Ok(found.map(|source| Arc::new(WatchedSource(source, Arc::clone(&self.seen))) as Arc<dyn ByteSource>))
    }
    fn delete(&self, path: &str) -> Result<(), Fault> {
        self.inner.delete(path)
    }
    fn rename(&self, from: &str, to: &str) -> Result<(), Fault> {
        self.inner.rename(from, to)
    }
    fn list(&self, prefix: &str) -> Result<Vec<crate::blob::ListedObject>, Fault> {
        self.inner.list(prefix)
    }
    fn free_bytes(&self) -> Result<u64, Fault> {
        self.inner.free_bytes()
    }
}

#[tokio::test]
async fn chunks_are_read_when_they_are_asked_for_and_nothing_is_held_between() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let inner = MemoryBlobs::new(Arc::new(SystemClock::new()));
    let blobs: Arc<dyn Blobs> = Arc::new(Watched { inner, seen: Arc::clone(&seen) });
    let (file, parts) = write(&blobs);
    let artifacts = StoredArtifacts::new(blobs);
    let took = || std::mem::take(&mut *seen.lock().unwrap());
    let mut chunks: BoxStream<'_, _> = artifacts.read(parts, 0..file.len() as u64).await.unwrap();
    assert_eq!(took(), ["open", "close"], "only the first part");
    let first = (0, 10);
    let second = [(0, CHUNK_BYTES), (CHUNK_BYTES, CHUNK_BYTES)];
    for (offset, length) in [first, second[0], second[1]] {
        assert_eq!(chunks.next().await.unwrap().unwrap().len(), length);
        assert_eq!(took(), ["open".to_owned(), format!("read {offset} {length}"), "close".to_owned()]);
    }
    drop(chunks);
    assert!(took().is_empty());
}

#[test]
fn a_disk_that_is_nearly_full_takes_no_part() {
    let memory = MemoryBlobs::new(Arc::new(SystemClock::new()));
    let blobs: Arc<dyn Blobs> = Arc::new(memory.clone());
    let store = part_store(&blobs, 1000);
    let (tenant, export) = (TenantName::default_tenant(), Uuid::from_u128(9));
    memory.set_free_bytes(999);
    assert_eq!(store.create(&tenant, export).err().unwrap().code(), Code::StorageFull);
    memory.set_free_bytes(1000);
    let mut part = store.create(&tenant, export).unwrap();
    memory.set_free_bytes(999);
    let some = vec![7; 1 << 20];
    let refused = (0..20).find_map(|_| part.write(&some).err()).expect("seen while the part grows");
    assert_eq!(refused.code(), Code::StorageFull);
    drop(part);
    assert!(blobs.list("").unwrap().is_empty());
}
