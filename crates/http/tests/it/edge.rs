//! The edge under attack: whoever sends slowly, too much or nothing loses his own connection and nobody else's.

use crate::fakes::{TOKEN_PREFIX, World};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tollbook_http::{Api, ConnectionLimits, HttpConfig, serve, serve_metrics};
use tollbook_kit::ids::IdSource;
use tollbook_kit::supervise::{OnError, Supervisor};

/// Within this, whatever has to end has ended.
const SOON: Duration = Duration::from_secs(10);
/// Within this, an honest client has his answer.
const PROMPTLY: Duration = Duration::from_secs(2);
const HONEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// A service whose bounds the test chooses.
pub(crate) struct Edge {
    pub(crate) address: SocketAddr,
    pub(crate) supervisor: Supervisor,
}

impl Edge {
    pub(crate) async fn start(
        connections: ConnectionLimits,
        tls: Option<Arc<tokio_rustls::rustls::ServerConfig>>,
    ) -> Self {
        let world = World::new();
        let supervisor = Supervisor::new();
        let ids = IdSource::new(world.clock.clone(), world.randomness.clone());
        let config = HttpConfig { connections, ..HttpConfig::default() };
        let api = Api::new(world.app().await, ids, world.clock.clone(), supervisor.stop_token(), &config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        supervisor.spawn("http", OnError::StopProcess, serve(listener, tls, api, config));
        Self { address, supervisor }
    }

    pub(crate) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// What is answered to these bytes, up to the end of the connection. The end may be a reset: a server that closes
    /// on a sender who has not finished cannot do otherwise.
    async fn answer_to(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect().await;
        let mut seen = Vec::new();
        let exchange = async {
            let _broken_pipe = stream.write_all(bytes).await;
            let _reset = stream.read_to_end(&mut seen).await;
        };
        timeout(SOON, exchange).await.expect("the connection ends");
        String::from_utf8_lossy(&seen).into_owned()
    }

    /// An honest client gets his answer in good time.
    async fn serves_honest_clients(&self) {
        let answer =
            timeout(PROMPTLY, self.answer_to(HONEST)).await.expect("an honest client is served promptly");
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
}

pub(crate) fn impatient() -> ConnectionLimits {
    ConnectionLimits { header_patience: Duration::from_millis(400), ..ConnectionLimits::default() }
}

/// Sends a piece again and again until the other end has had enough.
pub(crate) async fn dribble(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), piece: &[u8]) {
    let mut answer = [0; 1024];
    loop {
        tokio::select! {
            biased;
            read = stream.read(&mut answer) => match read {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            },
            () = tokio::time::sleep(Duration::from_millis(20)) => {
                if stream.write_all(piece).await.is_err() || stream.flush().await.is_err() {
                    return;
                }
            }
        }
    }
}

#[tokio::test]
async fn dribbled_headers_gain_no_time() {
    let edge = Edge::start(impatient(), None).await;
    let mut slow = Vec::new();
    for start in
        ["", "P", "PRI * HTTP/2.0\r\n", "GET /healthz HTTP/1.1\r\n", "GET /healthz HTTP/1.1\r\nHost: h\r\nX-"]
    {
        let mut stream = edge.connect().await;
        slow.push(async move {
            stream.write_all(start.as_bytes()).await.unwrap();
            let dribbled = timeout(SOON, dribble(&mut stream, b"a")).await;
            assert!(dribbled.is_ok(), "still open after its time: {start:?}");
        });
    }
    let honest = async {
        for _ in 0..20 {
            edge.serves_honest_clients().await;
        }
    };
    tokio::join!(futures::future::join_all(slow), honest);
}

#[tokio::test]
async fn silent_connections_give_way_to_honest_ones() {
    let patient = ConnectionLimits {
        most_connections: 8,
        most_of_address: Some(4),
        header_patience: Duration::from_secs(600),
        ..ConnectionLimits::default()
    };
    for limits in [ConnectionLimits { most_of_address: Some(8), ..patient.clone() }, patient] {
        let edge = Edge::start(limits, None).await;
        let mut silent = Vec::new();
        for _ in 0..20 {
            silent.push(edge.connect().await);
            edge.serves_honest_clients().await;
        }
        for _ in 0..20 {
            edge.serves_honest_clients().await;
        }
        let mut ended = 0;
        for stream in &mut silent {
            let end = timeout(Duration::from_millis(5), stream.read(&mut [0])).await;
            ended += usize::from(end.is_ok_and(|read| read.is_ok_and(|bytes| bytes == 0)));
        }
        assert!((12..=17).contains(&ended), "the oldest gave way, and no more than had to: {ended}");
    }
}

#[tokio::test]
async fn header_bombs_are_refused() {
    let edge = Edge::start(impatient(), None).await;
    let start = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n";
    let many = format!("{start}{}\r\n", "X-Bomb: 1\r\n".repeat(1000));
    let large = format!("{start}X-Bomb: {}\r\n\r\n", "x".repeat(1024 * 1024));
    let long = format!("GET /healthz?{} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", "x".repeat(9000));
    let longer = format!("GET /{} HTTP/1.1\r\nHost: h\r\n\r\n", "x".repeat(70_000));
    for (bomb, statuses) in [
        (many, &["HTTP/1.1 431 "][..]),
        (large, &["HTTP/1.1 431 ", ""]),
        (long, &["HTTP/1.1 414 "]),
        (longer, &["HTTP/1.1 414 ", "HTTP/1.1 431 ", ""]),
    ] {
        let answer = edge.answer_to(bomb.as_bytes()).await;
        let status = answer.split_inclusive(' ').take(2).collect::<String>();
        assert!(statuses.contains(&status.as_str()), "{answer}");
        edge.serves_honest_clients().await;
    }
}

/// The start of an HTTP/2 connection with default settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Sends frames until the other end has had enough; how many were taken before?
async fn flood(edge: &Edge, frames: impl Iterator<Item = Vec<u8>>) -> usize {
    let (mut reader, mut writer) = edge.connect().await.into_split();
    let mut nowhere = tokio::io::sink();
    let mut ended = std::pin::pin!(tokio::io::copy(&mut reader, &mut nowhere));
    let mut taken = 0;
    let flood = async {
        writer.write_all(PREFACE).await.unwrap();
        for frame in frames {
            tokio::select! {
                biased;
                _ = &mut ended => return,
                written = writer.write_all(&frame) => if written.is_err() { return },
            }
            taken += 1;
        }
        panic!("the whole flood was taken");
    };
    timeout(SOON, flood).await.expect("the flood ends");
    taken
}

#[tokio::test]
async fn floods_over_http_2_end_their_connection() {
    let (headers, reset, continuation) = (1, 3, 9);
    let (end_stream, end_headers) = (1, 4);
    // :method GET, :scheme http, :path /, :authority h
    let request = [0x82, 0x86, 0x84, 0x41, 1, b'h'];
    // A literal header without indexing, `x: aaa…`, cut off in its value.
    let bomb = [&[0x00, 1, b'x', 0x7f, 0x80, 0x80, 0x80, 0x08][..], &[b'a'; 1000]].concat();
    let edge = Edge::start(impatient(), None).await;
    let endless_headers = std::iter::once(frame(headers, end_stream, 1, &request))
        .chain(std::iter::repeat_n(frame(continuation, 0, 1, &bomb), 20_000));
    let taken = flood(&edge, endless_headers).await;
    assert!(taken < 5_000, "{taken} frames were taken");
    edge.serves_honest_clients().await;

    let resets = (0..200_000_u32).map(|number| {
        let stream = 2 * number + 1;
        let open = frame(headers, end_stream | end_headers, stream, &request);
        [open, frame(reset, 0, stream, &8_u32.to_be_bytes())].concat()
    });
    let taken = flood(&edge, resets).await;
    assert!(taken < 100_000, "{taken} streams were taken");
    edge.serves_honest_clients().await;
}

#[tokio::test]
async fn an_answer_over_http_2_that_nobody_takes_ends_its_connection() {
    let limits =
        ConnectionLimits { reader_patience: Duration::from_millis(400), ..ConnectionLimits::default() };
    let edge = Edge::start(limits, None).await;
    let mut stream = edge.connect().await;
    // SETTINGS_INITIAL_WINDOW_SIZE 0: the answer's head may come, and nothing of its body.
    let settings = frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let path = b"/healthz";
    // :method GET, :scheme http, :path /healthz, :authority h
    let request = [&[0x82, 0x86, 0x04, 8][..], path, &[0x41, 1, b'h']].concat();
    let opening = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..], &frame(1, 5, 1, &request)].concat();
    stream.write_all(&opening).await.unwrap();
    let mut seen = Vec::new();
    let ended = timeout(SOON, stream.read_to_end(&mut seen)).await;
    assert!(ended.is_ok(), "held open by an answer that nobody takes");
    // The head's frame: HEADERS, END_HEADERS, stream 1.
    assert!(seen.windows(6).any(|six| six == [1, 4, 0, 0, 0, 1]), "{seen:?}");
}

