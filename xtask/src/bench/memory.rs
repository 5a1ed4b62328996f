//! What the kernel says of a process's memory.

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
