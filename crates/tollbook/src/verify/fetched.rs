//! A signed export that was just fetched, under whatever names its files have here.
//!
//! Who fetched it, and from where, is not asked: what the manifest says is held against what came.

use super::{NotVerified, export, mismatch};
use std::path::Path;
use tollbook_kit::fault::{Code, Fault};
use tollbook_model::export_job::MANIFEST_FILE;
use tollbook_model::export_manifest::ManifestFile;
use tollbook_model::jws::JwsKeys;

/// A file that was fetched.
#[derive(Debug)]
pub(crate) struct FetchedFile<'f> {
    /// Its name as the service told it.
    pub(crate) name: &'f str,
    /// Bytes that came.
    pub(crate) bytes: u64,
    /// Their SHA-256 in hexadecimal digits, in lower case.
    pub(crate) sha256: String,
    /// Where they are; none when they were passed on and are not here any more.
    pub(crate) path: Option<&'f Path>,
}

/// Verifies that this manifest was signed with one of the keys, for this export, and that these are its files: their
/// size and SHA-256, and of those that are here also every record.
///
/// # Errors
/// `invalid`, saying what is wrong.
pub(crate) fn verify_fetched(
    export_id: &str,
    jws: &str,
    keys: &JwsKeys,
    files: &[FetchedFile<'_>],
) -> Result<(), Fault> {
    check(export_id, jws, keys, files).map_err(|why| {
        let (NotVerified::Mismatch(what) | NotVerified::WrongUse(what)) = why;
        Fault::new(Code::Invalid, what)
    })
}

fn check(export_id: &str, jws: &str, keys: &JwsKeys, files: &[FetchedFile<'_>]) -> Result<(), NotVerified> {
    let path = Path::new(MANIFEST_FILE);
    let manifest = export::genuine(path, jws.trim(), keys)?;
    if manifest.export_id != export_id {
        return Err(mismatch(path, "it is the manifest of another export"));
    }
    if manifest.files.len() != files.len() {
        return Err(mismatch(path, "it tells of other files than came"));
    }
    let mut here: Vec<(&Path, &ManifestFile)> = Vec::with_capacity(files.len());
    for (file, said) in files.iter().zip(&manifest.files) {
        if file.name != said.name {
            return Err(mismatch(path, &format!("it tells of {}, which did not come", said.name)));
        }
        if (file.bytes, &file.sha256) != (said.bytes, &said.sha256) {
            let what = "its content is not the one whose size and SHA-256 were signed";
            return Err(mismatch(Path::new(file.name), what));
        }
        here.extend(file.path.map(|path| (path, said)));
    }
    // The root is that of all records: of some of them nothing can be said.
    if here.len() < files.len() {
        Ok(())
    } else {
        export::contents(path, &manifest, &here, keys, &mut |_| {})
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use sha2::{Digest, Sha256};
    use tollbook_model::export_manifest::MANIFEST_TYPE;
    use tollbook_model::jws::JwsKey;

    const EXPORT: &str = "0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01";

    fn manifest(key: &JwsKey, content: &[u8], rows: u64) -> String {
        let payload = json!({
            "manifest_version": 1, "export_id": EXPORT, "tenant": "acme", "dataset": "cdr", "schema": "s",
            "format": "csv", "from": null, "to": null, "tz": "UTC", "filters": {}, "columns": null,
            "formula_guard": false, "snapshot_at": "2026-01-06T08:00:00.000Z", "watermark": 1,
            "created_at": "2026-01-06T08:00:02.000Z",
            "files": [{"name": "cdr.csv", "bytes": content.len(), "rows": rows,
                "sha256": hex::encode(Sha256::digest(content))}],
            "rows": rows, "merkle": null,
        });
        key.sign(MANIFEST_TYPE, payload.to_string().as_bytes())
    }

    #[test]
    fn a_fetched_file_is_held_against_its_manifest_whatever_it_is_called() {
        let key = JwsKey::from_seed(&tollbook_kit::secret::Secret::new([3; 32]));
        let keys = JwsKeys::of([&key]);
        let content = b"\xEF\xBB\xBFid\n1\n2\n";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("january.csv.part");
        std::fs::write(&path, content).unwrap();
        let sha256 = hex::encode(Sha256::digest(content));
        let file =
            |path| FetchedFile { name: "cdr.csv", bytes: content.len() as u64, sha256: sha256.clone(), path };
        let jws = manifest(&key, content, 2);
        for path in [Some(path.as_path()), None] {
            verify_fetched(EXPORT, &jws, &keys, &[file(path)]).unwrap();
        }
        let wrong = |jws: &str, keys: &JwsKeys, files: &[FetchedFile<'_>]| {
            verify_fetched(EXPORT, jws, keys, files).unwrap_err().message().to_owned()
        };
        assert!(wrong(&jws, &JwsKeys::default(), &[file(None)]).contains("manifest"));
        assert!(wrong(&jws, &keys, &[]).contains("other files"));
        assert!(wrong(&jws, &keys, &[FetchedFile { name: "x.csv", ..file(None) }]).contains("cdr.csv"));
        assert!(wrong(&jws, &keys, &[FetchedFile { bytes: 3, ..file(None) }]).contains("SHA-256"));
        let other = verify_fetched("other", &jws, &keys, &[file(None)]).unwrap_err();
        assert!(other.message().contains("another export"));
        let miscounted = manifest(&key, content, 3);
        assert!(wrong(&miscounted, &keys, &[file(Some(&path))]).contains("records"));
        verify_fetched(EXPORT, &miscounted, &keys, &[file(None)]).unwrap();
    }
}
