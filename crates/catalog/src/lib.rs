//! catalog: the control database behind the ports for journal and manifest, tenants, users, sessions, tokens, sources,
//! signing keys, export jobs and their notices, manifests of exports and the audit log.
//!
//! [`SqliteCatalog`] keeps it in one file. Encoded records are bytes here and nothing else: this room neither reads
//! nor writes a record, touches no object of the lake, and decides no right. It seals secrets and chains the audit log
//! itself, so that no other room can forget to. PostgreSQL is not here yet.

mod packed;
mod sqlite;

pub use sqlite::SqliteCatalog;
