//! A small HTTP/1.1 server in the test itself: answers what it is told to and remembers what it was asked.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tollbook_kit::fault::Fault;
use tollbook_kit::supervise::{OnError, Supervisor};

/// What the server does with a request.
pub(crate) enum Answer {
    /// Sends these bytes and closes.
    Bytes(Vec<u8>),
    /// Sends these bytes again and again until nobody listens.
    Forever(&'static str, &'static str),
    /// Sends nothing and keeps the connection.
    Silence,
}

impl Answer {
    /// A whole reply with this body.
    pub(crate) fn body(status: &str, body: &str) -> Self {
        let length = body.len();
        Self::Bytes(format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes())
    }
}

/// Told a request's head and body, says what to answer.
type Answers = dyn Fn(&str) -> Answer + Send + Sync;

/// A running server; it ends with the test's runtime.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<String>>>,
    _tasks: Supervisor,
}

impl Server {
    /// A server on an address of this machine, in plain text.
    pub(crate) async fn start(answers: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        Self::on("127.0.0.1:0", None, answers).await
    }

    /// A server on this address, behind TLS when there is an acceptor.
    pub(crate) async fn on(
        address: &str,
        tls: Option<TlsAcceptor>,
        answers: impl Fn(&str) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (seen, tasks) = (Arc::new(Mutex::new(Vec::new())), Supervisor::new());
        let (remembered, connections) = (seen.clone(), tasks.clone());
        let answers: Arc<Answers> = Arc::new(answers);
        tasks.spawn("accepting", OnError::Log, async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tls, answers, seen) = (tls.clone(), answers.clone(), remembered.clone());
                connections.spawn("answering", OnError::Log, async move {
                    match tls {
                        None => serve(stream, &*answers, &seen).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &*answers, &seen).await;
                            }
                        }
                    }
                    Ok::<(), Fault>(())
                });
            }
            Ok(())
        });
        Self { address, seen, _tasks: tasks }
    }

    /// What it was asked so far, head and body of each request.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// Its URL under `127.0.0.1`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

async fn serve(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answers: &Answers,
    seen: &Mutex<Vec<String>>,
) {
    let mut bytes = Vec::new();
    let request = loop {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            break text;
        }
    };
    seen.lock().unwrap().push(request.clone());
    match answers(&request) {
        // A client that has heard enough may be gone.
        Answer::Bytes(answer) => drop(stream.write_all(&answer).await),
        Answer::Forever(head, piece) => {
            let mut written = stream.write_all(head.as_bytes()).await;
            while written.is_ok() {
                written = stream.write_all(piece.as_bytes()).await;
            }
        }
        Answer::Silence => drop(stream.read(&mut [0; 1]).await),
    }
    drop(stream.shutdown().await);
}

/// TLS for these names by a certificate that only the file vouches for.
pub(crate) fn tls_for(names: &[&str], file: &str) -> (TlsAcceptor, PathBuf) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
    let path = std::env::temp_dir().join(format!("tollbook-{}-{file}.pem", std::process::id()));
    std::fs::write(&path, cert.pem()).unwrap();
    (TlsAcceptor::from(Arc::new(config)), path)
}
