//! The dispatcher: takes what is due from the outbox, makes one attempt at a time for each notice, and keeps what came of
//! it. An attempt that the end of the process breaks off is made again: receivers know repetitions by their id.
//!
//! What is sent was decided when the notice was made. How many attempts are made at once is decided in `lanes`.

use super::attempt::{Attempt, Next};
use super::lanes::Lanes;
use super::notices::NoticePorts;
use futures::stream::{FuturesUnordered, StreamExt};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tollbook_kit::fault::Fault;
use tollbook_kit::supervise::StopToken;
use uuid::Uuid;

/// Notices that are read at once.
const PAGE: usize = 64;
/// Most pages that are read in search of notices for which there is room.
const MOST_PAGES: usize = 16;
/// Longest wait until the outbox is looked at again: a clock may have been set, or a bell lost.
const LOOKS_EVERY: Duration = Duration::from_secs(30);
/// Shortest such wait, while those that are due are under way or find no room.
const LOOKS_AFTER: Duration = Duration::from_millis(100);
/// The wait after the outbox could not be read or written.
const AFTER_FAILURE: Duration = Duration::from_secs(5);

/// Tells what the outbox holds.
pub(super) struct Dispatcher {
    ports: Arc<NoticePorts>,
    bell: Notify,
}

impl Dispatcher {
    pub(super) fn new(ports: Arc<NoticePorts>) -> Self {
        Self { ports, bell: Notify::new() }
    }

    /// Makes it look at the outbox at once.
    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }

    /// Tells what is due until the stop.
    ///
    /// # Errors
    /// None: what fails is logged and done again.
    pub(super) async fn run(&self, stop: &StopToken) -> Result<(), Fault> {
        let (mut lanes, mut under_way) = (Lanes::default(), FuturesUnordered::new());
        while !stop.is_cancelled() {
            let wait = match self.next(&mut lanes).await {
                Ok((begun, wait)) => {
                    under_way.extend(begun.into_iter().map(|notice| self.tell(notice)));
                    wait
                }
                Err(fault) => {
                    tracing::error!(fault = fault.log_text(), "the outbox cannot be read; it is tried again");
                    AFTER_FAILURE
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                Some(told) = under_way.next() => lanes.leave(told),
                () = self.bell.notified() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        Ok(())
    }

    /// The notices that are due and find room, and how long it is until another one is due.
    async fn next(&self, lanes: &mut Lanes) -> Result<(Vec<Attempt>, Duration), Fault> {
        let outbox = &self.ports.notifications;
        let now_ms = self.ports.clock.now_ms();
        let mut seen: Vec<Uuid> = lanes.notices().collect();
        let mut begun = Vec::new();
        for _ in 0..MOST_PAGES {
            if !lanes.has_room() {
                break;
            }
            let page = outbox.due(now_ms, &seen, PAGE).await?;
            let is_last = page.len() < PAGE;
            seen.extend(page.iter().map(|stored| stored.notification.id));
            for stored in page {
                let attempt = Attempt::of(stored);
                if lanes.enter(attempt.notice(), attempt.tenant(), &attempt.receiver()) {
                    begun.push(attempt);
                }
            }
            if is_last {
                break;
            }
        }
        let next = outbox.next_due_in(self.ports.clock.now_ms()).await?;
        let wait = next.map_or(LOOKS_EVERY, |ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
        Ok((begun, wait.clamp(LOOKS_AFTER, LOOKS_EVERY)))
    }

    /// Makes an attempt and keeps what came of it: until that is kept, the notice is not looked at again. Otherwise what
    /// was told already would be told again and again while nothing can be written.
    async fn tell(&self, attempt: Attempt) -> Uuid {
        let (notice, outbox) = (attempt.notice(), &self.ports.notifications);
        let next = attempt.make(&self.ports).await;
        loop {
            let kept = match &next {
                Next::Forget => outbox.done(notice).await,
                Next::Rest { failed, rests } => outbox.postpone(notice, *failed, *rests).await,
            };
            let Err(fault) = kept else { return notice };
            tracing::error!(
                notice = %notice,
                fault = fault.log_text(),
                "what came of a notice cannot be kept; it is tried again"
            );
            tokio::time::sleep(AFTER_FAILURE).await;
        }
    }
}