/// Lines of the log, as they are written.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_stop_ends_idle_connections_at_once_and_names_what_it_cuts() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(move || writer.clone());
    // For all threads: what only one of them listens to is lost when another one came by before.
    tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
    let edge = Edge::start(ConnectionLimits::default(), None).await;

    let mut silent = edge.connect().await;
    let mut idle = edge.connect().await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    assert_ne!(idle.read(&mut [0; 1024]).await.unwrap(), 0);
    let mut export = edge.connect().await;
    let peer = export.local_addr().unwrap();
    let request = format!(
        "GET /api/v1/cdr/export?from=2026-01-01&trunk=endless HTTP/1.1\r\nHost: h\r\n\
         Authorization: Bearer {TOKEN_PREFIX}admin\r\n\r\n"
    );
    export.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 13];
    export.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200 ");

    let stop = edge.supervisor.stop(Duration::from_secs(2));
    let idle_ones = async {
        for stream in [&mut silent, &mut idle] {
            let end = timeout(Duration::from_secs(1), stream.read_to_end(&mut Vec::new())).await;
            assert!(end.is_ok(), "an idle connection waits for others");
        }
    };
    let (late, ()) = tokio::join!(stop, idle_ones);
    assert_eq!(late, ["http"]);
    let cut = timeout(SOON, export.read_to_end(&mut Vec::new())).await.expect("it is cut off");
    assert!(cut.is_err(), "closed as if it were whole");

    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let peer = peer.to_string();
    let named: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &serde_json::Value| line["peer"] == *peer)
        .collect();
    assert_eq!(named.len(), 1, "{log}");
    assert_eq!(
        (&named[0]["method"], &named[0]["level"], &named[0]["message"]),
        (&"GET".into(), &"WARN".into(), &"a request is cut off by the stop".into())
    );
    assert!(named[0]["route"].as_str().unwrap().ends_with("/export"), "{log}");
    assert!(named[0]["age_s"].as_f64().unwrap() >= 2.0, "{log}");
}

