//! What the kernel says of a process's memory and work.

use super::Trouble;
use std::fs;

/// Memory resident now, and at most since the last [`forget_peak`], in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resident {
    /// Now.
    pub(crate) now: u64,
    /// At most.
    pub(crate) peak: u64,
}

/// Memory of process `id`, or of this process for `self`.
pub(crate) fn of(id: &str) -> Result<Resident, Trouble> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = |name: &str| -> Option<u64> {
        let rest = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        Some(rest.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
    };
    match (line("VmRSS"), line("VmHWM")) {
        (Some(now), Some(peak)) => Ok(Resident { now, peak }),
        _ => Err("the kernel does not tell a process's memory".into()),
    }
}

/// Lets the kernel count the peak anew.
pub(crate) fn forget_peak(id: &str) -> Result<(), Trouble> {
    Ok(fs::write(format!("/proc/{id}/clear_refs"), "5")?)
}

/// Processor time that this process has used, on all its threads, in seconds.
pub(crate) fn worked_seconds() -> Result<f64, Trouble> {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The name in parentheses may hold anything; after it, time in user and in system mode are numbers 12 and 13.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / TICKS_PER_SECOND)
}
