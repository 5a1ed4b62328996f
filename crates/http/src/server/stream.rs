//! A TCP stream with patience: bounded waits for the first bytes and for a reader, and an end that shows when an
//! answer was broken off.

use super::ConnectionLimits;
use crate::breaker::Breaker;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;

/// Length of what tells HTTP/2 from HTTP/1; until it is read, no header time-out runs yet.
const PREFACE_BYTES: usize = 24;

/// The stream of one connection.
pub(super) struct GuardedStream {
    stream: TcpStream,
    /// Bytes that must arrive before the deadline; none once they have, or an answer is being written.
    opening: Option<(usize, Pin<Box<Sleep>>)>,
    stalled: Option<Pin<Box<Sleep>>>,
    reader_patience: Duration,
    breaker: Breaker,
    /// Would the kernel reset the connection at its end?
    resets: bool,
}

impl GuardedStream {
    pub(super) fn new(stream: TcpStream, limits: &ConnectionLimits, breaker: Breaker) -> Self {
        let deadline = Box::pin(tokio::time::sleep(limits.header_patience));
        let reader_patience = limits.reader_patience;
        let opening = Some((PREFACE_BYTES, deadline));
        Self { stream, opening, stalled: None, reader_patience, breaker, resets: false }
    }

    /// Has the kernel reset the connection at its end, if an answer is under way.
    fn arm(&mut self) -> Result<()> {
        if !self.resets && !self.breaker.at_rest() {
            self.stream.set_zero_linger()?;
            self.resets = true;
        }
        Ok(())
    }

    /// Everything is written: lets the connection end in peace again, if that was the end of the answer.
    fn disarm(&mut self) -> Result<()> {
        if self.breaker.written() && self.resets {
            #[allow(deprecated, reason = "it is deprecated for the waiting, and none is asked for")]
            self.stream.set_linger(None)?;
            self.resets = false;
        }
        Ok(())
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
        self.arm()?;
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch_reader(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        self.arm()?;
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch_reader(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
        Poll::Ready(self.disarm())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if !self.breaker.at_rest() {
            // An orderly end would say that the answer is whole.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

impl Drop for GuardedStream {
    fn drop(&mut self) {
        if let Err(error) = self.arm() {
            tracing::debug!(%error, "a broken connection was closed instead of reset");
        }
    }
}
