//! What settings mean: small structs, one per component, with bounds checked and every fault in one answer.

mod auth;
mod http;
mod jobs;
mod limits;
mod listening;
mod reader;

pub(crate) use auth::AuthSettings;
pub(crate) use listening::{ListenConfig, TlsConfig};

use super::raw::Merged;
use http::HttpSettings;
use reader::{Reader, reason_of};
use std::net::IpAddr;
use std::path::PathBuf;
use tollbook_app::JobsConfig;
use tollbook_connect::egress::EgressPolicy;
use tollbook_connect::mail::SmtpConfig;
use tollbook_http::RateConfig;
use tollbook_kit::fault::Fault;
use tollbook_kit::telemetry::{LogFormat, check_filter};
use tollbook_select::EngineConfig;
use tollbook_store::config::StoreConfig;

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
    /// Folder of sources in files.
    pub(crate) sources_dir: Option<PathBuf>,
    /// File of the key that seals secrets.
    pub(crate) key_file: Option<PathBuf>,
    /// Logs.
    pub(crate) log: LogConfig,
    /// Where requests are taken.
    pub(crate) listening: ListenConfig,
    /// Connections.
    pub(crate) http: HttpSettings,
    /// How many requests in which time.
    pub(crate) limits: RateConfig,
    /// What is taken as a credential.
    pub(crate) auth: AuthSettings,
    /// What the service may call for tenants.
    pub(crate) egress: EgressPolicy,
    /// Export jobs.
    pub(crate) jobs: JobsConfig,
    /// The mail server, where there is one.
    pub(crate) mail: Option<SmtpConfig>,
    /// Exports.
    pub(crate) engine: EngineConfig,
    /// Journal and lake.
    pub(crate) store: StoreConfig,
}

impl Config {
    /// Checks the merged settings.
    ///
    /// # Errors
    /// `invalid`, naming every key that is unknown, mistyped or has a wrong value.
    pub(super) fn check(merged: &Merged) -> Result<Self, Fault> {
        let mut reader = Reader::new(merged);
        let listening = ListenConfig::read(&mut reader);
        let egress = egress(&mut reader, &listening);
        let config = Self {
            data: data(&mut reader),
            sources_dir: reader.path("sources_dir"),
            key_file: reader.path("secrets.key_file"),
            log: log(&mut reader),
            listening,
            http: HttpSettings::read(&mut reader),
            limits: limits::read(&mut reader),
            auth: AuthSettings::read(&mut reader, &egress),
            egress,
            jobs: jobs::jobs(&mut reader),
            mail: jobs::mail(&mut reader),
            engine: engine(&mut reader),
            store: store(&mut reader),
        };
        reader.finish().map(|()| config)
    }
}

fn data(reader: &mut Reader<'_>) -> PathBuf {
    reader.path("data").unwrap_or_else(|| {
        reader.wrong("data", "must name a folder");
        PathBuf::new()
    })
}

fn log(reader: &mut Reader<'_>) -> LogConfig {
    let format = match reader.text("log.format") {
        "json" => LogFormat::Json,
        "text" => LogFormat::Text,
        _ => {
            reader.wrong("log.format", "must be text or json");
            LogFormat::Text
        }
    };
    let filter = reader.text("log.filter");
    if let Err(fault) = check_filter(filter) {
        reader.wrong("log.filter", reason_of(&fault));
    }
    LogConfig { format, filter: filter.to_owned() }
}

fn egress(reader: &mut Reader<'_>, listening: &ListenConfig) -> EgressPolicy {
    let allow = reader.list("egress.allow", "must be host names and networks such as 10.1.0.0/16");
    let own_hosts = listening.own_names().into_iter().map(|name| canonical_host(&name)).collect();
    EgressPolicy { allow, allow_http: reader.flag("egress.allow_http"), own_hosts }
}

/// A host in the one spelling that it is compared in.
fn canonical_host(name: &str) -> String {
    name.parse::<IpAddr>().map_or_else(|_| name.to_ascii_lowercase(), |address| address.to_string())
}

fn engine(reader: &mut Reader<'_>) -> EngineConfig {
    let usual = EngineConfig::default();
    let workers = match reader.count("export.workers", 0..=1024) {
        0 => usual.workers,
        workers => workers,
    };
    let stretch_records = reader.count("jobs.stretch_records", 1..=1_000_000_000) as u64;
    EngineConfig { workers, stretch_records, ..usual }
}

