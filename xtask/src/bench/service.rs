//! The service as a user starts it: `tollbook serve`, in a process of its own.

use super::options::{Options, bench_folder, workspace};
use super::store::SEALING_KEY;
use super::{Trouble, memory};
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::net::TcpStream;

/// The token that the service is started with.
pub(crate) const TOKEN: &str = "benchmark-token-of-the-bench-chore";
/// Rate limits that would be measured instead of the service.
const UNLIMITED: [&str; 3] =
    ["TOLLBOOK_NATIVE__RATE_LIMIT", "TOLLBOOK_NATIVE__RATE_BURST", "TOLLBOOK_NATIVE__INGEST_RATE_LIMIT"];
/// How often, and how many times, is looked whether it takes connections.
const LOOKS: (Duration, u32) = (Duration::from_millis(20), 1500);

/// A running service; it ends with this value.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    process: Child,
}

impl Service {
    /// Starts the binary that `options` name, or a fresh one, on a data folder.
    pub(crate) async fn start(options: &Options, data: &Path) -> Result<Self, Trouble> {
        let binary = match &options.service {
            Some(binary) => std::fs::canonicalize(binary)?,
            None => build()?,
        };
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let log = File::create(bench_folder().join("serve.log"))?;
        let sealing_key: String = SEALING_KEY.iter().map(|byte| format!("{byte:02x}")).collect();
        let process = Command::new(binary)
            .arg("serve")
            .arg("--data")
            .arg(data)
            .args(["--listen", &address.to_string()])
            .env("TOLLBOOK_BOOTSTRAP_TOKEN", TOKEN)
            .env("TOLLBOOK_LOG__FILTER", "warn")
            .env("TOLLBOOK_SEALING_KEY", sealing_key)
            .envs(UNLIMITED.map(|name| (name, "1000000")))
            .current_dir(bench_folder())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut service = Self { address, process };
        service.wait_until_up().await?;
        Ok(service)
    }

    async fn wait_until_up(&mut self) -> Result<(), Trouble> {
        for _ in 0..LOOKS.1 {
            if let Some(status) = self.process.try_wait()? {
                return Err(format!("the service ended with {status}; see target/bench/serve.log").into());
            }
            if TcpStream::connect(self.address).await.is_ok() {
                return Ok(());
            }
            tokio::time::sleep(LOOKS.0).await;
        }
        Err("the service does not take connections; see target/bench/serve.log".into())
    }

    /// Its memory.
    pub(crate) fn memory(&self) -> Result<memory::Resident, Trouble> {
        memory::of(&self.process.id().to_string())
    }

    /// Lets its peak of memory be counted anew.
    pub(crate) fn forget_peak(&self) -> Result<(), Trouble> {
        memory::forget_peak(&self.process.id().to_string())
    }
}

fn build() -> Result<PathBuf, Trouble> {
    let built = Command::new("cargo")
        .args(["build", "--release", "--quiet", "-p", "tollbook"])
        .current_dir(workspace())
        .status()?;
    if built.success() {
        Ok(workspace().join("target/release/tollbook"))
    } else {
        Err("the service does not build".into())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is waited for.
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}
