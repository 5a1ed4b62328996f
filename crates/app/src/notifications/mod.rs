//! Telling of the ends of jobs: callbacks to addresses and mails to people that whoever ordered a job has named.
//!
//! Notices are worded when the job ends, kept in the transaction of that end, and told by the dispatcher until they were
//! taken or are given up. The words of callbacks are the dialects', and how calls and mails travel is `connect`'s business.

mod attempt;
mod contacts;
mod content;
mod dispatcher;
mod form;
mod lanes;
mod mail;
mod notices;
mod ports;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests;

pub use form::{CallbackDraft, CallbackForm, JobEvent, JobNotice};
pub(crate) use notices::NoticeSettings;
pub use notices::Notices;
pub(crate) use ports::NoticePorts;
