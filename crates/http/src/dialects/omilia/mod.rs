//! The Omilia dialect, `/exports-api` (`omilia.md`): its gate, its errors, and the realms where its clients log in.
//! Operations are not here yet: behind the gate every path is unknown.

mod document;
pub(crate) mod errors;
mod gate;
pub(crate) mod realms;
mod routes;
mod token_request;

pub(crate) use routes::{gates, routes};
