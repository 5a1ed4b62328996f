//! The manifest of a signed export (`natalia.md` section 11): what was exported, and what its files hold.
//!
//! Members are written in this order. How it is signed is `jws`'s; who keeps it is decided in `app`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `typ` of a signed manifest.
pub const MANIFEST_TYPE: &str = "tollbook-manifest+jws";
/// The only version.
pub const MANIFEST_VERSION: u32 = 1;
/// The only kind of tree.
pub const MERKLE_ALGORITHM: &str = "rfc6962-sha256";

/// What a manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportManifest {
    /// [`MANIFEST_VERSION`].
    pub manifest_version: u32,
    /// The export.
    pub export_id: String,
    /// Whose records.
    pub tenant: String,
    /// Name of the dataset.
    pub dataset: String,
    /// `$id` of its schema.
    pub schema: String,
    /// Name of the format.
    pub format: String,
    /// First moment, in UTC; none when the range is open there.
    pub from: Option<String>,
    /// First moment after, likewise.
    pub to: Option<String>,
    /// IANA zone in which date-times are shown.
    pub tz: String,
    /// Values that were asked for, by parameter.
    pub filters: BTreeMap<String, Vec<String>>,
    /// Columns, if they were asked for.
    pub columns: Option<Vec<String>>,
    /// Are CSV cells guarded against being read as formulas?
    pub formula_guard: bool,
    /// When the snapshot was taken, in UTC.
    pub snapshot_at: String,
    /// Last sequence number that the snapshot saw.
    pub watermark: u64,
    /// When the manifest was signed, in UTC.
    pub created_at: String,
    /// The files in their order.
    pub files: Vec<ManifestFile>,
    /// Records of all files.
    pub rows: u64,
    /// The tree over the records of all files, for JSON.
    pub merkle: Option<MerkleRoot>,
}

/// What a manifest says of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestFile {
    /// Its name, without folders.
    pub name: String,
    /// Its size.
    pub bytes: u64,
    /// Its records.
    pub rows: u64,
    /// Its hash: 64 hexadecimal digits.
    pub sha256: String,
}

/// What a manifest says of the records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MerkleRoot {
    /// [`MERKLE_ALGORITHM`].
    pub algorithm: String,
    /// The root: 64 hexadecimal digits.
    pub root: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The manifest of the contract, without the spaces that line breaks are there.
    const EXAMPLE: &str = concat!(
        r#"{"manifest_version":1,"export_id":"0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01","tenant":"acme_bank","dataset":"cdr","#,
        r#""schema":"https://cdr.example.net:8443/api/v1/schemas/cdr/v1.json","format":"ndjson","#,
        r#""from":"2026-01-05T00:00:00.000Z","to":"2026-01-06T00:00:00.000Z","tz":"UTC","filters":{},"columns":null,"#,
        r#""formula_guard":false,"snapshot_at":"2026-01-06T08:00:00.000Z","watermark":120345,"#,
        r#""created_at":"2026-01-06T08:00:02.000Z","files":[{"name":"cdr_2026-01-05_2026-01-05.ndjson","bytes":429,"rows":3,"#,
        r#""sha256":"5167d17c7da3f80576018795032bb6f257d21796271246c355352addceb25f15"}],"rows":3,"#,
        r#""merkle":{"algorithm":"rfc6962-sha256","root":"deb52f61163560f809040b2490abaa7d5e4db28d6d41a95610d58395937909f6"}}"#,
    );

    #[test]
    fn the_example_of_the_contract_is_read_and_written_to_the_byte() {
        let manifest: ExportManifest = serde_json::from_str(EXAMPLE).unwrap();
        assert_eq!(serde_json::to_string(&manifest).unwrap(), EXAMPLE);
        assert_eq!(
            (manifest.manifest_version, manifest.merkle.unwrap().algorithm.as_str()),
            (1, MERKLE_ALGORITHM)
        );
    }
}