fn store(reader: &mut Reader<'_>) -> StoreConfig {
    let reserve_mib = reader.count("store.reserve_mib", 0..=1 << 30);
    StoreConfig { reserve_bytes: (reserve_mib as u64) << 20, ..StoreConfig::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layers, raw};
    use tollbook_kit::secret::Secret;

    fn checked(flags: &[(&'static str, &str)]) -> Result<Config, Fault> {
        let flags = flags.iter().map(|(path, text)| (*path, (*text).to_owned())).collect();
        Config::check(&raw::merged(&Layers { flags, ..Layers::default() }))
    }

    fn wrong(flags: &[(&'static str, &str)]) -> Vec<String> {
        let fault = checked(flags).expect_err("something is wrong");
        fault.details().iter().map(|detail| detail.name.clone()).collect()
    }

    #[test]
    fn the_embedded_file_starts_the_product_and_says_what_the_code_says() {
        let config = checked(&[]).unwrap();
        assert_eq!(config.store.reserve_bytes, StoreConfig::default().reserve_bytes);
        assert_eq!(
            format!("{:?}", config.http.connections),
            format!("{:?}", tollbook_http::ConnectionLimits::default())
        );
        assert_eq!(format!("{:?}", config.limits), format!("{:?}", RateConfig::default()));
        assert_eq!(format!("{:?}", config.auth.claims), format!("{:?}", tollbook_app::AuthConfig::default()));
        assert!(!config.egress.allow_http && config.egress.allow.is_empty());
        assert!(config.auth.issuer.is_none() && !config.auth.client_credentials);
        assert_eq!(format!("{:?}", config.engine), format!("{:?}", EngineConfig::default()));
        assert_eq!(format!("{:?}", config.jobs), format!("{:?}", JobsConfig::default()));
        assert!(config.mail.is_none(), "nobody gets mail before somebody said how");
        assert!(config.key_file.is_none() && config.http.trusted_proxies.is_empty());
    }

    #[test]
    fn every_key_is_read() {
        let merged = raw::merged(&Layers::default());
        let mut reader = Reader::new(&merged);
        data(&mut reader);
        for key in ["sources_dir", "secrets.key_file"] {
            reader.path(key);
        }
        let listening = ListenConfig::read(&mut reader);
        let policy = egress(&mut reader, &listening);
        log(&mut reader);
        HttpSettings::read(&mut reader);
        limits::read(&mut reader);
        AuthSettings::read(&mut reader, &policy);
        jobs::jobs(&mut reader);
        jobs::mail(&mut reader);
        engine(&mut reader);
        store(&mut reader);
        assert_eq!(reader.unread(), Vec::<String>::new(), "keys of the default file that mean nothing");
    }

    #[test]
    fn wrong_values_are_all_named() {
        for (key, value) in [
            ("data", ""),
            ("log.format", "xml"),
            ("log.filter", "loud"),
            ("listen", "8443"),
            ("public_url", "cdr.example.net"),
            ("public_url", "https://"),
            ("public_url", "https://cdr.example.net/?a=b"),
            ("metrics.listen", "9090"),
            ("http.max_connections", "0"),
            ("http.header_timeout_s", "86401"),
            ("http.trusted_proxies", "10.0.0.0/8, proxy"),
            ("store.reserve_mib", "-1"),
            ("rate_limit.permits", "0"),
            ("rate_limit.window", "0s"),
            ("rate_limit.window", "a minute"),
            ("rate_limit.entry_ttl", "60s"),
            ("didww.rate_limit", "0"),
            ("native.rate_limit", "0"),
            ("native.rate_burst", "0"),
            ("native.ingest_rate_limit", "0"),
            ("native.public_rate_limit", "0"),
            ("auth.issuer", "idp.example.net"),
            ("auth.issuer", "http://idp.example.net"),
            ("auth.group_claims", "groups,a..b"),
            ("auth.role_claims", ".roles"),
            ("egress.allow", "10.0.0.0/99"),
            ("tls.certificate", "c.pem"),
            ("tls.key", "k.pem"),
            ("jobs.workers", "0"),
            ("jobs.stretch_records", "0"),
            ("jobs.link_life", "59s"),
            ("jobs.link_life", "25h"),
            ("mail.security", "ssl"),
            ("mail.username", "me"),
            ("mail.password", "hunter2"),
            ("mail.allowed_domains", "example.net,me@example.net"),
        ] {
            assert_eq!(wrong(&[(key, value)]), [key], "{value}");
        }
        let mail = |server, from| wrong(&[("mail.server", server), ("mail.from", from)]);
        assert_eq!(mail("mail.example.net", ""), ["mail.from"]);
        assert_eq!(mail("mail.example.net", "tollbook"), ["mail.from"]);
        for server in [
            "smtp://mail.example.net",
            "me@mail.example.net",
            "a b",
            ":25",
            "[mail]",
            "2001:db8::1",
            "[::1]25",
        ] {
            assert_eq!(mail(server, "tollbook@example.net"), ["mail.server"], "{server}");
        }
        let several = [
            ("listen", "8443"),
            ("native.rate_limit", "0"),
            ("lisen", "x"),
            ("store.reserve_mib", "-1"),
            ("log.format", "xml"),
        ];
        let mut names = wrong(&several);
        names.sort_unstable();
        assert_eq!(names, ["--lisen", "listen", "log.format", "native.rate_limit", "store.reserve_mib"]);
    }

    #[test]
    fn a_wrong_value_is_not_repeated_and_its_origin_is() {
        let fault = checked(&[("auth.issuer", "ftp://user:hunter2@idp")]).unwrap_err();
        assert!(!fault.log_text().contains("hunter2"), "{fault}");
        assert!(fault.message().contains("--auth.issuer"), "{fault}");
    }

    #[test]
    fn keys_mean_what_the_comments_say() {
        let config = checked(&[
            ("http.trusted_proxies", "10.0.0.0/8,192.0.2.1, ::1"),
            ("auth.issuer", "https://idp.example.net/realms/a/"),
            ("auth.audience", "tollbook"),
            ("auth.client_credentials", "true"),
            ("rate_limit.permits", "3"),
            ("rate_limit.window", "2"),
            ("rate_limit.entry_ttl", "3s"),
            ("native.rate_burst", "7"),
            ("egress.allow", "idp.internal,10.1.0.0/16"),
            ("metrics.listen", "127.0.0.1:9090"),
        ])
        .unwrap();
        let proxies: Vec<String> = config.http.trusted_proxies.iter().map(ToString::to_string).collect();
        assert_eq!(proxies, ["10.0.0.0/8", "192.0.2.1/32", "::1/128"]);
        let issuer = config.auth.issuer.unwrap();
        assert_eq!(issuer.issuer, "https://idp.example.net/realms/a/", "compared with tokens as it stands");
        assert_eq!(issuer.audience, ["tollbook"]);
        assert!(config.auth.client_credentials);
        assert_eq!((config.limits.group_permits, config.limits.native_burst), (3, 7));
        assert_eq!(config.limits.group_window.as_secs(), 2);
        assert_eq!(config.egress.allow.len(), 2);
        assert_eq!(config.listening.metrics.as_deref(), Some("127.0.0.1:9090"));
        let mail = checked(&[
            ("mail.server", "mail.example.net:2525"),
            ("mail.security", "tls"),
            ("mail.username", "me"),
            ("mail.password", "hunter2"),
            ("mail.from", "tollbook@example.net"),
            ("mail.allowed_domains", "Example.NET"),
            ("jobs.link_life", "5m"),
        ])
        .unwrap();
        assert!(!format!("{mail:?}").contains("hunter2"));
        assert_eq!(mail.jobs.mail_domains, ["example.net"]);
        assert_eq!(mail.jobs.link_life.as_secs(), 300);
        let smtp = mail.mail.unwrap();
        assert_eq!((smtp.server.as_str(), smtp.port), ("mail.example.net", Some(2525)));
        assert_eq!(smtp.credentials, Some(("me".into(), Secret::new("hunter2".into()))));
        let own =
            checked(&[("public_url", "https://CDR.example.net:8443"), ("listen", "[2001:DB8::1]:8443")]);
        let own = own.unwrap().egress.own_hosts;
        assert!(
            ["cdr.example.net", "2001:db8::1"].iter().all(|host| own.iter().any(|own| own == host)),
            "{own:?}"
        );
        let plain = [
            ("auth.issuer", "http://idp.internal"),
            ("egress.allow", "idp.internal"),
            ("egress.allow_http", "true"),
        ];
        assert!(checked(&plain).is_ok());
        assert_eq!(wrong(&plain[..2]), ["auth.issuer"], "plain http is not allowed");
    }
}
