//! The real binary's edge: TLS with its own and with given certificates, attackers beside honest clients, the port of the
//! numbers, requests that a stop cuts off, and the address of who asks.

mod encrypted;

use crate::client::Client;
use crate::load::Load;
use crate::road::recorded;
use crate::service::{Service, refused_start, wait_for};
use crate::table::{Table, lines};
use encrypted::{Encrypted, curl, curl_features, own_certificate};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Bound of what has to come in the end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Connections that send slowly.
const SLOW: usize = 150;
const SELF_SIGNED: (&str, &str) = ("TOLLBOOK_TLS__SELF_SIGNED", "true");

fn address_of(client: &Client) -> SocketAddr {
    client.url().strip_prefix("http://").unwrap().parse().unwrap()
}

#[test]
fn a_certificate_of_its_own_serves_verbs_curl_and_http_2() {
    let folder = tempfile::tempdir().unwrap();
    let service = Encrypted::start(folder.path(), &[SELF_SIGNED]);
    let certificate = own_certificate(folder.path());
    let definition = folder.path().join("bench.toml");
    let settings = "kind = \"asterisk-csv\"\nzone = \"UTC\"\n";
    std::fs::write(&definition, settings).unwrap();
    let master = recorded("Master.csv");
    for (words, path) in [
        (&["source", "put", "bench", "--file"][..], Some(definition.as_path())),
        (&["ingest", "--pbx-alias", "bench"], Some(master.as_path())),
        (&["token", "list"], None),
    ] {
        let done = service.run(&certificate, words, path.as_slice());
        assert!(done.status.success(), "{words:?}: {done:?}");
    }
    // What is not encrypted is not answered, and disturbs nobody.
    let mut plain = TcpStream::connect(service.url.strip_prefix("https://").unwrap()).unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut seen = Vec::new();
    let _reset = plain.read_to_end(&mut seen);
    assert!(!String::from_utf8_lossy(&seen).contains("HTTP/1.1 200"), "{seen:?}");

    let Some(features) = curl_features() else { return };
    let export = format!("{}/api/v1/cdr/export?from=2000-01-01&to=2100-01-01", service.url);
    let mut texts = Vec::new();
    for (version, shown) in [("--http1.1", "200 1.1"), ("--http2", "200 2")] {
        if version == "--http2" && !features.contains("HTTP2") {
            continue;
        }
        let (code, text) = curl(&[version], &certificate, &export);
        let (body, outcome) = text.rsplit_once('\n').unwrap();
        assert_eq!((code, outcome), (Some(0), shown));
        assert_eq!(Table::of(body.as_bytes()).rows.len(), 1736);
        texts.push(body.to_owned());
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "both versions of HTTP give the same bytes");
    let (code, _) = curl(&[], &definition, &export);
    assert!(matches!(code, Some(60 | 77)), "curl trusts nobody whom nobody vouches for: {code:?}");
}

#[test]
fn the_own_certificate_stays_and_given_ones_are_served() {
    let folder = tempfile::tempdir().unwrap();
    drop(Encrypted::start(folder.path(), &[SELF_SIGNED]));
    let certificate = own_certificate(folder.path());
    let key = certificate.with_file_name("key.pem");
    let mode = |file: &Path| std::fs::metadata(file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&key), 0o600, "the key is for its owner alone");
    let made = std::fs::read(&certificate).unwrap();
    drop(Encrypted::start(folder.path(), &[SELF_SIGNED]));
    assert_eq!(std::fs::read(&certificate).unwrap(), made, "clients need not be told anew");

    let other = tempfile::tempdir().unwrap();
    let given = [("CERTIFICATE", &certificate), ("KEY", &key)].map(|(name, file)| {
        let copy = other.path().join(name);
        std::fs::copy(file, &copy).unwrap();
        (format!("TOLLBOOK_TLS__{name}"), copy.to_str().unwrap().to_owned())
    });
    let given = given.each_ref().map(|(name, value)| (name.as_str(), value.as_str()));
    let service = Encrypted::start(other.path(), &given);
    let trusted = service.run(&certificate, &["token", "list"], &[]);
    assert!(trusted.status.success(), "{trusted:?}");
    assert!(!own_certificate(other.path()).exists(), "none is made");

    let [certificate, key] = given;
    for (settings, words) in [
        (vec![certificate], "tls.key"),
        (vec![key], "tls.certificate"),
        (vec![certificate, key, SELF_SIGNED], "tls.self_signed"),
        (vec![certificate, (key.0, certificate.1)], "tls.key"),
        (vec![(certificate.0, key.1), key], "tls.certificate"),
        (vec![certificate, (key.0, "/nowhere/key.pem")], "tls.key"),
    ] {
        let complaint = refused_start(&settings);
        assert!(complaint.contains(words), "{settings:?}: {complaint}");
        assert!(!complaint.contains("PRIVATE KEY"), "{complaint}");
    }
}

