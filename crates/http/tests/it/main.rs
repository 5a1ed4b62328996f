//! The dialects on a real socket, over stand-ins for the ports.
#![allow(clippy::unwrap_used, reason = "a failed test says where")]

mod accounts;
mod completeness;
mod connection;
mod didww;
mod downloads;
mod edge;
mod endings;
#[path = "../../../app/tests/it/fakes.rs"]
#[allow(dead_code, unused_imports, reason = "shared with the tests of the use cases, which need more of it")]
mod fakes;
mod gates;
mod jobs;
mod limits;
mod logs;
mod manifests;
mod openapi;
mod realms;
mod shelf;
mod slow_readers;
mod tls;
mod trunks;

use connection::{Answer, send};
use fakes::{TOKEN_PREFIX, World};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::rustls::ServerConfig;
use tollbook_app::App;
use tollbook_http::{Api, ConnectionLimits, HttpConfig, RateConfig, serve};
use tollbook_kit::ids::IdSource;
use tollbook_kit::supervise::{OnError, Supervisor};
use tollbook_model::ports::TokenIssuer;

struct Service {
    address: SocketAddr,
    world: Arc<World>,
    supervisor: Supervisor,
}

impl Service {
    /// A service whose rates nobody reaches: the clock of these tests stands still.
    async fn start() -> Self {
        Self::with_config(HttpConfig { limits: unlimited(), ..HttpConfig::default() }).await
    }

    async fn with_config(config: HttpConfig) -> Self {
        Self::with_issuer(config, None).await
    }

    /// The same, with an outside identity provider.
    async fn with_issuer(config: HttpConfig, issuer: Option<Arc<dyn TokenIssuer>>) -> Self {
        let world = World::new();
        let app = world.app_with(issuer).await;
        Self::over(world, app, config, None).await
    }

    /// A service of these use cases, which stand on this world.
    async fn over(world: Arc<World>, app: App, config: HttpConfig, tls: Option<Arc<ServerConfig>>) -> Self {
        let header_patience = Duration::from_millis(300);
        let connections = ConnectionLimits { header_patience, ..config.connections };
        let public_url = "https://cdr.example.net:8443".to_owned();
        let config = HttpConfig { connections, public_url, ..config };
        let supervisor = Supervisor::new();
        let ids = IdSource::new(world.clock.clone(), world.randomness.clone());
        let api = Api::new(app, ids, world.clock.clone(), supervisor.stop_token(), &config);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        supervisor.spawn("http", OnError::StopProcess, serve(listener, tls, api, config));
        Self { address, world, supervisor }
    }

    async fn as_role(&self, role: &str, line: &str, body: &[u8]) -> Answer {
        self.with(line, &format!("Authorization: Bearer {TOKEN_PREFIX}{role}"), body).await
    }

    async fn as_admin(&self, line: &str, body: &[u8]) -> Answer {
        self.as_role("admin", line, body).await
    }

    /// A request with one more header line (or several).
    async fn with(&self, line: &str, header: &str, body: &[u8]) -> Answer {
        send(self.address, &format!("{line} HTTP/1.1\r\n{header}"), body).await
    }

    async fn ingest(&self, headers: &str, body: &[u8]) -> Answer {
        let headers = format!("Authorization: Bearer {TOKEN_PREFIX}admin\r\n{headers}");
        self.with("POST /api/v1/cdr/records", &headers, body).await
    }
}

fn unlimited() -> RateConfig {
    RateConfig {
        native_per_second: 1_000_000,
        native_burst: 1_000_000,
        ingest_per_second: 1_000_000,
        public_per_second: 1_000_000,
        didww_per_second: 1_000_000,
        group_permits: 1_000_000,
        ..RateConfig::default()
    }
}

