//! A self-signed certificate, made on request: encryption for a first try, without anybody else's word for who answers.
//!
//! It is not renewed: whoever needs more than a year puts a certificate of an authority there.

use jiff::{Timestamp, ToSpan, Zoned, tz::TimeZone};
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use tollbook_kit::clock::{Clock, SystemClock};
use tollbook_kit::fault::{Code, Fault, ResultExt};

/// Makes a certificate for these host names and addresses, signed by its own key, and good for a year. Files that are
/// there stay as they are; a key without a certificate gets one. The key is readable for its owner only.
///
/// # Errors
/// `conflict` when a certificate is there without its key; `invalid` when there is no name, or one is no host name;
/// `unavailable` when a file cannot be written.
pub fn self_signed(certificate: &Path, key: &Path, names: &[String]) -> Result<(), Fault> {
    if exists(certificate)? {
        return if exists(key)? {
            Ok(())
        } else {
            let (certificate, key) = (certificate.display(), key.display());
            let text =
                format!("{certificate} is there without its key {key}; put the key there, or delete it");
            Err(Fault::new(Code::Conflict, text))
        };
    }
    let parameters = parameters(names)?;
    let pair = key_pair(key)?;
    let signed = parameters.self_signed(&pair).fault("signing the own certificate")?;
    // Last, as it says that both are there.
    write_whole(certificate, signed.pem().as_bytes(), 0o644)?;
    tracing::info!(certificate = %certificate.display(), "made a self-signed certificate");
    Ok(())
}

fn key_pair(file: &Path) -> Result<KeyPair, Fault> {
    if exists(file)? {
        let text = fs::read_to_string(file).map_err(|error| unusable("read", file, &error))?;
        return KeyPair::from_pem(&text).map_err(|_| {
            let text =
                format!("{} is no private key in PKCS #8; put one there, or delete it", file.display());
            Fault::parameter("tls.key", text)
        });
    }
    let pair = KeyPair::generate().fault("making a key")?;
    write_whole(file, pair.serialize_pem().as_bytes(), 0o600)?;
    Ok(pair)
}

fn parameters(names: &[String]) -> Result<CertificateParams, Fault> {
    let Some(first) = names.first() else {
        return Err(Fault::parameter("tls.self_signed", "needs a host name to sign; set public_url"));
    };
    let mut parameters = CertificateParams::new(names).map_err(|error| {
        let reason = "the host name cannot stand in a certificate; set public_url to one with an ASCII name";
        Fault::parameter("tls.self_signed", reason).with_source(error)
    })?;
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, first.as_str());
    parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let now = Timestamp::from_millisecond(SystemClock::new().now_ms()).fault("reading the clock")?;
    let now = now.to_zoned(TimeZone::UTC);
    // A day early, for clients whose clock is behind.
    let (year, month, day) = date(&now.checked_sub(1.day()).fault("reckoning a day")?);
    parameters.not_before = rcgen::date_time_ymd(year, month, day);
    let (year, month, day) = date(&now.checked_add(1.year()).fault("reckoning a year")?);
    parameters.not_after = rcgen::date_time_ymd(year, month, day);
    Ok(parameters)
}

fn date(moment: &Zoned) -> (i32, u8, u8) {
    (i32::from(moment.year()), moment.month().unsigned_abs(), moment.day().unsigned_abs())
}

fn exists(file: &Path) -> Result<bool, Fault> {
    file.try_exists().map_err(|error| unusable("look for", file, &error))
}

/// Writes a file that is there whole or not at all.
fn write_whole(file: &Path, text: &[u8], mode: u32) -> Result<(), Fault> {
    let unwritable = |error| unusable("write", file, &error);
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unwritable)?;
    let mut half = file.as_os_str().to_owned();
    half.push(".half");
    let half = PathBuf::from(half);
    // What a crash left behind may have another mode.
    let _nothing_left = fs::remove_file(&half);
    let mut written =
        OpenOptions::new().write(true).create_new(true).mode(mode).open(&half).map_err(unwritable)?;
    written.write_all(text).map_err(unwritable)?;
    written.sync_all().map_err(unwritable)?;
    fs::rename(&half, file).map_err(unwritable)?;
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(unwritable)
}

fn unusable(doing: &str, file: &Path, error: &std::io::Error) -> Fault {
    let text = format!("cannot {doing} {} ({error}); check the folder and its rights", file.display());
    Fault::new(Code::Unavailable, text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn files_are_made_once_and_the_key_is_for_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("tls/own.crt"), folder.path().join("tls/own.key"));
        let names = ["cdr.example.net".to_owned(), "127.0.0.1".to_owned()];
        let make = || self_signed(&certificate, &key, &names);
        make().unwrap();
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        let made = (fs::read(&certificate).unwrap(), fs::read(&key).unwrap());
        make().unwrap();
        assert_eq!(made, (fs::read(&certificate).unwrap(), fs::read(&key).unwrap()), "kept");
        assert_eq!(fs::read_dir(folder.path().join("tls")).unwrap().count(), 2, "nothing half is left");

        fs::remove_file(&certificate).unwrap();
        make().unwrap();
        assert_eq!(made.1, fs::read(&key).unwrap(), "a key that is there is kept");
        crate::tls::load(&certificate, &key).unwrap();

        fs::remove_file(&key).unwrap();
        assert_eq!(make().unwrap_err().code(), Code::Conflict);
        assert!(certificate.exists());
    }

    #[test]
    fn names_that_no_certificate_can_have_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for names in [vec![], vec!["büro.example".to_owned()]] {
            let fault =
                self_signed(&folder.path().join("crt"), &folder.path().join("key"), &names).unwrap_err();
            assert_eq!(fault.code(), Code::Invalid, "{fault}");
            assert!(!folder.path().join("crt").exists());
        }
    }
}
