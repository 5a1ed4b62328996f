//! store: keeps call records. The journal takes them in, the lake holds them, objects carry the bytes.
//!
//! Which records are visible is written in the control database, behind the ports `Journal` and `Manifest`; nothing
//! here speaks SQL or HTTP, and nothing here selects or renders records.

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
