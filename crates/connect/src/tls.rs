//! Whom outgoing TLS trusts: the machine's certificate authorities, and those of a file. Certificates are always
//! checked; there is no switch against it.
//!
//! Whether TLS is used is decided by who connects.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;
use tollbook_kit::fault::Fault;

/// The certificate authorities that the machine trusts, or those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name. A machine
/// that has none is told of in the log: everything but TLS still works there.
pub(crate) fn machine_roots() -> RootCertStore {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (_, unreadable) = roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        tracing::warn!(
            errors = found.errors.len(),
            unreadable,
            "this machine trusts no certificate authority: no https server can be called (install its ca-certificates)"
        );
    }
    roots
}

/// Adds the certificate authorities in a PEM file.
///
/// # Errors
/// `invalid`, parameter `ca_file`: it cannot be read, or holds no certificate.
pub(crate) fn add_file(roots: &mut RootCertStore, ca_file: &Path) -> Result<(), Fault> {
    let wrong = |reason: &'static str| Fault::parameter("ca_file", reason);
    let text = std::fs::read(ca_file).map_err(|error| wrong("cannot be read").with_source(error))?;
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| wrong("is not a PEM file").with_source(error))?;
        roots
            .add(certificate)
            .map_err(|error| wrong("holds a certificate that cannot be used").with_source(error))?;
    }
    if roots.len() == before { Err(wrong("holds no certificate")) } else { Ok(()) }
}

/// TLS 1.2 and 1.3 towards servers with certificates of these authorities.
pub(crate) fn client_config(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// Did a connection fail because the server's certificate is not trusted, or not for its name, or not now?
pub(crate) fn is_distrust(error: &(dyn Error + 'static)) -> bool {
    causes(error).any(|cause| matches!(cause.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))))
}

/// An error and everything beneath it. What an I/O error wraps is no source of it, but the error itself.
pub(crate) fn causes<'e>(
    error: &'e (dyn Error + 'static),
) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'e (dyn Error + 'static) = *error;
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        wrapped.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source())
    })
}
