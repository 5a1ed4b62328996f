//! The native dialect, `/api/v1` (`natalia.md`).
//!
//! `gate` asks who is there, `requests` turns words into use cases' arguments, `responses` turns outcomes into words,
//! `errors` renders refusals, `routes` joins them; `described` is what documents say of all that. `callback` words calls to
//! those whom a job tells of its end.

mod callback;
mod described;
pub(crate) mod errors;
mod gate;
mod requests;
mod responses;
mod routes;

pub(crate) use callback::NativeCallbacks;
pub(crate) use routes::routes;