/// Connections that each send a letter now and then, of a request that never ends.
struct Slow {
    address: SocketAddr,
    streams: Vec<TcpStream>,
    /// How many of them were ended by the other side.
    cut: usize,
}

impl Slow {
    fn connect(address: SocketAddr) -> Self {
        let streams = (0..SLOW).map(|_| Self::one(address)).collect();
        Self { address, streams, cut: 0 }
    }

    fn one(address: SocketAddr) -> TcpStream {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_nonblocking(true).unwrap();
        // A new connection has room for this much.
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-slow: ").unwrap();
        stream
    }

    /// Each sends another letter; who was cut off comes back if it is told to.
    fn dribble(&mut self, come_back: bool) {
        let address = self.address;
        self.streams.retain_mut(|stream| {
            let ended = matches!(stream.read(&mut [0; 512]), Ok(0)) || stream.write_all(b"a").is_err();
            if ended {
                self.cut += 1;
                if come_back {
                    *stream = Self::one(address);
                }
            }
            !ended || come_back
        });
    }
}

/// A body of so many records, all of them of this account.
fn small(name: &str, rows: usize) -> String {
    Load::new(1).ndjson(name, rows, 0, "2026-11-20")
}

/// Requests whose heads are larger than any honest one.
fn bombs() -> [String; 3] {
    let start = "GET /healthz HTTP/1.1\r\nhost: x\r\n";
    [
        format!("{start}{}\r\n", "x-bomb: 1\r\n".repeat(2000)),
        format!("{start}x-bomb: {}\r\n\r\n", "x".repeat(1 << 20)),
        format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(100_000)),
    ]
}

/// Attackers of one service, who go on until it is over.
struct Attack {
    address: SocketAddr,
    cut: AtomicUsize,
    refused: AtomicUsize,
    is_over: AtomicBool,
}

impl Attack {
    fn on(service: &Service) -> Self {
        let [cut, refused] = [(); 2].map(|()| AtomicUsize::new(0));
        Self { address: address_of(&service.client), cut, refused, is_over: AtomicBool::new(false) }
    }

