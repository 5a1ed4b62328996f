//! A signed export: its manifest, the files it names, and what the manifest says of them (`natalia.md` section 11).
//!
//! What is inside a file is looked at in `contents`, while it is read once from its beginning to its end.

use super::contents::{Contents, Records};
use super::hash_text::is_hash;
use super::{NotVerified, mismatch, wrong_use};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use tollbook_model::export_manifest::{
    ExportManifest, MANIFEST_TYPE, MANIFEST_VERSION, MERKLE_ALGORITHM, ManifestFile,
};
use tollbook_model::format::ExportFormat;
use tollbook_model::jws::JwsKeys;

/// Bytes that are read at once.
const PIECE_BYTES: usize = 256 * 1024;

/// Verifies `files`, which must be those that the manifest names, whole and unchanged.
///
/// # Errors
/// A mismatch when anything is not as it was signed; wrong use when a file cannot be read.
pub(super) fn verify(
    (path, jws): (&Path, &str),
    files: &[&PathBuf],
    keys: &JwsKeys,
    say: &mut dyn FnMut(&str),
) -> Result<(), NotVerified> {
    let manifest = genuine(path, jws, keys)?;
    let ExportManifest { tenant, dataset, export_id, created_at, .. } = &manifest;
    say(&format!(
        "{}: genuine manifest of tenant {tenant}, {dataset} export {export_id}, {created_at}",
        path.display()
    ));
    let files = in_order(path, files, &manifest)?;
    contents(path, &manifest, &files, keys, say)
}

/// What the manifest says, if one of the keys signed it and it is one.
///
/// # Errors
/// A mismatch when it is not genuine; wrong use when it is of a version of later times.
pub(super) fn genuine(path: &Path, jws: &str, keys: &JwsKeys) -> Result<ExportManifest, NotVerified> {
    let payload = keys.verify(jws, MANIFEST_TYPE);
    let payload = payload.map_err(|why| mismatch(path, &format!("the manifest {why}")))?;
    let manifest: Option<ExportManifest> = serde_json::from_slice(&payload).ok();
    let sound =
        |manifest: &ExportManifest| manifest.manifest_version != MANIFEST_VERSION || is_sound(manifest);
    let manifest = manifest.filter(sound);
    let manifest =
        manifest.ok_or_else(|| mismatch(path, "the manifest does not say what a manifest says"))?;
    if manifest.manifest_version != MANIFEST_VERSION {
        let what = format!("is of version {}; get a newer tollbook", manifest.manifest_version);
        return Err(wrong_use(path, &what));
    }
    Ok(manifest)
}

/// Reads the files, each with what the manifest says of it and in its order: is everything as it was signed?
///
/// # Errors
/// As [`verify`].
pub(super) fn contents(
    path: &Path,
    manifest: &ExportManifest,
    files: &[(&Path, &ManifestFile)],
    keys: &JwsKeys,
    say: &mut dyn FnMut(&str),
) -> Result<(), NotVerified> {
    let format = ExportFormat::from_name(&manifest.format)
        .ok_or_else(|| mismatch(path, "the manifest names a format that there is not"))?;
    let mut records = Records::new(keys);
    for (file, said) in files {
        read(file, said, format, &mut records, say)?;
    }
    if let Some(merkle) = &manifest.merkle
        && hex::encode(records.root()) != merkle.root
    {
        return Err(mismatch(path, "the records are not those that its Merkle root was made of"));
    }
    Ok(())
}

/// Does it say what manifests of this version say?
fn is_sound(manifest: &ExportManifest) -> bool {
    let mut names = HashSet::new();
    let is_json = ExportFormat::from_name(&manifest.format).is_some_and(ExportFormat::is_json);
    let merkle = manifest.merkle.as_ref();
    let rows = manifest.files.iter().try_fold(0u64, |sum, file| sum.checked_add(file.rows));
    manifest.files.iter().all(|file| is_hash(&file.sha256) && names.insert(&file.name))
        && rows == Some(manifest.rows)
        && merkle.is_some() == is_json
        && merkle.is_none_or(|merkle| merkle.algorithm == MERKLE_ALGORITHM && is_hash(&merkle.root))
}

/// Each file that the manifest names, with what it says of it, in its order.
fn in_order<'m>(
    path: &Path,
    files: &[&'m PathBuf],
    manifest: &'m ExportManifest,
) -> Result<Vec<(&'m Path, &'m ManifestFile)>, NotVerified> {
    if files.is_empty() {
        return Err(wrong_use(path, "comes alone; give the files of the export as well"));
    }
    let name = |file: &Path| file.file_name().map(|name| name.to_string_lossy().into_owned());
    let mut given: Vec<(Option<String>, &Path)> = Vec::with_capacity(files.len());
    for file in files {
        let name = name(file);
        if given.iter().any(|(known, _)| *known == name) {
            return Err(wrong_use(file, "has the name of another file; give each file once"));
        }
        given.push((name, file));
    }
    let mut found = Vec::with_capacity(manifest.files.len());
    for said in &manifest.files {
        match given.iter().position(|(name, _)| name.as_deref() == Some(&said.name)) {
            Some(at) => found.push((given.swap_remove(at).1, said)),
            None => {
                return Err(mismatch(
                    path,
                    &format!("it tells of {}, which is missing; files must have their names", said.name),
                ));
            }
        }
    }
    match given.first() {
        Some((_, stranger)) => Err(mismatch(stranger, "the manifest tells of no file of this name")),
        None => Ok(found),
    }
}

fn read(
    path: &Path,
    said: &ManifestFile,
    format: ExportFormat,
    records: &mut Records<'_>,
    say: &mut dyn FnMut(&str),
) -> Result<(), NotVerified> {
    let unreadable = |error: std::io::Error| wrong_use(path, &format!("cannot be read: {error}"));
    let mut file = File::open(path).map_err(unreadable)?;
    let mut digest = Sha256::new();
    let mut bytes = 0u64;
    let mut contents = Contents::new(format, records);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let read = file.read(&mut piece).map_err(unreadable)?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        digest.update(&piece[..read]);
        contents.take(&piece[..read]).map_err(|what| mismatch(path, &what))?;
    }
    let differs = |what: &str, is: u64, was: u64| {
        Err(mismatch(path, &format!("it has {is} {what}, but {was} were signed")))
    };
    if bytes != said.bytes {
        return differs("bytes", bytes, said.bytes);
    }
    if hex::encode(digest.finalize()) != said.sha256 {
        return Err(mismatch(path, "its content is not the one whose SHA-256 was signed"));
    }
    let counted = contents.finish(file).map_err(|what| mismatch(path, &what))?;
    if counted.rows != said.rows {
        return differs("records", counted.rows, said.rows);
    }
    let signed = match counted.signed {
        0 => String::new(),
        signed => format!(", {signed} signed by themselves"),
    };
    say(&format!("{}: {} records, {bytes} bytes{signed}", path.display(), counted.rows));
    Ok(())
}
