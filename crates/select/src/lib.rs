//! select: selection → plan → tasks → bytes. The data wing's exit.
//!
//! Nothing here writes to journal or lake, knows a caller, or speaks a dialect.

mod contents;
mod engine;
mod estimate;
mod kpis;
mod merge;
mod output;
mod pipeline;
mod plan;
mod predicate;
mod rows;
#[cfg(test)]
mod tests;

pub use engine::{Engine, EngineConfig};