fn problem(answer: &Answer) -> (u16, String) {
    let document = answer.json();
    assert_eq!(answer.header("content-type").as_deref(), Some("application/problem+json"));
    assert_eq!(document["status"], answer.status);
    assert_eq!(document["instance"].as_str(), answer.header("x-request-id").as_deref());
    assert!(document["title"].is_string() && document["detail"].is_string());
    (
        answer.status,
        document["type"].as_str().unwrap().strip_prefix("urn:tollbook:problem:").unwrap().to_owned(),
    )
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

const NDJSON: &str = "Content-Type: application/x-ndjson";

#[tokio::test]
async fn refusals_are_problem_documents_in_the_order_of_the_contract() {
    let service = Service::start().await;
    let deep = format!("{{\"a\":{}", "[".repeat(10_000));
    for (role, line, body, status, kind) in [
        ("admin", "GET /nothing", "", 404, "not-found"),
        ("none", "GET /api/v1/dog/export?from=x", "", 404, "not-found"),
        ("none", "POST /api/v1/kpis/records", "a", 404, "not-found"),
        ("none", "POST /api/v1/unknown/export", "", 404, "not-found"),
        ("none", "DELETE /api/v1/unknown/export/estimate", "", 404, "not-found"),
        ("none", "GET /api/v1/kpis/records", "", 404, "not-found"),
        ("none", "PUT /api/v1/schemas/dog.json", "", 404, "not-found"),
        ("none", "PUT /api/v1/schemas/cdr/v2.json", "", 404, "not-found"),
        ("none", "PUT /api/v1/schemas/cdr.json", "", 405, "method-not-allowed"),
        ("none", "PUT /api/v1/schemas/cdr/v1.json", "", 405, "method-not-allowed"),
        ("none", "PATCH /api/v1/sources/none", "", 405, "method-not-allowed"),
        ("none", "POST /api/v1/cdr/export", "", 405, "method-not-allowed"),
        ("none", "POST /api/v1/cdr/export/estimate", "", 405, "method-not-allowed"),
        ("none", "GET /api/v1/cdr/records", "", 405, "method-not-allowed"),
        ("none", "GET /api/v1/cdr/export?nonsense=1", "", 401, "unauthorized"),
        ("none", "GET /api/v1/cdr/export?token=token-of-the-role-called-admin", "", 401, "unauthorized"),
        ("viewer", "GET /api/v1/cdr/export?nonsense=1", "", 403, "forbidden"),
        ("analyst", "GET /api/v1/agent-configuration/export", "", 403, "forbidden"),
        ("source", "GET /api/v1/cdr/export?from=2026-01-01", "", 403, "forbidden"),
        ("analyst", "GET /api/v1/sources/none", "", 403, "forbidden"),
        ("auditor", "POST /api/v1/sources/none/records", "a", 403, "forbidden"),
        ("admin", "GET /api/v1/cdr/export", "", 400, "missing-parameter"),
        ("admin", "GET /api/v1/cdr/export?from=2026-01-01&directon=inbound", "", 400, "unknown-parameter"),
        ("admin", "GET /api/v1/cdr/export?from=2026-01-06&to=2026-01-05", "", 400, "invalid-parameter"),
        ("admin", "GET /api/v1/cdr/export?form=2026-01-01&tz=%FF", "", 400, "unknown-parameter"),
        ("admin", "GET /api/v1/cdr/export?tz=Mars/Base", "", 400, "invalid-parameter"),
        ("admin", "GET /api/v1/cdr/export/estimate?from=yesterday", "", 400, "invalid-parameter"),
        ("admin", "GET /api/v1/sources?x=1", "", 400, "unknown-parameter"),
        ("admin", "GET /api/v1/sources/none", "", 404, "not-found"),
        ("admin", "DELETE /api/v1/sources/none", "", 404, "not-found"),
        ("admin", "PUT /api/v1/sources/pbx", "{\"kind\":", 400, "malformed-body"),
        ("admin", "PUT /api/v1/sources/pbx", deep.as_str(), 400, "malformed-body"),
        ("admin", "PUT /api/v1/sources/pbx", "[]", 400, "malformed-body"),
        ("admin", "PUT /api/v1/sources/pbx", "{\"kind\":\"crystal-ball\"}", 400, "invalid-parameter"),
        ("admin", "POST /api/v1/sources/none/records", "a", 404, "not-found"),
        ("admin", "POST /api/v1/cdr/records", "what is this", 415, "unsupported-media-type"),
        ("admin", "POST /api/v1/cdr/records?on_error=maybe", "{", 400, "invalid-parameter"),
        ("admin", "POST /api/v1/cdr/records?zone=UTC", "{", 400, "unknown-parameter"),
        ("none", "GET /api/v1/schemas/cdr.xml", "", 404, "not-found"),
        ("none", "GET /api/v1/schemas/cdr/v2.json", "", 404, "not-found"),
        ("none", "GET /api/v1/sources/%FF", "", 404, "not-found"),
    ] {
        let answer = service.as_role(role, line, body.as_bytes()).await;
        assert_eq!(problem(&answer), (status, kind.to_owned()), "{role} {line}");
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401, "{line}");
        assert_eq!(answer.json().get("code").is_some(), status == 401, "{line}");
        assert_eq!(answer.header("allow").is_some(), status == 405, "{line}");
        if let Some(first) = answer.json()["errors"].get(0) {
            let told = format!("{}: {}", first["name"].as_str().unwrap(), first["reason"].as_str().unwrap());
            assert_eq!(
                answer.json()["detail"],
                told,
                "{line}: type, detail and first error are of one fault"
            );
        }
    }
    let both = service.as_admin("GET /api/v1/cdr/export?from=2026-01-01&format=xlsx&tz=Mars/Base", b"").await;
    assert_eq!(both.json()["errors"].as_array().unwrap().len(), 2);
    let allow = service.as_admin("POST /api/v1/cdr/export", b"").await.header("allow").unwrap();
    assert!(allow.contains("GET") && allow.contains("HEAD"), "{allow}");
    let denied = service.with("GET /api/v1/sources", "Cookie: token=x", b"").await.json();
    assert_eq!(denied["code"], "NAT-API-001");
}

