//! A service that speaks TLS, and programs that speak it too: curl, and the binary's own verbs.

use crate::service::{TOKEN, skip, tollbook, wait_for};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// Bound of a start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running service behind TLS. Killed when it is dropped.
pub(super) struct Encrypted {
    /// Its base URL.
    pub(super) url: String,
    process: Child,
}

impl Encrypted {
    /// Starts one on the data folder `data` below `folder`.
    pub(super) fn start(folder: &Path, settings: &[(&str, &str)]) -> Self {
        let (said, log) = (folder.join("said"), folder.join("log"));
        let mut command = tollbook();
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder.join("data"));
        command.env("TOLLBOOK_BOOTSTRAP_TOKEN", TOKEN).envs(settings.iter().copied());
        command.stdin(Stdio::null()).stdout(File::create(&said).unwrap()).stderr(File::create(&log).unwrap());
        let process = command.spawn().expect("the binary starts");
        let url = wait_for(PATIENCE, || {
            let said = std::fs::read_to_string(&said).unwrap();
            Some(said.split_once("serves at ")?.1.split_once(',')?.0.to_owned())
        });
        let url = url.unwrap_or_else(|| panic!("{}", std::fs::read_to_string(&log).unwrap()));
        assert!(url.starts_with("https://"), "{url}");
        Self { url, process }
    }

    /// Runs a verb as the operator, who trusts this certificate.
    pub(super) fn run(&self, certificate: &Path, words: &[&str], paths: &[&Path]) -> Output {
        let mut command = tollbook();
        command.args(words).args(paths).arg("--ca-file").arg(certificate);
        command.env("TOLLBOOK_SERVER", &self.url).env("TOLLBOOK_TOKEN", TOKEN);
        command.stdin(Stdio::null()).output().expect("the binary runs")
    }
}

impl Drop for Encrypted {
    fn drop(&mut self) {
        // Already dead is fine.
        let _ended = self.process.kill().and_then(|()| self.process.wait());
    }
}

/// The certificate that a service makes for itself.
pub(super) fn own_certificate(folder: &Path) -> PathBuf {
    folder.join("data/tls/certificate.pem")
}

/// What curl can do, or none (said loudly) where there is no curl.
pub(super) fn curl_features() -> Option<String> {
    let asked = Command::new("curl").arg("--version").output();
    match asked {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(error) => {
            skip(&format!("TLS is not tried with curl: {error}"));
            None
        }
    }
}

/// Has curl GET a URL as the operator: its own code, then what it got, and after that status and version of HTTP.
pub(super) fn curl(arguments: &[&str], certificate: &Path, url: &str) -> (Option<i32>, String) {
    let mut command = Command::new("curl");
    command.args(["--silent", "--max-time", "60", "--write-out", "\n%{http_code} %{http_version}"]);
    command.args(["--header", &format!("Authorization: Bearer {TOKEN}"), "--cacert"]).arg(certificate);
    let output = command.args(arguments).arg(url).output().expect("curl runs");
    (output.status.code(), String::from_utf8(output.stdout).expect("text"))
}
