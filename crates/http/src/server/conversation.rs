//! One connection from its first byte to its last: the handshake, requests and answers, and every reason to end it.

use super::guarded::GuardedStream;
use super::places::{Line, Place};
use super::running::{Running, UnderWay, WatchedBody};
use super::transport::{HandshakeFailure, Transport};
use super::wire::{Wire, WireCounters};
use crate::breaker::Breaker;
use crate::config::ConnectionLimits;
use crate::metrics::{self, ConnectionNumbers};
use crate::proxies::Peer;
use axum::Router;
use axum::body::Body;
use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tollbook_kit::fault::Code;
use tollbook_kit::supervise::StopToken;
use tower::ServiceExt;

/// Headers of one request over HTTP/1, with its first line, and with what follows them in the same read. Of an answer,
/// a further piece is asked for only when less than this waits to be written.
const MOST_HEAD_BYTES: usize = 64 * 1024;
/// The same for an answer over HTTP/2. With the piece that comes then, the next one that waits already, and what TLS
/// keeps, a reader who takes nothing holds less than 256 KiB.
const MOST_WAITING_BYTES: usize = 32 * 1024;
/// Bytes that wait in the kernel for their turn on the wire. What is on its way is not among them, so this slows nobody;
/// without it the kernel takes about 4 MB for each reader who is slow.
#[cfg(target_os = "linux")]
const MOST_UNSENT_BYTES: u32 = 128 * 1024;
/// Header lines of one request over HTTP/1.
const MOST_HEADERS: usize = 100;
/// Headers of one request over HTTP/2, as RFC 9113 counts them.
const MOST_HEADER_LIST_BYTES: u32 = 16 * 1024;
/// Path and query of a request.
const MOST_URI_BYTES: usize = 8 * 1024;
/// Requests at once on one HTTP/2 connection.
const MOST_STREAMS: u32 = 100;
/// Streams that a client opened and reset before they were looked at, and streams reset for its mistakes, on one
/// connection: who has more floods.
const MOST_RESET_STREAMS: usize = 50;
/// How long an HTTP/2 connection may be open without a request. Over HTTP/1 the patience for headers ends it before.
const IDLE_PATIENCE: Duration = Duration::from_secs(300);
/// At least, and at most, so often a connection is asked whether it should end.
const ROUNDS: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(15));

/// What all connections of a listener have in common.
pub(super) struct Conversations {
    router: Router,
    tls: Option<TlsAcceptor>,
    builder: auto::Builder<TokioExecutor>,
    limits: ConnectionLimits,
    numbers: ConnectionNumbers,
    stop: StopToken,
}

impl Conversations {
    pub(super) fn new(
        router: Router,
        tls: Option<TlsAcceptor>,
        limits: ConnectionLimits,
        numbers: ConnectionNumbers,
        stop: StopToken,
    ) -> Self {
        let builder = builder(&limits);
        Self { router, tls, builder, limits, numbers, stop }
    }

    /// Serves one connection to its end.
    pub(super) async fn converse(self: Arc<Self>, socket: TcpStream, place: Place) {
        let _open = OpenConnection::count(&self.numbers);
        if let Err(error) = tune(&socket) {
            tracing::debug!(%error, "connection lost before its first request");
            return;
        }
        let breaker = Breaker::default();
        let counters =
            WireCounters { received: self.numbers.received.clone(), sent: self.numbers.sent.clone() };
        let wire = Wire::new(socket, self.limits.reader_patience, breaker.clone(), counters);
        let transport = tokio::select! {
            transport = self.plain_text(wire) => transport,
            () = place.line.leave.cancelled() => return,
            () = self.stop.cancelled() => return,
        };
        if let Some(transport) = transport {
            let patience = self.limits.header_patience;
            let stream = GuardedStream::new(transport, patience, breaker.clone(), place.line.clone());
            self.answer_all(stream, &place.line, breaker).await;
        }
    }

