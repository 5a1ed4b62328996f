//! Where the key that seals secrets at rest comes from: the environment, a named file, or the data folder, where the
//! first start makes it.
//!
//! Whether it is the right one, the catalog knows.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::ids::Randomness;
use tollbook_kit::secret::{SEALING_KEY_BYTES, Secret};

/// Name of the variable; it is no setting, as it holds a secret.
const VARIABLE: &str = "TOLLBOOK_SEALING_KEY";
/// Permissions of everybody but owner and group.
const OTHERS: u32 = 0o007;

/// A sealing key.
#[derive(Debug)]
pub(crate) struct SealingKey {
    /// The key itself.
    pub(crate) key: Secret<[u8; SEALING_KEY_BYTES]>,
    /// Its file, if this start made it.
    made: Option<PathBuf>,
}

impl SealingKey {
    /// The key that was handed in; else that of the named file; else that of `own`, made there if it is missing.
    ///
    /// # Errors
    /// `invalid` when a key is not 64 hexadecimal digits or the named file cannot be read; `unavailable` when `own`
    /// cannot be written.
    pub(crate) fn find(
        handed_in: Option<&Secret<String>>,
        named: Option<&Path>,
        own: &Path,
        randomness: &dyn Randomness,
    ) -> Result<Self, Fault> {
        if let Some(text) = handed_in {
            return Ok(Self { key: key_of(text.reveal(), VARIABLE)?, made: None });
        }
        let file = named.unwrap_or(own);
        let shown = file.display().to_string();
        match fs::read_to_string(file) {
            Ok(text) => {
                warn_if_open(file);
                Ok(Self { key: key_of(text.trim_end(), &shown)?, made: None })
            }
            Err(error) if error.kind() == ErrorKind::NotFound && named.is_none() => {
                let key = make(own, randomness).map_err(|error| {
                    Fault::new(
                        Code::Unavailable,
                        format!("the sealing key {shown} cannot be written: {error}"),
                    )
                })?;
                tracing::warn!(
                    file = shown,
                    "made the key that seals secrets: keep a copy apart from backups of the data folder"
                );
                Ok(Self { key, made: Some(own.to_owned()) })
            }
            Err(error) => {
                Err(Fault::parameter("secrets.key_file", format!("{shown} cannot be read: {error}")))
            }
        }
    }

    /// Completes what the catalog says of a wrong key where it is the one just made, because none was found.
    pub(super) fn explain(&self, fault: Fault) -> Fault {
        match &self.made {
            Some(file) if fault.code() == Code::Conflict => {
                let (text, file) = (fault.message(), file.display());
                let text =
                    format!("{text} ({file} was made because it was missing: if there was one, put it back)");
                Fault::new(Code::Conflict, text).with_source(fault)
            }
            _ => fault,
        }
    }
}

fn key_of(text: &str, origin: &str) -> Result<Secret<[u8; SEALING_KEY_BYTES]>, Fault> {
    let mut key = [0; SEALING_KEY_BYTES];
    hex::decode_to_slice(text, &mut key).map_err(|_| {
        Fault::parameter(
            origin,
            "must hold a sealing key: 64 hexadecimal digits, as `openssl rand -hex 32` makes",
        )
    })?;
    Ok(Secret::new(key))
}

fn warn_if_open(file: &Path) {
    if fs::metadata(file).is_ok_and(|metadata| metadata.permissions().mode() & OTHERS != 0) {
        let file = file.display().to_string();
        tracing::warn!(file, "everybody on this machine can read the sealing key: chmod o-rwx it");
    }
}

/// Makes a key that is durable when this returns: what is sealed with it must open after a power cut.
fn make(own: &Path, randomness: &dyn Randomness) -> std::io::Result<Secret<[u8; SEALING_KEY_BYTES]>> {
    let mut key = [0; SEALING_KEY_BYTES];
    randomness.fill(&mut key);
    let unfinished = own.with_extension("key.new");
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    writeln!(file, "{}", hex::encode(key))?;
    file.sync_all()?;
    fs::rename(&unfinished, own)?;
    if let Some(folder) = own.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(Secret::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollbook_kit::ids::SystemRandomness;

    fn find(handed_in: Option<&str>, named: Option<&Path>, own: &Path) -> Result<SealingKey, Fault> {
        let handed_in = handed_in.map(|text| Secret::new(text.to_owned()));
        SealingKey::find(handed_in.as_ref(), named, own, &SystemRandomness)
    }

    #[test]
    fn the_first_start_makes_a_key_for_the_owner_alone_and_later_ones_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("sealing.key");
        let made = find(None, None, &own).unwrap();
        assert_eq!(made.made.as_ref(), Some(&own));
        assert_eq!(fs::metadata(&own).unwrap().permissions().mode() & 0o777, 0o600);
        let read = find(None, None, &own).unwrap();
        assert!(read.key == made.key && read.made.is_none());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        let other = find(None, None, &folder.path().join("other.key")).unwrap();
        assert!(other.key != made.key);
    }

    #[test]
    fn the_environment_is_stronger_than_a_file_and_that_than_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (named, own) = (folder.path().join("named"), folder.path().join("own"));
        fs::write(&named, format!("{}\n", "AB".repeat(32))).unwrap();
        assert_eq!(find(None, Some(&named), &own).unwrap().key, Secret::new([0xab; 32]));
        let text = "cd".repeat(32);
        assert_eq!(find(Some(&text), Some(&named), &own).unwrap().key, Secret::new([0xcd; 32]));
        assert!(!own.exists(), "no key is made where one is given");
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_repeated() {
        let folder = tempfile::tempdir().unwrap();
        let (named, own) = (folder.path().join("named"), folder.path().join("own"));
        for text in ["hunter2", "", &"ab".repeat(31), &"zz".repeat(32), &"ab".repeat(33)] {
            let fault = find(Some(text), None, &own).unwrap_err();
            assert!(fault.message().starts_with(VARIABLE) && !fault.log_text().contains("hunter2"));
            fs::write(&own, text).unwrap();
            assert!(find(None, None, &own).is_err(), "a broken key is not made anew");
        }
        let missing = find(None, Some(&named), &own).unwrap_err();
        assert!(missing.message().starts_with("secrets.key_file"), "{missing}");
        assert!(!named.exists());
    }

    #[test]
    fn a_key_made_for_lack_of_the_right_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("sealing.key");
        let refusal = || Fault::new(Code::Conflict, "another key");
        assert!(find(None, None, &own).unwrap().explain(refusal()).message().contains("sealing.key"));
        assert_eq!(find(None, None, &own).unwrap().explain(refusal()).message(), "another key");
    }
}
