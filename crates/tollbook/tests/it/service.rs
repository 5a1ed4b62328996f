//! The real binary as a process of its own: started on a data folder, waited for, killed or stopped.

use crate::client::{Answer, Client};
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::LazyLock;
use std::time::Duration;
use tollbook_kit::clock::{Clock, SystemClock};

/// The admin token of every service under test.
pub(crate) const TOKEN: &str = "tb_test_0123456789abcdef";
/// Rate limits that no test meets unless it asks for its own.
const UNLIMITED: [&str; 6] = [
    "TOLLBOOK_NATIVE__RATE_LIMIT",
    "TOLLBOOK_NATIVE__RATE_BURST",
    "TOLLBOOK_NATIVE__INGEST_RATE_LIMIT",
    "TOLLBOOK_NATIVE__PUBLIC_RATE_LIMIT",
    "TOLLBOOK_DIDWW__RATE_LIMIT",
    "TOLLBOOK_RATE_LIMIT__PERMITS",
];
/// Bound of a start and of an ordered stop.
const PATIENCE: Duration = Duration::from_secs(30);

/// The binary with a clean environment: no setting of the machine that runs the tests reaches it.
pub(crate) fn tollbook() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollbook"));
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"TOLLBOOK_") {
            command.env_remove(name);
        }
    }
    command
}

/// The UTC day before today, or further back: days long past would be erased for their age at the next start.
pub(crate) fn day_ago(days: i64) -> String {
    // One today for a whole run, though midnight may come.
    static NOW_MS: LazyLock<i64> = LazyLock::new(|| SystemClock::new().now_ms());
    let moment = jiff::Timestamp::from_millisecond(*NOW_MS - days * 86_400_000);
    moment.expect("a moment of these years").to_string()[..10].to_owned()
}

