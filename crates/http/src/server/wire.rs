//! The bytes of one connection, as they are on the wire: counted, and written only as long as somebody takes them.
//!
//! What they mean is not known here; below TLS they are sealed.

use crate::breaker::Breaker;
use metrics::Counter;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// Bytes of all connections.
#[derive(Clone)]
pub(super) struct WireCounters {
    pub(super) received: Counter,
    pub(super) sent: Counter,
}

/// A TCP stream with patience for its reader, and no more than that.
pub(super) struct Wire {
    socket: TcpStream,
    stalled: Option<Pin<Box<Sleep>>>,
    reader_patience: Duration,
    breaker: Breaker,
    counters: WireCounters,
}

impl Wire {
    pub(super) fn new(
        socket: TcpStream,
        reader_patience: Duration,
        breaker: Breaker,
        counters: WireCounters,
    ) -> Self {
        Self { socket, stalled: None, reader_patience, breaker, counters }
    }

    pub(super) fn socket(&self) -> &TcpStream {
        &self.socket
    }

    fn watch_reader(&mut self, cx: &mut Context<'_>, written: Poll<Result<usize>>) -> Poll<Result<usize>> {
        if let Poll::Ready(written) = written {
            self.stalled = None;
            if let Ok(bytes) = &written {
                self.counters.sent.increment(*bytes as u64);
            }
            return Poll::Ready(written);
        }
        let patience = self.reader_patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(stalled.as_mut().poll(cx));
        self.breaker.break_connection();
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the reader takes nothing any more")))
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.socket).poll_read(cx, buf))?;
        self.counters.received.increment((buf.filled().len() - before) as u64);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.watch_reader(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.watch_reader(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}
