//! store: keeps call records and the files of exports. The journal takes records in, the lake holds them, artifacts are
//! what was made of them, objects carry the bytes.
//!
//! Which records are visible is written in the control database, behind the ports `Journal` and `Manifest`; nothing
//! here speaks SQL or HTTP, and nothing here selects or renders records.

pub mod artifacts;
pub mod blob;
pub mod config;
pub mod journal;
pub mod lake;
mod record_keys;
mod running;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

#[cfg(test)]
mod road_tests;

pub use running::{Store, StoreParts};
