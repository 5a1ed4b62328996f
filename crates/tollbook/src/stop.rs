//! The end of the process: what asks for it, and in which order things stop.

use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_kit::supervise::Supervisor;

/// Time that the background tasks get to finish what they hold.
const TASK_PATIENCE: Duration = Duration::from_secs(10);

/// Resolves at SIGTERM or SIGINT (Ctrl-C).
///
/// # Errors
/// `internal` when the process cannot listen to signals.
pub(crate) async fn signalled() -> Result<&'static str, Fault> {
    let mut terminate = signal(SignalKind::terminate()).fault("listening to SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).fault("listening to SIGINT")?;
    Ok(tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    })
}

/// Stops what takes requests first, then the tasks that their answers wait for; names who is late.
pub(crate) async fn in_order(front: &Supervisor, request_patience: Duration, back: &Supervisor) {
    for (supervisor, patience) in [(front, request_patience), (back, TASK_PATIENCE)] {
        for late in supervisor.stop(patience).await {
            tracing::warn!(task = late, "did not stop in time and was cut off");
        }
    }
}
