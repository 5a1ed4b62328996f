//! A request under way: what it is, for those who ask what is late, and whether its answer is taken, for those who do not
//! wait for ever. It ends when the last byte of its answer has been written, or when the connection ends: whoever takes
//! an answer slowly has his connection for as long as it lasts.

use super::places::Line;
use crate::dialect::Dialect;
use crate::metrics::{self, Answered};
use ::metrics::Gauge;
use axum::body::{Body, HttpBody};
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http::{Method, StatusCode, Version};
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::Instant;

/// The slowest reader for whom an answer over HTTP/2 is kept, in bytes per second.
const SLOWEST_READER: u64 = 1024;
/// The reader has nothing to take for now.
const NOTHING_DUE: u64 = 0;

/// What is known of a request under way.
pub(crate) struct Running {
    /// Its method, "other" for those nobody knows.
    pub(super) method: &'static str,
    dialect: Dialect,
    route: OnceLock<Box<str>>,
    begun: Instant,
    status: AtomicU16,
    reader: Reader,
}

/// Over HTTP/1 a reader that takes nothing shows on the wire. Over HTTP/2 he holds back one answer while the wire stays
/// alive.
struct Reader {
    is_watched: bool,
    patience: Duration,
    /// When the piece of the answer that waits for him is due, in milliseconds since the request began.
    due_ms: AtomicU64,
    /// Bytes of the answer that were handed over to be written, and are not written yet.
    unwritten: AtomicU64,
}

impl Running {
    /// A request that begins now. Its reader may take nothing for as long as `reader_patience`.
    pub(super) fn new(method: &Method, path: &str, version: Version, reader_patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            method: metrics::method(method),
            dialect: Dialect::of(path),
            route: OnceLock::new(),
            begun: Instant::now(),
            status: AtomicU16::new(0),
            reader: Reader::new(version, reader_patience),
        })
    }

    /// The template of its route, "none" while none is known.
    pub(super) fn route(&self) -> &str {
        self.route.get().map_or("none", AsRef::as_ref)
    }

    /// For how long it has been under way.
    pub(super) fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// The dialect in which it is answered.
    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Has its reader taken nothing for too long?
    pub(super) fn is_stalled(&self) -> bool {
        self.reader.is_stalled(self.age())
    }
}

impl Reader {
    fn new(version: Version, patience: Duration) -> Self {
        let (due_ms, unwritten) = (AtomicU64::new(NOTHING_DUE), AtomicU64::new(0));
        Self { is_watched: version >= Version::HTTP_2, patience, due_ms, unwritten }
    }

    /// So many bytes of the answer wait for him now, at this age of the request.
    fn has(&self, bytes: u64, age: Duration) {
        if self.is_watched {
            let due = age + self.patience + Duration::from_secs(bytes / SLOWEST_READER);
            self.due_ms.store(due.as_millis() as u64, Ordering::Relaxed);
        }
    }

    /// He asks for more.
    fn took(&self) {
        self.due_ms.store(NOTHING_DUE, Ordering::Relaxed);
    }

    /// There is no more, but for what is not written yet.
    fn has_the_rest(&self, age: Duration) {
        match self.unwritten.load(Ordering::Relaxed) {
            0 => self.took(),
            bytes => self.has(bytes, age),
        }
    }

    fn is_stalled(&self, age: Duration) -> bool {
        let due = self.due_ms.load(Ordering::Relaxed);
        due != NOTHING_DUE && age > Duration::from_millis(due)
    }
}

/// Notes the route of a request. Runs inside the router: only there it is known.
pub(super) async fn note_route(request: Request, next: Next) -> Response {
    let extensions = request.extensions();
    if let (Some(running), Some(route)) = (extensions.get::<Arc<Running>>(), extensions.get::<MatchedPath>())
        // The router's own word for "anything else".
        && !route.as_str().contains("__private")
    {
        running.route.get_or_init(|| route.as_str().into());
    }
    next.run(request).await
}

/// Keeps a request among those under way, and has it measured at its end.
pub(super) struct UnderWay {
    pub(super) running: Arc<Running>,
    line: Arc<Line>,
    in_flight: Gauge,
}

