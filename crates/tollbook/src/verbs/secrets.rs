//! Secrets from files and from the terminal.

use std::io::Read;
use std::path::Path;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::secret::Secret;

/// The first line of a file, or of standard input where the file is `-`.
///
/// # Errors
/// `invalid` when it cannot be read, is empty, or has further lines.
pub(super) fn of_file(path: &Path) -> Result<Secret<String>, Fault> {
    let wrong = |reason: String| Fault::parameter(path.display().to_string(), reason);
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin().read_to_string(&mut text).map(drop)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)).map(drop)
    };
    read.map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let line = text.strip_suffix('\n').map_or(text.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if line.is_empty() || line.contains('\n') {
        return Err(wrong("must hold the secret in one line and nothing else".into()));
    }
    Ok(Secret::new(line.to_owned()))
}

/// A new password: of a file, or asked for twice at the terminal, which does not show it.
///
/// # Errors
/// `invalid` when the two differ, there is no terminal, or the file is wrong.
pub(super) fn new_password(file: Option<&Path>) -> Result<Secret<String>, Fault> {
    if let Some(file) = file {
        return of_file(file);
    }
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt).map(Secret::new).map_err(|error| {
            let text = "there is no terminal to ask for the password at: name a file with --password-file";
            Fault::new(Code::Invalid, text).with_source(error)
        })
    };
    let password = ask("New password: ")?;
    if ask("The same again: ")? == password {
        Ok(password)
    } else {
        Err(Fault::new(Code::Invalid, "the two passwords differ: nothing was changed, try again"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        let read = |content: &str| {
            std::fs::write(&file, content).unwrap();
            of_file(&file).map(|secret| secret.reveal().clone())
        };
        for content in ["hunter2 ", "hunter2 \n", "hunter2 \r\n"] {
            assert_eq!(read(content).unwrap(), "hunter2 ");
        }
        for content in ["", "\n", "\r\n", "a\nb", "a\n\n"] {
            let fault = read(content).expect_err(content);
            assert_eq!(fault.code(), Code::Invalid);
        }
        assert!(of_file(&folder.path().join("none")).is_err());
    }
}
