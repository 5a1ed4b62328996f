//! Readers who take their files slowly: how much is held for them, and that they get everything in the end.

use crate::fakes::World;
use crate::shelf::{ORDER, id_of, make_ready, order, target};
use crate::{Service, unlimited};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::{self, BoxStream};
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use tollbook_app::{App, Ports};
use tollbook_http::{ConnectionLimits, HttpConfig, tls};
use tollbook_kit::fault::Fault;
use tollbook_model::export_job::ExportPart;
use tollbook_model::ports::{Artifacts, CHUNK_BYTES};

const KIB: usize = 1024;

/// Files of one letter, which know how much of them is in memory.
#[derive(Clone, Default)]
struct Flood {
    held: Arc<AtomicUsize>,
    /// How much of them was read in all.
    read: Arc<AtomicUsize>,
}

struct Chunk {
    bytes: Vec<u8>,
    held: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        self.held.fetch_sub(self.bytes.len(), Ordering::SeqCst);
    }
}

#[async_trait]
impl Artifacts for Flood {
    async fn read(
        &self,
        _: Vec<ExportPart>,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, Fault>>, Fault> {
        let Self { held, read } = self.clone();
        let chunks = range.clone().step_by(CHUNK_BYTES).map(move |start| {
            let bytes = vec![b'x'; usize::try_from(range.end - start).unwrap().min(CHUNK_BYTES)];
            held.fetch_add(bytes.len(), Ordering::SeqCst);
            read.fetch_add(bytes.len(), Ordering::SeqCst);
            Ok(Bytes::from_owner(Chunk { bytes, held: held.clone() }))
        });
        Ok(stream::iter(chunks).boxed())
    }
    async fn erase(&self, _: Vec<String>) -> Result<(), Fault> {
        Ok(())
    }
}

impl Flood {
    fn held(&self) -> usize {
        self.held.load(Ordering::SeqCst)
    }

    /// What is held once nothing moves any more.
    async fn held_at_rest(&self) -> usize {
        let (mut held, mut unchanged) = (0, 0);
        for _ in 0..1000 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            unchanged = if self.held() == held { unchanged + 1 } else { 0 };
            held = self.held();
            if held > 0 && unchanged == 25 {
                return held;
            }
        }
        panic!("{held} bytes are held, and it does not come to rest");
    }
}

/// A service with a file of so many bytes, and the link to it.
async fn with_file(bytes: usize, connections: ConnectionLimits) -> (Service, Flood, String) {
    with_file_behind(bytes, connections, None).await
}

/// The same behind TLS, if there is any.
async fn with_file_behind(
    bytes: usize,
    connections: ConnectionLimits,
    tls: Option<Arc<ServerConfig>>,
) -> (Service, Flood, String) {
    let (world, flood) = (World::new(), Flood::default());
    // Tokens and tenants are made by the first use cases on this world.
    world.app().await;
    let ports = Ports { artifacts: Arc::new(flood.clone()), ..world.ports() };
    let app = App::open(ports).await.unwrap();
    let config = HttpConfig { limits: unlimited(), connections, ..HttpConfig::default() };
    // The link is fetched from a listener of its own, in plain text.
    let other = App::open(world.ports()).await.unwrap();
    let in_plain_text = Service::over(world.clone(), other, config.clone(), None).await;
    let id = id_of(&order(&in_plain_text, "admin", ORDER).await.json());
    make_ready(&world, id, bytes as u64);
    let job = in_plain_text.as_admin(&format!("GET /api/v1/export-jobs/{id}"), b"").await.json();
    let link = target(&job["download_url"]);
    let service = Service::over(world, app, config, tls).await;
    (service, flood, link)
}

/// A reader who has read the first byte of his answer.
async fn begun(service: &Service, link: &str) -> TcpStream {
    begin(TcpStream::connect(service.address).await.unwrap(), link).await
}

