//! What settings mean: small structs, one per component, with bounds checked.

use serde::Deserialize;
use std::path::PathBuf;
use std::time::Duration;
use tollbook_http::ConnectionLimits;
use tollbook_kit::fault::{Detail, Fault, InvalidKind};
use tollbook_kit::telemetry::LogFormat;
use tollbook_select::EngineConfig;
use tollbook_store::config::StoreConfig;
use toml::Table;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    data: String,
    listen: String,
    public_url: String,
    sources_dir: String,
    log: WrittenLog,
    http: WrittenHttp,
    export: WrittenExport,
    store: WrittenStore,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenLog {
    format: String,
    filter: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenHttp {
    max_connections: i64,
    header_timeout_s: i64,
    reader_timeout_s: i64,
    stop_timeout_s: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenExport {
    workers: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenStore {
    reserve_mib: i64,
}

/// How logs look.
#[derive(Debug, Clone)]
pub(crate) struct LogConfig {
    /// Form of a line.
    pub(crate) format: LogFormat,
    /// What is logged.
    pub(crate) filter: String,
}

/// All settings of the service, checked.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Folder of everything that is kept.
    pub(crate) data: PathBuf,
    /// Host and port.
    pub(crate) listen: String,
    /// Public base URL, without a slash at its end.
    pub(crate) public_url: String,
    /// Folder of sources in files.
    pub(crate) sources_dir: Option<PathBuf>,
    /// Logs.
    pub(crate) log: LogConfig,
    /// Bounds of connections.
    pub(crate) connections: ConnectionLimits,
    /// Time that running requests get to end.
    pub(crate) stop_patience: Duration,
    /// Exports.
    pub(crate) engine: EngineConfig,
    /// Journal and lake.
    pub(crate) store: StoreConfig,
}

impl Config {
    /// Checks the effective settings.
    ///
    /// # Errors
    /// `invalid`, naming every key with a wrong value.
    pub(crate) fn check(settings: Table) -> Result<Self, Fault> {
        let written: Written = settings
            .try_into()
            .map_err(|error| Fault::internal("settings that passed as known were not").with_source(error))?;
        let mut bounds = Bounds::default();
        let format = match written.log.format.as_str() {
            "json" => LogFormat::Json,
            "text" => LogFormat::Text,
            _ => {
                bounds.wrong("log.format", "must be text or json");
                LogFormat::Text
            }
        };
        if written.data.is_empty() {
            bounds.wrong("data", "must name a folder");
        }
        if !is_host_and_port(&written.listen) {
            bounds.wrong("listen", "must be a host and a port such as 127.0.0.1:8443");
        }
        let has_scheme = ["http://", "https://"].iter().any(|scheme| written.public_url.starts_with(scheme));
        if !written.public_url.is_empty() && !has_scheme {
            bounds.wrong("public_url", "must begin with https:// or http://");
        }
        let connections = ConnectionLimits {
            most_connections: bounds.count(
                "http.max_connections",
                written.http.max_connections,
                1,
                1_000_000,
            ),
            header_patience: bounds.seconds("http.header_timeout_s", written.http.header_timeout_s),
            reader_patience: bounds.seconds("http.reader_timeout_s", written.http.reader_timeout_s),
        };
        let stop_patience = bounds.seconds("http.stop_timeout_s", written.http.stop_timeout_s);
        let engine = match bounds.count("export.workers", written.export.workers, 0, 1024) {
            0 => EngineConfig::default(),
            workers => EngineConfig { workers },
        };
        let reserve_mib = bounds.count("store.reserve_mib", written.store.reserve_mib, 0, 1 << 30);
        let store = StoreConfig { reserve_bytes: (reserve_mib as u64) << 20, ..StoreConfig::default() };
        bounds.finish()?;
        let public_url = match written.public_url.trim_end_matches('/') {
            "" => reachable(&written.listen),
            url => url.to_owned(),
        };
        Ok(Self {
            data: PathBuf::from(written.data),
            listen: written.listen,
            public_url,
            sources_dir: (!written.sources_dir.is_empty()).then(|| PathBuf::from(written.sources_dir)),
            log: LogConfig { format, filter: written.log.filter },
            connections,
            stop_patience,
            engine,
            store,
        })
    }
}

/// The URL by which a client on this machine reaches an address; "any address" is reached as localhost.
pub(crate) fn reachable(listen: &str) -> String {
    let local = ["0.0.0.0:", "[::]:"].iter().find_map(|any| listen.strip_prefix(any));
    match local {
        Some(port) => format!("http://localhost:{port}"),
        None => format!("http://{listen}"),
    }
}

fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

#[derive(Default)]
struct Bounds(Vec<Detail>);

impl Bounds {
    fn wrong(&mut self, name: &str, reason: impl Into<String>) {
        let kind = InvalidKind::InvalidParameter;
        self.0.push(Detail { name: name.into(), reason: reason.into(), kind });
    }

    fn count(&mut self, name: &str, value: i64, least: usize, most: usize) -> usize {
        let count = usize::try_from(value).ok().filter(|count| (least..=most).contains(count));
        count.unwrap_or_else(|| {
            self.wrong(name, format!("must be between {least} and {most}"));
            least
        })
    }

    fn seconds(&mut self, name: &str, value: i64) -> Duration {
        Duration::from_secs(self.count(name, value, 1, 86_400) as u64)
    }

    fn finish(self) -> Result<(), Fault> {
        if self.0.is_empty() { Ok(()) } else { Err(Fault::from_details(self.0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layers, effective};

    fn checked(flags: &[(&'static str, &str)]) -> Result<Config, Fault> {
        let flags = flags.iter().map(|(path, text)| (*path, (*text).to_owned())).collect();
        Config::check(effective(&Layers { flags, ..Layers::default() })?)
    }

    #[test]
    fn the_embedded_file_starts_the_product() {
        let config = checked(&[]).unwrap();
        assert_eq!(config.listen, "127.0.0.1:8443");
        assert_eq!(config.public_url, "http://127.0.0.1:8443");
        assert_eq!(
            config.store.reserve_bytes,
            StoreConfig::default().reserve_bytes,
            "the file says the same"
        );
        assert_eq!(config.connections.header_patience, ConnectionLimits::default().header_patience);
    }

    #[test]
    fn wrong_values_are_all_named() {
        let wrong = [
            ("listen", "8443"),
            ("log.format", "xml"),
            ("public_url", "cdr.example.net"),
            ("http.max_connections", "0"),
            ("store.reserve_mib", "-1"),
        ];
        let fault = checked(&wrong).unwrap_err();
        let names: Vec<_> = fault.details().iter().map(|detail| detail.name.as_str()).collect();
        assert_eq!(
            names,
            ["log.format", "listen", "public_url", "http.max_connections", "store.reserve_mib"]
        );
        let public =
            checked(&[("listen", "0.0.0.0:80"), ("public_url", "https://cdr.example.net/")]).unwrap();
        assert_eq!(public.public_url, "https://cdr.example.net");
        assert_eq!(checked(&[("listen", "0.0.0.0:80")]).unwrap().public_url, "http://localhost:80");
    }
}
