//! Changes that are carried to their end, also when whoever asked for them goes away meanwhile.
//!
//! A dropped request does not take back what the database was told to do: a commit that is on its way still happens. What
//! has to follow a change, such as forgetting what was looked up before it, therefore belongs into the same task as the
//! change. What that is, is decided by whoever changes something.

use tokio::sync::oneshot;
use tollbook_kit::fault::Fault;
use tollbook_kit::supervise::{OnError, Supervisor};

/// Carries changes to their ends. Clones share the work.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes(Supervisor);

impl Changes {
    /// The outcome of the change, which goes on when this is not waited for.
    ///
    /// # Errors
    /// Those of the change; `internal` when it panicked.
    pub(crate) async fn carry<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<T, Fault> {
        let (tell, told) = oneshot::channel();
        self.0.spawn("change", OnError::Log, async move {
            match tell.send(change.await) {
                Ok(()) | Err(Ok(_)) => Ok(()),
                // Nobody is there to hear of it but the log.
                Err(Err(fault)) => Err(fault),
            }
        });
        told.await.unwrap_or_else(|_| Err(Fault::internal("a change did not come to its end")))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use super::*;
    use std::sync::Arc;
    use tollbook_kit::fault::Code;

    #[tokio::test]
    async fn outcomes_are_told_and_a_panic_is_a_failure() {
        let changes = Changes::default();
        assert_eq!(changes.carry(async { Ok(5) }).await.unwrap(), 5);
        let failed = changes.carry::<()>(async { Err(Fault::new(Code::StorageFull, "full")) }).await;
        assert_eq!(failed.unwrap_err().code(), Code::StorageFull);
        assert_eq!(
            changes.carry::<()>(async { panic!("asked to") }).await.unwrap_err().code(),
            Code::Internal
        );
    }

    #[tokio::test]
    async fn a_change_goes_on_when_nobody_waits() {
        let changes = Changes::default();
        let (go, gone) = oneshot::channel::<()>();
        let done = Arc::new(tokio::sync::Notify::new());
        let told = done.clone();
        let mut waiting = Box::pin(changes.carry(async move {
            gone.await.unwrap();
            told.notify_one();
            Ok(())
        }));
        assert!(futures::poll!(&mut waiting).is_pending());
        drop(waiting);
        go.send(()).unwrap();
        tokio::time::timeout(std::time::Duration::from_secs(20), done.notified()).await.unwrap();
    }
}
