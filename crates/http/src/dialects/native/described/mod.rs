//! What documents say of the native operations, one file per noun. Routes name these when they are registered.

pub(super) mod audit_log;
mod document;
pub(super) mod exports;
pub(super) mod jobs;
pub(super) mod link_keys;
pub(super) mod records;
pub(super) mod schemas;
pub(super) mod settings;
pub(super) mod sources;
pub(super) mod tenants;
pub(super) mod tokens;
pub(super) mod users;

pub(super) use document::document;
