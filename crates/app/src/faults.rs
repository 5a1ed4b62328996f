//! What is wrong with the values of a request: gathered by use cases, so that one answer names it all.

use tollbook_kit::fault::{Detail, Fault, InvalidKind};

/// Passes when nothing is wrong.
pub(crate) fn all_right(faults: Vec<Detail>) -> Result<(), Fault> {
    if faults.is_empty() { Ok(()) } else { Err(Fault::from_details(faults)) }
}

/// A wrong value.
pub(crate) fn invalid(name: &str, reason: impl Into<String>) -> Detail {
    Detail { name: name.into(), reason: reason.into(), kind: InvalidKind::InvalidParameter }
}

/// What is wrong with a number that is given and out of its bounds.
pub(crate) fn out_of_bounds(
    name: &str,
    value: Option<u32>,
    bounds: &std::ops::RangeInclusive<u32>,
    what: &str,
) -> Option<Detail> {
    let value = value?;
    let reason = || format!("must be {what} from {} to {}", bounds.start(), bounds.end());
    (!bounds.contains(&value)).then(|| invalid(name, reason()))
}
