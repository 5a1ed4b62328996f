//! Callbacks as their receiver gets them: signed, the same at every attempt, and tried again until he takes them.
//! Checklist row 39.

use super::desk::{everything, fill, id_of, order, path_of, ready, watch};
use crate::load::Load;
use crate::service::{Service, day_ago, wait_for};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tollbook_kit::clock::{Clock, SystemClock};

const PATIENCE: Duration = Duration::from_secs(60);
const SECRET: &str = "a secret of both";

/// A call as it came.
#[derive(Debug, Clone)]
struct Call {
    at: Duration,
    first_line: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// Takes calls, and answers each with the next of its statuses; the last one again and again.
struct Receiver {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Receiver {
    fn start(statuses: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let seen = calls.clone();
        // Ends with the process: nobody can be waited for who waits for calls.
        #[allow(clippy::disallowed_methods, reason = "a server of a test")]
        std::thread::spawn(move || {
            let clock = SystemClock::new();
            for stream in listener.incoming() {
                let number = seen.lock().unwrap().len();
                let status = statuses[number.min(statuses.len() - 1)];
                // Who hangs up before his call is whole has not called.
                if let Some(call) =
                    stream.ok().and_then(|stream| take(stream, status, address, clock.monotonic()))
                {
                    seen.lock().unwrap().push(call);
                }
            }
        });
        Self { address, calls }
    }

    /// The calls, once there are so many.
    #[track_caller]
    fn calls(&self, number: usize) -> Vec<Call> {
        let calls = wait_for(PATIENCE, || {
            Some(self.calls.lock().unwrap().clone()).filter(|calls| calls.len() >= number)
        });
        calls.unwrap_or_else(|| panic!("{:?} instead of {number} calls", self.calls.lock().unwrap()))
    }
}

fn take(stream: TcpStream, status: u16, own: SocketAddr, at: Duration) -> Option<Call> {
    let mut reader = BufReader::new(stream);
    let line = |reader: &mut BufReader<TcpStream>| {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0).map(|_| line.trim_end().to_owned())
    };
    let first_line = line(&mut reader)?;
    let mut headers = BTreeMap::new();
    while let Some((name, value)) = line(&mut reader)?.split_once(':') {
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    reader.read_exact(&mut body).ok()?;
    let answer = format!(
        "HTTP/1.1 {status} X\r\nlocation: http://{own}/elsewhere\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    );
    reader.get_mut().write_all(answer.as_bytes()).ok()?;
    Some(Call { at, first_line, headers, body })
}

fn started(environment: &[(&str, &str)]) -> (tempfile::TempDir, Service) {
    let folder = tempfile::tempdir().unwrap();
    let local = [("TOLLBOOK_EGRESS__ALLOW", "127.0.0.1"), ("TOLLBOOK_EGRESS__ALLOW_HTTP", "true")];
    let service = Service::start_with(folder.path(), &[&local[..], environment].concat());
    let secret = json!({"callback_secret": SECRET});
    service.client.send_json("PATCH", "/api/v1/settings", &secret).expect(200);
    (folder, service)
}

/// The document of a call, if its headers are right and its signature holds.
#[track_caller]
fn checked(call: &Call, job: &Value, kind: &str) -> Value {
    let header =
        |name: &str| call.headers.get(name).unwrap_or_else(|| panic!("no {name}: {call:?}")).as_str();
    assert_eq!(call.first_line, "POST /hook?x=y HTTP/1.1");
    assert!(header("content-type").starts_with("application/json"), "{call:?}");
    let id = hex::encode(Sha256::digest(format!("{}\n{kind}", id_of(job))));
    assert_eq!(header("webhook-id"), format!("msg_{}", &id[..32]));
    let timestamp: i64 = header("webhook-timestamp").parse().unwrap();
    assert!((SystemClock::new().now_ms() / 1000 - timestamp).abs() < 120, "{timestamp}");
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{}.{timestamp}.", header("webhook-id")).as_bytes());
    mac.update(&call.body);
    assert_eq!(header("webhook-signature"), format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())));
    let document: Value = serde_json::from_slice(&call.body).unwrap();
    assert_eq!(document["type"], kind, "{document}");
    assert!(document["timestamp"].is_string(), "{document}");
    assert_eq!(document["data"]["id"], job["id"], "{document}");
    assert!(!document.to_string().contains("/dl/"), "never a signed link: {document}");
    document
}

#[test]
fn a_receiver_that_redirects_is_called_again_with_the_same() {
    let (_folder, service) = started(&[]);
    let receiver = Receiver::start(&[302, 500, 204]);
    service.post_ndjson(Load::new(3).ndjson("few", 12, 0, &day_ago(2))).expect(200);
    let body = json!({
        "from": day_ago(9), "external_reference": "r1",
        "callback_url": format!("http://{}/hook?x=y", receiver.address),
    });
    let job = ready(&service.client, &order(&service.client, &body));
    let calls = receiver.calls(3);
    for call in &calls {
        let document = checked(call, &job, "export.ready");
        let data = &document["data"];
        let told = ["dataset", "status", "rows", "external_reference"].map(|name| data[name].clone());
        assert_eq!(told, [json!("cdr"), json!("ready"), json!(12), json!("r1")]);
        assert_eq!(data["bytes"], job["bytes"]);
        let place = data["job_url"].as_str().unwrap().strip_prefix(&service.client.url()).unwrap().to_owned();
        assert_eq!(service.client.get(&place).expect(200).json()["id"], job["id"]);
        assert_eq!(
            (&call.body, &call.headers["webhook-id"]),
            (&calls[0].body, &calls[0].headers["webhook-id"])
        );
    }
    // After 1 s and 5 s, each give or take a fifth, and what a round takes.
    let waits: Vec<f64> = calls.windows(2).map(|two| (two[1].at - two[0].at).as_secs_f64()).collect();
    assert!((0.75..4.0).contains(&waits[0]) && (3.9..9.0).contains(&waits[1]), "{waits:?}");
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(receiver.calls(3).len(), 3, "whom it reached is not told again");
}

#[test]
fn a_cancelled_job_is_told_of_and_notices_outlive_a_kill() {
    let (folder, service) = started(&[]);
    let receiver = Receiver::start(&[503, 200]);
    fill(&service, 4);
    let mut body = everything("ndjson");
    body["callback_url"] = json!(format!("http://{}/hook?x=y", receiver.address));
    let job = order(&service.client, &body);
    watch(&service.client, &job, |job| job["status"] == "running");
    service.client.send("DELETE", &path_of(&job), &[], b"").unwrap().expect(204);
    let first = receiver.calls(1).remove(0);
    service.kill();
    let local = [("TOLLBOOK_EGRESS__ALLOW", "127.0.0.1"), ("TOLLBOOK_EGRESS__ALLOW_HTTP", "true")];
    let _service = Service::start_with(folder.path(), &local);
    let second = receiver.calls(2).remove(1);
    for call in [&first, &second] {
        let document = checked(call, &job, "export.cancelled");
        assert_eq!(document["data"]["status"], "cancelled");
    }
    assert_eq!(first.body, second.body);
}
