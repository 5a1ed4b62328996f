//! The ports that the service listens on, and the certificate it shows there.

use super::DataFolder;
use crate::config::{ListenConfig, TlsConfig};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::net::TcpListener;
use tollbook_http::tls;
use tollbook_kit::fault::{Code, Fault, ResultExt};

/// Ports that are ours.
pub(crate) struct Listeners {
    /// For requests.
    pub(crate) requests: TcpListener,
    /// Its address; where the settings leave the port open, the one that the system chose.
    pub(crate) address: SocketAddr,
    /// For metrics, with its address.
    pub(crate) metrics: Option<(TcpListener, SocketAddr)>,
}

impl Listeners {
    /// Takes the ports; requests wait until somebody answers.
    ///
    /// # Errors
    /// `conflict` when a port is taken or no address of this machine.
    pub(crate) async fn bind(config: &ListenConfig) -> Result<Self, Fault> {
        let (requests, address) = bind(&config.listen, "--listen HOST:PORT").await?;
        let metrics = match &config.metrics {
            Some(listen) => Some(bind(listen, "metrics.listen").await?),
            None => None,
        };
        Ok(Self { requests, address, metrics })
    }
}

async fn bind(listen: &str, setting: &str) -> Result<(TcpListener, SocketAddr), Fault> {
    let listener = TcpListener::bind(listen).await.map_err(|error| {
        let text = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                format!("{listen} is taken by another process; stop it, or choose another with {setting}")
            }
            _ => format!("cannot listen on {listen}: {error}; choose another with {setting}"),
        };
        Fault::new(Code::Conflict, text)
    })?;
    let address = listener.local_addr().fault("reading the own address")?;
    Ok((listener, address))
}

/// How a listener encrypts, and the file of its certificate where clients have to be told to trust it.
pub(crate) struct Encryption {
    /// None: not at all.
    pub(crate) config: Option<Arc<rustls::ServerConfig>>,
    /// The certificate that the service made.
    pub(crate) own_certificate: Option<PathBuf>,
}

impl Encryption {
    /// Loads the certificate, making it where the settings ask for that.
    ///
    /// # Errors
    /// As [`tls::load`] and [`tls::self_signed`].
    pub(crate) fn of(config: &ListenConfig, folder: &DataFolder) -> Result<Self, Fault> {
        match &config.tls {
            TlsConfig::Off => Ok(Self { config: None, own_certificate: None }),
            TlsConfig::Files { certificate, key } => {
                Ok(Self { config: Some(tls::load(certificate, key)?), own_certificate: None })
            }
            TlsConfig::SelfSigned => {
                let (certificate, key) = (folder.tls().join("certificate.pem"), folder.tls().join("key.pem"));
                tls::self_signed(&certificate, &key, &config.own_names())?;
                Ok(Self { config: Some(tls::load(&certificate, &key)?), own_certificate: Some(certificate) })
            }
        }
    }
}
