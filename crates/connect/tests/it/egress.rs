//! The egress client against servers that mean no good, and names that change their mind.

use crate::server::{Answer, Server, tls_for};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, header};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tollbook_connect::egress::{EgressClient, EgressPolicy, Resolver};
use tollbook_kit::fault::{Code, Fault};

fn policy(allow: &[&str]) -> EgressPolicy {
    EgressPolicy {
        allow: allow.iter().map(|text| text.parse().unwrap()).collect(),
        allow_http: true,
        ..EgressPolicy::default()
    }
}

fn client(allow: &[&str]) -> EgressClient {
    EgressClient::new(policy(allow))
}

/// Answers each question with the next of its answers, and the last one for ever.
#[derive(Debug)]
struct Answers {
    answers: Vec<Vec<IpAddr>>,
    asked: AtomicUsize,
}

impl Answers {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |texts: &&[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Arc::new(Self { answers: answers.iter().map(parse).collect(), asked: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl Resolver for Answers {
    async fn resolve(&self, _: &str) -> std::io::Result<Vec<IpAddr>> {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst);
        Ok(self.answers[asked.min(self.answers.len() - 1)].clone())
    }
}

#[track_caller]
fn assert_refused(fault: &Fault) {
    assert_eq!((fault.code(), fault.details()[0].name.as_str()), (Code::Invalid, "url"), "{fault:?}");
}

#[tokio::test]
async fn requests_are_sent_as_given_but_for_what_carries_them() {
    let server = Server::start(|_| Answer::body("201 Created", "made")).await;
    let client = client(&["127.0.0.1"]);
    let url = client.judge(&server.url("/hook?a=1&b=%20")).unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in [
        (header::USER_AGENT, "Tollbook-Callback/1"),
        (header::HOST, "evil.example"),
        (header::CONTENT_LENGTH, "1"),
        (header::TRANSFER_ENCODING, "chunked"),
        (header::CONTENT_TYPE, "application/json"),
    ] {
        headers.insert(name, value.parse().unwrap());
    }
    let reply = client.send(Method::POST, &url, headers, Bytes::from_static(b"{}"), 100).await.unwrap();
    assert_eq!((reply.status, &reply.body[..]), (201, &b"made"[..]));
    let seen = server.seen().pop().unwrap();
    assert!(seen.starts_with("POST /hook?a=1&b=%20 HTTP/1.1\r\n") && seen.ends_with("\r\n\r\n{}"), "{seen}");
    assert!(seen.contains(&format!("host: {}\r\n", server.address)), "{seen}");
    assert!(seen.contains("user-agent: Tollbook-Callback/1\r\n") && seen.contains("connection: close\r\n"));
    assert!(seen.contains("content-length: 2\r\n") && !seen.contains("evil") && !seen.contains("chunked"));
}

#[tokio::test]
async fn redirects_are_answers_and_are_not_followed() {
    let target = Server::start(|_| Answer::body("200 OK", "inside")).await;
    let location = target.url("/");
    let server = Server::start(move |_| {
        let head = format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        Answer::Bytes(head.into_bytes())
    })
    .await;
    let reply = client(&["127.0.0.1"]).get(&server.url("/"), 100).await.unwrap();
    assert_eq!((reply.status, reply.headers["location"].to_str().unwrap()), (302, target.url("/").as_str()));
    assert!(target.seen().is_empty());
}

#[tokio::test]
async fn replies_are_bounded_in_body_and_head() {
    let bounded = async |answer: fn() -> Answer| {
        let server = Server::start(move |_| answer()).await;
        client(&["127.0.0.1"]).get(&server.url("/"), 1000).await
    };
    assert_eq!(bounded(|| Answer::body("200 OK", &"a".repeat(1000))).await.unwrap().body.len(), 1000);
    let announced = bounded(|| Answer::body("200 OK", &"a".repeat(1001))).await;
    assert_eq!(announced.unwrap_err().code(), Code::TooLarge);
    let endless = bounded(|| Answer::Forever("HTTP/1.1 200 OK\r\n\r\n", "aaaaaaaaaaaaaaaa")).await;
    assert_eq!(endless.unwrap_err().code(), Code::TooLarge);
    let chunked =
        bounded(|| Answer::Forever("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", "3\r\nabc\r\n"));
    assert_eq!(chunked.await.unwrap_err().code(), Code::TooLarge);
    let many_headers = bounded(|| Answer::Forever("HTTP/1.1 200 OK\r\n", "x-a: b\r\n")).await;
    assert_eq!(many_headers.unwrap_err().code(), Code::Unavailable);
    let long_header = bounded(|| Answer::Forever("HTTP/1.1 200 OK\r\nx-a: ", "aaaaaaaaaaaaaaaa")).await;
    assert_eq!(long_header.unwrap_err().code(), Code::Unavailable);
    let early_hints = bounded(|| Answer::Forever("HTTP/1.1 103 Early Hints\r\n", "x-a: b\r\n")).await;
    assert_eq!(early_hints.unwrap_err().code(), Code::Unavailable);
    assert_eq!(
        bounded(|| Answer::Bytes(b"220 smtp ready\r\n".to_vec())).await.unwrap_err().code(),
        Code::Unavailable
    );
    let cut_off =
        bounded(|| Answer::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc".to_vec())).await;
    assert_eq!(cut_off.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn a_call_ends_in_time_whatever_the_server_does() {
    let server = Server::start(|_| Answer::Silence).await;
    let client = client(&["127.0.0.1"]).with_times(Duration::from_secs(5), Duration::from_millis(50));
    let fault = client.get(&server.url("/"), 100).await.unwrap_err();
    assert_eq!(fault.code(), Code::Timeout);
    assert_eq!(server.seen().len(), 1);

    let hints = "HTTP/1.1 103 Early Hints\r\n\r\n";
    let server = Server::start(move |_| Answer::Forever("", hints)).await;
    assert!(client.get(&server.url("/"), 100).await.is_err());

    // A TLS handshake that the other side never takes up.
    let deaf = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client.with_times(Duration::from_millis(50), Duration::from_secs(60));
    let fault = client.get(&format!("https://{}/", deaf.local_addr().unwrap()), 100).await.unwrap_err();
    assert_eq!(fault.code(), Code::Timeout);
}

#[tokio::test]
async fn nobody_there_is_told_at_once() {
    let vacant = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let fault = client(&["127.0.0.1"]).get(&format!("http://{vacant}/token"), 100).await.unwrap_err();
    assert_eq!(fault.code(), Code::Unavailable);
    assert!(!fault.log_text().contains("token"), "paths are secrets: {fault:?}");
    let unknown = client(&["nobody.invalid"]).get("http://nobody.invalid/", 100).await.unwrap_err();
    assert_eq!(unknown.code(), Code::Unavailable);
    let nameless = client(&["a.example"]).with_resolver(Answers::new(&[&[]]));
    assert_eq!(nameless.get("http://a.example/", 100).await.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn a_name_is_refused_when_any_of_its_addresses_is() {
    let server = Server::start(|_| Answer::body("200 OK", "inside")).await;
    let port = server.address.port();
    for addresses in [
        &["127.0.0.1"][..],
        &["::ffff:127.0.0.1"],
        &["8.8.8.8", "127.0.0.1"],
        &["127.0.0.1", "2606:4700::1111"],
        &["169.254.169.254"],
        &["64:ff9b::7f00:1"],
        &["::1"],
        &["0.0.0.0"],
    ] {
        let client = EgressClient::new(EgressPolicy::default()).with_resolver(Answers::new(&[addresses]));
        let fault = client.get(&format!("https://hooks.example.com:{port}/"), 100).await.unwrap_err();
        assert_refused(&fault);
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_name_that_changes_its_address_is_judged_again_and_asked_once_for_each_call() {
    let server = Server::start(|_| Answer::body("200 OK", "listed")).await;
    let url = format!("http://localhost:{}/", server.address.port());
    let resolver = Answers::new(&[&["127.0.0.1"], &["127.0.0.2"], &["::ffff:127.0.0.1"]]);
    let client = client(&["127.0.0.1/32"]).with_resolver(resolver.clone());
    assert_eq!(client.get(&url, 100).await.unwrap().status, 200);
    assert_eq!(resolver.asked.load(Ordering::SeqCst), 1);
    assert_refused(&client.get(&url, 100).await.unwrap_err());
    assert_eq!(client.get(&url, 100).await.unwrap().status, 200, "written as IPv6, it is the same address");
    assert_eq!((resolver.asked.load(Ordering::SeqCst), server.seen().len()), (3, 2));
}

#[tokio::test]
async fn the_next_address_is_tried_when_nobody_is_at_the_first() {
    let server = Server::start(|_| Answer::body("200 OK", "")).await;
    let resolver = Answers::new(&[&["127.0.0.3", "127.0.0.1"]]);
    let client = client(&["127.0.0.0/8"]).with_resolver(resolver);
    assert_eq!(
        client.get(&format!("http://localhost:{}/", server.address.port()), 0).await.unwrap().status,
        200
    );
}

#[tokio::test]
async fn certificates_must_be_trusted_and_name_the_host() {
    let (tls, ca_file) = tls_for(&["hooks.example.com", "127.0.0.1"], "egress");
    let server = Server::on("127.0.0.1:0", Some(tls), |_| Answer::body("200 OK", "secret")).await;
    let port = server.address.port();
    let stranger = client(&["127.0.0.1"]).with_resolver(Answers::new(&[&["127.0.0.1"]]));
    let url = format!("https://hooks.example.com:{port}/");
    assert_refused(&stranger.get(&url, 100).await.unwrap_err());

    let trusting = stranger.clone().with_extra_ca(&ca_file).unwrap();
    assert_eq!(trusting.get(&url, 100).await.unwrap().body, "secret");
    assert_eq!(trusting.get(&format!("https://127.0.0.1:{port}/"), 100).await.unwrap().status, 200);
    assert_refused(&trusting.get(&format!("https://other.example.com:{port}/"), 100).await.unwrap_err());
    assert_eq!(server.seen().len(), 2);
    assert!(server.seen()[0].contains(&format!("host: hooks.example.com:{port}\r\n")));

    for (text, hint) in [("", "no certificate"), ("-----BEGIN CERTIFICATE-----\n?", "PEM")] {
        std::fs::write(&ca_file, text).unwrap();
        let fault = stranger.clone().with_extra_ca(&ca_file).unwrap_err();
        assert!(fault.message().contains(hint), "{fault:?}");
    }
    std::fs::remove_file(&ca_file).unwrap();
    assert!(stranger.with_extra_ca(&ca_file).unwrap_err().message().contains("cannot be read"));
}
