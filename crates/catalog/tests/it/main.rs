//! The ports' conformance suite, run against every implementation, and what only SQLite promises.
//!
//! A further implementation is one module that names a function making [`conformance::Ports`] over an empty
//! database and hands it to `conformance!`. Killing the process is tested with the real binary, not here.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and the measurement prints"
)]

mod at_rest;
mod conformance;
mod sqlite;
mod throughput;
mod unreadable;
mod upgrade;
