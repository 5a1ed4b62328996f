//! The one loop of background tasks: a round, then a wait for the timer, the bell or the end.
//!
//! What a round does is none of its business. A round is not interrupted; it must be short.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tollbook_kit::fault::Fault;
use tollbook_kit::supervise::{OnError, StopToken, Supervisor};

/// After a failed round, the next one waits this long at most.
const MOST_WAIT_AFTER_FAILURE: Duration = Duration::from_secs(60);

/// A task that is done in rounds, the first one at once.
pub(super) struct Rounds {
    /// Its name in logs and at the stop.
    pub(super) name: &'static str,
    /// Time between the end of a round and the next one.
    pub(super) every: Duration,
    /// Makes the next round come at once.
    pub(super) bell: Option<Arc<Notify>>,
}

impl Rounds {
    /// Starts it. A round that fails is logged, and made again.
    pub(super) fn start<F, R>(self, supervisor: &Supervisor, round: F)
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), Fault>> + Send,
    {
        let stop = supervisor.stop_token();
        supervisor.spawn(self.name, OnError::Log, async move {
            while !stop.is_cancelled() {
                let mut wait = self.every;
                match round().await {
                    Ok(()) => tracing::trace!(task = self.name, "a round is done"),
                    Err(fault) => {
                        tracing::error!(
                            task = self.name,
                            fault = fault.log_text(),
                            "a round failed; it is made again"
                        );
                        wait = wait.min(MOST_WAIT_AFTER_FAILURE);
                    }
                }
                self.wait(wait, &stop).await;
            }
            Ok(())
        });
    }

    async fn wait(&self, wait: Duration, stop: &StopToken) {
        let rung = async {
            match &self.bell {
                Some(bell) => bell.notified().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = rung => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    /// Starts rounds that answer in turn what `outcomes` says and tell their number.
    fn counted(
        supervisor: &Supervisor,
        every: Duration,
        bell: Option<Arc<Notify>>,
        fails: fn(usize) -> bool,
    ) -> mpsc::UnboundedReceiver<usize> {
        let (told, heard) = mpsc::unbounded_channel();
        let made = std::sync::atomic::AtomicUsize::new(0);
        Rounds { name: "counted", every, bell }.start(supervisor, move || {
            let number = made.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            told.send(number).unwrap();
            async move { if fails(number) { Err(Fault::internal("asked to")) } else { Ok(()) } }
        });
        heard
    }

    const PATIENCE: Duration = Duration::from_secs(20);

    async fn next(heard: &mut mpsc::UnboundedReceiver<usize>) -> usize {
        tokio::time::timeout(PATIENCE, heard.recv()).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn rounds_follow_the_timer_through_failures_until_the_stop() {
        let supervisor = Supervisor::new();
        let mut heard = counted(&supervisor, Duration::from_millis(1), None, |number| number == 0);
        for number in 0..3 {
            assert_eq!(next(&mut heard).await, number);
        }
        assert!(supervisor.stop(PATIENCE).await.is_empty());
    }

    #[tokio::test]
    async fn the_bell_makes_a_round_come_at_once() {
        let (supervisor, bell) = (Supervisor::new(), Arc::new(Notify::new()));
        let mut heard = counted(&supervisor, Duration::from_secs(3600), Some(bell.clone()), |_| false);
        assert_eq!(next(&mut heard).await, 0);
        bell.notify_one();
        assert_eq!(next(&mut heard).await, 1);
        assert!(supervisor.stop(PATIENCE).await.is_empty(), "a waiting task stops at once");
    }
}
