//! Callbacks against receivers that take them, hang, send elsewhere, lie, and come back.

use crate::server::{Answer, Server};
use bytes::Bytes;
use std::time::Duration;
use tollbook_connect::callbacks::EgressCallbacks;
use tollbook_connect::egress::{EgressClient, EgressPolicy};
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::secret::Secret;
use tollbook_model::ports::{CallAnswer, CallMethod, Callbacks, OutgoingCall};

fn callbacks() -> EgressCallbacks {
    let allow = vec!["127.0.0.1".parse().unwrap()];
    EgressCallbacks::new(EgressClient::new(EgressPolicy {
        allow,
        allow_http: true,
        ..EgressPolicy::default()
    }))
}

fn post(url: String) -> OutgoingCall {
    OutgoingCall {
        method: CallMethod::Post,
        url: Secret::new(url),
        headers: vec![("webhook-id", "msg_1".into()), ("content-type", "application/json".into())],
        body: Bytes::from_static(b"{\"type\":\"export.ready\"}"),
        connect_within: Duration::from_secs(5),
        answer_within: Duration::from_secs(30),
    }
}

/// What a call of a receiver comes to that answers so.
async fn answered(answer: impl Fn() -> Answer + Send + Sync + 'static) -> Result<CallAnswer, Fault> {
    let server = Server::start(move |_| answer()).await;
    callbacks().call(post(server.url("/hook"))).await
}

#[tokio::test]
async fn a_call_arrives_as_it_was_given() {
    let server = Server::start(|_| Answer::body("204 No Content", "")).await;
    let answer = callbacks().call(post(server.url("/hook?tenant=7"))).await.unwrap();
    assert_eq!(answer, CallAnswer { status: 204, retry_after: None });
    let seen = server.seen().pop().unwrap();
    assert!(seen.starts_with("POST /hook?tenant=7 HTTP/1.1\r\n"), "{seen}");
    assert!(seen.ends_with("\r\n\r\n{\"type\":\"export.ready\"}"), "{seen}");
    for header in ["webhook-id: msg_1", "content-type: application/json", "user-agent: Tollbook-Callback/1"] {
        assert!(seen.contains(&format!("{header}\r\n")), "{seen}");
    }
    assert!(!seen.contains("authorization"), "{seen}");
}

#[tokio::test]
async fn names_and_passwords_go_out_as_basic_and_fragments_not_at_all() {
    let server = Server::start(|_| Answer::body("200 OK", "")).await;
    let url = server.url("/hook?a=b#part").replace("http://", "http://eve:hu%40sh@");
    callbacks().judge(&url).unwrap();
    let get = OutgoingCall { method: CallMethod::Get, body: Bytes::new(), headers: Vec::new(), ..post(url) };
    assert_eq!(callbacks().call(get).await.unwrap().status, 200);
    let seen = server.seen().pop().unwrap();
    assert!(seen.starts_with("GET /hook?a=b HTTP/1.1\r\n"), "{seen}");
    assert!(seen.contains("authorization: Basic ZXZlOmh1QHNo\r\n"), "{seen}");
    assert!(seen.contains(&format!("host: {}\r\n", server.address)), "{seen}");
}

#[tokio::test]
async fn what_a_receiver_says_behind_its_status_does_not_matter() {
    for body in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"] {
        let endless = answered(move || Answer::Forever(body, "3\r\nabc\r\n")).await;
        assert_eq!(endless.unwrap().status, 200, "a body without end");
    }
    let cut_off = || Answer::Bytes(b"HTTP/1.1 202 Accepted\r\ncontent-length: 9\r\n\r\nabc".to_vec());
    assert_eq!(answered(cut_off).await.unwrap().status, 202, "a body that is cut off");
    let huge = || Answer::Bytes(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n".to_vec());
    assert_eq!(answered(huge).await.unwrap().status, 200, "a body that is only announced");
    let gibberish = answered(|| Answer::Bytes(b"220 smtp ready\r\n".to_vec())).await;
    assert_eq!(gibberish.unwrap_err().code(), Code::Unavailable);
}