#[tokio::test]
async fn exports_stream_with_their_headers() {
    let service = Service::start().await;
    let line = "/api/v1/cdr/export?tz=Europe/Paris&from=2026-01-05&to=2026-01-07";
    let get = service.as_admin(&format!("GET {line}"), b"").await;
    assert_eq!((get.status, get.text(), get.whole), (200, "one\ntwo\nthree\n", true));
    assert_eq!(get.header("transfer-encoding").as_deref(), Some("chunked"));
    assert_eq!(get.header("content-type").as_deref(), Some("text/csv; charset=utf-8"));
    let name = "attachment; filename=\"cdr_2026-01-05_2026-01-07.csv\"";
    assert_eq!(get.header("content-disposition").as_deref(), Some(name));
    assert_eq!(get.header("tollbook-formula-guard").as_deref(), Some("off"));
    assert_eq!(get.header("cache-control").as_deref(), Some("no-store"));
    assert_eq!(get.header("content-encoding"), None);
    let id = get.header("tollbook-export-id").unwrap();
    assert_eq!(id, service.world.exports.lock().unwrap()[0].0.id.to_string());
    assert_ne!(get.header("x-request-id").unwrap(), id);

    let head = service.as_admin(&format!("HEAD {line}&format=csv.gz&formula_guard=1"), b"").await;
    assert_eq!((head.status, head.text()), (200, ""));
    assert_eq!(head.header("content-type").as_deref(), Some("application/gzip"));
    assert_eq!(head.header("tollbook-formula-guard").as_deref(), Some("on"));
    assert_eq!(head.header("content-length"), None, "the length is not known");
    assert!(head.header("content-disposition").unwrap().ends_with(".csv.gz\""));
    assert_eq!(service.world.exports.lock().unwrap().len(), 1, "HEAD starts no export");

    let parquet = service.as_admin(&format!("GET {line}&format=parquet"), b"").await;
    assert_eq!(parquet.header("tollbook-formula-guard"), None);
    for (filter, mode) in [("", "direct"), ("&trunk=a", "job")] {
        let estimate =
            service.as_admin(&format!("GET /api/v1/cdr/export/estimate?from=2026-01-05{filter}"), b"").await;
        assert_eq!(estimate.json()["mode"], mode);
    }
}

#[tokio::test]
async fn a_failure_midway_never_ends_cleanly() {
    let service = Service::start().await;
    let line = "GET /api/v1/cdr/export?from=2026-01-01&trunk=broken";
    let answer = service.as_admin(line, b"").await;
    assert_eq!(answer.status, 200);
    assert!(!answer.whole, "{answer:?}");
    assert!(!answer.text().contains("three"));
}

#[tokio::test]
async fn a_fifth_export_waits_until_one_is_dropped() {
    let service = Service::start().await;
    let mut held = Vec::new();
    let request = format!(
        "GET /api/v1/cdr/export?from=2026-01-01&trunk=endless HTTP/1.1\r\nHost: h\r\n\
         Authorization: Bearer {TOKEN_PREFIX}admin\r\n\r\n"
    );
    for _ in 0..4 {
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_ne!(stream.read(&mut [0u8; 1024]).await.unwrap(), 0);
        held.push(stream);
    }
    let line = "GET /api/v1/cdr/export?from=2026-01-01";
    let fifth = service.as_admin(line, b"").await;
    assert_eq!(problem(&fifth), (429, "too-many-jobs".into()));
    assert_eq!(fifth.header("retry-after").as_deref(), Some("5"));
    held.clear();
    let freed = async {
        while service.as_admin(line, b"").await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), freed).await.expect("a dropped connection frees its place");
}

