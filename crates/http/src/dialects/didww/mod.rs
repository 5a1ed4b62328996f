//! The DIDWW dialect, `/v3` (`didww.md`): exports of calls in JSON:API, over the same jobs and downloads as the other dialects.
//!
//! Words, forms and checks of the vendor's API live here and nowhere else; what an export is and who may have it does not.

mod attributes;
mod callback;
mod callback_url;
mod document;
pub(crate) mod errors;
mod fields;
mod file;
mod filters;
mod gate;
mod listing;
mod media;
mod moment;
mod note;
mod operations;
mod paging;
mod paths;
mod resource;
mod routes;
mod schema;
mod sheets;
mod signature;
mod versions;

pub(crate) use callback::DidwwCallbacks;
pub(crate) use routes::routes;
pub(crate) use sheets::{InboundCalls, OutboundCalls};

use crate::dialect::Dialect;

/// The dialect, as its jobs name it.
const DIALECT: &str = Dialect::Didww.name();
