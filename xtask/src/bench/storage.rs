//! What a record costs on disk: in the lake by column, in the control database, and beside its CSV.

use super::month::Month;
use super::options::Options;
use super::scenario::Scenario;
use super::{Trouble, contest};
use serde::Serialize;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use tollbook_columns::parquet_file::{PartFile, PartSource};
use tollbook_model::export::Signing;
use tollbook_model::format::ExportFormat;
use tollbook_store::blob::{Blobs, DirectoryBlobs};

/// Storage of a month.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Storage {
    /// Records.
    pub(crate) rows: u64,
    /// Bytes of the lake's files.
    pub(crate) lake_bytes: u64,
    /// Bytes of the control database with its log.
    pub(crate) control_bytes: u64,
    /// Bytes of the CSV export with the default columns.
    pub(crate) csv_bytes: u64,
    /// Files of the lake.
    pub(crate) files: usize,
    /// Row groups in them.
    pub(crate) row_groups: usize,
    /// The columns, dearest first.
    pub(crate) columns: Vec<ColumnCost>,
}

/// What one column costs.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ColumnCost {
    /// Its name.
    pub(crate) name: String,
    /// Bytes of its chunks.
    pub(crate) bytes: u64,
    /// The same before compression.
    pub(crate) uncompressed_bytes: u64,
    /// Compression and encodings in use.
    pub(crate) written_as: BTreeSet<String>,
}

impl Storage {
    /// Stored bytes as a share of the CSV's.
    pub(crate) fn share(&self) -> f64 {
        (self.lake_bytes + self.control_bytes) as f64 / self.csv_bytes.max(1) as f64
    }
}

/// Reads the footers of the lake's files, and measures the CSV.
pub(crate) fn measure(options: &Options, month: &Month) -> Result<Storage, Trouble> {
    let blobs = DirectoryBlobs::open(&month.folder)?;
    let mut storage = Storage {
        rows: 0,
        lake_bytes: 0,
        control_bytes: control_bytes(&month.folder)?,
        csv_bytes: csv_bytes(options, month)?,
        files: month.files.len(),
        row_groups: 0,
        columns: Vec::new(),
    };
    for file in &month.files {
        storage.lake_bytes += fs::metadata(file)?.len();
        let key = file.strip_prefix(&month.folder)?.to_str().ok_or("a file name that is no text")?;
        storage.add(&PartFile::open(PartSource::new(Arc::clone(&blobs.open(key)?)))?);
    }
    storage.columns.sort_by_key(|column| std::cmp::Reverse(column.bytes));
    Ok(storage)
}

impl Storage {
    fn add(&mut self, part: &PartFile) {
        for group in part.metadata().row_groups() {
            self.rows += u64::try_from(group.num_rows()).unwrap_or(0);
            self.row_groups += 1;
            for chunk in group.columns() {
                let name = chunk.column_path().string();
                let at = self.columns.iter().position(|column| column.name == name).unwrap_or_else(|| {
                    let written_as = BTreeSet::new();
                    self.columns.push(ColumnCost { name, bytes: 0, uncompressed_bytes: 0, written_as });
                    self.columns.len() - 1
                });
                let column = &mut self.columns[at];
                column.bytes += u64::try_from(chunk.compressed_size()).unwrap_or(0);
                column.uncompressed_bytes += u64::try_from(chunk.uncompressed_size()).unwrap_or(0);
                column.written_as.insert(chunk.compression().to_string());
                column.written_as.extend(chunk.encodings().map(|encoding| encoding.to_string()));
            }
        }
    }
}

fn control_bytes(folder: &Path) -> Result<u64, Trouble> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("catalog.sqlite") {
            bytes += entry.metadata()?.len();
        }
    }
    Ok(bytes)
}

fn csv_bytes(options: &Options, month: &Month) -> Result<u64, Trouble> {
    let scenario = Scenario { what: "month", format: ExportFormat::Csv, range_ms: None, did: None };
    let out = options.out.join(format!("tollbook-bench-{}-storage.csv", std::process::id()));
    let taken = contest::own_export(&scenario, month, &out, Signing::None)?;
    fs::remove_file(out)?;
    Ok(taken.bytes)
}
