//! A real OpenID Connect issuer (npm's oidc-provider) as a process of its own: started, stopped, given other keys.
//!
//! What it signs at request, it signs with its own private keys; what holds is for the service under test to say.

use crate::client::Client;
use crate::service::{skip, wait_for};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Script, manifest and lock file of the issuer.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/issuer");
/// Bound of a start, which loads the whole package.
const PATIENCE: Duration = Duration::from_secs(60);
/// Resources that tokens are asked for, and the audience that the issuer writes into them.
pub(super) const OURS: (&str, &str) = ("urn:example:tollbook", "tollbook");
pub(super) const ANOTHERS: (&str, &str) = ("urn:example:billing", "billing");

/// Is there what it takes to run an issuer? Says loudly if not.
pub(super) fn is_here() -> bool {
    static MISSING: LazyLock<Option<String>> = LazyLock::new(|| installed().err());
    if let Some(why) = &*MISSING {
        skip(&format!("no outside issuer is started: {why}"));
    }
    MISSING.is_none()
}

fn installed() -> Result<(), String> {
    let runs = |mut command: Command| match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("{command:?}: {error}")),
    };
    let mut node = Command::new("node");
    node.arg("--version");
    runs(node)?;
    // npm writes this file last.
    if Path::new(FOLDER).join("node_modules/.package-lock.json").exists() {
        return Ok(());
    }
    let mut install = Command::new("npm");
    install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(FOLDER);
    runs(install)
}

fn script(arguments: &[&OsStr]) -> Command {
    let mut command = Command::new("node");
    command.arg("issuer.mjs").args(arguments).current_dir(FOLDER);
    command
}

/// New private keys, written `KID=ALGORITHM`.
pub(super) fn new_keys(words: &[&str]) -> Value {
    let arguments: Vec<&OsStr> = ["keys"].iter().chain(words).map(OsStr::new).collect();
    let made = script(&arguments).output().expect("node runs");
    assert!(made.status.success(), "{made:?}");
    serde_json::from_slice(&made.stdout).expect("a JWK Set")
}

/// A token that the issuer signs though it would never hand it out.
pub(super) struct Signed {
    /// The header.
    pub(super) header: Value,
    /// The claims.
    pub(super) claims: Value,
    /// The `kid` of the key; `none`, or `public KID` for a MAC with a public key.
    pub(super) key: &'static str,
}

/// An issuer, running or not. Killed when it is dropped.
pub(super) struct Issuer {
    folder: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Issuer {
    /// An issuer with these keys, whose access tokens have this algorithm, for clients with these claims. It does not
    /// run yet.
    pub(super) fn new(keys: &Value, algorithm: &str, clients: &Value) -> Self {
        let issuer = Self { folder: tempfile::tempdir().unwrap(), port: free_port(), process: None };
        let audiences = json!({OURS.0: OURS.1, ANOTHERS.0: ANOTHERS.1});
        issuer.describe(&json!({"keys": keys, "alg": algorithm, "audiences": audiences, "clients": clients}));
        issuer
    }

    /// Its URL, as in the claim `iss`.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The settings of a service that takes its tokens.
    pub(super) fn settings(&self) -> Vec<(&'static str, String)> {
        vec![
            ("TOLLBOOK_AUTH__ISSUER", self.url()),
            ("TOLLBOOK_AUTH__AUDIENCE", OURS.1.to_owned()),
            ("TOLLBOOK_EGRESS__ALLOW", "127.0.0.1".to_owned()),
            ("TOLLBOOK_EGRESS__ALLOW_HTTP", "true".to_owned()),
        ]
    }

    /// Starts it, on its port.
    pub(super) fn up(&mut self) {
        let log = self.folder.path().join("log");
        let before = self.log().matches("ready\n").count();
        let port = self.port.to_string();
        let file = self.folder.path().join("issuer.json");
        let mut command = script(&["serve".as_ref(), file.as_ref(), port.as_ref()]);
        command.stdin(Stdio::null()).stdout(File::options().append(true).create(true).open(log).unwrap());
        command.stderr(File::create(self.folder.path().join("complaints")).unwrap());
        let mut process = command.spawn().expect("node runs");
        let ready = wait_for(PATIENCE, || {
            if let Some(status) = process.try_wait().unwrap() {
                panic!("the issuer ended with {status}: {}", self.complaints());
            }
            (self.log().matches("ready\n").count() > before).then_some(())
        });
        self.process = Some(process);
        assert!(ready.is_some(), "the issuer did not start: {}", self.complaints());
    }

    /// Ends it at once.
    pub(super) fn down(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().and_then(|()| process.wait()).unwrap();
        }
    }

    /// Gives it other keys, and starts it anew where it was.
    pub(super) fn rotate(&mut self, keys: &Value, algorithm: &str) {
        self.down();
        let mut described = self.described();
        described["keys"] = keys.clone();
        described["alg"] = algorithm.into();
        self.describe(&described);
        self.up();
    }

    /// The access token that a client gets for a resource, as the issuer itself makes it.
    #[track_caller]
    pub(super) fn token(&self, client: &str, resource: &str) -> String {
        let form = format!(
            "grant_type=client_credentials&client_id={client}&client_secret={client}&resource={resource}"
        );
        let answer = self.client().post("/token", "application/x-www-form-urlencoded", form).expect(200);
        answer.json()["access_token"].as_str().expect("a token").to_owned()
    }

    /// Signs tokens with its keys.
    pub(super) fn sign(&self, tokens: &[Signed]) -> Vec<String> {
        let file = self.folder.path().join("issuer.json");
        let mut command = script(&["sign".as_ref(), file.as_ref()]);
        let mut signing = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("node runs");
        let mut lines = signing.stdin.take().expect("a pipe");
        for Signed { header, claims, key } in tokens {
            writeln!(lines, "{}", json!({"header": header, "claims": claims, "key": key})).unwrap();
        }
        drop(lines);
        let output = signing.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let signed: Vec<String> =
            String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect();
        assert_eq!(signed.len(), tokens.len());
        signed
    }

    /// How often its keys were fetched.
    pub(super) fn key_fetches(&self) -> usize {
        self.log().lines().filter(|line| *line == "GET /jwks").count()
    }

    /// The public keys that it publishes.
    #[track_caller]
    pub(super) fn published_keys(&self) -> Value {
        self.client().get("/jwks").expect(200).json()
    }

    fn client(&self) -> Client {
        Client::new(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)), "").with_authorization(None)
    }

    fn described(&self) -> Value {
        let text = std::fs::read_to_string(self.folder.path().join("issuer.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn describe(&self, described: &Value) {
        std::fs::write(self.folder.path().join("issuer.json"), described.to_string()).unwrap();
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn complaints(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("complaints")).unwrap_or_default()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.down();
        if std::thread::panicking() {
            eprintln!("the issuer's requests:\n{}{}", self.log(), self.complaints());
        }
    }
}

/// A port that nobody listens on, below those that the system gives to connections: the issuer comes back to it.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = std::process::id() as u16;
    let ports = std::iter::repeat_with(|| {
        20_000 + (offset.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed))) % 10_000
    });
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
    ports.take(1000).find(free).expect("one of many ports is free")
}
