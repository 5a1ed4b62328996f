//! Objects as files of one folder. An object is written under a working name, fsynced, renamed, and its folder
//! fsynced, so that a key names all of its bytes or nothing even after a power cut. Call records are personal data:
//! the user writes, the group may read, nobody else gets in; the umask may take more away.
//!
//! Own code on `std::fs`: the local store of `object_store` 0.13 never fsyncs, neither files nor folders, and offers
//! no positioned reads without an async runtime. It is meant for S3, where it serves well.

use super::{BlobWriter, Blobs, ListedObject, check_path, is_below, write_fault};
use bytes::Bytes;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::UNIX_EPOCH;
use tollbook_columns::parquet_file::ByteSource;
use tollbook_kit::fault::{Fault, ResultExt};

/// Folder of files that are still being written; its leading dot keeps it out of every key.
const WORKING_FOLDER: &str = ".unpublished";

/// Mode of folders that are made, before the umask.
const FOLDER_MODE: u32 = 0o750;
/// Mode of files, before the umask.
const FILE_MODE: u32 = 0o640;

/// Objects below one folder. One process at a time, which the caller sees to.
#[derive(Debug)]
pub struct DirectoryBlobs {
    root: PathBuf,
    next_working_name: AtomicU64,
}

impl DirectoryBlobs {
    /// Objects below `root`, which is made if it is not there. What an earlier process began and never published, as
    /// after a power cut, is discarded.
    ///
    /// # Errors
    /// `storage_full`, or `internal` when the folder cannot be made or written.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self, Fault> {
        let root = root.into();
        let working = root.join(WORKING_FOLDER);
        DirBuilder::new()
            .recursive(true)
            .mode(FOLDER_MODE)
            .create(&root)
            .and_then(|()| make_folder(&working))
            .map_err(|error| write_fault("making the folder of objects", error))?;
        let discarded = discard_files(&working).fault("discarding unpublished objects")?;
        if discarded > 0 {
            tracing::info!(files = discarded, "discarded what an earlier process had begun to write");
        }
        Ok(Self { root, next_working_name: AtomicU64::new(0) })
    }

    fn file_of(&self, path: &str) -> Result<PathBuf, Fault> {
        check_path(path)?;
        Ok(self.root.join(path))
    }

    /// A new file under a name that no other writer has.
    fn working_file(&self) -> io::Result<(PathBuf, File)> {
        let number = self.next_working_name.fetch_add(1, Ordering::Relaxed);
        let name = self.root.join(WORKING_FOLDER).join(format!("{}-{number}", std::process::id()));
        let file = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&name)?;
        Ok((name, file))
    }

    /// Partitions that hold nothing any more go too; the first folder that still holds something ends it.
    fn remove_emptied(&self, mut folder: Option<&Path>) {
        while let Some(empty) = folder.filter(|folder| *folder != self.root) {
            if fs::remove_dir(empty).is_err() {
                break;
            }
            folder = empty.parent();
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

    fn find(&self, path: &str) -> Result<Option<Arc<dyn ByteSource>>, Fault> {
        let name = self.file_of(path)?;
        let opened = File::open(name).and_then(|file| {
            let bytes = file.metadata()?.len();
            Ok(Opened { file, bytes })
        });
        match opened {
            Ok(opened) => Ok(Some(Arc::new(opened))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
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
        self.remove_emptied(name.parent());
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), Fault> {
        let (source, target) = (self.file_of(from)?, self.file_of(to)?);
        match rename_durably(&source, &target) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.remove_emptied(target.parent()),
            Err(error) => return Err(write_fault("renaming an object", error)),
        }
        self.remove_emptied(source.parent());
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
            // Best effort: what stays is discarded by the next process.
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
    match DirBuilder::new().mode(FOLDER_MODE).create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    sync_folder(above)
}

/// `NotFound` when there is no source.
fn rename_durably(source: &Path, target: &Path) -> io::Result<()> {
    let parent = |file: &Path| file.parent().map(Path::to_owned).ok_or(io::ErrorKind::InvalidInput);
    let (left, entered) = (parent(source)?, parent(target)?);
    make_folder(&entered)?;
    fs::rename(source, target)?;
    sync_folder(&entered)?;
    sync_folder(&left)
}

/// Answers how many there were.
fn discard_files(folder: &Path) -> io::Result<u64> {
    let mut discarded = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            fs::remove_file(entry.path())?;
            discarded += 1;
        }
    }
    Ok(discarded)
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
    fn what_a_killed_process_was_writing_is_never_listed_and_gone_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let killed = DirectoryBlobs::open(folder.path()).unwrap();
        killed.put("a", b"old").unwrap();
        let mut left = killed.create("a").unwrap();
        left.write_all(b"half").unwrap();
        assert_eq!(killed.list("").unwrap().len(), 1);
        std::mem::forget(left);
        let unpublished = || fs::read_dir(folder.path().join(WORKING_FOLDER)).unwrap().count();
        assert_eq!(unpublished(), 1);
        let blobs = DirectoryBlobs::open(folder.path()).unwrap();
        assert_eq!(unpublished(), 0);
        assert_eq!(super::super::read_whole(&blobs, "a").unwrap(), "old");
        blobs.put("a", b"new").unwrap();
        assert_eq!(super::super::read_whole(&blobs, "a").unwrap(), "new");
    }

    #[test]
    fn others_than_user_and_group_cannot_read_and_the_group_cannot_write() {
        use std::os::unix::fs::PermissionsExt;
        let outside = tempfile::tempdir().unwrap();
        let root = outside.path().join("data");
        let blobs = DirectoryBlobs::open(&root).unwrap();
        blobs.put("lake/t/a", b"a").unwrap();
        blobs.rename("lake/t/a", "lake/u/b").unwrap();
        let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o777;
        for folder in ["", WORKING_FOLDER, "lake", "lake/u"] {
            let mode = mode(folder);
            assert_eq!((mode & !FOLDER_MODE, mode & 0o700), (0, 0o700), "{folder:?} has {mode:o}");
        }
        let mode = mode("lake/u/b");
        assert_eq!((mode & !FILE_MODE, mode & 0o600), (0, 0o600), "the file has {mode:o}");
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
        blobs.rename("lake/t/date=2026-01-02/b", "elsewhere/b").unwrap();
        assert!(!folder.path().join("lake").exists());
    }
}
