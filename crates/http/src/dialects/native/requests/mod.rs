//! From the words of requests to the arguments of use cases, one file per noun.

pub(super) mod completeness;
pub(super) mod duration;
pub(super) mod export;
pub(super) mod ingest;
pub(super) mod job;
pub(super) mod job_list;
pub(super) mod json;
pub(super) mod members;
pub(super) mod settings;
pub(super) mod tenant;
pub(super) mod token;
pub(super) mod user;
