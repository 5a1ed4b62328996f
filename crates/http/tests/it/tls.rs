//! The service through TLS: both versions of HTTP, silent and confused clients, and ends that show.

use crate::edge::{Edge, dribble, impatient};
use crate::fakes::TOKEN_PREFIX;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tollbook_http::{ConnectionLimits, tls};

const SOON: Duration = Duration::from_secs(10);

/// A service with a certificate of its own, and what a client needs to believe it.
struct Secured {
    edge: Edge,
    roots: RootCertStore,
}

impl Secured {
    async fn start(limits: ConnectionLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("own.crt"), folder.path().join("own.key"));
        tls::self_signed(&certificate, &key, &["localhost".to_owned()]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(&certificate).unwrap()).unwrap();
        let edge = Edge::start(limits, Some(tls::load(&certificate, &key).unwrap())).await;
        Self { edge, roots }
    }

    async fn connect(&self, protocols: &[&str]) -> TlsStream<tokio::net::TcpStream> {
        let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").unwrap();
        let connected = TlsConnector::from(Arc::new(config)).connect(name, self.edge.connect().await);
        connected.await.unwrap()
    }

    async fn serves_honest_clients(&self) {
        let honest = async {
            let mut stream = self.connect(&["http/1.1"]).await;
            stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        };
        timeout(Duration::from_secs(2), honest).await.expect("an honest client is served promptly");
    }
}

#[tokio::test]
async fn both_versions_of_http_are_agreed_on() {
    let secured = Secured::start(impatient()).await;
    for (offered, agreed) in
        [(&["h2", "http/1.1"][..], Some("h2")), (&["http/1.1"], Some("http/1.1")), (&[], None)]
    {
        let stream = secured.connect(offered).await;
        let protocol =
            stream.get_ref().1.alpn_protocol().map(|name| String::from_utf8(name.to_vec()).unwrap());
        assert_eq!(protocol.as_deref(), agreed);
    }
    secured.serves_honest_clients().await;

    let stream = secured.connect(&["h2"]).await;
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    let ask = async move {
        let request = Request::get("https://localhost/healthz").body(Empty::<bytes::Bytes>::new()).unwrap();
        let answer = sender.send_request(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "{\"status\":\"ok\"}\n");
        drop(sender);
    };
    let (ended, ()) = tokio::join!(connection, ask);
    ended.unwrap();
    assert!(secured.edge.supervisor.stop(SOON).await.is_empty());
}

#[tokio::test]
async fn silent_and_slow_clients_are_cut_off_before_and_after_the_handshake() {
    let secured = Secured::start(impatient()).await;
    let mut slow = Vec::new();
    // Nothing; the start of a handshake; a handshake that never ends.
    for start in [&b""[..], &[22], &[22, 3, 1, 64, 0]] {
        let mut stream = secured.edge.connect().await;
        stream.write_all(start).await.unwrap();
        slow.push(async move { drop(stream.read_u8().await) });
    }
    let before = futures::future::join_all(slow);
    let mut endless = secured.edge.connect().await;
    endless.write_all(&[22, 3, 1, 64, 0]).await.unwrap();
    let mut silent = secured.connect(&["h2"]).await;
    let mut dribbling = secured.connect(&["http/1.1"]).await;
    dribbling.write_all(b"GET /healthz HTTP/1.1\r\nX-").await.unwrap();
    let all = async {
        tokio::join!(
            before,
            dribble(&mut endless, &[0]),
            async { drop(silent.read_u8().await) },
            dribble(&mut dribbling, b"a"),
        )
    };
    let honest = async {
        for _ in 0..10 {
            secured.serves_honest_clients().await;
        }
    };
    let (ended, ()) = tokio::join!(timeout(SOON, all), honest);
    assert!(ended.is_ok(), "somebody is still connected");
}

#[tokio::test]
async fn plain_text_is_told_to_speak_tls() {
    let secured = Secured::start(impatient()).await;
    let mut plain = secured.edge.connect().await;
    plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    timeout(SOON, plain.read_to_string(&mut answer)).await.expect("it ends").unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("write https://\n"), "{answer}");
    for nonsense in [&[22, 9, 9, 0, 1, 0][..], &[0; 100]] {
        let mut stream = secured.edge.connect().await;
        stream.write_all(nonsense).await.unwrap();
        let ended = timeout(SOON, stream.read_to_end(&mut Vec::new())).await;
        assert!(ended.is_ok(), "{nonsense:?}");
    }
    secured.serves_honest_clients().await;
}

#[tokio::test]
async fn an_export_cut_off_never_looks_whole_through_tls() {
    let secured = Secured::start(ConnectionLimits::default()).await;
    let ask = async |filter: &str| {
        let mut stream = secured.connect(&["http/1.1"]).await;
        let request = format!(
            "GET /api/v1/cdr/export?from=2026-01-01{filter} HTTP/1.0\r\nHost: h\r\n\
             Authorization: Bearer {TOKEN_PREFIX}admin\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    };
    let mut whole = String::new();
    ask("").await.read_to_string(&mut whole).await.expect("a whole export ends in peace");
    assert!(whole.ends_with("\r\n\r\none\ntwo\nthree\n"), "{whole}");
    let broken = ask("&trunk=broken").await.read_to_end(&mut Vec::new()).await;
    assert!(broken.is_err(), "closed as if it were whole");

    let mut endless = ask("&trunk=endless").await;
    assert_ne!(endless.read(&mut [0; 1024]).await.unwrap(), 0);
    assert_eq!(secured.edge.supervisor.stop(Duration::from_millis(50)).await, ["http"]);
    let cut = timeout(SOON, endless.read_to_end(&mut Vec::new())).await.expect("it is cut off");
    assert!(cut.is_err(), "closed as if it were whole");
}
