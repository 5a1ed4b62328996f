//! The command line's client over TLS, and towards servers that are not there.

use crate::server::{Answer, Server, tls_for};
use bytes::Bytes;
use http::Method;
use std::time::Duration;
use tollbook_connect::client::{ApiClient, was_never_reached};
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::secret::Secret;

async fn call(server: &str, ca_file: Option<&std::path::Path>) -> Result<u16, Fault> {
    let client = ApiClient::new(server, Secret::new("t0k3n".into()), ca_file)?;
    client.send(Method::GET, "/api/v1/x", None, Bytes::new()).await.map(|reply| reply.status)
}

#[tokio::test]
async fn https_is_spoken_to_servers_with_a_trusted_certificate() {
    let (tls, ca_file) = tls_for(&["localhost", "127.0.0.1"], "client");
    let server = Server::on("127.0.0.1:0", Some(tls), |_| Answer::body("200 OK", "")).await;
    let port = server.address.port();
    assert_eq!(call(&format!("https://127.0.0.1:{port}"), Some(&ca_file)).await.unwrap(), 200);
    assert_eq!(call(&format!("https://localhost:{port}/"), Some(&ca_file)).await.unwrap(), 200);
    assert!(server.seen()[0].contains("authorization: Bearer t0k3n\r\n"));

    let (_, other_ca_file) = tls_for(&["127.0.0.1"], "other");
    for ca_file in [None, Some(other_ca_file.as_path())] {
        let fault = call(&format!("https://127.0.0.1:{port}"), ca_file).await.unwrap_err();
        assert_eq!((fault.code(), fault.details()[0].name.as_str()), (Code::Invalid, "server"));
        assert!(was_never_reached(&fault) && fault.message().contains("certificate"), "{fault:?}");
    }
    std::fs::remove_file(&other_ca_file).unwrap();
    assert_eq!(server.seen().len(), 2, "the token goes to nobody who is not trusted");
    std::fs::remove_file(&ca_file).unwrap();
    let fault = call(&format!("https://127.0.0.1:{port}"), Some(&ca_file)).await.unwrap_err();
    assert_eq!(fault.details()[0].name, "ca_file");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_at_once_with_its_address() {
    let vacant = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for scheme in ["http", "https"] {
        let address = format!("{scheme}://{vacant}");
        let outcome = tokio::time::timeout(Duration::from_secs(5), call(&address, None)).await;
        let fault = outcome.expect("a refusal is no wait").unwrap_err();
        assert_eq!(fault.code(), Code::Unavailable);
        assert!(fault.message().contains(&address) && fault.message().contains("refused"), "{fault:?}");
        assert!(was_never_reached(&fault));
    }
    let fault = call("http://nobody.invalid:1", None).await.unwrap_err();
    assert!(was_never_reached(&fault) && fault.message().contains("http://nobody.invalid:1"), "{fault:?}");
}

#[tokio::test]
async fn a_server_that_broke_off_may_have_heard_us() {
    let server = Server::start(|_| Answer::Bytes(Vec::new())).await;
    let fault = call(&server.url(""), None).await.unwrap_err();
    assert_eq!(fault.code(), Code::Unavailable);
    assert!(!was_never_reached(&fault) && fault.message().contains("may have arrived"), "{fault:?}");
}
