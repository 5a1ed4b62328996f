//! The token of a demonstration: made once, and kept in its folder, so that printed commands work the next time too.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::ids::{Randomness, SystemRandomness};
use tollbook_kit::secret::Secret;

/// The token of this folder; a new folder gets a new one.
///
/// # Errors
/// `unavailable` when the folder cannot be read or written.
pub(super) fn of(folder: &Path) -> Result<Secret<String>, Fault> {
    let failed = |error: std::io::Error| {
        Fault::new(Code::Unavailable, format!("the folder {} cannot be used: {error}", folder.display()))
    };
    let file = folder.join("demo-token");
    match fs::read_to_string(&file) {
        Ok(text) if !text.trim().is_empty() => return Ok(Secret::new(text.trim().to_owned())),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let mut bytes = [0u8; 16];
    SystemRandomness.fill(&mut bytes);
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let token = format!("tb_demo_{digits}");
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let opened = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&file);
    opened.and_then(|mut opened| writeln!(opened, "{token}")).map_err(failed)?;
    Ok(Secret::new(token))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_keeps_its_token() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("demo");
        let first = of(&root).unwrap();
        assert_eq!(of(&root).unwrap(), first);
        assert_ne!(of(&folder.path().join("other")).unwrap(), first);
    }
}