#[tokio::test]
async fn records_are_taken_in_every_packing() {
    let service = Service::start().await;
    let answer = service.ingest(NDJSON, b"a\nb\n").await;
    let wanted = "{\"accepted\":2,\"duplicates\":0,\"revisions\":0,\"rejected\":0,\"first_sequence\":1,\
                  \"last_sequence\":2,\"errors\":[]}\n";
    assert_eq!((answer.status, answer.text()), (200, wanted));
    let members = [gzip(b"c\n"), gzip(b"d\n")].concat();
    let gzipped = service.ingest(&format!("{NDJSON}\r\nContent-Encoding: gzip"), &members).await;
    assert_eq!(gzipped.json()["last_sequence"], 4);
    let packed = zstd::encode_all(&b"e\n"[..], 3).unwrap();
    let zstd = service.ingest(&format!("{NDJSON}\r\nContent-Encoding: zstd"), &packed).await;
    assert_eq!(zstd.json()["last_sequence"], 5);
    let again = service.ingest(NDJSON, b"a\n").await.json();
    assert_eq!((&again["accepted"], &again["duplicates"]), (&1.into(), &1.into()));
    assert!(again["first_sequence"].is_null() && again["last_sequence"].is_null());
    let empty = service.ingest(NDJSON, b"").await;
    assert_eq!((empty.status, empty.json()["accepted"].as_u64()), (200, Some(0)));
    assert_eq!(service.ingest("X: y", b"").await.text(), empty.text(), "an empty body needs no type");

    let rejected = service.ingest(NDJSON, b"f\n!\n").await;
    assert_eq!(problem(&rejected), (400, "malformed-body".into()));
    assert_eq!(rejected.json()["errors"][0]["name"], "line 2");
    let headers = format!("Authorization: Bearer {TOKEN_PREFIX}admin\r\n{NDJSON}");
    let skipped = service.with("POST /api/v1/cdr/records?on_error=skip", &headers, b"f\n!\n").await.json();
    assert_eq!((&skipped["accepted"], &skipped["errors"][0]["line"]), (&1.into(), &2.into()));
}

#[tokio::test]
async fn hostile_bodies_are_cut_off_at_the_bound() {
    let service = Service::start().await;
    let bomb = gzip(&vec![b'\n'; 65 * 1024 * 1024]);
    assert!(bomb.len() < 1024 * 1024);
    let answer = service.ingest(&format!("{NDJSON}\r\nContent-Encoding: gzip"), &bomb).await;
    assert_eq!(problem(&answer), (413, "body-too-large".into()));
    let large = vec![b'\n'; 64 * 1024 * 1024 + 1];
    assert_eq!(problem(&service.ingest(NDJSON, &large).await).0, 413);
    let whole = gzip(b"some records\n");
    let truncated =
        service.ingest(&format!("{NDJSON}\r\nContent-Encoding: gzip"), &whole[..whole.len() - 4]).await;
    assert_eq!(problem(&truncated), (400, "malformed-body".into()));
    for coding in ["br", "gzip, gzip", "deflate"] {
        let answer = service.ingest(&format!("{NDJSON}\r\nContent-Encoding: {coding}"), b"x").await;
        assert_eq!(problem(&answer), (415, "unsupported-media-type".into()), "{coding}");
    }
    let definition = format!("{{\"kind\":\"lines\",\"zone\":\"{}\"}}", "x".repeat(64 * 1024));
    let answer = service.as_admin("PUT /api/v1/sources/pbx", definition.as_bytes()).await;
    assert_eq!(problem(&answer), (413, "body-too-large".into()));
    assert!(service.world.committed.lock().unwrap().is_empty());
}