    fn dribble(&self) {
        let mut slow = Slow::connect(self.address);
        while !self.is_over.load(Ordering::Relaxed) {
            slow.dribble(true);
            self.cut.store(slow.cut, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn bomb(&self) {
        for bomb in bombs().iter().cycle() {
            let mut stream = TcpStream::connect(self.address).unwrap();
            // It is cut off while it sends: a broken pipe and a reset are fine.
            let _broken_pipe = stream.write_all(bomb.as_bytes());
            let mut answer = Vec::new();
            let _reset = stream.read_to_end(&mut answer);
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
            self.refused.fetch_add(1, Ordering::Relaxed);
            if self.is_over.load(Ordering::Relaxed) {
                return;
            }
        }
    }

    /// Has the service had to deal with each slow connection, and with some bombs?
    fn was_fought(&self) -> bool {
        self.cut.load(Ordering::Relaxed) >= SLOW && self.refused.load(Ordering::Relaxed) >= 12
    }
}

/// Sends records and exports them, again and again while the attack goes on, and misses nothing; answers how many.
fn work_honestly(service: &Service, name: &str, attack: &Attack) -> usize {
    const ROUNDS: usize = 25;
    let mut sent = 0;
    let ended = wait_for(PATIENCE, || {
        let answer = service.post_ndjson(small(&format!("{name}{sent}"), 10)).expect(200).json();
        assert_eq!(answer["accepted"], 10, "{answer}");
        sent += 10;
        let export = service.export("&format=ndjson&columns=source_key");
        assert_eq!(
            export.text().matches(&format!("\"{name}")).count(),
            sent,
            "what was acknowledged is there"
        );
        (sent >= ROUNDS * 10 && attack.was_fought()).then_some(())
    });
    assert!(ended.is_some(), "slow connections are cut, and bombs are refused");
    sent
}

#[test]
fn slow_connections_and_header_bombs_disturb_no_honest_client() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start_with(folder.path(), &[("TOLLBOOK_HTTP__HEADER_TIMEOUT_S", "1")]);
    let attack = Attack::on(&service);
    let sent: usize = std::thread::scope(|scope| {
        scope.spawn(|| attack.dribble());
        scope.spawn(|| attack.bomb());
        let (service, attack) = (&service, &attack);
        let honest =
            ["ada-", "bob-", "eve-"].map(|name| scope.spawn(move || work_honestly(service, name, attack)));
        let ended = honest.map(|thread| thread.join());
        attack.is_over.store(true, Ordering::Relaxed);
        ended.map(|sent| sent.unwrap()).iter().sum()
    });
    let all = service.export("&format=ndjson&columns=source_key");
    assert_eq!(lines(&all.body).len(), sent, "each record once");
}

#[test]
fn slow_connections_that_take_all_places_give_way() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("TOLLBOOK_HTTP__MAX_CONNECTIONS", "40"), ("TOLLBOOK_HTTP__HEADER_TIMEOUT_S", "600")];
    let service = Service::start_with(folder.path(), &settings);
    let mut slow = Slow::connect(address_of(&service.client));
    for number in 0..50 {
        slow.dribble(false);
        service.post_ndjson(small(&format!("h{number}"), 1)).expect(200);
    }
    assert_eq!(lines(&service.export("&format=ndjson&columns=source_key").body).len(), 50);
    slow.dribble(false);
    // A quarter of all places is for one address, and honest requests needed one at a time.
    assert!(slow.cut >= SLOW - 10, "{} of {SLOW} were cut", slow.cut);
}

#[test]
fn numbers_name_routes_and_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start_with(folder.path(), &[("TOLLBOOK_METRICS__LISTEN", "127.0.0.1:0")]);
    let id = "0190f7a8-4711-7000-8000-0123456789ab";
    let client = &service.client;
    for (method, path, status) in [
        ("GET", "/api/v1/sources/secret-branch".to_owned(), 404),
        ("GET", "/api/v1/sources/other-branch".to_owned(), 404),
        ("DELETE", format!("/api/v1/tokens/{id}"), 404),
        ("GET", "/api/v1/cdr/export?from=2026-01-01&calling_party=%2B491701234567".to_owned(), 200),
        ("GET", "/exports-api/v1/groups/secret-group/jobs".to_owned(), 403),
        ("GET", format!("/api/v1/nothing/{id}"), 404),
        ("MADEUP", "/api/v1/sources/secret-branch".to_owned(), 405),
    ] {
        let answer = client.send(method, &path, &[], b"").unwrap();
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text());
    }
    client.with_token("tb_wrong_token_of_nobody").get("/api/v1/sources").expect(401);
    let reader = service.numbers();
    let count = |labels: &[&str]| {
        let text = reader.get("/metrics").expect(200);
        let line = text.text().lines().find(|line| {
            line.starts_with("tollbook_http_requests_total{")
                && labels.iter().all(|label| line.contains(label))
        });
        line.and_then(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok())
    };
    let template = "route=\"/api/v1/sources/{pbx_alias}\"";
    // A request is counted when its answer has ended, which may be a moment after the client has it.
    for (labels, wanted) in [
        (&[template, "method=\"GET\"", "status=\"404\""][..], 2),
        (&[template, "method=\"other\"", "status=\"405\""], 1),
        (&["dialect=\"omilia\"", "{group}", "status=\"403\""], 1),
        (&["route=\"/api/v1/sources\"", "status=\"401\""], 1),
        (&["/export\"", "status=\"200\""], 1),
    ] {
        let counted = wait_for(PATIENCE, || count(labels).filter(|count| *count == wanted));
        assert!(counted.is_some(), "{labels:?}: {:?}\n{}", count(labels), reader.get("/metrics").text());
    }
    let text = reader.get("/metrics").expect(200);
    for secret in ["secret-", "other-branch", "4711", "491701234567", "MADEUP", "127.0.0.1", "tb_"] {
        assert!(!text.text().contains(secret), "{secret}\n{}", text.text());
    }
    assert_eq!(client.get("/metrics").status, 404, "not where strangers call");
    assert_eq!(reader.get("/api/v1/sources").status, 404, "nothing else is there");
}

