//! How exports end: whole ones in peace, all others with a reset, whatever ended them.

use crate::Service;
use crate::fakes::TOKEN_PREFIX;
use http::{Request, Version};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const EXPORT: &str = "/api/v1/cdr/export?from=2026-01-01";

async fn ask(service: &Service, version: &str, filter: &str) -> TcpStream {
    let mut stream = TcpStream::connect(service.address).await.unwrap();
    ask_again(&mut stream, version, filter).await;
    stream
}

async fn ask_again(stream: &mut TcpStream, version: &str, filter: &str) {
    let request = format!(
        "GET {EXPORT}{filter} HTTP/{version}\r\nHost: h\r\nAuthorization: Bearer {TOKEN_PREFIX}admin\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
}

async fn read_until(stream: &mut TcpStream, end: &str) {
    let mut seen = Vec::new();
    while !seen.ends_with(end.as_bytes()) {
        let read = stream.read_buf(&mut seen).await.unwrap();
        assert_ne!(read, 0, "ended before {end:?}: {}", String::from_utf8_lossy(&seen));
    }
}

#[tokio::test]
async fn an_export_that_fails_or_is_cut_off_by_the_stop_is_reset() {
    let service = Service::start().await;
    let mut failing = ask(&service, "1.0", "&trunk=broken").await;
    let mut seen = Vec::new();
    assert!(failing.read_to_end(&mut seen).await.is_err(), "closed as if it were whole: {seen:?}");

    let mut readers = Vec::new();
    for (version, first) in [("1.0", "one\n"), ("1.1", "one\n\r\n")] {
        let mut reader = ask(&service, version, "&trunk=endless").await;
        read_until(&mut reader, first).await;
        readers.push((version, reader));
    }
    assert_eq!(service.supervisor.stop(Duration::from_millis(50)).await, ["http"]);
    for (version, mut reader) in readers {
        let ended = reader.read_to_end(&mut Vec::new()).await;
        assert!(ended.is_err(), "HTTP/{version}: closed as if it were whole");
    }
}

#[tokio::test]
async fn a_whole_export_ends_in_peace() {
    let service = Service::start().await;
    let mut seen = String::new();
    ask(&service, "1.0", "").await.read_to_string(&mut seen).await.unwrap();
    assert!(seen.ends_with("\r\n\r\none\ntwo\nthree\n"), "{seen}");

    // Several on one connection, which the reader ends.
    let mut stream = ask(&service, "1.1", "").await;
    read_until(&mut stream, "three\n\r\n0\r\n\r\n").await;
    ask_again(&mut stream, "1.1", "").await;
    read_until(&mut stream, "three\n\r\n0\r\n\r\n").await;
    stream.shutdown().await.unwrap();
    assert_eq!(stream.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    assert!(service.supervisor.stop(Duration::from_secs(10)).await.is_empty());
}

#[tokio::test]
async fn over_http_2_each_export_ends_on_its_own() {
    let service = Service::start().await;
    let stream = TcpStream::connect(service.address).await.unwrap();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    let exports = async move {
        for (filter, wanted) in
            [("", Some("one\ntwo\nthree\n")), ("&trunk=broken", None), ("", Some("one\ntwo\nthree\n"))]
        {
            let request = Request::get(format!("http://{}{EXPORT}{filter}", service.address))
                .version(Version::HTTP_2)
                .header("authorization", format!("Bearer {TOKEN_PREFIX}admin"))
                .body(Empty::<bytes::Bytes>::new())
                .unwrap();
            let body = sender.send_request(request).await.unwrap().into_body().collect().await;
            let text = body.ok().map(|body| String::from_utf8(body.to_bytes().to_vec()).unwrap());
            assert_eq!(text.as_deref(), wanted);
        }
        drop(sender);
    };
    let (ended, ()) = tokio::join!(connection, exports);
    ended.unwrap();
}
