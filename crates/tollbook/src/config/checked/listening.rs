//! Where requests are taken, and under which address clients reach that.

use super::reader::Reader;
use http::Uri;
use std::path::PathBuf;

/// How connections are encrypted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TlsConfig {
    /// Not here.
    Off,
    /// With a certificate in files.
    Files {
        /// The chain.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// With a certificate that the service makes.
    SelfSigned,
}

/// Where requests are taken.
#[derive(Debug, Clone)]
pub(crate) struct ListenConfig {
    /// Host and port.
    pub(crate) listen: String,
    /// Encryption.
    pub(crate) tls: TlsConfig,
    /// Public base URL without a slash at its end, where it is set.
    pub(crate) public_url: Option<String>,
    /// Host and port of the metrics, where they are served.
    pub(crate) metrics: Option<String>,
}

impl ListenConfig {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let listen = reader.text("listen").to_owned();
        if !is_host_and_port(&listen) {
            reader.wrong("listen", "must be a host and a port such as 127.0.0.1:8443");
        }
        let metrics = Some(reader.text("metrics.listen")).filter(|text| !text.is_empty());
        if metrics.is_some_and(|listen| !is_host_and_port(listen)) {
            reader.wrong("metrics.listen", "must be a host and a port such as 127.0.0.1:9090, or empty");
        }
        if metrics.is_some_and(|metrics| metrics == listen && !listen.ends_with(":0")) {
            reader.wrong("metrics.listen", "must be another port than that of listen");
        }
        let public_url = Some(reader.text("public_url")).filter(|text| !text.is_empty());
        if public_url.is_some_and(|url| !is_base_url(url)) {
            reader.wrong("public_url", "must be a URL such as https://cdr.example.net, without a query");
        }
        Self {
            listen,
            tls: tls(reader),
            public_url: public_url.map(|url| url.trim_end_matches('/').to_owned()),
            metrics: metrics.map(str::to_owned),
        }
    }

    /// Base URL of a client on this machine; "any address" is reached as localhost. The port is the one that is used,
    /// which `listen` leaves open as 0.
    pub(crate) fn local_url(&self, port: u16) -> String {
        let scheme = if self.tls == TlsConfig::Off { "http" } else { "https" };
        let host = match self.host() {
            "0.0.0.0" | "[::]" => "localhost",
            host => host,
        };
        format!("{scheme}://{host}:{port}")
    }

    /// Base URL under which clients reach the service.
    pub(crate) fn reached_at(&self, port: u16) -> String {
        self.public_url.clone().unwrap_or_else(|| self.local_url(port))
    }

    /// Names that a certificate of our own is for: those in `public_url` and `listen`, and this machine's own.
    pub(crate) fn own_names(&self) -> Vec<String> {
        let public = self.public_url.as_deref().and_then(|url| url.parse::<Uri>().ok());
        let public = public.as_ref().and_then(Uri::host).unwrap_or_default();
        let mut names: Vec<String> = Vec::new();
        for name in [public, self.host(), "localhost", "127.0.0.1", "::1"] {
            let name = name.trim_start_matches('[').trim_end_matches(']');
            let is_any = matches!(name, "" | "0.0.0.0" | "::");
            if !is_any && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        names
    }

    fn host(&self) -> &str {
        self.listen.rsplit_once(':').map_or(self.listen.as_str(), |(host, _)| host)
    }
}

fn tls(reader: &mut Reader<'_>) -> TlsConfig {
    let (certificate, key) = (reader.path("tls.certificate"), reader.path("tls.key"));
    let self_signed = reader.flag("tls.self_signed");
    if self_signed && (certificate.is_some() || key.is_some()) {
        reader
            .wrong("tls.self_signed", "is not for use with tls.certificate and tls.key: choose one of them");
    }
    match (certificate, key) {
        (Some(certificate), Some(key)) => TlsConfig::Files { certificate, key },
        (Some(_), None) => {
            reader.wrong("tls.certificate", "needs its private key: set tls.key too");
            TlsConfig::Off
        }
        (None, Some(_)) => {
            reader.wrong("tls.key", "needs its certificate: set tls.certificate too");
            TlsConfig::Off
        }
        (None, None) if self_signed => TlsConfig::SelfSigned,
        (None, None) => TlsConfig::Off,
    }
}

/// An absolute URL of a web server, as a base: with a host and without a query.
pub(super) fn is_base_url(text: &str) -> bool {
    let has_scheme = text.starts_with("http://") || text.starts_with("https://");
    has_scheme
        && text
            .parse::<Uri>()
            .is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty()) && uri.query().is_none())
}

fn is_host_and_port(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::raw::{Layers, merged};

    fn listening(flags: &[(&'static str, &str)]) -> ListenConfig {
        let flags = flags.iter().map(|(path, text)| (*path, (*text).to_owned())).collect();
        let merged = merged(&Layers { flags, ..Layers::default() });
        ListenConfig::read(&mut Reader::new(&merged))
    }

    #[test]
    fn clients_reach_what_is_really_listened_on() {
        let at = |flags: &[(&'static str, &str)]| listening(flags).reached_at(9);
        assert_eq!(at(&[]), "http://127.0.0.1:9");
        assert_eq!(at(&[("listen", "0.0.0.0:0")]), "http://localhost:9");
        assert_eq!(at(&[("listen", "[::]:0"), ("tls.self_signed", "true")]), "https://localhost:9");
        assert_eq!(at(&[("listen", "[::1]:0")]), "http://[::1]:9");
        assert_eq!(at(&[("public_url", "https://cdr.example.net/")]), "https://cdr.example.net");
    }

    #[test]
    fn a_certificate_is_for_every_name() {
        let names =
            listening(&[("listen", "pbx.internal:1"), ("public_url", "https://cdr.example.net:8443/x")]);
        assert_eq!(names.own_names(), ["cdr.example.net", "pbx.internal", "localhost", "127.0.0.1", "::1"]);
        assert_eq!(listening(&[("listen", "[::]:1")]).own_names(), ["localhost", "127.0.0.1", "::1"]);
        assert_eq!(listening(&[("listen", "[::1]:1")]).own_names(), ["::1", "localhost", "127.0.0.1"]);
    }

    #[test]
    fn a_certificate_is_of_files_or_our_own() {
        let files = [("tls.certificate", "c.pem"), ("tls.key", "k.pem")];
        let wanted = TlsConfig::Files { certificate: "c.pem".into(), key: "k.pem".into() };
        assert_eq!(listening(&files).tls, wanted);
        assert_eq!(listening(&[("tls.self_signed", "true")]).tls, TlsConfig::SelfSigned);
        assert_eq!(listening(&[]).tls, TlsConfig::Off);
        let both = [
            ("tls.self_signed", "true".to_owned()),
            ("tls.key", "k".into()),
            ("tls.certificate", "c".into()),
        ];
        let merged = merged(&Layers { flags: both.to_vec(), ..Layers::default() });
        let mut reader = Reader::new(&merged);
        ListenConfig::read(&mut reader);
        let fault = reader.finish().unwrap_err();
        assert!(fault.message().starts_with("tls.self_signed: "), "{fault}");
    }
}
