//! catalog: the control database behind the journal, manifest, sources, tenants and tokens ports.
//!
//! [`SqliteCatalog`] keeps it in one file. Encoded records are bytes here and nothing else: this room neither reads
//! nor writes a record, touches no object of the lake, and decides no right. PostgreSQL is not here yet.

mod packed;
mod sqlite;

pub use sqlite::SqliteCatalog;