#[test]
fn a_stop_names_what_it_cuts_off() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start_with(folder.path(), &[("TOLLBOOK_HTTP__STOP_TIMEOUT_S", "1")]);
    service.post_ndjson(Load::new(9).ndjson("large", 900, 20_000, "2026-11-20")).expect(200);
    let path = "/api/v1/cdr/export?from=2026-11-20&to=2026-11-20&format=ndjson&columns=id,extra";
    let mut export = service.client.begin(path).unwrap();
    export.read_some(64 * 1024);
    let log = folder.path().join("log");
    assert!(service.stop().success(), "an ordered stop, though somebody was late");
    let log = std::fs::read_to_string(log).unwrap();
    let named: Vec<&str> =
        log.lines().filter(|line| line.contains("a request is cut off by the stop")).collect();
    assert_eq!(named.len(), 1, "{log}");
    for word in ["WARN", "GET", "/export", "peer", "127.0.0.1:", "age_s"] {
        assert!(named[0].contains(word), "{word}: {}", named[0]);
    }
    assert!(!named[0].contains("2026-11-20&"), "no query: {}", named[0]);
    assert_eq!(export.finish().end, crate::client::End::Broken, "cut, and seen to be cut");
}

/// Addresses in the entries of the audit log that tell of changed settings.
fn addresses(service: &Service) -> Vec<Value> {
    let log = service.client.get("/api/v1/audit-log/export?from=2000-01-01&format=ndjson").expect(200);
    let entries = log.text().lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    entries.filter(|entry| entry["action"] == "settings.change").map(|entry| entry["ip"].clone()).collect()
}

#[test]
fn who_asks_is_who_the_trusted_proxies_say() {
    let folder = tempfile::tempdir().unwrap();
    let mut days = 100;
    let mut change = |service: &Service, forwarded: &[&str]| {
        days += 1;
        let body = json!({"retention": {"cdr_days": days}}).to_string();
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(forwarded.iter().map(|value| ("x-forwarded-for", *value)));
        let changed = service.client.send("PATCH", "/api/v1/settings", &headers, body.as_bytes());
        changed.unwrap().expect(200);
    };
    let service = Service::start(folder.path());
    change(&service, &["198.51.100.7"]);
    assert_eq!(addresses(&service), ["127.0.0.1"], "nobody is trusted unless the operator says so");
    assert!(service.stop().success());

    let trusted = [("TOLLBOOK_HTTP__TRUSTED_PROXIES", "127.0.0.1, 10.0.0.0/8")];
    let service = Service::start_with(folder.path(), &trusted);
    change(&service, &[]);
    change(&service, &["198.51.100.7"]);
    change(&service, &["192.0.2.66, 198.51.100.8, 10.1.2.3"]);
    change(&service, &["192.0.2.66", "2001:db8::9"]);
    change(&service, &["nonsense"]);
    let wanted = ["127.0.0.1", "127.0.0.1", "198.51.100.7", "198.51.100.8", "2001:db8::9", "127.0.0.1"];
    assert_eq!(addresses(&service), wanted);

    // A token for a network is judged by the same address.
    let token = json!({"name": "branch", "role": "analyst", "networks": ["198.51.100.0/24"]});
    let made = service.client.send_json("POST", "/api/v1/tokens", &token).expect(201).json();
    let branch = service.client.with_token(made["secret"].as_str().unwrap());
    for (forwarded, status) in
        [("198.51.100.200", 200), ("198.51.101.1", 401), ("198.51.100.1, 192.0.2.1", 401)]
    {
        let headers = [("x-forwarded-for", forwarded)];
        let answer = branch.send("GET", "/api/v1/cdr/export?from=2026-01-01", &headers, b"").unwrap();
        assert_eq!(answer.status, status, "{forwarded}");
    }
}