impl UnderWay {
    pub(super) fn begin(running: Arc<Running>, line: Arc<Line>, in_flight: Gauge) -> Self {
        line.begin(running.clone());
        in_flight.increment(1.0);
        Self { running, line, in_flight }
    }

    /// The head of its answer is ready; `body` follows.
    pub(super) fn answered(self, status: StatusCode, body: Body) -> WatchedBody {
        self.running.status.store(status.as_u16(), Ordering::Relaxed);
        self.running.reader.has(0, self.running.age());
        WatchedBody { body, under_way: Arc::new(self) }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.line.end(&self.running);
        self.in_flight.decrement(1.0);
        let Running { method, dialect, status, .. } = &*self.running;
        metrics::answered(&Answered {
            dialect: dialect.name(),
            route: self.running.route(),
            method,
            status: status.load(Ordering::Relaxed),
            took: self.running.age(),
        });
    }
}

/// The body of an answer: as long as it, or a piece of it, is there, its request is under way.
pub(super) struct WatchedBody {
    body: Body,
    under_way: Arc<UnderWay>,
}

/// A piece of an answer that was handed over to be written. Whoever writes it drops it then.
struct Handed {
    piece: Bytes,
    under_way: Arc<UnderWay>,
}

impl Handed {
    /// The same bytes, whose end will be noted.
    fn over(piece: Bytes, under_way: &Arc<UnderWay>) -> Bytes {
        if piece.is_empty() {
            return piece;
        }
        under_way.running.reader.unwritten.fetch_add(piece.len() as u64, Ordering::Relaxed);
        Bytes::from_owner(Self { piece, under_way: under_way.clone() })
    }
}

impl AsRef<[u8]> for Handed {
    fn as_ref(&self) -> &[u8] {
        &self.piece
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        self.under_way.running.reader.unwritten.fetch_sub(self.piece.len() as u64, Ordering::Relaxed);
    }
}

impl HttpBody for WatchedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.under_way.running.reader.took();
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let running = &self.under_way.running;
        match &frame {
            Some(Ok(frame)) => {
                running.reader.has(frame.data_ref().map_or(0, Bytes::len) as u64, running.age());
            }
            Some(Err(_)) => {}
            None => running.reader.has_the_rest(running.age()),
        }
        let handed = |frame: Frame<Bytes>| frame.map_data(|piece| Handed::over(piece, &self.under_way));
        Poll::Ready(frame.map(|frame| frame.map(handed)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_readers_that_take_nothing_over_http_2_are_stalled() {
        let seconds = Duration::from_secs;
        for (version, bytes, waits, wanted) in [
            (Version::HTTP_11, 0, 1000, false),
            (Version::HTTP_2, 0, 9, false),
            (Version::HTTP_2, 0, 11, true),
            (Version::HTTP_2, 20 * 1024, 29, false),
            (Version::HTTP_2, 20 * 1024, 31, true),
        ] {
            let reader = Reader::new(version, seconds(10));
            assert!(!reader.is_stalled(seconds(100)), "there is nothing to take yet");
            reader.has(bytes, seconds(100));
            assert_eq!(reader.is_stalled(seconds(100 + waits)), wanted, "{version:?} {bytes} {waits}");
            reader.took();
            assert!(!reader.is_stalled(seconds(10_000)), "the engine is slow, not the reader");
        }
    }

    #[test]
    fn what_is_not_written_yet_is_still_due() {
        let reader = Reader::new(Version::HTTP_2, Duration::from_secs(10));
        reader.unwritten.store(20 * 1024, Ordering::Relaxed);
        reader.has_the_rest(Duration::ZERO);
        assert!(!reader.is_stalled(Duration::from_secs(29)));
        assert!(reader.is_stalled(Duration::from_secs(31)));
        reader.unwritten.store(0, Ordering::Relaxed);
        reader.has_the_rest(Duration::ZERO);
        assert!(!reader.is_stalled(Duration::from_secs(10_000)));
    }
}
