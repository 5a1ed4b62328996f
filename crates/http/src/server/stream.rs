//! A TCP stream with patience: bounded waits for the first bytes and for a reader, and an end that shows when an
//! answer was broken off.

use super::ConnectionLimits;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// Length of what tells HTTP/2 from HTTP/1; until it is read, no header time-out runs yet.
const PREFACE_BYTES: usize = 24;

/// Marks a connection as broken: it is then reset instead of closed. HTTP/1.0 has no other way to tell a broken
/// answer from one that is whole, and proxies still speak it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Breaker(Arc<AtomicBool>);

impl Breaker {
    /// Has the connection reset when it ends.
    pub(crate) fn break_connection(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_broken(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// The stream of one connection.
pub(super) struct GuardedStream {
    stream: TcpStream,
    /// Bytes that must arrive before the deadline; none once they have, or an answer is being written.
    opening: Option<(usize, Pin<Box<Sleep>>)>,
    stalled: Option<Pin<Box<Sleep>>>,
    reader_patience: Duration,
    breaker: Breaker,
}

impl GuardedStream {
    pub(super) fn new(stream: TcpStream, limits: &ConnectionLimits, breaker: Breaker) -> Self {
        let deadline = Box::pin(tokio::time::sleep(limits.header_patience));
        let reader_patience = limits.reader_patience;
        Self { stream, opening: Some((PREFACE_BYTES, deadline)), stalled: None, reader_patience, breaker }
    }

    fn watch_reader(&mut self, cx: &mut Context<'_>, written: Poll<Result<usize>>) -> Poll<Result<usize>> {
        self.opening = None;
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.reader_patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(stalled.as_mut().poll(cx));
        self.breaker.break_connection();
        Poll::Ready(Err(Error::new(ErrorKind::TimedOut, "the reader takes nothing any more")))
    }
}

impl AsyncRead for GuardedStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        let this = &mut *self;
        if let Some((_, deadline)) = &mut this.opening
            && deadline.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(Error::new(
                ErrorKind::TimedOut,
                "the first request did not arrive in time",
            )));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, buf))?;
        let arrived = buf.filled().len() - before;
        if let Some((left, _)) = &mut this.opening {
            *left = left.saturating_sub(arrived);
            if *left == 0 {
                this.opening = None;
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for GuardedStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch_reader(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch_reader(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if self.breaker.is_broken() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Drop for GuardedStream {
    fn drop(&mut self) {
        if self.breaker.is_broken()
            && let Err(error) = self.stream.set_zero_linger()
        {
            tracing::debug!(%error, "a broken connection was closed instead of reset");
        }
    }
}
