//! The lake: parts of one tenant, dataset and UTC day each, made from journal batches, merged, dropped and erased.
//!
//! Layout of keys: `lake/<dataset>/tenant=<t>/date=<YYYY-MM-DD>/<id>.parquet`.

pub mod compaction;
mod fresh_rows;
mod merge;
mod part_output;
pub(crate) mod part_rows;
mod plan;
pub mod retention;
mod rollups;
mod rounds;
pub mod settle;
pub mod snapshots;
pub mod sweep;
pub mod unnamed;
