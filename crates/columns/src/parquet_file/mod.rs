//! Parquet: parts of the lake written and read, and export files assembled from copied and new row groups.
//!
//! Where files lie, and which of them are visible, is the store's business.

mod assembly;
mod part_reader;
mod part_writer;
mod profile;
mod source;
#[cfg(test)]
mod tests;

pub use assembly::{EncodedRowGroup, ExportAssembly, Piece};
pub use part_reader::{PartFile, PartRows, RowChoice, rows_in_file};
pub use part_writer::{PartWriter, ROW_GROUP_ROWS, WrittenPart};
pub use source::{ByteSource, PartSource};

use tollbook_kit::fault::Fault;

/// A Parquet or Arrow error is always ours: files are written by us and checked when published.
fn broken(doing: &'static str) -> impl Fn(parquet::errors::ParquetError) -> Fault {
    move |error| Fault::internal(doing).with_source(error)
}
