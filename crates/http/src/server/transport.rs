//! A connection's way to plain text: as it is on the wire, or through TLS.

use super::wire::Wire;
use rustls::ServerConnection;
use std::io::{IoSlice, Result};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// With what every TLS connection begins: a record with a handshake.
const TLS_HANDSHAKE: u8 = 22;
/// Read of a request in plain text before it is answered, so that its sender sees the answer.
const PLAIN_REQUEST_BYTES: usize = 16 * 1024;
/// Bytes that were sealed and cannot be written yet.
const MOST_SEALED_BYTES: usize = 32 * 1024;
const SPEAK_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 43\r\n\
                           Connection: close\r\n\r\nthis port takes https only; write https://\n";

/// Plain text, either way.
pub(super) enum Transport {
    /// As it is on the wire.
    Plain(Wire),
    /// Through TLS.
    Tls(Box<TlsStream<Wire>>),
}

/// How a handshake ended without a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HandshakeFailure {
    /// Nothing was sent: somebody looked whether the port is open.
    Nothing,
    /// A request in plain text.
    PlainText,
    /// No common ground, or broken off.
    Refused,
}

impl Transport {
    /// Shakes hands. Whoever speaks plain HTTP is told what is expected.
    pub(super) async fn through_tls(
        mut wire: Wire,
        acceptor: &TlsAcceptor,
    ) -> std::result::Result<Self, HandshakeFailure> {
        let mut first = [0];
        match wire.socket().peek(&mut first).await {
            Ok(1..) if first == [TLS_HANDSHAKE] => {}
            Ok(1..) => {
                if let Err(error) = tell_to_speak_tls(&mut wire).await {
                    tracing::debug!(%error, "a connection in plain text was lost");
                }
                return Err(HandshakeFailure::PlainText);
            }
            Ok(0) | Err(_) => return Err(HandshakeFailure::Nothing),
        }
        let bounded = |session: &mut ServerConnection| session.set_buffer_limit(Some(MOST_SEALED_BYTES));
        match acceptor.accept_with(wire, bounded).await {
            Ok(stream) => Ok(Self::Tls(Box::new(stream))),
            Err(error) => {
                tracing::debug!(%error, "a TLS handshake failed");
                Err(HandshakeFailure::Refused)
            }
        }
    }

    /// The socket beneath.
    pub(super) fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(wire) => wire.socket(),
            Self::Tls(stream) => stream.get_ref().0.socket(),
        }
    }
}

async fn tell_to_speak_tls(wire: &mut Wire) -> Result<()> {
    // What is left unread would make the kernel reset the connection, and the answer be lost.
    let _bytes = wire.read(&mut vec![0; PLAIN_REQUEST_BYTES]).await?;
    wire.write_all(SPEAK_TLS).await?;
    wire.shutdown().await
}

/// The same call, whichever way.
macro_rules! either {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Transport::Plain(wire) => {
                let $stream = Pin::new(wire);
                $call
            }
            Transport::Tls(stream) => {
                let $stream = Pin::new(stream.as_mut());
                $call
            }
        }
    };
}

impl AsyncRead for Transport {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<()>> {
        either!(self, stream => stream.poll_read(cx, buf))
    }
}

impl AsyncWrite for Transport {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<Result<usize>> {
        either!(self, stream => stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<Result<usize>> {
        either!(self, stream => stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(wire) => wire.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        either!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        either!(self, stream => stream.poll_shutdown(cx))
    }
}

#[cfg(test)]
mod tests {
    use super::SPEAK_TLS;

    #[test]
    fn the_answer_in_plain_text_is_as_long_as_it_says() {
        let text = std::str::from_utf8(SPEAK_TLS).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{}", body.len());
    }
}
