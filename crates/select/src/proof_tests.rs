//! What an export tells of its file is what somebody else finds in the bytes that came out.

use crate::given_tests::{Then, Watched, engine, pages, request};
use futures::StreamExt;
use sha2::{Digest, Sha256};
use std::io::Read;
use std::sync::Arc;
use tollbook_kit::secret::Secret;
use tollbook_model::export::{ExportRequest, ExportedFile, Proof};
use tollbook_model::format::ExportFormat;
use tollbook_model::jws::{JwsKey, JwsKeys};
use tollbook_model::merkle::{MerkleTree, leaf};
use tollbook_model::ports::{DataPlane, ExportRows};
use tollbook_model::record_signature::split;

/// An export of that many rows, and what was told of it.
async fn export(format: ExportFormat, proof: Proof, rows: u64) -> (Vec<u8>, ExportedFile) {
    let given = ExportRows::Paged { about: rows, pages: pages(rows, Then::Ends, &Watched::default()) };
    let mut stream = engine().export(ExportRequest { proof, ..request(format) }, given).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.chunks.next().await {
        bytes.extend_from_slice(&chunk.unwrap());
    }
    // Known at the latest when the chunks end.
    let file = stream.file.try_recv().unwrap().unwrap();
    (bytes, file)
}

/// The records of a JSON file, found by its line ends.
fn records(bytes: &[u8]) -> Vec<&[u8]> {
    let lines = bytes.split(|&byte| byte == b'\n');
    lines.map(|line| line.strip_suffix(b",").unwrap_or(line)).filter(|line| line.starts_with(b"{")).collect()
}

fn root(records: &[&[u8]]) -> [u8; 32] {
    let mut tree = MerkleTree::new();
    records.iter().for_each(|record| tree.push(leaf(record)));
    tree.root()
}

#[tokio::test]
async fn what_is_told_of_a_file_is_what_it_is() {
    for format in ExportFormat::ALL {
        for rows in [0, 1, 9001] {
            let (bytes, told) = export(format, Proof::Digests, rows).await;
            assert_eq!((told.bytes, told.rows), (bytes.len() as u64, rows), "{format:?}");
            assert_eq!(told.sha256, Some(Sha256::digest(&bytes).into()), "{format:?}, {rows} rows");
            let tree = format.is_json().then(|| root(&records(&bytes)));
            assert_eq!(told.merkle_root, tree, "{format:?}, {rows} rows");
            if format.is_json() {
                assert_eq!(records(&bytes).len() as u64, rows);
            }
            let (plain, told) = export(format, Proof::None, rows).await;
            assert!(plain == bytes, "a digest changes nothing: {format:?}, {rows} rows");
            let wanted = ExportedFile { bytes: bytes.len() as u64, rows, sha256: None, merkle_root: None };
            assert_eq!(told, wanted, "{format:?}");
        }
    }
}

#[tokio::test]
async fn signed_records_verify_one_by_one_and_are_the_same_records() {
    let key = Arc::new(JwsKey::from_seed(&Secret::new([9; 32])));
    let keys = JwsKeys::of([&*key]);
    for format in [ExportFormat::Ndjson, ExportFormat::Json] {
        for rows in [0, 1, 2500] {
            let (unsigned, expected) = export(format, Proof::Digests, rows).await;
            let (bytes, told) = export(format, Proof::Signatures(key.clone()), rows).await;
            assert_eq!((told.bytes, told.rows), (bytes.len() as u64, rows));
            assert_eq!(told.sha256, Some(Sha256::digest(&bytes).into()));
            assert_eq!(told.merkle_root, expected.merkle_root, "leaves leave signatures out");
            let (signed, plain) = (records(&bytes), records(&unsigned));
            assert_eq!(signed.len(), plain.len());
            for (signed, plain) in signed.iter().zip(plain).step_by(37) {
                let split = split(signed).unwrap().unwrap();
                assert_eq!(split.record, plain);
                keys.verify_detached(split.signature, plain).unwrap();
                let mut sorted = serde_json::from_slice::<serde_json::Map<_, _>>(signed).unwrap();
                sorted.sort_keys();
                assert_eq!(
                    serde_json::to_vec(&sorted).unwrap(),
                    *signed,
                    "the signature has its sorted place"
                );
            }
        }
    }
    let (plain, _) = export(ExportFormat::CsvGz, Proof::None, 10).await;
    let (gzip, _) = export(ExportFormat::CsvGz, Proof::Signatures(key), 10).await;
    let mut text = String::new();
    flate2::read::GzDecoder::new(&gzip[..]).read_to_string(&mut text).unwrap();
    assert!(gzip == plain && text.lines().count() == 11, "only JSON has room for signatures");
}

#[tokio::test]
async fn of_a_file_that_breaks_off_nothing_is_told() {
    let given = ExportRows::Paged { about: 9000, pages: pages(5000, Then::Fails, &Watched::default()) };
    let asked = ExportRequest { proof: Proof::Digests, ..request(ExportFormat::Ndjson) };
    let mut stream = engine().export(asked, given).await.unwrap();
    let mut failed = false;
    while let Some(chunk) = stream.chunks.next().await {
        failed |= chunk.is_err();
    }
    assert!(failed && stream.file.await.is_err());
}
