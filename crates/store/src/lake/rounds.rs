//! The rhythm of background tasks: a round now and then, on a timer and on the bell, until the stop.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tollbook_kit::fault::Fault;
use tollbook_kit::supervise::StopToken;

/// Runs `round` at once, then after each `longest` without a bell, and after a bell but no oftener than each
/// `shortest`. A round that fails is logged and tried again next time. A round is never cut short by the stop;
/// long rounds look at the token themselves.
pub(super) async fn run<F: Future<Output = Result<(), Fault>>>(
    name: &'static str,
    (shortest, longest): (Duration, Duration),
    bell: Option<Arc<Notify>>,
    stop: StopToken,
    mut round: impl FnMut() -> F,
) -> Result<(), Fault> {
    let bell = bell.unwrap_or_default();
    loop {
        // Listening begins before the round looks, so that nothing rung meanwhile is missed.
        let mut rung = std::pin::pin!(bell.notified());
        rung.as_mut().enable();
        if let Err(fault) = round().await {
            tracing::error!(task = name, fault = fault.log_text(), "a round failed; it is tried again");
        }
        let wait = async {
            tokio::time::sleep(shortest).await;
            let _rung_or_late = tokio::time::timeout(longest.saturating_sub(shortest), rung).await;
        };
        tokio::select! {
            () = wait => {}
            () = stop.cancelled() => return Ok(()),
        }
    }
}
