//! TLS of the listener: certificate and key from files, kept fresh while the service runs, and a self-signed pair for
//! those who ask for one.
//!
//! Handshakes are the listener's. Client certificates, and several certificates chosen by name, are not here.

mod self_signed;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
pub use self_signed::self_signed;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tollbook_kit::clock::{Clock, SystemClock};
use tollbook_kit::fault::{Fault, ResultExt};

/// How often, at most, the files are looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// TLS 1.2 and 1.3, for HTTP/1.1 and HTTP/2, with the certificate chain (the own certificate first) and the private key
/// in these PEM files. Files that change are read again within ten seconds of the next connection; while they are wrong
/// the former pair stays.
///
/// # Errors
/// `invalid`, naming the setting and the file, when a file cannot be read, holds nothing of its kind, or the two do not
/// belong together.
pub fn load(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, Fault> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let files = PairOfFiles { certificate: certificate.to_owned(), key: key.to_owned() };
    let pair = FreshPair::read(files, provider.clone(), Arc::new(SystemClock::new()))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .fault("choosing versions of TLS")?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(pair));
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.ticketer = aws_lc_rs::Ticketer::new().fault("making a key for session tickets")?;
    Ok(Arc::new(config))
}

/// Where certificate and key are.
#[derive(Debug)]
struct PairOfFiles {
    certificate: PathBuf,
    key: PathBuf,
}

/// By what a changed file is told; none while it is not there.
type Stamp = Option<(SystemTime, u64)>;

impl PairOfFiles {
    fn stamps(&self) -> [Stamp; 2] {
        [&self.certificate, &self.key].map(|file| {
            let metadata = std::fs::metadata(file).ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        })
    }

    fn read(&self, provider: &CryptoProvider) -> Result<CertifiedKey, Fault> {
        let wrong_certificate = |error| wrong("tls.certificate", &self.certificate, "certificate", &error);
        let chain: Vec<_> = CertificateDer::pem_file_iter(&self.certificate)
            .map_err(wrong_certificate)?
            .collect::<Result<_, _>>()
            .map_err(wrong_certificate)?;
        if chain.is_empty() {
            return Err(wrong_certificate(pem::Error::NoItemsFound));
        }
        let key = PrivateKeyDer::from_pem_file(&self.key)
            .map_err(|error| wrong("tls.key", &self.key, "private key", &error))?;
        CertifiedKey::from_der(chain, key, provider).map_err(|error| {
            let (certificate, key) = (self.certificate.display(), self.key.display());
            let reason =
                format!("{key} is not the key of the first certificate in {certificate}; name a pair");
            Fault::parameter("tls.key", reason).with_source(error)
        })
    }
}

fn wrong(setting: &str, file: &Path, kind: &str, error: &pem::Error) -> Fault {
    let file = file.display();
    let reason = match error {
        pem::Error::Io(error) => format!("{file} cannot be read ({error}); name a PEM file with the {kind}"),
        pem::Error::NoItemsFound => format!("{file} holds no {kind}; name a PEM file with one"),
        // Its own words may quote the file, and that may be a key.
        _ => format!("{file} is not whole PEM; name a PEM file with the {kind}"),
    };
    Fault::parameter(setting, reason)
}

/// The pair as the files had it when they were last right.
#[derive(Debug)]
struct FreshPair {
    files: PairOfFiles,
    provider: Arc<CryptoProvider>,
    clock: Arc<dyn Clock>,
    held: Mutex<Held>,
}

#[derive(Debug)]
struct Held {
    pair: Arc<CertifiedKey>,
    stamps: [Stamp; 2],
    looked: Duration,
}

impl FreshPair {
    fn read(files: PairOfFiles, provider: Arc<CryptoProvider>, clock: Arc<dyn Clock>) -> Result<Self, Fault> {
        // The stamps first: a change while reading is then seen at the next look.
        let stamps = files.stamps();
        let pair = Arc::new(files.read(&provider)?);
        let held = Mutex::new(Held { pair, stamps, looked: clock.monotonic() });
        Ok(Self { files, provider, clock, held })
    }

