//! What every handler holds. Which paths lead to which handler is `router`'s.

use crate::body::BodyMemory;
use crate::config::HttpConfig;
use crate::limits::Limits;
use crate::turns::OrderTurns;
use http::header::HOST;
use http::request::Parts;
use http::uri::Authority;
use ipnet::IpNet;
use std::sync::Arc;
use tollbook_app::App;
use tollbook_kit::clock::Clock;
use tollbook_kit::ids::IdSource;
use tollbook_kit::supervise::StopToken;

/// The use cases and what requests need besides.
pub struct Api {
    pub(crate) app: App,
    pub(crate) ids: IdSource,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stop: StopToken,
    pub(crate) body_memory: BodyMemory,
    pub(crate) limits: Limits,
    pub(crate) didww_turns: OrderTurns,
    pub(crate) trusted_proxies: Vec<IpNet>,
    pub(crate) client_credentials: bool,
    public_url: String,
    links_name_the_host: bool,
}

impl Api {
    /// The API over these use cases. After `stop` it reports that it is not ready.
    pub fn new(app: App, ids: IdSource, clock: Arc<dyn Clock>, stop: StopToken, config: &HttpConfig) -> Self {
        let limits = Limits::new(&config.limits, &clock);
        Self {
            app,
            ids,
            clock,
            stop,
            body_memory: BodyMemory::default(),
            limits,
            didww_turns: OrderTurns::default(),
            trusted_proxies: config.trusted_proxies.clone(),
            client_credentials: config.client_credentials,
            public_url: config.public_url.trim_end_matches('/').to_owned(),
            links_name_the_host: config.links_name_the_host,
        }
    }

    /// The public address of a path of ours.
    pub(crate) fn public(&self, path: &str) -> String {
        format!("{}{path}", self.public_url)
    }

    /// What links in the answer to this request begin with, without a slash at its end. The scheme is the listener's.
    pub(crate) fn base_for(&self, parts: &Parts) -> String {
        let named = parts.uri.authority().cloned().or_else(|| {
            let host = parts.headers.get(HOST)?;
            Authority::try_from(host.as_bytes()).ok()
        });
        let named = named.filter(|host| self.links_name_the_host && !host.as_str().contains('@'));
        match (named, self.public_url.split_once("://")) {
            (Some(host), Some((scheme, _))) => format!("{scheme}://{host}"),
            _ => self.public_url.clone(),
        }
    }
}
