//! The plain text of one connection, guarded at both ends: a bounded wait for the first bytes, and an end that shows when
//! an answer was broken off.

use super::places::Line;
use super::transport::Transport;
use crate::breaker::Breaker;
use std::io::{Error, ErrorKind, IoSlice, Result};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

/// Length of what tells HTTP/2 from HTTP/1; until it is read, no header time-out runs yet.
const PREFACE_BYTES: usize = 24;

/// What requests are read from and answers are written to.
pub(super) struct GuardedStream {
    transport: Transport,
    /// Bytes that must arrive before the deadline; none once they have, or an answer is being written.
    opening: Option<(usize, Pin<Box<Sleep>>)>,
    breaker: Breaker,
    line: Arc<Line>,
    /// Would the kernel reset the connection at its end?
    resets: bool,
}

impl GuardedStream {
    pub(super) fn new(
        transport: Transport,
        header_patience: Duration,
        breaker: Breaker,
        line: Arc<Line>,
    ) -> Self {
        let opening = Some((PREFACE_BYTES, Box::pin(tokio::time::sleep(header_patience))));
        Self { transport, opening, breaker, line, resets: false }
    }

    /// What has to be so before anything is written.
    fn begin_write(&mut self) -> Result<()> {
        self.arm()?;
        self.opening = None;
        self.line.wrote();
        Ok(())
    }

    /// Has the kernel reset the connection at its end, if an answer is under way.
    fn arm(&mut self) -> Result<()> {
        if !self.resets && !self.breaker.at_rest() {
            self.transport.socket().set_zero_linger()?;
            self.resets = true;
        }
        Ok(())
    }

    /// Everything is written, down to the wire: lets the connection end in peace again, if that was the end of the
    /// answer.
    fn disarm(&mut self) -> Result<()> {
        if self.breaker.written() && self.resets {
            #[allow(deprecated, reason = "it is deprecated for the waiting, and none is asked for")]
            self.transport.socket().set_linger(None)?;
            self.resets = false;
        }
        Ok(())
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
        ready!(Pin::new(&mut this.transport).poll_read(cx, buf))?;
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
        self.begin_write()?;
        Pin::new(&mut self.transport).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        self.begin_write()?;
        Pin::new(&mut self.transport).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.transport.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        ready!(Pin::new(&mut self.transport).poll_flush(cx))?;
        self.line.flushed();
        Poll::Ready(self.disarm())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        if !self.breaker.at_rest() {
            // An orderly end, of TCP or of TLS, would say that the answer is whole.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}

impl Drop for GuardedStream {
    fn drop(&mut self) {
        if let Err(error) = self.arm() {
            tracing::debug!(%error, "a broken connection was closed instead of reset");
        }
    }
}
