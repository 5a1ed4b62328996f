//! app: the use cases. Rights, limits and what belongs together are decided here and nowhere else.
//!
//! A [`Caller`](tollbook_model::access::Caller) is the first argument of every use case, and his right is judged
//! before anything is looked up. Nothing here knows HTTP, SQL, Arrow or any kind of PBX; the ports of `model` lead
//! to all of them.

pub mod datasets;
pub mod exports;
pub mod ingest;
mod remembered;
pub mod sources;
pub mod tenants;
pub mod tokens;

use std::sync::Arc;
use tollbook_kit::clock::Clock;
use tollbook_kit::ids::{IdSource, Randomness};
use tollbook_model::ports;

/// The ports that the use cases stand on.
pub struct Ports {
    /// Where records go in.
    pub intake: Arc<dyn ports::Intake>,
    /// Where records come out.
    pub data_plane: Arc<dyn ports::DataPlane>,
    /// The kinds of sources.
    pub connectors: Arc<dyn ports::ConnectorRegistry>,
    /// The configured sources.
    pub sources: Arc<dyn ports::Sources>,
    /// The tenants.
    pub tenants: Arc<dyn ports::Tenants>,
    /// The tokens.
    pub tokens: Arc<dyn ports::Tokens>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness for keys, tokens and ids.
    pub randomness: Arc<dyn Randomness>,
    /// Public base URL, such as `https://cdr.example.net:8443`; schema ids begin with it.
    pub public_url: String,
}

/// All use cases, one field per noun.
pub struct App {
    /// Records in.
    pub ingest: ingest::Ingest,
    /// Exports.
    pub exports: exports::Exports,
    /// Configured sources.
    pub sources: sources::SourceSettings,
    /// Tokens.
    pub tokens: tokens::TokenCheck,
    /// Tenants.
    pub tenants: Arc<tenants::TenantDirectory>,
    /// Published schemas.
    pub datasets: datasets::SchemaViews,
}

impl App {
    /// Puts the use cases on their ports.
    pub fn new(ports: Ports) -> Self {
        let ids = IdSource::new(ports.clock.clone(), ports.randomness.clone());
        let tenants = Arc::new(tenants::TenantDirectory::new(
            ports.tenants,
            ports.clock.clone(),
            ports.randomness.clone(),
        ));
        Self {
            ingest: ingest::Ingest::new(
                ports.intake,
                ports.connectors.clone(),
                ports.sources.clone(),
                tenants.clone(),
                ports.clock.clone(),
            ),
            exports: exports::Exports::new(
                ports.data_plane,
                ports.sources.clone(),
                tenants.clone(),
                ids.clone(),
                ports.clock.clone(),
                ports.public_url.clone(),
            ),
            sources: sources::SourceSettings::new(
                ports.sources,
                ports.connectors,
                ids.clone(),
                ports.clock.clone(),
            ),
            tokens: tokens::TokenCheck::new(ports.tokens, ids, ports.clock, ports.randomness),
            tenants,
            datasets: datasets::SchemaViews::new(&ports.public_url),
        }
    }
}
