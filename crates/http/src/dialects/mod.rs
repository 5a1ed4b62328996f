//! The dialects: one folder each, over the same use cases.

pub(crate) mod didww;
pub(crate) mod native;
pub(crate) mod omilia;

use crate::dialect::Dialect;
use crate::exchange::Exchange;
use crate::refusal::Refusal;
use axum::response::Response;
use std::sync::Arc;
use tollbook_app::notifications::CallbackForm;
use tollbook_model::sheet::Sheet;

/// How the jobs of each dialect call back.
pub fn callback_forms() -> Vec<Arc<dyn CallbackForm>> {
    vec![Arc::new(native::NativeCallbacks), Arc::new(didww::DidwwCallbacks)]
}

/// The sheets that dialects export.
pub fn sheets() -> Vec<Arc<dyn Sheet>> {
    vec![Arc::new(didww::InboundCalls), Arc::new(didww::OutboundCalls)]
}

/// A refusal in the words of the exchange's dialect.
pub(crate) fn render(refusal: &Refusal, exchange: &Exchange, now_ms: i64) -> Response {
    match exchange.dialect {
        Dialect::Native => native::errors::render(refusal, exchange.id),
        Dialect::Didww => didww::errors::render(refusal, exchange),
        Dialect::Omilia => omilia::errors::render(refusal, exchange.path(), now_ms),
        Dialect::Realms => omilia::realms::render(refusal),
    }
}
