//! Named tasks with a declared meaning of failure, and an ordered stop that names who is late.
//!
//! Tasks are spawned only here (a lint refuses `tokio::spawn`), so that none is ever nameless or forgotten.

use crate::fault::Fault;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;
use tokio::task::JoinHandle;
pub use tokio_util::sync::CancellationToken as StopToken;

/// What the failure of a task, by an error or a panic, means for the process.
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
            if let Err(fault) = caught(task).await {
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
        let tasks =
            std::mem::take(&mut *self.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
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

/// Runs a task in which a panic is a failure like any other: otherwise the process would go on without the task, and
/// nobody would know. What the panic said is told by the panic hook.
async fn caught(task: impl Future<Output = Result<(), Fault>>) -> Result<(), Fault> {
    let mut task = std::pin::pin!(task);
    std::future::poll_fn(|cx| {
        // Sound to look past unwinding: a task that panicked is not polled again.
        let polled = catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(cx)));
        polled.unwrap_or_else(|_| Poll::Ready(Err(Fault::internal("the task panicked"))))
    })
    .await
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use super::*;

    /// Starts a task that fails after a pause; was the process asked to stop once it had ended?
    async fn stops(on_error: OnError, fail: fn() -> Result<(), Fault>) -> bool {
        let supervisor = Supervisor::new();
        supervisor.spawn("failing", on_error, async move {
            tokio::task::yield_now().await;
            fail()
        });
        let (_, handle) = supervisor.tasks.lock().unwrap().pop().unwrap();
        handle.await.unwrap();
        supervisor.stop_token().is_cancelled()
    }

    #[tokio::test]
    async fn panics_and_errors_mean_what_was_declared() {
        for fail in [|| panic!("asked to"), || Err(Fault::internal("asked to"))] {
            assert!(stops(OnError::StopProcess, fail).await);
            assert!(!stops(OnError::Log, fail).await);
        }
        assert!(!stops(OnError::StopProcess, || Ok(())).await, "an end is no failure");
    }

    #[tokio::test]
    async fn who_does_not_stop_in_time_is_named() {
        let supervisor = Supervisor::new();
        let stop = supervisor.stop_token();
        supervisor.spawn("orderly", OnError::Log, async move {
            stop.cancelled().await;
            Ok(())
        });
        supervisor.spawn("deaf", OnError::Log, std::future::pending());
        assert_eq!(supervisor.stop(Duration::from_millis(50)).await, ["deaf"]);
    }
}