async fn begin<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, link: &str) -> S {
    let request = format!("GET {link} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 1);
    stream
}

/// A client of HTTP/2 who takes at first so much of each answer.
async fn over_http_2(
    stream: Box<dyn Duplex>,
    window: usize,
    connections: &mut JoinSet<Result<(), hyper::Error>>,
) -> SendRequest<Empty<Bytes>> {
    let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let window = u32::try_from(window).unwrap();
    builder.initial_stream_window_size(window).initial_connection_window_size(1 << 24);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    connections.spawn(connection);
    sender
}

async fn ask(sender: &mut SendRequest<Empty<Bytes>>, link: &str) -> Response<Incoming> {
    let request = Request::get(format!("http://localhost{link}")).version(Version::HTTP_2);
    let answer = sender.send_request(request.body(Empty::new()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    answer
}

async fn begun_over_http_2(
    stream: Box<dyn Duplex>,
    link: &str,
    window: usize,
    connections: &mut JoinSet<Result<(), hyper::Error>>,
) -> Response<Incoming> {
    ask(&mut over_http_2(stream, window, connections).await, link).await
}

/// Reads the rest; answers how much of the file there was.
async fn rest_of(mut stream: TcpStream) -> usize {
    let (mut count, mut piece) = (0, vec![0; 64 * KIB]);
    loop {
        match stream.read(&mut piece).await.unwrap() {
            0 => return count,
            read => count += piece[..read].iter().filter(|&&byte| byte == b'x').count(),
        }
    }
}

#[tokio::test]
async fn little_is_held_for_a_slow_reader() {
    const READERS: usize = 50;
    let bytes = 4096 * KIB;
    let (service, flood, link) = with_file(bytes, ConnectionLimits::default()).await;
    let readers = join_all((0..READERS).map(|_| begun(&service, &link))).await;
    let held = flood.held_at_rest().await / READERS;
    assert!((1..=2 * CHUNK_BYTES).contains(&held), "{held} bytes per reader");
    // What is not held here any more is in the kernel, on either side.
    let read = flood.read.load(Ordering::SeqCst) / READERS;
    assert!(read <= 768 * KIB, "{read} bytes read ahead per reader");
    // One `x` may be in the head.
    for count in join_all(readers.into_iter().map(rest_of)).await {
        assert!(count >= bytes, "{count} of {bytes} bytes");
    }
    assert_eq!(flood.held(), 0);
}

#[tokio::test]
async fn little_is_held_for_a_slow_reader_over_http_2() {
    const READERS: usize = 20;
    let bytes = 2048 * KIB;
    let (service, flood, link) = with_file(bytes, ConnectionLimits::default()).await;
    let (mut answers, mut connections) = (Vec::new(), JoinSet::new());
    // Each by himself, and several on one connection.
    for streams in [1, 1, 1, 1, 1, READERS - 5] {
        let stream = open(&service, None).await;
        let mut sender = over_http_2(stream, CHUNK_BYTES - 1, &mut connections).await;
        for _ in 0..streams {
            answers.push(ask(&mut sender, &link).await);
        }
    }
    let held = flood.held_at_rest().await / READERS;
    assert!((1..=3 * CHUNK_BYTES).contains(&held), "{held} bytes per reader");
    let whole = answers
        .into_iter()
        .map(|answer| async { answer.into_body().collect().await.unwrap().to_bytes().len() });
    assert!(join_all(whole).await.into_iter().all(|count| count == bytes));
    assert_eq!(flood.held(), 0);
}

/// Whatever part of the file is still in the service when the last byte of it was handed over: whoever still takes it
/// keeps his connection, and the next one of his address finds no place.
#[tokio::test]
async fn who_still_takes_his_file_does_not_give_way() {
    let mut turned_away = 0;
    for kib in (64..=640).step_by(32) {
        let limits = ConnectionLimits { most_of_address: Some(1), ..ConnectionLimits::default() };
        let (service, _, link) = with_file(kib * KIB, limits).await;
        let slow = begun(&service, &link).await;
        turned_away += usize::from(!is_next_answered(&service).await);
        let count = rest_of(slow).await;
        assert!(count >= kib * KIB, "{count} bytes of {kib} KiB");
    }
    assert!(turned_away > 0, "every file was in the kernel at once: nothing was tried");

    let limits = ConnectionLimits { most_of_address: Some(1), ..ConnectionLimits::default() };
    let (service, flood, link) = with_file(20 * KIB, limits).await;
    let mut connections = JoinSet::new();
    let slow = begun_over_http_2(open(&service, None).await, &link, KIB, &mut connections).await;
    assert_eq!(flood.held_at_rest().await, 20 * KIB, "all of it was handed over");
    assert!(!is_next_answered(&service).await);
    assert_eq!(slow.into_body().collect().await.unwrap().to_bytes().len(), 20 * KIB);
}

/// Does another connection get its answer?
async fn is_next_answered(service: &Service) -> bool {
    let mut next = TcpStream::connect(service.address).await.unwrap();
    let _reset = next.write_all(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").await;
    next.read(&mut [0; 16]).await.is_ok_and(|read| read > 0)
}

/// Measures 1,000 readers who take nothing. Each needs a process of its own:
/// `cargo test -p tollbook-http memory_over_http_1_and_tls -- --ignored --nocapture`, for example. What the clients hold
/// counts too.
#[allow(clippy::print_stdout, reason = "the figures of a run, for whoever looks")]
async fn measure(is_sealed: bool, is_http_2: bool) {
    const READERS: usize = 1000;
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key) = (folder.path().join("own.crt"), folder.path().join("own.key"));
    tls::self_signed(&certificate, &key, &["localhost".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(&certificate).unwrap()).unwrap();
    let own = is_sealed.then(|| tls::load(&certificate, &key).unwrap());
    let (service, flood, link) = with_file_behind(64 * 1024 * KIB, ConnectionLimits::default(), own).await;
    let connector = is_sealed.then(|| connector(&roots, if is_http_2 { "h2" } else { "http/1.1" }));
    let (mut idle, mut connections) = (Vec::new(), JoinSet::new());
    let before = resident_bytes();
    for _ in 0..READERS {
        let stream = open(&service, connector.as_ref()).await;
        idle.push(if is_http_2 {
            Reader::Two(begun_over_http_2(stream, &link, KIB, &mut connections).await)
        } else {
            Reader::One(begin(stream, &link).await)
        });
    }
    let held = flood.held_at_rest().await / READERS;
    let resident = resident_bytes().saturating_sub(before) / READERS;
    println!("{} KiB resident per reader, of these {} KiB of the file", resident / KIB, held / KIB);
    assert!(resident <= 256 * KIB, "{resident} bytes per reader");
    assert_eq!(idle.len(), READERS);
}

macro_rules! memory {
    ($name:ident, $is_sealed:literal, $is_http_2:literal) => {
        #[tokio::test]
        #[ignore = "measures the memory of the process, which other tests need too"]
        async fn $name() {
            measure($is_sealed, $is_http_2).await;
        }
    };
}

memory!(memory_over_http_1, false, false);
memory!(memory_over_http_1_and_tls, true, false);
memory!(memory_over_http_2, false, true);
memory!(memory_over_http_2_and_tls, true, true);

/// A reader who does nothing.
#[allow(dead_code, reason = "held, never looked into")]
enum Reader {
    One(Box<dyn Duplex>),
    Two(Response<Incoming>),
}

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

fn connector(roots: &RootCertStore, protocol: &str) -> TlsConnector {
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.as_bytes().to_vec()];
    TlsConnector::from(Arc::new(config))
}

async fn open(service: &Service, connector: Option<&TlsConnector>) -> Box<dyn Duplex> {
    let stream = TcpStream::connect(service.address).await.unwrap();
    match connector {
        None => Box::new(stream),
        Some(connector) => {
            let name = ServerName::try_from("localhost").unwrap();
            Box::new(connector.connect(name, stream).await.unwrap())
        }
    }
}

/// Memory of this process, with both ends of all connections.
fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * KIB
}
