//! Bounds of connections, and which proxies are believed.

use super::reader::Reader;
use ipnet::IpNet;
use std::time::Duration;
use tollbook_http::ConnectionLimits;
use tollbook_model::token::network;

/// Connections.
#[derive(Debug, Clone)]
pub(crate) struct HttpSettings {
    /// Bounds of connections.
    pub(crate) connections: ConnectionLimits,
    /// Time that running requests get to end.
    pub(crate) stop_patience: Duration,
    /// Proxies that say who calls.
    pub(crate) trusted_proxies: Vec<IpNet>,
}

impl HttpSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self {
            connections: ConnectionLimits {
                most_connections: reader.count("http.max_connections", 1..=1_000_000),
                header_patience: reader.seconds("http.header_timeout_s"),
                reader_patience: reader.seconds("http.reader_timeout_s"),
                ..ConnectionLimits::default()
            },
            stop_patience: reader.seconds("http.stop_timeout_s"),
            trusted_proxies: reader.list_of(
                "http.trusted_proxies",
                "must be addresses and networks such as 10.1.0.0/16",
                network,
            ),
        }
    }
}