    /// The way to plain text; none when the handshake failed.
    async fn plain_text(&self, wire: Wire) -> Option<Transport> {
        let Some(acceptor) = &self.tls else { return Some(Transport::Plain(wire)) };
        let handshake = Transport::through_tls(wire, acceptor);
        let reason = match tokio::time::timeout(self.limits.header_patience, handshake).await {
            Ok(Ok(transport)) => return Some(transport),
            Ok(Err(HandshakeFailure::Nothing)) => return None,
            Ok(Err(HandshakeFailure::PlainText)) => "plain_text",
            Ok(Err(HandshakeFailure::Refused)) => "refused",
            Err(_) => "too_slow",
        };
        metrics::handshake_failed(reason);
        None
    }

    async fn answer_all(self: &Arc<Self>, stream: GuardedStream, line: &Arc<Line>, breaker: Breaker) {
        let (all, of_line) = (self.clone(), line.clone());
        let service = hyper::service::service_fn(move |request: Request<Incoming>| {
            all.clone().answer(request, of_line.clone(), breaker.clone())
        });
        let mut connection = std::pin::pin!(self.builder.serve_connection(TokioIo::new(stream), service));
        let round = (self.limits.reader_patience / 4).clamp(ROUNDS.0, ROUNDS.1);
        let mut rounds = tokio::time::interval_at(Instant::now() + round, round);
        let mut ends = false;
        let ended = loop {
            let should_end = tokio::select! {
                ended = connection.as_mut() => break ended,
                () = line.leave.cancelled() => return,
                () = self.stop.cancelled(), if !ends => true,
                _ = rounds.tick() => {
                    let idle_for = line.idle_for();
                    if line.is_stalled() || idle_for > IDLE_PATIENCE + self.limits.reader_patience {
                        tracing::debug!(peer = %line.peer, "the reader takes nothing any more");
                        return;
                    }
                    idle_for > IDLE_PATIENCE
                }
            };
            if should_end && !ends {
                ends = true;
                connection.as_mut().graceful_shutdown();
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error, "connection ended early");
        }
    }

    async fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
        line: Arc<Line>,
        breaker: Breaker,
    ) -> Result<Response<WatchedBody>, Infallible> {
        let peer = Peer(line.peer);
        let (method, uri, version) = (request.method(), request.uri(), request.version());
        let running = Running::new(method, uri.path(), version, self.limits.reader_patience);
        let is_too_long = uri.path_and_query().is_some_and(|text| text.as_str().len() > MOST_URI_BYTES);
        let under_way = UnderWay::begin(running.clone(), line, self.numbers.in_flight.clone());
        let response = if is_too_long {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::URI_TOO_LONG;
            response
        } else {
            let mut request = request.map(Body::new);
            let extensions = request.extensions_mut();
            extensions.insert(peer);
            extensions.insert(running.clone());
            // HTTP/2 tells the end of each answer itself, and other answers share the connection.
            if version < Version::HTTP_2 {
                extensions.insert(breaker);
            }
            match self.router.clone().oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        };
        if let Some(code) = response.extensions().get::<Code>() {
            metrics::refused(running.dialect().name(), *code);
        }
        let status = response.status();
        Ok(response.map(|body| under_way.answered(status, body)))
    }
}

fn builder(limits: &ConnectionLimits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_patience)
        .max_buf_size(MOST_HEAD_BYTES)
        .max_headers(MOST_HEADERS);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(MOST_HEADER_LIST_BYTES)
        .max_pending_accept_reset_streams(MOST_RESET_STREAMS)
        .max_local_error_reset_streams(MOST_RESET_STREAMS)
        // No pings: their answers come behind all that a slow reader has still to take, and whoever takes or sends
        // nothing is found out without.
        .max_send_buf_size(MOST_WAITING_BYTES);
    builder
}

/// Sets a socket up for answers of any length to readers of any speed.
fn tune(socket: &TcpStream) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(socket).set_tcp_notsent_lowat(MOST_UNSENT_BYTES)?;
    Ok(())
}

/// Counts a connection for as long as it is open.
struct OpenConnection(::metrics::Gauge);

impl OpenConnection {
    fn count(numbers: &ConnectionNumbers) -> Self {
        numbers.connections.increment(1.0);
        Self(numbers.connections.clone())
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}
