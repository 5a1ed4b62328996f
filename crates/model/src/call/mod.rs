//! The call detail record (`record.md`): its field catalogue, one record in memory, its identity.
//!
//! How sources map onto it is decided in `connect`; how it is stored, in the data wing.

mod admission;
mod content;
mod fields;
mod record;
mod trunk;

pub use admission::{Admission, derive_id, id_time_ms};
pub use content::{digest_of_content, is_content, push_content_field};
pub use fields::{CALL_FIELDS, CallField, DISPOSITIONS, RESULTS, TIME_QUALITIES};
pub use record::{CallRecord, EXTRA_BYTES, FieldProblem, LATEST_MS, TEXT_BYTES, value_from_text, wanted};
pub use trunk::{LISTED_TRUNKS, Trunk, TrunkIds, given_trunk_id};
