//! An export: what is asked for, how it is proved, and what came of it.

use crate::format::ExportFormat;
use crate::jws::JwsKey;
use crate::merkle::Hash;
use crate::selection::Selection;
use crate::sheet::Sheet;
use crate::tenant::TenantName;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

/// What of an export is signed (`natalia.md` sections 6 and 11).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signing {
    /// Nothing.
    None,
    /// A manifest that tells the export's files.
    Manifest,
    /// The manifest, and each record by itself.
    Records,
}

impl Signing {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::None, Self::Manifest, Self::Records];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Manifest => "manifest",
            Self::Records => "records",
        }
    }

    /// The kind of that word.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|signing| signing.name() == name)
    }

    /// What is signed of this format when nothing is asked for.
    pub fn default_of(format: ExportFormat) -> Self {
        if format.is_json() { Self::Manifest } else { Self::None }
    }

    /// Can this format be signed so? Only JSON has room for a signature in a record.
    pub fn applies_to(self, format: ExportFormat) -> bool {
        self != Self::Records || format.is_json()
    }
}

/// What is done to an export on its way out, so that it can be proved.
#[derive(Debug, Clone)]
pub enum Proof {
    /// Nothing.
    None,
    /// Its file is hashed; of JSON also every record.
    Digests,
    /// The same, and every record of JSON is signed with this key.
    Signatures(Arc<JwsKey>),
}

/// An export's file, once it was handed over whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedFile {
    /// Its size.
    pub bytes: u64,
    /// Its records.
    pub rows: u64,
    /// Its SHA-256, if digests were asked for.
    pub sha256: Option<Hash>,
    /// The root of the Merkle tree over its records in their order, if digests were asked for and it is JSON.
    pub merkle_root: Option<Hash>,
}

/// What a caller asks for: checked words, with filter values as he wrote them.
#[derive(Debug, Clone)]
pub struct ExportQuery {
    /// Which records and columns; numbers in filters may have any spelling.
    pub selection: Selection,
    /// In which format.
    pub format: ExportFormat,
    /// Are CSV cells guarded against being read as formulas?
    pub formula_guard: bool,
    /// What of it is signed; must apply to the format.
    pub signing: Signing,
    /// Were the columns named, or are they the usual ones?
    pub columns_named: bool,
    /// Name of the sheet that the file shows instead of columns, in CSV; only dialects have any.
    pub sheet: Option<String>,
}

/// How far an export has come, counted while it is made and read by whoever shows it. Counts only rise.
#[derive(Debug, Default)]
pub struct ExportCounters {
    examined: AtomicU64,
    to_examine: AtomicU64,
    exported: AtomicU64,
}

impl ExportCounters {
    /// Says how many stored records there are to look at.
    pub fn expect(&self, records: u64) {
        self.to_examine.store(records, Ordering::Relaxed);
    }

    /// Counts stored records that have been looked at, and of these the ones that went into the file.
    pub fn add(&self, examined: u64, exported: u64) {
        self.examined.fetch_add(examined, Ordering::Relaxed);
        self.exported.fetch_add(exported, Ordering::Relaxed);
    }

    /// Records in the file so far.
    pub fn exported(&self) -> u64 {
        self.exported.load(Ordering::Relaxed)
    }

    /// The share of the work that is done, 0 to 1; none while it is unknown.
    pub fn share(&self) -> Option<f64> {
        let whole = self.to_examine.load(Ordering::Relaxed);
        let done = self.examined.load(Ordering::Relaxed).min(whole);
        (whole > 0).then(|| done as f64 / whole as f64)
    }
}

/// A request for one export, decoded and permitted.
#[derive(Debug, Clone)]
pub struct ExportRequest {
    /// Id of the export, shown to the caller and kept in Parquet metadata.
    pub id: Uuid,
    /// Whose records.
    pub tenant: TenantName,
    /// Which records and columns.
    pub selection: Selection,
    /// In which format.
    pub format: ExportFormat,
    /// Are CSV cells guarded against being read as formulas?
    pub formula_guard: bool,
    /// The sheet that the file shows, in CSV. The selection's columns are its fields.
    pub sheet: Option<Arc<dyn Sheet>>,
    /// `$id` of the schema, kept in Parquet metadata.
    pub schema_id: String,
    /// How it is proved.
    pub proof: Proof,
}

/// What an export would yield, from the manifest alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Records, without looking at filters in detail.
    pub rows: u64,
    /// Bytes in the format asked for.
    pub bytes: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_signed_follows_from_the_format() {
        for format in ExportFormat::ALL {
            let is_json = matches!(format, ExportFormat::Json | ExportFormat::Ndjson);
            let default = if is_json { Signing::Manifest } else { Signing::None };
            assert_eq!(Signing::default_of(format), default, "{format:?}");
            let applicable = Signing::ALL.map(|signing| signing.applies_to(format));
            assert_eq!(applicable, [true, true, is_json], "{format:?}");
        }
        assert_eq!(Signing::from_name("records"), Some(Signing::Records));
        assert_eq!(Signing::from_name("Records"), None);
    }
}
