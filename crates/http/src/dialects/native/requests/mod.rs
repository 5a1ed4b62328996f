//! From the words of requests to the arguments of use cases.

pub(super) mod export;
pub(super) mod ingest;
pub(super) mod source;