#[tokio::test]
async fn sources_are_managed_and_fed() {
    let service = Service::start().await;
    let path = "/api/v1/sources/B%C3%BCro%20S%C3%BCd%2B1";
    let put = format!("PUT {path}");
    let form = format!(
        "Authorization: Bearer {TOKEN_PREFIX}admin\r\nContent-Type: application/x-www-form-urlencoded"
    );
    let created = service.with(&put, &form, b"{\"kind\":\"lines\"}").await;
    assert_eq!((created.status, created.json()["pbx_alias"].as_str()), (201, Some("Büro Süd+1")));
    assert_eq!(created.json()["zone"], "UTC", "defaults are shown");
    assert_eq!(created.json()["updated_at"], "2026-06-01T00:00:00.000Z");
    let changed = service.as_admin(&put, b"{\"kind\":\"lines\",\"enabled\":false}").await;
    assert_eq!((changed.status, changed.json()["version"].as_u64()), (200, Some(2)));
    let records = format!("POST {path}/records?on_error=reject&uuid=1&uuid=%3F2");
    assert_eq!(problem(&service.as_admin(&records, b"a").await), (409, "conflict".into()));
    service.as_admin(&put, b"{\"kind\":\"lines\",\"enabled\":true}").await;

    // A switch that can send nothing but a user and a password: `pbx:token-of-the-role-called-source`.
    let basic = "Authorization: Basic cGJ4OnRva2VuLW9mLXRoZS1yb2xlLWNhbGxlZC1zb3VyY2U=";
    let fed = service.with(&records, basic, b"a\nb").await;
    assert_eq!((fed.status, fed.json()["accepted"].as_u64()), (200, Some(2)));
    let queries = service.world.queries.lock().unwrap().clone();
    assert_eq!(queries[2], ("uuid".to_owned(), "?2".to_owned()), "the connector sees all parameters");
    let elsewhere = service.with("POST /api/v1/cdr/records", basic, b"{").await;
    assert_eq!((elsewhere.status, elsewhere.header("www-authenticate").as_deref()), (401, Some("Bearer")));
    let nobody = service.with(&records, "X: y", b"a").await;
    assert!(nobody.header("www-authenticate").unwrap().contains("Basic"));

    let list = service.as_admin("GET /api/v1/sources", b"").await.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
    assert_eq!(service.as_admin(&format!("DELETE {path}"), b"").await.status, 204);
    assert_eq!(service.as_admin(&format!("GET {path}"), b"").await.status, 404);
}

#[tokio::test]
async fn schemas_are_public_and_cached() {
    let service = Service::start().await;
    let schema = service.with("GET /api/v1/schemas/cdr.json", "X: y", b"").await;
    assert_eq!(schema.header("content-type").as_deref(), Some("application/schema+json"));
    assert_eq!(schema.header("access-control-allow-origin").as_deref(), Some("*"));
    assert_eq!(schema.header("cache-control").as_deref(), Some("public, max-age=300"));
    let document = schema.json();
    assert_eq!(document["$id"], "https://cdr.example.net:8443/api/v1/schemas/cdr/v1.json");
    let required = ["id", "pbx_alias", "start_at", "duration_s", "direction"];
    assert_eq!(document["required"], serde_json::json!(required));
    let tag = schema.header("etag").unwrap();
    for known in [tag.clone(), format!("\"x\", W/{tag}"), "*".to_owned()] {
        let header = format!("If-None-Match: {known}");
        let again = service.with("GET /api/v1/schemas/cdr/v1.json", &header, b"").await;
        assert_eq!((again.status, again.body.len()), (304, 0), "{known}");
    }
    let changed = service.with("GET /api/v1/schemas/cdr.json", "If-None-Match: \"x\"", b"").await;
    assert_eq!(changed.status, 200);
    let python = service.with("GET /api/v1/schemas/agent-configuration.py", "X: y", b"").await;
    assert!(python.text().contains("class AgentConfigurationRecord(TypedDict)"));
    let types = service.with("GET /api/v1/schemas/kpis.ts", "X: y", b"").await;
    assert_eq!(types.header("content-type").as_deref(), Some("text/plain; charset=utf-8"));
    let index = service.with("GET /api/v1/schemas", "X: y", b"").await.json();
    assert_eq!(index["items"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_panic_is_an_internal_error_and_nothing_more() {
    let service = Service::start().await;
    // The stand-in panics on it, while reading the body on another thread.
    let answer = service.ingest(NDJSON, b"P").await;
    assert_eq!(problem(&answer), (500, "internal".into()));
    assert!(!answer.text().contains("asked to"), "inner detail stays inside");
    assert_eq!(service.with("GET /healthz", "X: y", b"").await.status, 200);
}

#[tokio::test]
async fn slow_starters_are_cut_off_and_stopping_is_orderly() {
    let service = Service::start().await;
    for start in ["", "P", "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow"] {
        let mut stream = TcpStream::connect(service.address).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "still open after its time: {start:?}");
    }
    assert_eq!(service.with("GET /readyz", "X: y", b"").await.status, 200);
    let mut idle = TcpStream::connect(service.address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    assert_ne!(idle.read(&mut [0u8; 1024]).await.unwrap(), 0);
    assert!(
        service.supervisor.stop(Duration::from_secs(10)).await.is_empty(),
        "an idle connection delays nothing"
    );
    assert!(TcpStream::connect(service.address).await.is_err());
}
