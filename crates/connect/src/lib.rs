//! connect: the one room that knows PBXs. Sources read bytes into call records, `normalise` holds what they share, and
//! `client` is the outgoing HTTP of the command line; `generated` makes calls for demonstrations and benchmarks.
//!
//! Nothing here stores anything or decides who may send what.

pub mod client;
mod delimited;
pub mod generated;
pub mod normalise;
mod registry;
mod rows;
mod settings;
pub mod sources;

pub use registry::Registry;
pub use settings::settings_from_toml;
