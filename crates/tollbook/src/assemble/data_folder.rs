//! The folder of everything that is kept: what is where in it, and that only one process uses it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use tollbook_kit::fault::{Code, Fault};

/// The folder, locked for this process until it is dropped.
#[derive(Debug)]
pub(crate) struct DataFolder {
    root: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Makes the folder if it is not there, for this user alone, and locks it.
    ///
    /// # Errors
    /// `conflict` when another process uses it; `unavailable` when it cannot be made or written.
    pub(crate) fn open(root: &Path) -> Result<Self, Fault> {
        let shown = root.display().to_string();
        let failed = |error: std::io::Error| {
            Fault::new(Code::Unavailable, format!("the data folder {shown} cannot be used: {error}"))
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(failed)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(root.join("lock"));
        let lock = lock.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { root: root.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {
                let text = format!(
                    "another process uses the data folder {shown}; stop it, or name another with --data"
                );
                Err(Fault::new(Code::Conflict, text))
            }
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }

    /// The control database.
    pub(crate) fn catalog(&self) -> PathBuf {
        self.root.join("catalog.sqlite")
    }

    /// The key that seals secrets, unless another is named.
    pub(crate) fn sealing_key(&self) -> PathBuf {
        self.root.join("sealing.key")
    }

    /// The folder of the certificate that the service makes itself.
    pub(crate) fn tls(&self) -> PathBuf {
        self.root.join("tls")
    }

    /// The folder of objects: journal batches and the lake.
    pub(crate) fn objects(&self) -> PathBuf {
        self.root.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_has_one_user_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("a/b");
        let first = DataFolder::open(&root).unwrap();
        assert_eq!(DataFolder::open(&root).unwrap_err().code(), Code::Conflict);
        drop(first);
        assert!(DataFolder::open(&root).is_ok());
    }
}