#[tokio::test]
async fn numbers_have_a_port_of_their_own() {
    let render = tollbook_http::metrics::install().unwrap();
    let edge = Edge::start(impatient(), None).await;
    edge.serves_honest_clients().await;
    let unknown = "MADEUP /api/v1/sources/%2B491701234567 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";
    edge.answer_to(unknown.as_bytes()).await;

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    edge.supervisor.spawn(
        "metrics",
        OnError::Log,
        serve_metrics(listener, render, edge.supervisor.stop_token()),
    );
    let numbers = Edge { address, supervisor: edge.supervisor.clone() };
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let text = numbers.answer_to(get("/metrics").as_bytes()).await;
    let lowered = text.to_ascii_lowercase();
    assert!(lowered.contains("content-type: text/plain; version=0.0.4\r\n"), "{text}");
    for (number, labels) in [
        ("tollbook_http_requests_total", &["route=\"/healthz\"", "method=\"GET\"", "status=\"200\""][..]),
        ("tollbook_http_requests_total", &["dialect=\"native\"", "method=\"other\""]),
        ("tollbook_http_request_seconds_bucket", &["route=\"/healthz\"", "le=\"+Inf\""]),
        ("tollbook_http_received_bytes_total", &[]),
        ("tollbook_build_info", &["version=\""]),
    ] {
        let shown = text.lines().any(|line| {
            line.starts_with(number)
                && labels.iter().all(|label| line.contains(label))
                && !line.ends_with(" 0")
        });
        assert!(shown, "{number} {labels:?} not in\n{text}");
    }
    assert!(!text.contains("491701234567") && !text.contains("MADEUP"), "{text}");
    assert!(numbers.answer_to(get("/healthz").as_bytes()).await.starts_with("HTTP/1.1 200 "));
    assert!(numbers.answer_to(get("/api/v1/schemas").as_bytes()).await.starts_with("HTTP/1.1 404 "));
    assert!(edge.answer_to(get("/metrics").as_bytes()).await.starts_with("HTTP/1.1 404 "));
    assert!(edge.supervisor.stop(SOON).await.is_empty());
}
