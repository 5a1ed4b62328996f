//! The dialects: one folder each, over the same use cases.

pub(crate) mod native;
