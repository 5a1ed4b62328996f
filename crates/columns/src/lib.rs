//! columns: call records as Arrow columns. Rows in, bytes out, both ways; pure and synchronous.
//!
//! Nothing here does I/O, knows tenants' folders, or plans anything.

#[cfg(test)]
mod any_records;
pub mod batch_codec;
pub mod content_digest;
pub mod decode;
pub mod encode;
pub mod layout;
pub mod parquet_file;
pub mod rows;
