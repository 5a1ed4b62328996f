//! model: the words and rules of call detail records, and the ports through which rooms meet.
//!
//! Pure: no I/O, no clock of its own, no Arrow, no SQL, no HTTP, and no word of any vendor.

pub mod access;
pub mod actor;
pub mod audit;
pub mod call;
pub mod canonical;
pub mod completeness;
pub mod dataset;
pub mod export;
pub mod export_job;
pub mod export_manifest;
pub mod format;
pub mod jws;
pub mod merkle;
pub mod money;
pub mod ports;
pub mod privacy;
pub mod record_signature;
pub mod schema;
pub mod selection;
pub mod sheet;
pub mod source;
pub mod strict_json;
pub mod tenant;
pub mod time_range;
pub mod token;
pub mod user;
pub mod value;
