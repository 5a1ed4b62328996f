//! Where a download goes: a file beside the wanted one, with `.part` behind its name, which takes its name only once it is
//! whole; or standard output.
//!
//! What has come is hashed on the way. Whether it is right is judged by others.

use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use tollbook_kit::fault::{Code, Fault};

/// Bytes of an earlier download that are read at once.
const PIECE_BYTES: usize = 256 * 1024;

/// Takes the bytes of one file.
#[derive(Debug)]
pub(crate) struct Sink {
    place: Place,
    written: u64,
    digest: Sha256,
    /// Bytes to come that are there already.
    known: u64,
    is_resumed: bool,
}

#[derive(Debug)]
enum Place {
    File { target: PathBuf, part: PathBuf, file: File },
    Output,
}

impl Sink {
    /// A file that will be `target`. With `resume` what an earlier download left is taken over.
    ///
    /// # Errors
    /// `invalid` when it cannot be made or read, or another process writes it; `storage_full`.
    pub(crate) fn file(target: &Path, resume: bool) -> Result<Self, Fault> {
        if std::fs::metadata(target).is_ok_and(|known| !known.is_file()) {
            let reason = "is no ordinary file; `-` writes to standard output";
            return Err(Fault::parameter(target.display().to_string(), reason));
        }
        let part = with_suffix(target, ".part");
        let options = File::options().read(true).write(true).create(true).truncate(false).open(&part);
        let mut file = options.map_err(|error| unwritable(&part, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let reason = "is being written by another process; wait for it, or name another file";
                return Err(Fault::parameter(part.display().to_string(), reason));
            }
            // Some network drives have no locks; downloads work there too.
            Err(TryLockError::Error(_)) => {}
        }
        let (mut digest, mut written) = (Sha256::new(), 0);
        if resume {
            written = hash_into(&mut digest, &mut file).map_err(|error| unwritable(&part, &error))?;
        } else {
            file.set_len(0).map_err(|error| unwritable(&part, &error))?;
        }
        let place = Place::File { target: target.to_owned(), part, file };
        Ok(Self { place, written, digest, known: 0, is_resumed: written > 0 })
    }

    /// Standard output.
    pub(crate) fn output() -> Self {
        Self { place: Place::Output, written: 0, digest: Sha256::new(), known: 0, is_resumed: false }
    }

    /// Bytes that are there.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Does it hold bytes of an earlier download, which may have been one of something else?
    pub(crate) fn is_resumed(&self) -> bool {
        self.is_resumed
    }

    /// SHA-256 of what is there, in hexadecimal digits.
    pub(crate) fn sha256(&self) -> String {
        hex::encode(self.digest.clone().finalize())
    }

    /// The file in which it is.
    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.place {
            Place::File { part, .. } => Some(part),
            Place::Output => None,
        }
    }

    /// Where it will be.
    pub(crate) fn target(&self) -> Option<&Path> {
        match &self.place {
            Place::File { target, .. } => Some(target),
            Place::Output => None,
        }
    }

    /// What comes next continues what is there.
    pub(crate) fn go_on(&mut self) {
        self.known = 0;
    }

    /// What comes next begins at the first byte again: a file is emptied, and of what was given out already nothing is
    /// given out twice.
    ///
    /// # Errors
    /// As [`Sink::take`].
    pub(crate) fn restart(&mut self) -> Result<(), Fault> {
        match &mut self.place {
            Place::Output => self.known = self.written,
            Place::File { part, file, .. } => {
                let emptied = file.set_len(0).and_then(|()| file.rewind());
                emptied.map_err(|error| unwritable(part, &error))?;
                (self.digest, self.written, self.is_resumed) = (Sha256::new(), 0, false);
            }
        }
        Ok(())
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// `storage_full`; `invalid` when they cannot be written.
    pub(crate) fn take(&mut self, piece: &[u8]) -> Result<(), Fault> {
        let known = usize::try_from(self.known).unwrap_or(usize::MAX).min(piece.len());
        self.known -= known as u64;
        let new = &piece[known..];
        match &mut self.place {
            Place::File { part, file, .. } => {
                file.write_all(new).map_err(|error| unwritable(part, &error))?
            }
            Place::Output => {
                let mut out = std::io::stdout().lock();
                let written = out.write_all(new).and_then(|()| out.flush());
                written.map_err(|error| unwritable(Path::new("standard output"), &error))?;
            }
        }
        self.digest.update(new);
        self.written += new.len() as u64;
        Ok(())
    }

    /// It is whole and right: gives the file its name, which another of that name loses.
    ///
    /// # Errors
    /// As [`Sink::take`].
    pub(crate) fn keep(&self) -> Result<(), Fault> {
        let Place::File { target, part, file } = &self.place else { return Ok(()) };
        let kept = file.sync_all().and_then(|()| std::fs::rename(part, target));
        kept.map_err(|error| unwritable(target, &error))
    }

    /// It is whole and wrong: nobody shall take it for the file, nor go on with it, but somebody may want to look. Answers
    /// in words what became of it.
    ///
    /// # Errors
    /// As [`Sink::take`].
    pub(crate) fn set_aside(&self) -> Result<String, Fault> {
        let Place::File { target, part, .. } = &self.place else {
            return Ok("what was written to standard output must not be used".into());
        };
        let aside = with_suffix(target, ".rejected");
        std::fs::rename(part, &aside).map_err(|error| unwritable(&aside, &error))?;
        Ok(format!("it was set aside as {} and must not be used", aside.display()))
    }

    /// Removes what nobody can go on with.
    pub(crate) fn discard(&self) {
        if let Place::File { part, .. } = &self.place
            && let Err(error) = std::fs::remove_file(part)
        {
            tracing::warn!(%error, "an incomplete file could not be removed");
        }
    }
}

