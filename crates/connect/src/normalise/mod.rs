//! What all sources share on the way to one record: sides and direction, outcome, number forms, local time, keys.
//!
//! Pure functions over what a source has parsed; nothing here knows a PBX by name.

pub mod direction;
pub mod local_time;
pub mod numbers;
pub mod occurrence;
pub mod outcome;
