//! The DIDWW dialect, `/v3` (`didww.md`): its gate and its errors. Operations are not here yet: behind the gate every path
//! is unknown.

pub(crate) mod errors;
mod gate;
mod routes;

pub(crate) use routes::routes;
