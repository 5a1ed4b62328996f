//! xtask: the project's own chores, started by `cargo xtask`. No part of the product.
//!
//! `bench` measures Tollbook beside its peers on one machine and in one run; tests never look at a clock.

#![allow(clippy::print_stdout, reason = "a chore talks to the person who started it")]

mod bench;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// The product's allocator, so that memory and speed are the product's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Chores of the Tollbook project.
#[derive(Debug, Parser)]
#[command(name = "xtask", max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Measure storage, exports beside DuckDB, Polars and chDB, and ingest.
    Bench(bench::Options),
    /// One export of a benchmark, in a process of its own (started by `bench`).
    #[command(hide = true)]
    BenchOne(bench::OneExport),
}

fn main() -> ExitCode {
    let done = match CommandLine::parse().chore {
        Chore::Bench(options) => bench::run(&options),
        Chore::BenchOne(one) => bench::run_one(&one),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            eprintln!("xtask: {trouble}");
            ExitCode::FAILURE
        }
    }
}
