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
        self.post("/api/v1/cdr/records", "application/x-ndjson", body).await
    }

    /// Posts a body and answers the status and the whole reply.
    pub(crate) async fn post(
        &mut self,
        path: &str,
        media_type: &str,
        body: Bytes,
    ) -> Result<(u16, Bytes), Trouble> {
        let request = self.request("POST", path).header("content-type", media_type).body(Full::new(body))?;
        self.answer(request).await
    }

    /// Deletes what is at a path, and answers whatever came back.
    pub(crate) async fn delete(&mut self, path: &str) -> Result<(u16, Bytes), Trouble> {
        let request = self.request("DELETE", path).body(Full::default())?;
        self.answer(request).await
    }

    async fn answer(&mut self, request: http::Request<Full<Bytes>>) -> Result<(u16, Bytes), Trouble> {
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
