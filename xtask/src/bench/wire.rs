//! The client's side of HTTP/1.1 over loopback: as little work as possible, so that the server is what is measured.

use super::Trouble;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use tokio::net::TcpStream;

/// One connection that is kept.
pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    token: String,
}

impl Connection {
    /// Connects and lets `work` use the connection.
    pub(crate) async fn with<T>(
        address: SocketAddr,
        token: &str,
        work: impl AsyncFnOnce(Self) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = Self { sender, token: token.to_owned() };
        let work = std::pin::pin!(work(connection));
        match futures::future::select(work, std::pin::pin!(driver)).await {
            futures::future::Either::Left((result, _)) => result,
            futures::future::Either::Right((ended, work)) => {
                ended?;
                work.await
            }
        }
    }

    /// Posts NDJSON records and answers the status and the whole reply.
    pub(crate) async fn post_records(&mut self, body: Bytes) -> Result<(u16, Bytes), Trouble> {
        let request = self
            .request("POST", "/api/v1/cdr/records")
            .header("content-type", "application/x-ndjson")
            .body(Full::new(body))?;
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        let status = answer.status().as_u16();
        Ok((status, answer.into_body().collect().await?.to_bytes()))
    }

    /// Starts a download and answers its body.
    pub(crate) async fn get(&mut self, path: &str) -> Result<Incoming, Trouble> {
        let request = self.request("GET", path).body(Full::default())?;
        self.sender.ready().await?;
        let answer = self.sender.send_request(request).await?;
        if !answer.status().is_success() {
            let status = answer.status();
            let body = answer.into_body().collect().await?.to_bytes();
            return Err(format!("{path}: {status}: {}", String::from_utf8_lossy(&body)).into());
        }
        Ok(answer.into_body())
    }

    fn request(&self, method: &str, path: &str) -> http::request::Builder {
        http::Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost")
            .header("authorization", format!("Bearer {}", self.token))
    }
}
