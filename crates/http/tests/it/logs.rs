//! What the log says of requests, and what it never says.

use crate::fakes::TOKEN_PREFIX;
use crate::shelf::{FILE, ready_job, target};
use crate::{NDJSON, Service};
use http::{Request, Version};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::Value;
use std::io::Write;
use std::sync::{Arc, Mutex};
use tokio::net::TcpStream;
use tracing_subscriber::fmt::MakeWriter;

/// Keeps what is written to it.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'w> MakeWriter<'w> for Lines {
    type Writer = Self;
    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

impl Lines {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The access lines, as (level, line).
    fn access(&self) -> Vec<(String, Value)> {
        let text = self.text();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines
            .filter(|line| line["message"] == "request answered")
            .map(|line| (line["level"].as_str().unwrap().to_owned(), line))
            .collect()
    }
}

#[tokio::test]
async fn a_line_per_request_and_no_secret_in_any() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(lines.clone())
        .finish();
    // The service runs on the thread of this test.
    let _guard = tracing::subscriber::set_default(subscriber);
    let service = Service::start().await;
    let bearer = format!("Authorization: Bearer {TOKEN_PREFIX}admin");
    let link = target(&ready_job(&service).await["download_url"]);
    let known = lines.access().len();
    let mut ids = Vec::new();
    for (line, header, body) in [
        ("GET /api/v1/cdr/export?from=2026-01-01&calling_party=%2B442071234567", bearer.as_str(), ""),
        ("GET /api/v1/sources/442071234567", &bearer, ""),
        ("GET /api/v1/sources/442071234567?token=planted-secret", "X: y", ""),
        ("POST /api/v1/cdr/records", &format!("{bearer}\r\n{NDJSON}"), "planted-secret\n"),
        ("POST /api/v1/cdr/records", &format!("{bearer}\r\n{NDJSON}"), "!planted-secret\n"),
        ("GET /v3/planted-secret", "Api-Key: planted-secret-of-a-key", ""),
        ("PLANTED-SECRET /planted-secret", "Cookie: planted-secret", ""),
        (
            "POST /auth/realms/ocp/protocol/openid-connect/token",
            "X: y",
            "grant_type=password&client_id=ocp&username=planted-secret&password=planted-secret",
        ),
        ("GET /healthz", "X: y", ""),
        ("GET /dl/v1/planted-secret/planted-secret?exp=1&kid=k1&sig=planted-secret", "X: y", ""),
        (&format!("GET {link}"), "X: y", ""),
    ] {
        let answer = service.with(line, header, body.as_bytes()).await;
        ids.push((answer.header("x-request-id").unwrap(), answer.status));
    }
    over_http_2(&service, &link).await;
    let access = lines.access().split_off(known);
    let told: Vec<_> = access
        .iter()
        .map(|(level, line)| {
            let text = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
            let status = line["status"].as_u64().unwrap();
            format!(
                "{level} {} {} {status} {} {}",
                text("method"),
                text("route"),
                text("dialect"),
                text("code")
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "INFO GET /api/v1/{dataset}/export 200 native -",
            "INFO GET /api/v1/sources/{pbx_alias} 404 native not_found",
            "INFO GET /api/v1/sources/{pbx_alias} 401 native unauthenticated",
            "DEBUG POST /api/v1/{dataset}/records 200 native -",
            "INFO POST /api/v1/{dataset}/records 400 native invalid",
            "INFO GET /v3/{*rest} 401 didww unauthenticated",
            "INFO other none 404 native not_found",
            "INFO POST /auth/realms/{realm}/protocol/openid-connect/token 401 realms unauthenticated",
            "DEBUG GET /healthz 200 native -",
            "INFO GET /dl/v1/{job}/{file} 403 native forbidden",
            "INFO GET /dl/v1/{job}/{file} 200 native -",
            "INFO GET /dl/v1/{job}/{file} 200 native -",
        ]
    );
    for ((id, status), (_, line)) in ids.iter().zip(&access) {
        assert_eq!(
            (line["request"].as_str(), line["status"].as_u64()),
            (Some(id.as_str()), Some((*status).into()))
        );
        assert!(line["ms"].is_u64());
    }
    assert_eq!(access[0].1["tenant"], "default");
    assert!(access[0].1["actor"].as_str().unwrap().starts_with("token:"));
    assert!(access[2].1.get("tenant").is_none(), "nobody is known of it");
    let signature = link.rsplit_once("sig=").unwrap().1;
    let text = lines.text();
    for secret in [signature, "sig=", "exp="] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let text = text.to_ascii_lowercase();
    for secret in ["planted-secret", "442071234567", TOKEN_PREFIX, "from=2026"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

/// A download over the other version, whose library has a log of its own.
async fn over_http_2(service: &Service, link: &str) {
    let stream = TcpStream::connect(service.address).await.unwrap();
    let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.unwrap();
    let download = async move {
        let request = Request::get(format!("http://localhost{link}")).version(Version::HTTP_2);
        let answer = sender.send_request(request.body(Empty::<bytes::Bytes>::new()).unwrap()).await.unwrap();
        assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), FILE);
    };
    let (ended, ()) = tokio::join!(connection, download);
    ended.unwrap();
}

#[tokio::test]
async fn our_own_failures_are_told_in_full() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt().json().flatten_event(true).with_writer(lines.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let service = Service::start().await;
    service.world.disk_is_full.store(true, std::sync::atomic::Ordering::SeqCst);
    let answer = service.as_admin("PUT /api/v1/sources/pbx", b"{\"kind\":\"lines\"}").await;
    assert_eq!(answer.status, 507);
    let text = lines.text();
    let failed = text.lines().find(|line| line.contains("request failed")).expect("a line of the failure");
    let failed: Value = serde_json::from_str(failed).unwrap();
    assert_eq!(
        (&failed["level"], failed["request"].as_str()),
        (&"ERROR".into(), answer.header("x-request-id").as_deref())
    );
    assert!(failed["fault"].as_str().unwrap().starts_with("storage_full"));
}