#[tokio::test]
async fn redirects_are_answers() {
    let target = Server::start(|_| Answer::body("200 OK", "")).await;
    let location = target.url("/");
    for status in [301, 302, 303, 307, 308] {
        let head = format!("HTTP/1.1 {status} Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
        let answer = answered(move || Answer::Bytes(head.clone().into_bytes())).await.unwrap();
        assert_eq!(answer.status, status);
    }
    assert!(target.seen().is_empty());
}

#[tokio::test]
async fn receivers_say_when_to_come_again() {
    let busy = |headers: &str| {
        let head = format!("HTTP/1.1 503 Busy\r\n{headers}content-length: 0\r\n\r\n");
        answered(move || Answer::Bytes(head.clone().into_bytes()))
    };
    for (headers, seconds) in [
        ("", None),
        ("retry-after: 120\r\n", Some(120)),
        ("date: Sun, 06 Nov 1994 08:49:37 GMT\r\nretry-after: Sun, 06 Nov 1994 08:50:07 GMT\r\n", Some(30)),
    ] {
        let answer = busy(headers).await.unwrap();
        assert_eq!(answer, CallAnswer { status: 503, retry_after: seconds.map(Duration::from_secs) });
    }
}

#[tokio::test]
async fn a_receiver_that_hangs_is_left_in_time_and_may_come_back() {
    let server = Server::start(|_| Answer::Silence).await;
    let hurried = OutgoingCall { answer_within: Duration::from_millis(50), ..post(server.url("/")) };
    let fault = callbacks().call(hurried).await.unwrap_err();
    assert_eq!(fault.code(), Code::Timeout);

    let vacant = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let url = format!("http://{vacant}/secret");
    let fault = callbacks().call(post(url.clone())).await.unwrap_err();
    assert_eq!(fault.code(), Code::Unavailable);
    assert!(!fault.log_text().contains("secret"), "{fault:?}");
    let server = Server::on(&vacant.to_string(), None, |_| Answer::body("200 OK", "")).await;
    assert_eq!(callbacks().call(post(url)).await.unwrap().status, 200);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn addresses_are_judged_before_and_when_they_are_called() {
    let server = Server::start(|_| Answer::body("200 OK", "")).await;
    let port = server.address.port();
    for url in [
        format!("http://127.0.0.2:{port}/"),
        format!("http://eve@127.0.0.2:{port}/"),
        format!("http://127.0.0.1:{port}@127.0.0.2:{port}/"),
        format!("http://127.0.0.2:{port}#@127.0.0.1:{port}/"),
        format!("http://127.0.0.1:{port}\\@hooks.example.com/"),
        format!("https://[::ffff:127.0.0.2]:{port}/"),
        "https://169.254.169.254/latest/meta-data".to_owned(),
        "ftp://127.0.0.1/".to_owned(),
        "127.0.0.1".to_owned(),
        String::new(),
    ] {
        let judged = callbacks().judge(&url).unwrap_err();
        let called = callbacks().call(post(url.clone())).await.unwrap_err();
        assert_eq!((judged.code(), called.code()), (Code::Invalid, Code::Invalid), "{url}");
    }
    assert!(server.seen().is_empty());
    // A name is judged by what it leads to, when it is called.
    let client = EgressClient::new(EgressPolicy::default()).with_resolver(std::sync::Arc::new(Inward));
    let inward = EgressCallbacks::new(client);
    let url = format!("https://hooks.example.com:{port}/");
    inward.judge(&url).unwrap();
    assert_eq!(inward.call(post(url)).await.unwrap_err().code(), Code::Invalid);
    assert!(server.seen().is_empty());
}

/// Every name leads to this machine.
#[derive(Debug)]
struct Inward;

#[async_trait::async_trait]
impl tollbook_connect::egress::Resolver for Inward {
    async fn resolve(&self, _: &str) -> std::io::Result<Vec<std::net::IpAddr>> {
        Ok(vec!["127.0.0.1".parse().unwrap()])
    }
}
