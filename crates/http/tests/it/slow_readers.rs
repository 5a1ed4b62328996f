//! Readers who take their files slowly: how much is held for them, and that they get everything in the end.

use crate::fakes::World;
use crate::shelf::{ORDER, id_of, make_ready, order, target};
use crate::{Service, unlimited};
use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::{self, BoxStream};
use http::{Request, Version};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tollbook_app::{App, Ports};
use tollbook_http::{ConnectionLimits, HttpConfig};
use tollbook_kit::fault::Fault;
use tollbook_model::export_job::ExportPart;
use tollbook_model::ports::{Artifacts, CHUNK_BYTES};

const KIB: usize = 1024;

/// Files of one letter, which know how much of them is in memory.
#[derive(Clone, Default)]
struct Flood {
    held: Arc<AtomicUsize>,
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
        let held = self.held.clone();
        let chunks = range.clone().step_by(CHUNK_BYTES).map(move |start| {
            let bytes = vec![b'x'; usize::try_from(range.end - start).unwrap().min(CHUNK_BYTES)];
            held.fetch_add(bytes.len(), Ordering::SeqCst);
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
    let (world, flood) = (World::new(), Flood::default());
    // Tokens and tenants are made by the first use cases on this world.
    world.app().await;
    let ports = Ports { artifacts: Arc::new(flood.clone()), ..world.ports() };
    let app = App::open(ports).await.unwrap();
    let config = HttpConfig { limits: unlimited(), connections, ..HttpConfig::default() };
    let service = Service::over(world, app, config).await;
    let id = id_of(&order(&service, "admin", ORDER).await.json());
    make_ready(&service.world, id, bytes as u64);
    let job = service.as_admin(&format!("GET /api/v1/export-jobs/{id}"), b"").await.json();
    let link = target(&job["download_url"]);
    (service, flood, link)
}

/// A reader who has read the first byte of his answer.
async fn begun(service: &Service, link: &str) -> TcpStream {
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    let request = format!("GET {link} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 1);
    stream
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
    let bytes = 2048 * KIB;
    let (service, flood, link) = with_file(bytes, ConnectionLimits::default()).await;
    let readers = join_all((0..READERS).map(|_| begun(&service, &link))).await;
    let held = flood.held_at_rest().await / READERS;
    assert!((1..=2 * CHUNK_BYTES).contains(&held), "{held} bytes per reader");
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
    let uri = format!("http://{}{link}", service.address);
    // Each by himself, and several on one connection.
    for streams in [1, 1, 1, 1, 1, READERS - 5] {
        let stream = TcpStream::connect(service.address).await.unwrap();
        let mut builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
        let window = u32::try_from(CHUNK_BYTES).unwrap() - 1;
        builder.initial_stream_window_size(window).initial_connection_window_size(1 << 24);
        let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
        connections.spawn(connection);
        for _ in 0..streams {
            let request = Request::get(&uri).version(Version::HTTP_2).body(Empty::<Bytes>::new()).unwrap();
            answers.push(sender.send_request(request).await.unwrap());
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
        let mut next = TcpStream::connect(service.address).await.unwrap();
        let _reset = next.write_all(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").await;
        let answered = next.read(&mut [0; 16]).await.is_ok_and(|read| read > 0);
        turned_away += usize::from(!answered);
        let count = rest_of(slow).await;
        assert!(count >= kib * KIB, "{count} bytes of {kib} KiB");
    }
    assert!(turned_away > 0, "every file was in the kernel at once: nothing was tried");
}

/// Run it by itself: `cargo test -p tollbook-http memory_of -- --ignored --test-threads=1`.
#[tokio::test]
#[ignore = "measures the memory of the process, which other tests need too"]
async fn memory_of_a_thousand_slow_readers() {
    const READERS: usize = 1000;
    let (service, flood, link) = with_file(64 * 1024 * KIB, ConnectionLimits::default()).await;
    drop(begun(&service, &link).await);
    let before = resident_bytes();
    let readers = join_all((0..READERS).map(|_| begun(&service, &link))).await;
    let held = flood.held_at_rest().await / READERS;
    let resident = resident_bytes().saturating_sub(before) / READERS;
    println!("per reader: {} KiB resident, {} KiB of the file", resident / KIB, held / KIB);
    assert!(resident <= 256 * KIB, "{resident} bytes per reader");
    drop(readers);
}

/// Memory of this process, with both ends of all connections.
fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * KIB
}
