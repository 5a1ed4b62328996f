//! kit: what every room stands on. Clock, ids, faults, supervised tasks, retry schedules, rates, secrets, telemetry.
//!
//! Nothing here knows what a call record is, and nothing here does I/O beyond reading the clock and the
//! operating system's randomness.

pub mod clock;
pub mod fault;
pub mod ids;
pub mod rate;
pub mod retry;
pub mod secret;
pub mod supervise;
pub mod telemetry;
