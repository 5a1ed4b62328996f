//! The files of a signed export are found whole; whatever is done to them or their manifest is found.

use super::{NotVerified, VerifyFlags, run, verify};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::PathBuf;
use tempfile::TempDir;
use tollbook_kit::secret::Secret;
use tollbook_model::jws::JwsKey;
use tollbook_model::merkle::{MerkleTree, leaf};
use tollbook_model::record_signature::push_signed;

/// The lines of the contract (`natalia.md` section 11).
const LINES: [&str; 3] = [
    r#"{"direction":"inbound","duration_s":61,"id":"5f0c1f0e-7c54-4a3e-9a53-0f6a1b2c3d01","pbx_alias":"paris-1","start_at":"2026-01-05T09:00:00.000Z"}"#,
    r#"{"direction":"outbound","duration_s":0,"id":"5f0c1f0e-7c54-4a3e-9a53-0f6a1b2c3d02","pbx_alias":"paris-1","start_at":"2026-01-05T09:05:00.000Z"}"#,
    r#"{"direction":"internal","duration_s":7,"id":"5f0c1f0e-7c54-4a3e-9a53-0f6a1b2c3d03","pbx_alias":"lyon","start_at":"2026-01-05T09:06:30.250Z"}"#,
];
const NAME: &str = "cdr_2026-01-05_2026-01-05.ndjson";

fn key(seed: u8) -> JwsKey {
    JwsKey::from_seed(&Secret::new([seed; 32]))
}

fn ndjson() -> String {
    LINES.map(|line| format!("{line}\n")).concat()
}

/// The manifest of the contract.
fn contract() -> Value {
    json!({
        "manifest_version": 1, "export_id": "0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01", "tenant": "acme_bank",
        "dataset": "cdr", "schema": "https://cdr.example.net:8443/api/v1/schemas/cdr/v1.json", "format": "ndjson",
        "from": "2026-01-05T00:00:00.000Z", "to": "2026-01-06T00:00:00.000Z", "tz": "UTC", "filters": {},
        "columns": null, "formula_guard": false, "snapshot_at": "2026-01-06T08:00:00.000Z", "watermark": 120345,
        "created_at": "2026-01-06T08:00:02.000Z",
        "files": [{
            "name": NAME, "bytes": 429, "rows": 3,
            "sha256": "5167d17c7da3f80576018795032bb6f257d21796271246c355352addceb25f15",
        }],
        "rows": 3,
        "merkle": {
            "algorithm": "rfc6962-sha256",
            "root": "deb52f61163560f809040b2490abaa7d5e4db28d6d41a95610d58395937909f6",
        },
    })
}

/// What a manifest says of a file.
fn described(name: &str, content: &[u8], rows: u64) -> Value {
    json!({"name": name, "bytes": content.len(), "rows": rows, "sha256": hex::encode(Sha256::digest(content))})
}

/// The manifest of these files.
fn manifest(format: &str, files: &[Value], root: Option<String>) -> Value {
    let mut manifest = contract();
    manifest["format"] = format.into();
    manifest["rows"] = files.iter().map(|file| file["rows"].as_u64().unwrap()).sum::<u64>().into();
    manifest["files"] = files.into();
    manifest["merkle"] =
        root.map_or(Value::Null, |root| json!({"algorithm": "rfc6962-sha256", "root": root}));
    manifest
}

fn root(records: &[&str]) -> Option<String> {
    let mut tree = MerkleTree::new();
    records.iter().for_each(|record| tree.push(leaf(record.as_bytes())));
    Some(hex::encode(tree.root()))
}

/// A folder with the files of one run.
struct Files {
    folder: TempDir,
    flags: VerifyFlags,
    told: Vec<String>,
}

impl Files {
    /// With the keys of the service.
    fn new() -> Self {
        let flags = VerifyFlags { jwks: None, from_seq: 1, completeness: None, files: Vec::new() };
        let mut files = Self { folder: tempfile::tempdir().unwrap(), flags, told: Vec::new() };
        let keys = json!({"keys": [key(2).public_jwk(), key(1).public_jwk()]});
        files.flags.jwks = Some(files.write("keys.json", keys.to_string()));
        files
    }

    /// With a manifest that the service has signed.
    fn signed(manifest: &Value) -> Self {
        Self::new()
            .with("manifest.jws", key(1).sign("tollbook-manifest+jws", manifest.to_string().as_bytes()))
    }

