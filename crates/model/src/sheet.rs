//! Sheets: tables whose cells are computed from call records, where a client expects columns that are not the
//! catalogue's.
//!
//! What a sheet shows is said by whoever names it; how its cells become CSV is the data wing's.

use crate::call::CallField;
use crate::value::Value;
use std::borrow::Cow;
use std::fmt::Debug;

/// A table of computed cells, one row a record. It must be pure: the same record always gives the same row.
pub trait Sheet: Debug + Send + Sync {
    /// The name under which jobs keep it. It must mean the same for as long as such jobs are kept.
    fn name(&self) -> &'static str;

    /// The header row.
    fn headers(&self) -> &[&'static str];

    /// The fields that [`Sheet::row`] gets, in its order. Not empty, none twice.
    fn fields(&self) -> &[CallField];

    /// Appends a cell per header; an empty one where there is no value. `values` are those of [`Sheet::fields`].
    fn row<'record>(&self, values: &'record [Value<'record>], cells: &mut Vec<Cow<'record, str>>);
}
