//! The OpenAPI 3.1 documents: what every dialect's operations take and answer, for readers, generators and testers.
//!
//! An operation is described where its route is registered ([`table`]), so that neither exists without the other; schemas
//! of answers are derived from the types that are written. Nothing is decided here.

pub(crate) mod answers;
mod document;
mod operation;
pub(crate) mod parameters;
mod refusals;
pub(crate) mod schemas;
mod table;

pub(crate) use document::{Document, Words};
pub(crate) use operation::{Operation, reference};
pub(crate) use table::{Methods, Routes};
