//! The HTTP client of the command line: sends bodies to a Tollbook server and fetches exports, with a bearer token or,
//! for links that carry their own right, without one.
//!
//! It never retries and never resumes: whoever asks knows what may be asked twice, and keeps the schedule;
//! [`was_never_reached`] tells him whether anything can have arrived. It calls no other server than its own: calls to
//! addresses that tenants choose do not go through here.

use crate::tls;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::error::Error;
use std::fmt;
use std::path::Path;
use std::time::Duration;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tollbook_kit::fault::{Code, Fault, ResultExt};
use tollbook_kit::secret::Secret;

/// Bound of a reply that is held in memory, in bytes. A reply about a body lists at most a thousand refused rows.
const REPLY_BYTES: usize = 16 * 1024 * 1024;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// From the request to the head of its reply. A large body is answered only when it is durable.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(300);
/// Between two pieces of a reply's body.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Talks to one server as one caller.
#[derive(Debug, Clone)]
pub struct ApiClient {
    base_url: String,
    token: Secret<String>,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// What the server answered.
#[derive(Debug, Clone)]
pub struct ApiReply {
    /// HTTP status.
    pub status: u16,
    /// `Content-Type`, if any.
    pub content_type: Option<String>,
    /// `Retry-After`, when it is a number of seconds.
    pub retry_after: Option<Duration>,
    /// `X-Request-Id`, which finds the request in the server's log.
    pub request_id: Option<String>,
    /// The body; empty for a download, whose body went to its writer.
    pub body: Bytes,
}

impl ApiReply {
    /// 200 to 299?
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// May the same request succeed later (408, 429, 500 and up except 501 and 505)?
    pub fn is_temporary(&self) -> bool {
        matches!(self.status, 408 | 429 | 500 | 502..=504 | 507)
    }
}

/// One request.
#[derive(Debug, Clone)]
pub struct ApiRequest {
    method: Method,
    path_and_query: String,
    headers: Vec<(HeaderName, String)>,
    body: Bytes,
    with_token: bool,
}

impl ApiRequest {
    /// A request without a body, with the client's token. `path_and_query` begins with `/`.
    pub fn new(method: Method, path_and_query: impl Into<String>) -> Self {
        let path_and_query = path_and_query.into();
        Self { method, path_and_query, headers: Vec::new(), body: Bytes::new(), with_token: true }
    }

    /// The same with a body of a type.
    #[must_use]
    pub fn with_body(mut self, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.with_header(header::CONTENT_TYPE, content_type)
    }

    /// The same with a further header.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same without the token, which a signed link does not need: what is not sent is in nobody's log.
    #[must_use]
    pub fn without_token(mut self) -> Self {
        self.with_token = false;
        self
    }
}

/// A reply whose head is there and whose body is still to come.
#[derive(Debug)]
pub struct OpenReply {
    status: u16,
    headers: HeaderMap,
    body: Incoming,
}

impl OpenReply {
    /// HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// A header, when it is there and is text.
    pub fn header(&self, name: impl header::AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The next piece of the body; none at its end.
    ///
    /// # Errors
    /// `unavailable` when the server broke the reply off, which is how it says that an export failed midway; `timeout`
    /// when nothing came for a minute. What came so far is incomplete then.
    pub async fn next_piece(&mut self) -> Result<Option<Bytes>, Fault> {
        next_piece(&mut self.body).await
    }

    /// The whole reply, held in memory.
    ///
    /// # Errors
    /// As [`OpenReply::next_piece`]; `too_large`: it is over 16 MiB.
    pub async fn whole(mut self) -> Result<ApiReply, Fault> {
        let mut held = Vec::new();
        while let Some(piece) = self.next_piece().await? {
            if held.len() + piece.len() > REPLY_BYTES {
                return Err(Fault::new(
                    Code::TooLarge,
                    "the reply is too large to be held: download it instead",
                ));
            }
            held.extend_from_slice(&piece);
        }
        Ok(self.reply(Bytes::from(held)))
    }

    fn reply(&self, body: Bytes) -> ApiReply {
        let text = |name: HeaderName| self.header(name).map(str::to_owned);
        ApiReply {
            status: self.status,
            content_type: text(header::CONTENT_TYPE),
            retry_after: text(header::RETRY_AFTER)
                .and_then(|text| text.parse().ok())
                .map(Duration::from_secs),
            request_id: text(HeaderName::from_static("x-request-id")),
            body,
        }
    }
}

impl ApiClient {
    /// A client of the server at `base_url` (`https://host:port` or `http://host:port`, a path in front of the API may
    /// follow). Certificates of the machine's authorities are trusted, and of those in `ca_file` (PEM).
    ///
    /// # Errors
    /// `invalid`: the address is not one (parameter `server`), or the file is of no use (parameter `ca_file`).
    pub fn new(base_url: &str, token: Secret<String>, ca_file: Option<&Path>) -> Result<Self, Fault> {
        let wrong = |reason: &str| Fault::parameter("server", reason);
        let uri: http::Uri =
            base_url.parse().map_err(|_| wrong("must be an address such as https://cdr.example.net:8443"))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(wrong("must begin with https:// or http://"));
        }
        if uri.host().is_none_or(str::is_empty) || uri.query().is_some() {
            return Err(wrong("must be an address without a query, such as https://cdr.example.net:8443"));
        }
        let client = Client::builder(TokioExecutor::new()).build(connector(ca_file)?);
        Ok(Self { base_url: base_url.trim_end_matches('/').to_owned(), token, client })
    }

