//! http: speaks. Requests in, answers out; each dialect decodes its own words and renders its own errors.
//!
//! Nothing is decided here: rights, limits and what a request does are `app`'s. What all dialects share is the
//! connection, the credentials, and the reading of bodies.

mod api;
mod auth;
mod body;
mod breaker;
mod config;
mod dialect;
mod dialects;
mod downloads;
mod envelope;
mod exchange;
mod limits;
pub mod metrics;
mod openapi;
mod ops;
mod proxies;
mod public;
mod published;
mod query;
mod refusal;
mod router;
mod server;
mod standard_webhooks;
pub mod tls;
mod turns;

pub use api::Api;
pub use config::{ConnectionLimits, HttpConfig, RateConfig};
pub use dialects::{callback_forms, sheets};
pub use server::{serve, serve_metrics};
