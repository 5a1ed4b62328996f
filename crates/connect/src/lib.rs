//! connect: the one room that knows PBXs. Sources read bytes into call records, `normalise` holds what they share, and
//! `generated` makes calls for demonstrations and benchmarks. It is also the one room that calls out: `egress` whom
//! tenants name, `callbacks` and `issuer` through it, `mail` the operator's mail server, `client` a Tollbook server from the
//! command line.
//!
//! Nothing here stores anything or decides who may send what.

pub mod callbacks;
pub mod client;
mod delimited;
pub mod egress;
pub mod generated;
pub mod issuer;
pub mod mail;
pub mod normalise;
mod registry;
mod rows;
mod settings;
pub mod sources;
mod tls;

pub use registry::Registry;
pub use settings::settings_from_toml;