    /// The example of the contract.
    fn example() -> Self {
        Self::signed(&contract()).with(NAME, ndjson())
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    fn with(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.flags.files.push(self.write(name, content));
        self
    }

    fn verify(&mut self) -> Result<(), NotVerified> {
        verify(&self.flags, &mut |line| self.told.push(line.to_owned()))
    }

    fn mismatch(&mut self) -> String {
        match self.verify() {
            Err(NotVerified::Mismatch(what)) => what,
            other => panic!("{other:?}"),
        }
    }

    fn wrong_use(&mut self) -> String {
        match self.verify() {
            Err(NotVerified::WrongUse(what)) => what,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_example_of_the_contract_is_whole() {
    let mut files = Files::example();
    files.verify().unwrap();
    assert!(
        files.told[0].contains("genuine manifest of tenant acme_bank, cdr export 0b6b5c1e"),
        "{:?}",
        files.told
    );
    assert!(files.told[1].ends_with(&format!("{NAME}: 3 records, 429 bytes")), "{:?}", files.told);
    assert_eq!(files.told.len(), 2);
    files.flags.files.reverse();
    files.verify().expect("the order of the arguments does not matter");
}

#[test]
fn no_byte_can_be_changed() {
    let files = Files::example();
    for path in &files.flags.files {
        let content = std::fs::read(path).unwrap();
        for at in 0..content.len() {
            let mut changed = content.clone();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            std::fs::write(path, &changed).unwrap();
            let verified = verify(&files.flags, &mut |_| {});
            assert!(matches!(verified, Err(NotVerified::Mismatch(_))), "{path:?}, byte {at}: {verified:?}");
        }
        for cut in [0, 1, content.len() / 2, content.len() - 1] {
            std::fs::write(path, &content[..cut]).unwrap();
            let verified = verify(&files.flags, &mut |_| {});
            assert!(matches!(verified, Err(NotVerified::Mismatch(_))), "{path:?} cut at {cut}: {verified:?}");
        }
        std::fs::write(path, &content).unwrap();
        verify(&files.flags, &mut |_| {}).unwrap();
    }
}

#[test]
fn every_format_is_counted() {
    let array = format!("[\n{}\n]\n", LINES.join(",\n"));
    let csv = "\u{feff}id,trunk\n1,\"a\nb\"\n2,\n".to_owned();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(csv.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    for (format, content, rows, root) in [
        ("json", array.into_bytes(), 3, root(&LINES)),
        ("json", b"[]\n".to_vec(), 0, root(&[])),
        ("ndjson", Vec::new(), 0, root(&[])),
        ("csv", csv.into_bytes(), 2, None),
        ("csv.gz", gzip, 2, None),
    ] {
        let whole = manifest(format, &[described("f", &content, rows)], root.clone());
        Files::signed(&whole)
            .with("f", &content)
            .verify()
            .unwrap_or_else(|error| panic!("{format}: {error:?}"));
        let other = manifest(format, &[described("f", &content, rows + 1)], root);
        let what = Files::signed(&other).with("f", &content).mismatch();
        assert!(
            what.contains(&format!("it has {rows} records, but {} were signed", rows + 1)),
            "{format}: {what}"
        );
    }
    for (format, told) in [("csv.gz", "not one whole member of gzip"), ("parquet", "no whole Parquet file")] {
        let other = manifest(format, &[described("f", b"something", 1)], None);
        let what = Files::signed(&other).with("f", b"something").mismatch();
        assert!(what.contains(told), "{what}");
    }
}

#[test]
fn files_make_one_tree_in_the_order_of_the_manifest() {
    let (first, second) = (format!("{}\n{}\n", LINES[0], LINES[1]), format!("{}\n", LINES[2]));
    let parts = [described("b", first.as_bytes(), 2), described("a", second.as_bytes(), 1)];
    let whole = manifest("ndjson", &parts, root(&LINES));
    Files::signed(&whole).with("a", &second).with("b", &first).verify().unwrap();
    let other = manifest("ndjson", &parts, root(&[LINES[2], LINES[0], LINES[1]]));
    let what = Files::signed(&other).with("a", &second).with("b", &first).mismatch();
    assert!(what.contains("not those that its Merkle root was made of"), "{what}");
}

#[test]
fn every_signature_of_a_record_counts() {
    let write = |signatures: [String; 3]| {
        let mut out = Vec::new();
        for (line, signature) in LINES.iter().zip(signatures) {
            push_signed(&mut out, line.as_bytes(), &signature);
            out.push(b'\n');
        }
        out
    };
    let signatures = LINES.map(|line| key(1).sign_detached(line.as_bytes()));
    let files = |content: &[u8]| {
        let signed = manifest("ndjson", &[described("f", content, 3)], root(&LINES));
        Files::signed(&signed).with("f", content)
    };
    let whole = write(signatures.clone());
    let mut verified = files(&whole);
    verified.verify().unwrap();
    assert!(verified.told[1].ends_with("3 signed by themselves"), "{:?}", verified.told);
    // Each as if the service itself had written it into the file that it signed.
    let [first, second, third] = signatures;
    for (content, told) in [
        (
            write([first.clone(), third.clone(), second.clone()]),
            "line 2: the signature of the record was changed",
        ),
        (
            write([first, second, key(9).sign_detached(LINES[2].as_bytes())]),
            "line 3: the signature of the record is signed with a key that is not among",
        ),
        (
            String::from_utf8(whole).unwrap().replacen("\",\"direction", "\" ,\"direction", 1).into_bytes(),
            "line 1: the signature of the record is malformed",
        ),
    ] {
        let what = files(&content).mismatch();
        assert!(what.contains(told), "{told}: {what}");
    }
}

#[test]
fn what_a_manifest_cannot_say_is_a_mismatch() {
    type Change = fn(&mut Value);
    let changes: [Change; 9] = [
        |said| said["files"][0]["name"] = Value::Null,
        |said| said["files"][0]["sha256"] = "5167D17C".into(),
        |said| said["rows"] = 4.into(),
        |said| said["merkle"] = Value::Null,
        |said| said["format"] = "csv".into(),
        |said| said["merkle"]["algorithm"] = "md5".into(),
        |said| said["merkle"]["root"] = "d".into(),
        |said| drop(said.as_object_mut().unwrap().shift_remove("files")),
        |said| *said = json!({}),
    ];
    for change in changes {
        let mut said = contract();
        change(&mut said);
        let what = Files::signed(&said).with(NAME, ndjson()).mismatch();
        assert!(what.contains("does not say what a manifest says"), "{said}: {what}");
    }
    let mut other = contract();
    other["merkle"]["root"] = "0".repeat(64).into();
    assert!(Files::signed(&other).with(NAME, ndjson()).mismatch().contains("Merkle root"));
}

#[test]
fn the_manifest_and_the_files_must_be_of_each_other() {
    let stranger = key(9).sign("tollbook-manifest+jws", contract().to_string().as_bytes());
    let token = key(1).sign("at+jwt", contract().to_string().as_bytes());
    for (mut files, told) in [
        (
            Files::new().with("manifest.jws", stranger).with(NAME, ndjson()),
            "a key that is not among the given ones",
        ),
        (Files::new().with("manifest.jws", token).with(NAME, ndjson()), "is of another type"),
        (
            Files::signed(&contract()).with("renamed.ndjson", ndjson()),
            "tells of cdr_2026-01-05_2026-01-05.ndjson, which is missing",
        ),
        (Files::example().with("more.ndjson", ndjson()), "tells of no file of this name"),
    ] {
        let what = files.mismatch();
        assert!(what.contains(told), "{told}: {what}");
    }
}

#[test]
fn wrong_use_is_told_from_a_mismatch() {
    let mut newer = contract();
    newer["manifest_version"] = 2.into();
    let twice = Files::example().with(&format!("again/{NAME}"), ndjson());
    let second = Files::example().with("second.jws", key(1).sign("tollbook-manifest+jws", b"{}"));
    for (mut files, told) in [
        (Files::signed(&newer).with(NAME, ndjson()), "is of version 2"),
        (Files::signed(&contract()), "comes alone"),
        (twice, "has the name of another file"),
        (second, "is signed too"),
    ] {
        let what = files.wrong_use();
        assert!(what.contains(told), "{told}: {what}");
    }
    let mut without_keys = Files::example();
    without_keys.flags.jwks = None;
    assert!(without_keys.wrong_use().contains("--jwks"));
    let mut later = Files::example();
    later.flags.from_seq = 2;
    assert!(later.wrong_use().contains("leave --from-seq out"));
    let mut missing = Files::signed(&contract());
    missing.flags.files.push(missing.folder.path().join(NAME));
    assert!(missing.wrong_use().contains("cannot be read"));
}

#[test]
fn the_exit_tells_them_apart() {
    let changed = Files::signed(&contract()).with(NAME, ndjson().replace("lyon", "nyon"));
    for (files, code) in [(Files::example(), 0), (changed, 1), (Files::signed(&contract()), 2)] {
        assert_eq!(format!("{:?}", run(&files.flags)), format!("{:?}", std::process::ExitCode::from(code)));
    }
}
