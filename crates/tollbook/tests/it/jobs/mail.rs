//! Mail about jobs, as it reaches a real mail server (PyPI's aiosmtpd) over STARTTLS and a login.
//!
//! Needs `TOLLBOOK_TEST_PYTHON`, a Python with the packages of `readers/requirements.txt`.

use super::desk::{everything, fill, id_of, order, path_of, ready, watch};
use crate::load::Load;
use crate::service::{Service, day_ago, skip, wait_for};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// The Python that has aiosmtpd, if there is one.
fn python() -> Option<OsString> {
    let Some(python) = std::env::var_os("TOLLBOOK_TEST_PYTHON") else {
        skip("no mail is sent: TOLLBOOK_TEST_PYTHON names no Python that has aiosmtpd");
        return None;
    };
    let found = Command::new(&python).args(["-c", "import aiosmtpd"]).output().expect("Python runs");
    if !found.status.success() {
        skip("no mail is sent: the Python of TOLLBOOK_TEST_PYTHON lacks aiosmtpd");
        return None;
    }
    Some(python)
}

/// A running mail server. Killed when it is dropped.
struct MailServer {
    process: Child,
    said: PathBuf,
    certificate: PathBuf,
}

impl MailServer {
    fn start(python: &OsString, folder: &Path) -> Self {
        let [certificate, key, said] = ["mail.pem", "mail.key", "mail.said"].map(|name| folder.join(name));
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&certificate, cert.pem()).unwrap();
        std::fs::write(&key, signing_key.serialize_pem()).unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/mail/mail_server.py");
        let mut command = Command::new(python);
        command.arg(script).args([&certificate, &key]);
        command.stdin(Stdio::null()).stdout(File::create(&said).unwrap());
        Self { process: command.spawn().expect("Python runs"), said, certificate }
    }

    /// What it told so far.
    fn told(&self) -> Vec<Value> {
        let said = std::fs::read_to_string(&self.said).unwrap();
        let whole = said.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        whole.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The mails that it took for this address, once there are so many.
    #[track_caller]
    fn mails(&self, address: &str, number: usize) -> Vec<Value> {
        let is_his =
            |told: &Value| told["people"].as_array().is_some_and(|people| people.contains(&json!(address)));
        let mails = wait_for(PATIENCE, || {
            Some(self.told().into_iter().filter(is_his).collect::<Vec<_>>())
                .filter(|mails| mails.len() >= number)
        });
        mails.unwrap_or_else(|| panic!("not {number} mails for {address}: {:?}", self.told()))
    }

    /// What it answered when it was asked to take mail for this address.
    fn answers(&self, address: &str) -> Vec<String> {
        let asked = self.told().into_iter().filter(|told| told["asked"] == address);
        asked.map(|told| told["answer"].as_str().unwrap().to_owned()).collect()
    }

    /// A service that mails through it, with a user who has an address.
    fn service(&self, folder: &Path) -> Service {
        let port = wait_for(PATIENCE, || self.told().first().and_then(|told| told["port"].as_u64()));
        let server = format!("localhost:{}", port.expect("the mail server listens"));
        let service = Service::start_with(
            folder,
            &[
                ("TOLLBOOK_MAIL__SERVER", &server),
                ("TOLLBOOK_MAIL__USERNAME", "cdr"),
                ("TOLLBOOK_MAIL__PASSWORD", "hush hush"),
                ("TOLLBOOK_MAIL__FROM", "Call records <cdr@tollbook.example>"),
                ("TOLLBOOK_MAIL__ALLOWED_DOMAINS", "ops.example"),
                ("SSL_CERT_FILE", self.certificate.to_str().unwrap()),
            ],
        );
        let eve = json!({
            "username": "eve", "password": "correct horse battery", "role": "analyst", "email": "eve@acme.example",
        });
        service.client.send_json("POST", "/api/v1/users", &eve).expect(201);
        service
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        // Already dead is fine.
        let _ended = self.process.kill().and_then(|()| self.process.wait());
    }
}

