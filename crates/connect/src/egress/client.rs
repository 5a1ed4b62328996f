//! The HTTP client for addresses that somebody else chose. It connects only to addresses that the policy has judged, in
//! the same call that found them, so that a name cannot be another host a moment later.
//!
//! No redirects, no proxy from the environment, no retries, no kept connections, no decompression; time, reply and
//! headers are bounded.

use super::addresses::canonical;
use super::checked_url::CheckedUrl;
use super::policy::EgressPolicy;
use super::resolver::{Resolver, SystemResolver};
use crate::tls;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tollbook_kit::fault::{Code, Fault};

/// Bound of each step until a connection stands: finding addresses, connecting, and the TLS handshake.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// Bound of a whole call.
const WHOLE_TIME: Duration = Duration::from_secs(30);
/// Addresses of one host that are tried; they share the time for connecting.
const MOST_ADDRESSES: usize = 4;
/// A body that nobody wants is heard out up to these bounds: closing a connection on unread bytes may cost the receiver
/// its own record of the answer.
const UNWANTED_BYTES: usize = 64 * 1024;
const UNWANTED_TIME: Duration = Duration::from_secs(1);
/// Bound of a reply's head in bytes.
const HEAD_BYTES: usize = 64 * 1024;
/// Bound of the number of a reply's headers.
const MOST_HEADERS: usize = 128;
/// Headers that say how the message is carried, which only the client knows.
const CARRIAGE: [HeaderName; 8] = [
    header::HOST,
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// Calls hosts that somebody else chose. Clones are cheap.
#[derive(Clone)]
pub struct EgressClient {
    policy: Arc<EgressPolicy>,
    resolver: Arc<dyn Resolver>,
    tls: TlsConnector,
    connect_time: Duration,
    whole_time: Duration,
}

/// What a host answered, whatever its status.
#[derive(Debug, Clone)]
pub struct EgressReply {
    /// HTTP status; a redirect is a status like any other.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, whole.
    pub body: Bytes,
}

/// What of a reply is wanted.
#[derive(Debug, Clone, Copy)]
enum Wanted {
    /// Its head alone.
    Head,
    /// All of it, when its body has at most so many bytes.
    Body(usize),
}

impl fmt::Debug for EgressClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EgressClient").field("policy", &self.policy).finish_non_exhaustive()
    }
}

