//! Objects as files of one folder. An object is written under a working name, fsynced, renamed, and its folder
//! fsynced, so that a key names all of its bytes or nothing even after a power cut.
//!
//! Own code on `std::fs`: the local store of `object_store` 0.13 never fsyncs, neither files nor folders, and offers
//! no positioned reads without an async runtime. It is meant for S3, where it serves well.

use super::{BlobWriter, Blobs, ListedObject, check_path, is_below, write_fault};
use bytes::Bytes;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;
use tollbook_columns::parquet_file::ByteSource;
use tollbook_kit::fault::{Fault, ResultExt};

/// Folder of files that are still being written; its leading dot keeps it out of every key.
const WORKING_FOLDER: &str = ".unpublished";

/// Objects below one folder. One process at a time.
#[derive(Debug)]
pub struct DirectoryBlobs {
    root: PathBuf,
    next_working_name: AtomicU64,
}

impl DirectoryBlobs {
    /// Objects below `root`, which is made if it is not there.
    ///
    /// # Errors
    /// `storage_full`, or `internal` when the folder cannot be made.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Fault> {
        let root = root.into();
        let working = root.join(WORKING_FOLDER);
        fs::create_dir_all(&root)
            .and_then(|()| make_folder(&working))
            .map_err(|error| write_fault("making the folder of objects", error))?;
        Ok(Self { root, next_working_name: AtomicU64::new(0) })
    }

    fn file_of(&self, path: &str) -> Result<PathBuf, Fault> {
        check_path(path)?;
        Ok(self.root.join(path))
    }

    /// A new file under a name that no other writer has; names left over from an earlier process are stepped over.
    fn working_file(&self) -> io::Result<(PathBuf, File)> {
        loop {
            let number = self.next_working_name.fetch_add(1, Ordering::Relaxed);
            let name = self.root.join(WORKING_FOLDER).join(format!("{}-{number}", std::process::id()));
            match OpenOptions::new().write(true).create_new(true).open(&name) {
                Ok(file) => return Ok((name, file)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Blobs for DirectoryBlobs {
    fn create(&self, path: &str) -> Result<Box<dyn BlobWriter>, Fault> {
        let target = self.file_of(path)?;
        let (working_name, file) =
            self.working_file().map_err(|error| write_fault("starting an object", error))?;
        Ok(Box::new(Unpublished { file, working_name, target, published: false }))
    }

    fn open(&self, path: &str) -> Result<Arc<dyn ByteSource>, Fault> {
        let name = self.file_of(path)?;
        let opened = File::open(name).and_then(|file| {
            let bytes = file.metadata()?.len();
            Ok(Opened { file, bytes })
        });
        match opened {
            Ok(opened) => Ok(Arc::new(opened)),
            Err(error) => Err(Fault::internal("opening an object").with_context(path).with_source(error)),
        }
    }

    fn delete(&self, path: &str) -> Result<(), Fault> {
        let name = self.file_of(path)?;
        match fs::remove_file(&name) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).fault("erasing an object"),
        }
        // Partitions that hold nothing any more go too; the first folder that still holds something ends it.
        let mut folder = name.parent();
        while let Some(empty) = folder.filter(|folder| *folder != self.root) {
            if fs::remove_dir(empty).is_err() {
                break;
            }
            folder = empty.parent();
        }
        Ok(())
    }

    fn list(&self, prefix: &str) -> Result<Vec<ListedObject>, Fault> {
        let mut found = Vec::new();
        let mut folders = vec![self.root.join(prefix.trim_matches('/'))];
        if !prefix.trim_matches('/').is_empty() {
            check_path(prefix.trim_matches('/'))?;
        }
        while let Some(folder) = folders.pop() {
            list_folder(&self.root, &folder, &mut folders, &mut found).fault("listing objects")?;
        }
        found.retain(|object| is_below(&object.path, prefix));
        Ok(found)
    }

    fn discard_unpublished(&self, before_ms: i64) -> Result<u64, Fault> {
        let mut discarded = 0;
        for entry in fs::read_dir(self.root.join(WORKING_FOLDER)).fault("listing unpublished objects")? {
            let entry = entry.fault("listing unpublished objects")?;
            let Ok(metadata) = entry.metadata() else { continue };
            if modified_ms(&metadata) < before_ms && fs::remove_file(entry.path()).is_ok() {
                discarded += 1;
            }
        }
        Ok(discarded)
    }

    fn free_bytes(&self) -> Result<u64, Fault> {
        let room = rustix::fs::statvfs(&self.root).fault("asking for the room on the disk")?;
        Ok(room.f_bavail.saturating_mul(room.f_frsize))
    }
}

struct Unpublished {
    file: File,
    working_name: PathBuf,
    target: PathBuf,
    published: bool,
}

impl Unpublished {
    fn make_durable_and_visible(&mut self) -> io::Result<()> {
        self.file.sync_all()?;
        let folder = self.target.parent().ok_or(io::ErrorKind::InvalidInput)?;
        make_folder(folder)?;
        if let Err(error) = fs::rename(&self.working_name, &self.target) {
            // Erasing the last object of a partition may take the folder away between the two steps; once more.
            if error.kind() != io::ErrorKind::NotFound {
                return Err(error);
            }
            make_folder(folder)?;
            fs::rename(&self.working_name, &self.target)?;
        }
        self.published = true;
        sync_folder(folder)
    }
}

impl Write for Unpublished {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl BlobWriter for Unpublished {
    fn publish(mut self: Box<Self>) -> Result<(), Fault> {
        self.make_durable_and_visible().map_err(|error| write_fault("publishing an object", error))
    }
}

impl Drop for Unpublished {
    fn drop(&mut self) {
        if !self.published {
            // Best effort: what stays is discarded by the sweep.
            let _left_behind = fs::remove_file(&self.working_name);
        }
    }
}

struct Opened {
    file: File,
    bytes: u64,
}

impl ByteSource for Opened {
    fn size(&self) -> u64 {
        self.bytes
    }

    fn read_at(&self, offset: u64, bytes: usize) -> io::Result<Bytes> {
        // Checked first, so that a damaged length cannot make us reserve any amount of memory.
        if offset.checked_add(bytes as u64).is_none_or(|end| end > self.bytes) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut buffer = vec![0; bytes];
        self.file.read_exact_at(&mut buffer, offset)?;
        Ok(Bytes::from(buffer))
    }
}

/// Makes a folder and those above it; each new name is durable when it returns.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().ok_or(io::ErrorKind::InvalidInput)?;
    make_folder(above)?;
    match fs::create_dir(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    sync_folder(above)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn list_folder(
    root: &Path,
    folder: &Path,
    folders: &mut Vec<PathBuf>,
    found: &mut Vec<ListedObject>,
) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        // Not there, or just gone with its last object.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.path();
        let Some(key) = name.strip_prefix(root).ok().and_then(Path::to_str) else { continue };
        if check_path(key).is_err() {
            continue;
        }
        let metadata = match entry.metadata() {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        if metadata.is_dir() {
            folders.push(name);
        } else {
            let path = key.to_owned();
            found.push(ListedObject { path, bytes: metadata.len(), written_at_ms: modified_ms(&metadata) });
        }
    }
    Ok(())
}

/// A file's time; one that cannot be told counts as new, so that nothing is erased for lack of knowledge.
fn modified_ms(metadata: &fs::Metadata) -> i64 {
    let since = metadata.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn working_files_are_never_listed_and_old_ones_are_discarded() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = DirectoryBlobs::open(folder.path()).unwrap();
        let mut left = blobs.create("lake/a").unwrap();
        left.write_all(b"half").unwrap();
        assert_eq!(blobs.list("").unwrap(), []);
        assert_eq!(blobs.discard_unpublished(0).unwrap(), 0, "too young");
        std::mem::forget(left);
        assert_eq!(blobs.discard_unpublished(i64::MAX).unwrap(), 1);
    }

    #[test]
    fn names_left_by_an_earlier_process_are_stepped_over() {
        let folder = tempfile::tempdir().unwrap();
        let earlier = DirectoryBlobs::open(folder.path()).unwrap();
        std::mem::forget(earlier.create("a").unwrap());
        let blobs = DirectoryBlobs::open(folder.path()).unwrap();
        blobs.put("a", b"new").unwrap();
        assert_eq!(super::super::read_whole(&blobs, "a").unwrap(), "new");
    }

    #[test]
    fn an_emptied_partition_takes_its_folders_with_it() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = DirectoryBlobs::open(folder.path()).unwrap();
        blobs.put("lake/t/date=2026-01-01/a", b"a").unwrap();
        blobs.put("lake/t/date=2026-01-02/b", b"b").unwrap();
        blobs.delete("lake/t/date=2026-01-01/a").unwrap();
        assert!(!folder.path().join("lake/t/date=2026-01-01").exists());
        assert!(folder.path().join("lake/t/date=2026-01-02").exists());
    }
}