    fn pair(&self) -> Arc<CertifiedKey> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.monotonic();
        if now.saturating_sub(held.looked) >= LOOK_AGAIN {
            held.looked = now;
            self.refresh(&mut held);
        }
        held.pair.clone()
    }

    fn refresh(&self, held: &mut Held) {
        let stamps = self.files.stamps();
        if stamps == held.stamps {
            return;
        }
        held.stamps = stamps;
        match self.files.read(&self.provider) {
            Ok(pair) => {
                held.pair = Arc::new(pair);
                tracing::info!(certificate = %self.files.certificate.display(), "read the changed certificate");
            }
            Err(fault) => {
                tracing::warn!(
                    fault = fault.log_text(),
                    "the changed certificate is wrong; the former one stays"
                );
            }
        }
    }
}

impl ResolvesServerCert for FreshPair {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.pair())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tollbook_kit::clock::ManualClock;

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn with_pair() -> Self {
            let folder = Self(tempfile::tempdir().unwrap());
            folder.make("tls");
            folder
        }

        fn file(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn make(&self, name: &str) {
            let (certificate, key) = (self.file(&format!("{name}.crt")), self.file(&format!("{name}.key")));
            self_signed(&certificate, &key, &["localhost".to_owned()]).unwrap();
        }

        fn replace(&self, name: &str) {
            std::fs::rename(self.file(&format!("other.{name}")), self.file(&format!("tls.{name}"))).unwrap();
        }
    }

    #[test]
    fn wrong_files_are_named_with_what_to_do() {
        let folder = Folder::with_pair();
        folder.make("other");
        std::fs::write(folder.file("empty"), "").unwrap();
        std::fs::write(folder.file("broken"), "-----BEGIN CERTIFICATE-----\nsecret\n").unwrap();
        for (certificate, key, said) in [
            ("none", "tls.key", "tls.certificate: "),
            ("tls.crt", "none", "tls.key: "),
            ("empty", "tls.key", "empty holds no certificate; name a PEM file with one"),
            ("tls.key", "tls.key", "tls.key holds no certificate"),
            ("tls.crt", "tls.crt", "tls.crt holds no private key"),
            ("broken", "tls.key", "broken is not whole PEM"),
            ("tls.crt", "other.key", "other.key is not the key of the first certificate in"),
        ] {
            let fault = load(&folder.file(certificate), &folder.file(key)).unwrap_err();
            assert!(fault.message().contains(said), "{fault}");
            assert!(!fault.log_text().contains("secret"), "{}", fault.log_text());
        }
        let config = load(&folder.file("tls.crt"), &folder.file("tls.key")).unwrap();
        assert_eq!(config.alpn_protocols, [&b"h2"[..], b"http/1.1"]);
    }

    #[test]
    fn changed_files_are_read_again_and_wrong_ones_are_not_taken() {
        let folder = Folder::with_pair();
        let clock = Arc::new(ManualClock::at(0));
        let files = PairOfFiles { certificate: folder.file("tls.crt"), key: folder.file("tls.key") };
        let fresh = FreshPair::read(files, Arc::new(aws_lc_rs::default_provider()), clock.clone()).unwrap();
        let first = fresh.pair();
        folder.make("other");
        folder.replace("crt");
        assert!(Arc::ptr_eq(&first, &fresh.pair()), "not looked at yet");
        clock.advance(LOOK_AGAIN);
        assert!(Arc::ptr_eq(&first, &fresh.pair()), "its key is still the former one");
        folder.replace("key");
        clock.advance(LOOK_AGAIN);
        let second = fresh.pair();
        assert_ne!(first.cert, second.cert);
        std::fs::remove_file(folder.file("tls.key")).unwrap();
        clock.advance(LOOK_AGAIN);
        assert!(Arc::ptr_eq(&second, &fresh.pair()));
    }
}