    /// Sends one request and reads its reply whole. `path_and_query` begins with `/`.
    ///
    /// # Errors
    /// As [`ApiClient::open`] and [`OpenReply::whole`]. A status of any kind is no error.
    pub async fn send(
        &self,
        method: Method,
        path_and_query: &str,
        content_type: Option<&str>,
        body: Bytes,
    ) -> Result<ApiReply, Fault> {
        let mut request = ApiRequest { body, ..ApiRequest::new(method, path_and_query) };
        if let Some(content_type) = content_type {
            request = request.with_header(header::CONTENT_TYPE, content_type);
        }
        self.open(request).await?.whole().await
    }

    /// Fetches a reply of any size into `into`; answers its head and how many bytes were written. Only a success is
    /// written: the body of another status is in the reply.
    ///
    /// # Errors
    /// As [`ApiClient::open`] and [`OpenReply::next_piece`]. `internal`: `into` cannot be written.
    pub async fn download(
        &self,
        path_and_query: &str,
        into: &mut (impl AsyncWrite + Unpin),
    ) -> Result<(ApiReply, u64), Fault> {
        let mut open = self.open(ApiRequest::new(Method::GET, path_and_query)).await?;
        let head = open.reply(Bytes::new());
        if !head.is_success() {
            return Ok((open.whole().await?, 0));
        }
        let mut written = 0;
        while let Some(piece) = open.next_piece().await? {
            into.write_all(&piece).await.fault("writing a download")?;
            written += piece.len() as u64;
        }
        into.flush().await.fault("writing a download")?;
        Ok((head, written))
    }

    /// Sends one request and reads the head of its reply.
    ///
    /// # Errors
    /// `unavailable` or `timeout`: no reply came, asking again may help; what was sent may have arrived unless
    /// [`was_never_reached`] says that it cannot. `invalid`: the server's certificate is not trusted, or the request
    /// holds what HTTP does not take. A status of any kind is no error.
    pub async fn open(&self, request: ApiRequest) -> Result<OpenReply, Fault> {
        let ApiRequest { method, path_and_query, headers, body, with_token } = request;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path_and_query}", self.base_url))
            .header(header::USER_AGENT, concat!("tollbook/", env!("CARGO_PKG_VERSION")));
        if with_token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.token.reveal()));
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body)).map_err(|_| {
            Fault::parameter("request", "the path or the token holds characters that HTTP does not take")
        })?;
        match tokio::time::timeout(ANSWER_TIMEOUT, self.client.request(request)).await {
            Ok(Ok(response)) => {
                let (head, body) = response.into_parts();
                Ok(OpenReply { status: head.status.as_u16(), headers: head.headers, body })
            }
            Ok(Err(error)) => Err(self.no_reply(error)),
            Err(_) => Err(Fault::new(Code::Timeout, "the server did not answer in time: try again")),
        }
    }

    fn no_reply(&self, error: hyper_util::client::legacy::Error) -> Fault {
        if tls::is_distrust(&error) {
            let reason = "has a certificate that is not trusted: give the file of its certificate authority";
            return Fault::parameter("server", reason).with_source(NeverReached(error));
        }
        if !error.is_connect() {
            let text = "the server broke off without an answer: what was sent may have arrived";
            return Fault::new(Code::Unavailable, text).with_source(error);
        }
        let mut text = format!("the server at {} cannot be reached", self.base_url);
        if let Some(cause) = tls::causes(&error).last() {
            text.push_str(&format!(" ({})", cause.to_string().to_lowercase()));
        }
        text.push_str(": check the address and that it runs");
        Fault::new(Code::Unavailable, text).with_source(NeverReached(error))
    }
}

/// Connections to servers with certificates of the machine's authorities, or of those in the file.
fn connector(ca_file: Option<&Path>) -> Result<HttpsConnector<HttpConnector>, Fault> {
    let mut roots = tls::machine_roots();
    if let Some(ca_file) = ca_file {
        tls::add_file(&mut roots, ca_file)?;
    }
    let mut plain = HttpConnector::new();
    plain.enforce_http(false);
    plain.set_nodelay(true);
    plain.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls::client_config(roots));
    Ok(builder.https_or_http().enable_http1().wrap_connector(plain))
}

/// The request cannot have arrived: no connection to the server came about.
#[derive(Debug)]
struct NeverReached(hyper_util::client::legacy::Error);

impl fmt::Display for NeverReached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no connection came about")
    }
}

