//! The DIDWW dialect, `/v3` (`didww.md`): its gate and its errors. Operations are not here yet: behind the gate every path
//! is unknown.

pub(crate) mod errors;
mod gate;
mod routes;
mod sheets;

pub(crate) use routes::routes;
pub(crate) use sheets::{InboundCalls, OutboundCalls};
