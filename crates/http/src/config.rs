//! What the operator sets of this room: bounds of connections and rates, and how the service is reached.
//!
//! Where the values come from, and whether they make sense together, is the binary's business.

use ipnet::IpNet;
use std::time::Duration;

/// The settings of this room.
#[derive(Debug, Clone, Default)]
pub struct HttpConfig {
    /// Bounds of connections.
    pub connections: ConnectionLimits,
    /// How many requests in which time.
    pub limits: RateConfig,
    /// Proxies that are believed what they say of the client's address.
    pub trusted_proxies: Vec<IpNet>,
    /// May API tokens be exchanged for short-lived ones (`client_credentials`)?
    pub client_credentials: bool,
    /// Public base URL, such as `https://cdr.example.net:8443`; issuers of our own tokens begin with it.
    pub public_url: String,
    /// Was no public URL set, so that links begin with the host that the request names where a contract wants that?
    pub links_name_the_host: bool,
}

/// Bounds of connections.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Connections at once. When there are more, those that wait the longest for their next request give way.
    pub most_connections: usize,
    /// Connections at once of one address (of one /64 in IPv6), trusted proxies excepted; none: a quarter of all.
    pub most_of_address: Option<usize>,
    /// How long a connection may take to shake hands, and to send the headers of its next request.
    pub header_patience: Duration,
    /// How long a reader may take nothing of an answer before he is taken for gone.
    pub reader_patience: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            most_connections: 10_000,
            most_of_address: None,
            header_patience: Duration::from_secs(10),
            reader_patience: Duration::from_secs(120),
        }
    }
}

/// How many requests are answered in which time. The defaults are the contracts'.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateConfig {
    /// Native requests per second and credential.
    pub native_per_second: u32,
    /// Native requests that a rested credential may send at once.
    pub native_burst: u32,
    /// Requests with records per second and credential.
    pub ingest_per_second: u32,
    /// Requests without a credential per second and address.
    pub public_per_second: u32,
    /// Requests of the DIDWW dialect per second and key.
    pub didww_per_second: u32,
    /// Requests of the Omilia dialect per window and group.
    pub group_permits: u32,
    /// Length of that window, which begins with a group's first request.
    pub group_window: Duration,
    /// How long a group's window is remembered; longer than the window.
    pub group_entry_ttl: Duration,
}

impl Default for RateConfig {
    fn default() -> Self {
        Self {
            native_per_second: 20,
            native_burst: 40,
            ingest_per_second: 2000,
            public_per_second: 20,
            didww_per_second: 20,
            group_permits: 60,
            group_window: Duration::from_secs(60),
            group_entry_ttl: Duration::from_secs(300),
        }
    }
}
