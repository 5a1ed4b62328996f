//! What it costs to sign an export: the middle day as NDJSON, without, with a manifest, and with every record signed.

use super::contest::own_export;
use super::figures::Spread;
use super::options::Options;
use super::scenario::Scenario;
use super::{Trouble, month::Month};
use serde::Serialize;
use std::fs;
use tollbook_model::export::Signing;
use tollbook_model::format::ExportFormat;

/// What one way of signing takes.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Signed {
    /// What is signed.
    pub(crate) sign: &'static str,
    /// Time of the export.
    pub(crate) seconds: Spread,
    /// Processor time of it, on all threads.
    pub(crate) cpu_seconds: Spread,
    /// Size of the file.
    pub(crate) bytes: u64,
}

/// Exports the day in every way, in turns.
pub(crate) fn measure(options: &Options, month: &Month) -> Result<Vec<Signed>, Trouble> {
    let range_ms = Some(month.middle_day_ms());
    let day = Scenario { what: "day", format: ExportFormat::Ndjson, range_ms, did: None };
    let out = options.out.join(format!("tollbook-bench-{}-signed.ndjson", std::process::id()));
    let mut taken = Signing::ALL.map(|signing| (signing, Vec::new()));
    for _ in 0..options.rounds() {
        for (signing, taken) in &mut taken {
            let one = own_export(&day, month, &out, *signing)?;
            println!("  day ndjson, sign {:<8} {:>8.3} s", signing.name(), one.seconds);
            taken.push(one);
        }
    }
    let _gone = fs::remove_file(&out);
    let signed = taken.into_iter().map(|(signing, taken)| {
        Some(Signed {
            sign: signing.name(),
            seconds: Spread::of(taken.iter().map(|one| one.seconds))?,
            cpu_seconds: Spread::of(taken.iter().map(|one| one.cpu_seconds))?,
            bytes: taken.last()?.bytes,
        })
    });
    signed.collect::<Option<Vec<_>>>().ok_or_else(|| "no export was signed".into())
}