impl EgressClient {
    /// A client under this policy, which trusts the certificate authorities that the machine trusts (or those that
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` name).
    pub fn new(policy: EgressPolicy) -> Self {
        Self {
            policy: Arc::new(policy),
            resolver: Arc::new(SystemResolver),
            tls: connector(tls::machine_roots()),
            connect_time: CONNECT_TIME,
            whole_time: WHOLE_TIME,
        }
    }

    /// Trusts the certificate authorities in this PEM file too.
    ///
    /// # Errors
    /// `invalid`, parameter `ca_file`: it cannot be read, or holds no certificate.
    pub fn with_extra_ca(mut self, ca_file: &Path) -> Result<Self, Fault> {
        let mut roots = tls::machine_roots();
        tls::add_file(&mut roots, ca_file)?;
        self.tls = connector(roots);
        Ok(self)
    }

    /// Asks this resolver for addresses.
    #[must_use]
    pub fn with_resolver(mut self, resolver: Arc<dyn Resolver>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Bounds each step of connecting, and a whole call, by these times instead of 5 s and 30 s.
    #[must_use]
    pub fn with_times(mut self, connect: Duration, whole: Duration) -> Self {
        (self.connect_time, self.whole_time) = (connect, whole);
        self
    }

    /// Judges the text of a URL, as [`EgressPolicy::judge`].
    ///
    /// # Errors
    /// `invalid`, parameter `url`.
    pub fn judge(&self, url: &str) -> Result<CheckedUrl, Fault> {
        self.policy.judge(url)
    }

    /// Fetches a document of at most `most_bytes`.
    ///
    /// # Errors
    /// As [`EgressClient::send`].
    pub async fn get(&self, url: &str, most_bytes: usize) -> Result<EgressReply, Fault> {
        let url = self.judge(url)?;
        let mut headers = HeaderMap::new();
        let agent = concat!("tollbook/", env!("CARGO_PKG_VERSION"));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        self.send(Method::GET, &url, headers, Bytes::new(), most_bytes).await
    }

    /// Sends one request on a connection of its own and reads a reply whose body has at most `most_reply_bytes`.
    /// Headers that say how a message is carried are set here, and ignored when given.
    ///
    /// # Errors
    /// `invalid`: the host leads to an address that the policy refuses, or its certificate is not trusted.
    /// `unavailable` or `timeout`: it could not be reached, or broke off, or took too long; what was sent may have
    /// arrived. `too_large`: its reply is over the bound.
    pub async fn send(
        &self,
        method: Method,
        url: &CheckedUrl,
        headers: HeaderMap,
        body: Bytes,
        most_reply_bytes: usize,
    ) -> Result<EgressReply, Fault> {
        self.exchange(url, request(method, url, headers, body)?, Wanted::Body(most_reply_bytes)).await
    }

    /// Sends one request like [`EgressClient::send`], and wants no more of the reply than its head: whatever its body is,
    /// and however it ends, the reply is good. The body that is answered is empty.
    ///
    /// # Errors
    /// As [`EgressClient::send`], but never `too_large`.
    pub async fn send_for_head(
        &self,
        method: Method,
        url: &CheckedUrl,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<EgressReply, Fault> {
        self.exchange(url, request(method, url, headers, body)?, Wanted::Head).await
    }

    async fn exchange(
        &self,
        url: &CheckedUrl,
        request: Request<Full<Bytes>>,
        wanted: Wanted,
    ) -> Result<EgressReply, Fault> {
        let call = async {
            let stream = self.connect(url).await?;
            if !url.is_https() {
                return exchange(stream, request, wanted).await;
            }
            let stream = self.secure(url, stream).await?;
            exchange(stream, request, wanted).await
        };
        let outcome = tokio::time::timeout(self.whole_time, call).await;
        outcome
            .unwrap_or_else(|_| Err(late()))
            .map_err(|fault| fault.with_context(format!("calling {url:?}")))
    }

    /// A connection to one of the host's addresses, all of which the policy lets pass.
    async fn connect(&self, url: &CheckedUrl) -> Result<TcpStream, Fault> {
        let mut addresses = self.addresses(url).await?;
        // One address that is refused says that the name is not what it seems: none is used then.
        for address in &addresses {
            self.policy.judge_address(url, *address)?;
        }
        addresses.truncate(MOST_ADDRESSES);
        let share = self.connect_time / u32::try_from(addresses.len().max(1)).unwrap_or(1);
        let mut last = Fault::new(Code::Unavailable, "the host has no address: check its name");
        for address in addresses {
            let connecting = TcpStream::connect((canonical(address), url.port()));
            match tokio::time::timeout(share, connecting).await {
                Ok(Ok(stream)) => {
                    let ends = stream.local_addr().and_then(|own| Ok((own, stream.peer_addr()?)));
                    let (own, peer) = ends.map_err(|error| unreachable().with_source(error))?;
                    self.policy.judge_ends(url, own.ip(), peer.ip())?;
                    // Only latency would suffer without it.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => last = unreachable().with_source(error),
                Err(_) => last = late(),
            }
        }
        Err(last)
    }

    async fn addresses(&self, url: &CheckedUrl) -> Result<Vec<IpAddr>, Fault> {
        if let Some(address) = url.address() {
            return Ok(vec![address]);
        }
        match tokio::time::timeout(self.connect_time, self.resolver.resolve(url.host())).await {
            Ok(Ok(addresses)) => Ok(addresses),
            Ok(Err(error)) => {
                Err(Fault::new(Code::Unavailable, "the host's name cannot be resolved: check it")
                    .with_source(error))
            }
            Err(_) => Err(late()),
        }
    }

    async fn secure(
        &self,
        url: &CheckedUrl,
        stream: TcpStream,
    ) -> Result<impl AsyncRead + AsyncWrite + Unpin + use<>, Fault> {
        let name = match url.address() {
            Some(address) => ServerName::from(canonical(address)),
            None => ServerName::try_from(url.host().to_owned())
                .map_err(|_| Fault::parameter("url", "must name a host that a certificate can name"))?,
        };
        match tokio::time::timeout(self.connect_time, self.tls.connect(name, stream)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(error)) if tls::is_distrust(&error) => {
                Err(Fault::parameter("url", "must lead to a host whose certificate is trusted")
                    .with_source(error))
            }
            Ok(Err(error)) => Err(unreachable().with_source(error)),
            Err(_) => Err(late()),
        }
    }
}

fn connector(roots: rustls::RootCertStore) -> TlsConnector {
    let mut config = tls::client_config(roots);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    TlsConnector::from(Arc::new(config))
}

fn request(
    method: Method,
    url: &CheckedUrl,
    mut headers: HeaderMap,
    body: Bytes,
) -> Result<Request<Full<Bytes>>, Fault> {
    let wrong = || Fault::parameter("url", "must be of characters that HTTP takes");
    for name in &CARRIAGE {
        headers.remove(name);
    }
    headers.insert(header::HOST, url.authority().parse().map_err(|_| wrong())?);
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    let mut request = Request::builder()
        .method(method)
        .uri(url.path_and_query())
        .body(Full::new(body))
        .map_err(|_| wrong())?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// One request and its reply on a connection that nobody else uses.
async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Request<Full<Bytes>>,
    wanted: Wanted,
) -> Result<EgressReply, Fault> {
    let mut builder = http1::Builder::new();
    builder.max_headers(MOST_HEADERS).max_header_size(HEAD_BYTES).max_buf_size(2 * HEAD_BYTES);
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.map_err(no_reply)?;
    let talk = async {
        let response = sender.send_request(request).await.map_err(no_reply)?;
        let (head, body) = response.into_parts();
        let body = match wanted {
            Wanted::Body(most_bytes) => read_whole(body, most_bytes).await?,
            Wanted::Head => hear_out(body).await,
        };
        Ok(EgressReply { status: head.status.as_u16(), headers: head.headers, body })
    };
    let (mut talk, mut connection) = (std::pin::pin!(talk), std::pin::pin!(connection));
    tokio::select! {
        reply = &mut talk => reply,
        // It may end before its last piece is taken; how it ended is what the talk then says.
        _ = &mut connection => talk.await,
    }
}

async fn read_whole(mut body: Incoming, most_bytes: usize) -> Result<Bytes, Fault> {
    let too_large = || Fault::new(Code::TooLarge, format!("the reply is over {most_bytes} bytes"));
    if body.size_hint().lower() > most_bytes as u64 {
        return Err(too_large());
    }
    let mut held = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(piece) = frame.map_err(no_reply)?.into_data() {
            if held.len() + piece.len() > most_bytes {
                return Err(too_large());
            }
            held.extend_from_slice(&piece);
        }
    }
    Ok(Bytes::from(held))
}

/// Lets a body that nobody wants pass by, within bounds.
async fn hear_out(mut body: Incoming) -> Bytes {
    let mut heard = 0;
    let hearing = async {
        while let Some(Ok(frame)) = body.frame().await {
            heard += frame.data_ref().map_or(0, Bytes::len);
            if heard > UNWANTED_BYTES {
                break;
            }
        }
    };
    // However it ends, the head has said it all.
    let _ = tokio::time::timeout(UNWANTED_TIME, hearing).await;
    Bytes::new()
}

fn unreachable() -> Fault {
    Fault::new(Code::Unavailable, "the host cannot be reached: check its address and that it runs")
}

fn no_reply(error: hyper::Error) -> Fault {
    Fault::new(
        Code::Unavailable,
        "the host gave no whole reply that HTTP knows: check that it is the right one",
    )
    .with_source(error)
}

fn late() -> Fault {
    Fault::new(Code::Timeout, "the host did not answer in time: try again")
}
