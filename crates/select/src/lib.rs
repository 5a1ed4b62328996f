//! select: selection → plan → tasks → bytes. The data wing's exit.
//!
//! Nothing here writes to journal or lake, knows a caller, or speaks a dialect; what it writes are the parts of exports.

mod completeness;
#[cfg(test)]
mod completeness_tests;
mod contents;
mod encoded;
mod engine;
mod estimate;
mod file_writer;
mod given;
#[cfg(test)]
mod given_tests;
mod kpis;
mod merge;
mod output;
mod part_state;
mod part_writer;
#[cfg(test)]
mod parts_tests;
mod pipeline;
mod plan;
mod predicate;
#[cfg(test)]
mod proof_tests;
mod rows;
mod stored;
mod stretches;
mod tally;
#[cfg(test)]
mod tests;
mod text_rows;
mod trunks;

pub use engine::{Engine, EngineConfig};

/// Rows of a batch: large enough that work per batch vanishes, small enough that several fit into the memory that an
/// export may take.
const BATCH_ROWS: usize = 4 * 1024;