#[test]
fn a_ready_export_is_told_to_whom_it_names() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let server = MailServer::start(&python, folder.path());
    let service = server.service(folder.path());
    service.post_ndjson(Load::new(3).ndjson("few", 12, 0, &day_ago(2))).expect(200);
    for people in [json!("adam@acme.example"), json!(["eve@acme.example", "eve@other.example"])] {
        let refused = json!({"from": day_ago(9), "notify_email": people});
        let answer = service.client.send_json("POST", "/api/v1/cdr/export-jobs", &refused).expect(400).json();
        assert_eq!(answer["errors"][0]["name"], "notify_email", "{answer}");
    }
    let people = json!(["eve@acme.example", "later@ops.example", "never@ops.example"]);
    let every = json!(["inbound", "outbound", "internal"]);
    let body = json!({"from": day_ago(9), "sign": "manifest", "direction": every, "notify_email": people});
    let job = ready(&service.client, &order(&service.client, &body));

    let mail = server.mails("eve@acme.example", 1).remove(0);
    assert_eq!((&mail["encrypted"], &mail["authenticated"]), (&json!(true), &json!(true)), "{mail}");
    assert_eq!(
        (&mail["sender"], &mail["type"]),
        (&json!("cdr@tollbook.example"), &json!("text/plain")),
        "{mail}"
    );
    assert_eq!((&mail["people"], &mail["defects"]), (&json!(["eve@acme.example"]), &json!([])), "{mail}");
    let header =
        |name: &str| mail["headers"][name].as_str().unwrap_or_else(|| panic!("no {name}: {mail}")).to_owned();
    assert_eq!(header("from"), "Call records <cdr@tollbook.example>");
    assert_eq!(
        (header("to"), header("subject")),
        ("eve@acme.example".into(), "Your export of cdr is ready".into())
    );
    assert!(header("message-id").contains(id_of(&job)), "{mail}");
    assert!(!header("date").is_empty(), "{mail}");
    let text = mail["text"].as_str().unwrap();
    assert_eq!(job["rows"], 12, "{job}");
    let [rows, bytes] = ["rows", "bytes"].map(|name| job[name].as_u64().unwrap());
    assert!(
        text.contains(&format!("Rows:     {rows}\n"))
            && text.replace(',', "").contains(&format!("{bytes} bytes\n")),
        "{text}"
    );
    for told in [id_of(&job), &day_ago(9), "Dataset:  cdr", &service.client.url()] {
        assert!(text.contains(told), "{told}: {text}");
    }
    for kept in ["/dl/", "sig=", "inbound", ".csv"] {
        assert!(!mail.to_string().contains(kept), "{kept}: {mail}");
    }

    // Who was not taken at first is tried again, with the same; who is unknown is not.
    let late = server.mails("later@ops.example", 1).remove(0);
    assert_eq!(late["text"], mail["text"]);
    assert_eq!(server.answers("later@ops.example"), ["450", "250"]);
    assert_eq!(server.answers("never@ops.example"), ["550"]);
    assert_eq!(server.answers("eve@acme.example"), ["250"]);
    let log = service.logged();
    for address in ["eve@acme", "later@ops", "never@ops", "hush hush"] {
        assert!(!log.contains(address), "{address} is in the log");
    }
}

#[test]
fn other_ends_are_told_too_also_after_a_kill() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let server = MailServer::start(&python, folder.path());
    let service = server.service(folder.path());
    fill(&service, 4);
    let mut body = everything("ndjson");
    body["notify_email"] = json!("later@ops.example");
    let job = order(&service.client, &body);
    watch(&service.client, &job, |job| job["status"] == "running");
    service.client.send("DELETE", &path_of(&job), &[], b"").unwrap().expect(204);
    let refused = wait_for(PATIENCE, || (server.answers("later@ops.example") == ["450"]).then_some(()));
    assert!(refused.is_some(), "{:?}", server.told());
    service.kill();
    let port = server.told()[0]["port"].as_u64().unwrap();
    let _service = Service::start_with(
        folder.path(),
        &[
            ("TOLLBOOK_MAIL__SERVER", &format!("localhost:{port}")),
            ("TOLLBOOK_MAIL__USERNAME", "cdr"),
            ("TOLLBOOK_MAIL__PASSWORD", "hush hush"),
            ("TOLLBOOK_MAIL__FROM", "cdr@tollbook.example"),
            ("SSL_CERT_FILE", server.certificate.to_str().unwrap()),
        ],
    );
    let mail = server.mails("later@ops.example", 1).remove(0);
    assert_eq!(mail["headers"]["subject"], "Your export of cdr was cancelled");
    assert!(mail["headers"]["message-id"].as_str().unwrap().contains(id_of(&job)), "{mail}");
}
