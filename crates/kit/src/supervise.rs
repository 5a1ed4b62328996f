//! Named tasks with a declared meaning of failure, and an ordered stop that names who is late.
//!
//! Tasks are spawned only here (a lint refuses `tokio::spawn`), so that none is ever nameless or forgotten.

use crate::fault::Fault;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;
pub use tokio_util::sync::CancellationToken as StopToken;

/// What the failure of a task means for the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnError {
    /// The process cannot be trusted any more: stop everything.
    StopProcess,
    /// Log it; whoever started the task copes.
    Log,
}

type NamedTask = (&'static str, JoinHandle<()>);

/// Spawns tasks and stops them in order. Clones share the same set.
#[derive(Debug, Clone, Default)]
pub struct Supervisor {
    stop: StopToken,
    tasks: Arc<Mutex<Vec<NamedTask>>>,
}

impl Supervisor {
    /// A supervisor without tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// The token that tells tasks to finish what they hold and return.
    pub fn stop_token(&self) -> StopToken {
        self.stop.clone()
    }

    /// Starts a task that runs until it returns; it must watch [`Supervisor::stop_token`].
    #[allow(clippy::disallowed_methods, reason = "the one place that spawns")]
    pub fn spawn<F>(&self, name: &'static str, on_error: OnError, task: F)
    where
        F: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        let stop = self.stop.clone();
        let handle = tokio::spawn(async move {
            if let Err(fault) = task.await {
                tracing::error!(task = name, fault = fault.log_text(), "task failed");
                if on_error == OnError::StopProcess {
                    stop.cancel();
                }
            }
        });
        let mut tasks = self.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        tasks.retain(|(_, handle)| !handle.is_finished());
        tasks.push((name, handle));
    }

    /// Asks every task to stop and waits up to `patience` for all; returns the names of those still running.
    pub async fn stop(&self, patience: Duration) -> Vec<&'static str> {
        self.stop.cancel();
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        let deadline = tokio::time::Instant::now() + patience;
        let mut late = Vec::new();
        for (name, handle) in tasks {
            let abort = handle.abort_handle();
            if tokio::time::timeout_at(deadline, handle).await.is_err() {
                abort.abort();
                late.push(name);
            }
        }
        late
    }
}