/// Is it the name of a file in whichever folder, leading nowhere else? What a server calls a file is not always one.
pub(crate) fn is_plain(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && !name.contains(['/', '\0'])
}

fn with_suffix(target: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(target);
    name.push(suffix);
    PathBuf::from(name)
}

/// Hashes what a file holds, and leaves it at its end.
fn hash_into(digest: &mut Sha256, file: &mut File) -> std::io::Result<u64> {
    let mut piece = vec![0; PIECE_BYTES];
    let mut bytes = 0;
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(bytes),
            read => {
                digest.update(&piece[..read]);
                bytes += read as u64;
            }
        }
    }
}

/// Why a file cannot be written, or made.
pub(crate) fn unwritable(path: &Path, error: &std::io::Error) -> Fault {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            let text =
                format!("there is no room for {}: make some, or name a file elsewhere", path.display());
            Fault::new(Code::StorageFull, text)
        }
        ErrorKind::BrokenPipe => Fault::new(Code::Invalid, "nobody reads standard output any more"),
        _ => Fault::parameter(path.display().to_string(), format!("cannot be written: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha256(content: &[u8]) -> String {
        hex::encode(Sha256::digest(content))
    }

    #[test]
    fn a_file_has_its_name_only_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.csv");
        let part = folder.path().join("a.csv.part");
        let mut sink = Sink::file(&target, true).unwrap();
        sink.take(b"abc").unwrap();
        assert!(Sink::file(&target, true).is_err(), "one process at a time");
        drop(sink);
        assert!(!target.exists() && std::fs::read(&part).unwrap() == b"abc");

        let mut sink = Sink::file(&target, true).unwrap();
        assert_eq!((sink.written(), sink.is_resumed()), (3, true));
        sink.take(b"def").unwrap();
        assert_eq!(sink.sha256(), sha256(b"abcdef"), "what was there is hashed too");
        sink.restart().unwrap();
        assert_eq!((sink.written(), sink.is_resumed()), (0, false));
        sink.take(b"xyz").unwrap();
        assert_eq!(sink.sha256(), sha256(b"xyz"));
        sink.keep().unwrap();
        drop(sink);
        assert_eq!(std::fs::read(&target).unwrap(), b"xyz");
        assert!(!part.exists());

        let sink = Sink::file(&target, false).unwrap();
        let said = sink.set_aside().unwrap();
        assert!(
            said.contains("a.csv.rejected")
                && folder.path().join("a.csv.rejected").exists()
                && !part.exists()
        );
        assert!(
            Sink::file(folder.path(), true).is_err() && Sink::file(Path::new("/dev/null"), true).is_err()
        );
    }

    #[test]
    fn output_is_given_out_once() {
        let mut sink = Sink::output();
        sink.take(b"").unwrap();
        sink.written = 4;
        sink.restart().unwrap();
        assert_eq!((sink.written(), sink.known), (4, 4));
        sink.take(b"abc").unwrap();
        assert_eq!((sink.written(), sink.known, sink.sha256()), (4, 1, sha256(b"")));
        sink.go_on();
        assert_eq!(sink.known, 0);
    }

    #[test]
    fn a_full_disk_is_told_as_such() {
        let full = std::io::Error::from(ErrorKind::StorageFull);
        let fault = unwritable(Path::new("/x/a.csv.part"), &full);
        assert_eq!(fault.code(), Code::StorageFull);
        assert!(fault.message().contains("no room for /x/a.csv.part"), "{fault}");
    }
}