/// Looks until `look` finds something; `None` when it did not in time.
pub(crate) fn wait_for<T>(patience: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let clock = SystemClock::new();
    loop {
        if let Some(found) = look() {
            return Some(found);
        }
        if clock.monotonic() > patience {
            return None;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A running service. Killed when it is dropped; what it logged is shown when the test fails.
#[derive(Debug)]
pub(crate) struct Service {
    /// Talks to it as admin.
    pub(crate) client: Client,
    /// From the start of the process to its first answer.
    pub(crate) started_in: Duration,
    process: Child,
    log: PathBuf,
}

impl Service {
    /// Starts `tollbook serve` on the data folder `data` below `folder`.
    pub(crate) fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    /// The same with further variables of the environment, which are stronger than those of every test.
    pub(crate) fn start_with(folder: &Path, environment: &[(&str, &str)]) -> Self {
        let log = File::options().append(true).create(true).open(folder.join("log")).unwrap();
        Self::start_logging_to(folder, environment, log)
    }

    /// The same, and logs elsewhere than beside the data folder.
    pub(crate) fn start_logging_to(folder: &Path, environment: &[(&str, &str)], log_file: File) -> Self {
        let clock = SystemClock::new();
        let (said, log) = (folder.join("said"), folder.join("log"));
        let mut command = tollbook();
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder.join("data"));
        command.env("TOLLBOOK_BOOTSTRAP_TOKEN", TOKEN).env("TOLLBOOK_STORE__RESERVE_MIB", "16");
        command.envs(UNLIMITED.map(|name| (name, "1000000")));
        command.envs(environment.iter().copied());
        command.stdin(Stdio::null()).stdout(File::create(&said).unwrap());
        command.stderr(log_file);
        let mut process = command.spawn().expect("the binary starts");
        let address = wait_for(PATIENCE, || {
            if let Some(status) = process.try_wait().unwrap() {
                panic!("the service ended with {status}: {}", tail(&log));
            }
            address_in(&std::fs::read_to_string(&said).unwrap())
        });
        let address = address.unwrap_or_else(|| panic!("the service did not start: {}", tail(&log)));
        let client = Client::new(address, TOKEN);
        let ready = wait_for(PATIENCE, || {
            client.send("GET", "/readyz", &[], b"").ok().filter(|answer| answer.status == 200)
        });
        assert!(ready.is_some(), "the service did not get ready: {}", tail(&log));
        Self { client, started_in: clock.monotonic(), process, log }
    }

    /// Ends the process at once, as the kernel would (`kill -9`).
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Asks the process to stop (SIGTERM) and waits for its end.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.ask_to_stop();
        let ended = wait_for(PATIENCE, || self.process.try_wait().unwrap());
        ended.expect("an ordered stop within its bound")
    }

    /// Is the process still there?
    pub(crate) fn runs(&mut self) -> bool {
        self.process.try_wait().unwrap().is_none()
    }

    /// Asks the process to stop, without waiting.
    pub(crate) fn ask_to_stop(&self) {
        terminate(self.process.id());
    }

    /// What all services of this folder have logged.
    pub(crate) fn logged(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Reads the numbers of a service that was started with `TOLLBOOK_METRICS__LISTEN`.
    pub(crate) fn numbers(&self) -> Client {
        let address = wait_for(PATIENCE, || {
            let said = std::fs::read_to_string(self.log.with_file_name("said")).unwrap();
            Some(said.split_once("metrics at http://")?.1.split_once("/metrics\n")?.0.parse().unwrap())
        });
        Client::new(address.expect("it says where its numbers are"), "").with_authorization(None)
    }

    /// Creates or changes a source.
    #[track_caller]
    pub(crate) fn put_source(&self, alias: &str, definition: &serde_json::Value) -> Answer {
        self.client.send_json("PUT", &format!("/api/v1/sources/{alias}"), definition)
    }

    /// The source of the recorded Asterisk file, with the lines of the machine that made it.
    #[track_caller]
    pub(crate) fn put_recorded_source(&self, alias: &str) {
        let definition = serde_json::json!({
            "kind": "asterisk-csv",
            "zone": "UTC",
            "trunks": ["trunk-a"],
            "extension_pattern": "^1[0-9]{2}$",
        });
        self.put_source(alias, &definition).expect(201);
    }

    /// Makes a token of a role in the tenant of the admin, and answers its secret.
    #[track_caller]
    pub(crate) fn token(&self, role: &str) -> String {
        let body = serde_json::json!({"name": format!("{role} of a test"), "role": role});
        let made = self.client.send_json("POST", "/api/v1/tokens", &body).expect(201).json();
        made["secret"].as_str().expect("a secret is shown once").to_owned()
    }

    /// Sends records in the native NDJSON form.
    #[track_caller]
    pub(crate) fn post_ndjson(&self, body: impl AsRef<[u8]>) -> Answer {
        self.client.post("/api/v1/cdr/records", "application/x-ndjson", body)
    }

    /// Exports `cdr`; `query` follows the range of all times.
    #[track_caller]
    pub(crate) fn export(&self, query: &str) -> Answer {
        self.client.get(&format!("/api/v1/cdr/export?from=2000-01-01&to=2100-01-01{query}")).expect(200)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let ended_before = self.process.try_wait();
        // Already dead is fine.
        let _ended = self.process.kill().and_then(|()| self.process.wait());
        if std::thread::panicking() {
            if let Ok(Some(status)) = ended_before {
                eprintln!("the service had ended with {status}");
            }
            eprintln!("the service's log ends with:\n{}", tail(&self.log));
        }
    }
}

/// What a service says when no token is handed in, on the data folder below `folder`; it is stopped in order.
pub(crate) fn said_without_own_token(folder: &Path) -> String {
    let said = folder.join("said");
    let mut command = tollbook();
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder.join("data"));
    let mut process = command.stdout(File::create(&said).unwrap()).stderr(Stdio::null()).spawn().unwrap();
    let text = || std::fs::read_to_string(&said).unwrap();
    let address = wait_for(PATIENCE, || address_in(&text())).expect("the service starts");
    let client = Client::new(address, "").with_authorization(None);
    // What it says comes before the first request is answered or just after; the ordered stop settles it.
    let _answered = wait_for(PATIENCE, || client.send("GET", "/healthz", &[], b"").ok());
    terminate(process.id());
    let ended = wait_for(PATIENCE, || process.try_wait().unwrap());
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    text()
}

/// What a service complains that refuses to start with these settings.
#[track_caller]
pub(crate) fn refused_start(settings: &[(&str, &str)]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let mut command = tollbook();
    command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder.path().join("data"));
    command.envs(settings.iter().copied()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap();
    let status = wait_for(PATIENCE, || process.try_wait().unwrap());
    let _ended = process.kill();
    let output = process.wait_with_output().unwrap();
    assert_eq!(status.and_then(|status| status.code()), Some(1), "it starts with {settings:?}");
    String::from_utf8(output.stderr).expect("text")
}

fn terminate(process: u32) {
    let asked = Command::new("sh").args(["-c", &format!("kill -TERM {process}")]).status();
    assert!(asked.unwrap().success());
}

/// The address in `tollbook serves at http://ADDRESS, …`; none while the line is not complete.
fn address_in(said: &str) -> Option<SocketAddr> {
    let rest = said.split_once("serves at http://")?.1;
    rest.split_once(',').map(|(address, _)| address.parse().expect("an address"))
}

fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(30)..].join("\n")
}

/// Says loudly that a test did not run because a program is not there; in CI it must be, and that is a failure.
pub(crate) fn skip(why: &str) {
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI must not skip: {why}");
    say_skipped(why);
}

/// Says loudly that a test did not run.
#[allow(clippy::explicit_write, reason = "a print would be captured")]
pub(crate) fn say_skipped(why: &str) {
    // Past the capture of the test's output, which nobody sees when it passes.
    writeln!(std::io::stderr(), "SKIPPED: {why}").unwrap();
}
