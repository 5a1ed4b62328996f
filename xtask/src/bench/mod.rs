//! The benchmark: a month of calls, exported by Tollbook and by its peers from the same files, and taken in over HTTP.
//!
//! Figures are printed, and written to `target/bench/report.{json,md}`. Nothing here judges more than the floors of
//! `goals`; medians of interleaved runs are compared, because a machine is never quite idle.

mod contest;
mod figures;
mod goals;
mod http_export;
mod http_ingest;
mod http_jobs;
mod memory;
mod month;
mod one_export;
mod options;
mod peers;
mod report;
mod scenario;
mod service;
mod signing;
mod storage;
mod store;
mod wire;

pub(crate) use one_export::OneExport;
pub(crate) use options::Options;

use options::Piece;
use report::Report;

/// Anything that ends a measurement, in words for the person at the terminal.
pub(crate) type Trouble = Box<dyn std::error::Error>;

/// Measures what `options` ask for and reports it.
pub(crate) fn run(options: &Options) -> Result<(), Trouble> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let month = runtime.block_on(month::at_hand(options))?;
    let mut report = Report::new(options, &month);
    if options.wants(Piece::Storage) {
        report.add_storage(storage::measure(options, &month)?);
    }
    let peers = peers::at_hand(options);
    for scenario in scenario::all(options, &month) {
        let results = contest::hold(&scenario, options, &month, peers.as_ref())?;
        report.add_contest(&scenario, results);
    }
    if options.wants(Piece::Signing) {
        report.add_signing(signing::measure(options, &month)?);
    }
    if options.wants(Piece::HttpExport) {
        let (downloads, jobs) = runtime.block_on(http_export::measure(options, &month))?;
        report.add_http_exports(downloads, jobs);
    }
    if options.wants(Piece::Ingest) {
        report.add_ingest(runtime.block_on(http_ingest::measure(options))?);
    }
    report.write()
}

/// The child's side of one export.
pub(crate) fn run_one(one: &OneExport) -> Result<(), Trouble> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    println!("{}", serde_json::to_string(&runtime.block_on(one_export::measure(one))?)?);
    Ok(())
}