impl Error for NeverReached {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

/// Does a fault of [`ApiClient`] say that no connection came about, so that nothing can have arrived? After any other
/// one the server may have done what it was asked.
pub fn was_never_reached(fault: &Fault) -> bool {
    fault.source().is_some_and(|source| source.is::<NeverReached>())
}

/// The next piece of a body; none at its end.
async fn next_piece(incoming: &mut Incoming) -> Result<Option<Bytes>, Fault> {
    loop {
        match tokio::time::timeout(IDLE_TIMEOUT, incoming.frame()).await {
            Ok(None) => return Ok(None),
            Ok(Some(Ok(frame))) => {
                if let Ok(piece) = frame.into_data() {
                    return Ok(Some(piece));
                }
            }
            Ok(Some(Err(error))) => {
                return Err(Fault::new(
                    Code::Unavailable,
                    "the server broke the reply off: what came is incomplete",
                )
                .with_source(error));
            }
            Err(_) => return Err(Fault::new(Code::Timeout, "the reply stood still: try again")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    /// A server that answers one connection with these bytes and gives back what it was sent.
    async fn exchange(answer: &'static str, call: impl AsyncFnOnce(ApiClient)) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serve = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut seen = Vec::new();
            while !seen.windows(4).any(|window| window == b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0);
            }
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
            String::from_utf8(seen).unwrap()
        };
        let client =
            ApiClient::new(&format!("http://{address}/"), Secret::new("t0k3n".into()), None).unwrap();
        tokio::join!(serve, call(client)).0
    }

    #[tokio::test]
    async fn requests_carry_the_token_and_replies_their_headers() {
        let answer = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\nretry-after: 7\r\nx-request-id: r1\r\n\r\nbusy";
        let seen = exchange(answer, async |client| {
            let reply = client
                .send(Method::POST, "/api/v1/x?a=b", Some("text/csv"), Bytes::from_static(b"1,2"))
                .await
                .unwrap();
            assert_eq!((reply.status, &reply.body[..]), (503, &b"busy"[..]));
            assert_eq!(reply.retry_after, Some(Duration::from_secs(7)));
            assert_eq!(reply.request_id.as_deref(), Some("r1"));
            assert!(reply.is_temporary() && !reply.is_success());
        });
        let seen = seen.await;
        assert!(seen.starts_with("POST /api/v1/x?a=b HTTP/1.1\r\n"), "{seen}");
        assert!(
            seen.contains("authorization: Bearer t0k3n\r\n") && seen.contains("content-type: text/csv\r\n"),
            "{seen}"
        );
    }

    #[tokio::test]
    async fn a_download_that_breaks_off_is_no_success() {
        let whole = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n1,2\n3";
        exchange(whole, async |client| {
            let mut file = Vec::new();
            let (reply, written) = client.download("/x", &mut file).await.unwrap();
            assert_eq!((reply.status, written, &file[..]), (200, 5, &b"1,2\n3"[..]));
        })
        .await;
        let broken = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n1,2\r\n";
        exchange(broken, async |client| {
            let fault = client.download("/x", &mut Vec::new()).await.unwrap_err();
            assert_eq!(fault.code(), Code::Unavailable);
        })
        .await;
        let refused = "HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno";
        exchange(refused, async |client| {
            let mut file = Vec::new();
            let (reply, written) = client.download("/x", &mut file).await.unwrap();
            assert_eq!((reply.status, written, &reply.body[..], file.len()), (403, 0, &b"no"[..], 0));
        })
        .await;
    }

    #[tokio::test]
    async fn links_are_opened_without_the_token_and_read_in_pieces() {
        let answer = "HTTP/1.1 206 Partial Content\r\ncontent-length: 3\r\netag: \"e\"\r\n\r\nabc";
        let seen = exchange(answer, async |client| {
            let request = ApiRequest::new(Method::GET, "/dl/x?sig=s").without_token();
            let request =
                request.with_header(header::RANGE, "bytes=7-").with_header(header::IF_RANGE, "\"e\"");
            let mut open = client.open(request).await.unwrap();
            assert_eq!(
                (open.status(), open.header(header::ETAG), open.header("age")),
                (206, Some("\"e\""), None)
            );
            assert_eq!(open.next_piece().await.unwrap().as_deref(), Some(&b"abc"[..]));
            assert_eq!(open.next_piece().await.unwrap(), None);
        });
        let seen = seen.await;
        assert!(seen.starts_with("GET /dl/x?sig=s HTTP/1.1\r\n"), "{seen}");
        assert!(seen.contains("range: bytes=7-\r\n") && seen.contains("if-range: \"e\"\r\n"), "{seen}");
        assert!(!seen.contains("authorization"), "{seen}");
    }

    #[test]
    fn addresses_are_checked_at_once() {
        let client = |address: &str| ApiClient::new(address, Secret::new(String::new()), None);
        for address in ["ftp://pbx.example", "pbx.example:8443", "http://", "", "https://h/?q=1"] {
            assert!(client(address).is_err(), "{address}");
        }
        for address in ["https://pbx.example", "http://[::1]:8080/cdr/"] {
            assert!(client(address).is_ok(), "{address}");
        }
    }
}
