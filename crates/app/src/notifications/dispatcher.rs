//! The dispatcher: takes what is due from the outbox, makes one attempt at a time for each notice, and keeps what came of
//! it. An attempt that the end of the process breaks off is made again: receivers know repetitions by their id.
//!
//! What is sent was decided when the notice was made. How many attempts are made at once is decided in `lanes`.

use super::attempt::{Attempt, Next};
use super::lanes::Lanes;
use super::ports::NoticePorts;
use futures::stream::{FuturesUnordered, StreamExt};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tollbook_kit::fault::Fault;
use tollbook_kit::supervise::StopToken;
use tollbook_model::ports::Notifications;
use tollbook_model::tenant::TenantName;
use uuid::Uuid;

/// Notices that are read at once.
const PAGE: usize = 64;
/// Once so many of a tenant's notices found no room, the others of his are left for the next look.
const PASSED_OVER: usize = 128;
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
        let begun = due_with_room(&**outbox, self.ports.clock.now_ms(), lanes).await?;
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

/// Those that are due and find room, which they take. A tenant of whom many wait for receivers that hang does not hide
/// those of others, which came later.
async fn due_with_room(
    outbox: &dyn Notifications,
    now_ms: i64,
    lanes: &mut Lanes,
) -> Result<Vec<Attempt>, Fault> {
    let mut seen: Vec<Uuid> = lanes.notices().collect();
    let (mut begun, mut left_out) = (Vec::new(), Vec::new());
    let mut passed_over = HashMap::<TenantName, usize>::new();
    while lanes.has_room() {
        let page = outbox.due_beside(now_ms, &seen, &left_out, PAGE).await?;
        let is_last = page.len() < PAGE;
        seen.extend(page.iter().map(|stored| stored.notification.id));
        for attempt in page.into_iter().map(Attempt::of) {
            if lanes.enter(attempt.notice(), attempt.tenant(), &attempt.receiver()) {
                begun.push(attempt);
                continue;
            }
            let of_tenant = passed_over.entry(attempt.tenant().clone()).or_default();
            *of_tenant += 1;
            if *of_tenant == PASSED_OVER {
                left_out.push(attempt.tenant().clone());
            }
        }
        if is_last {
            break;
        }
    }
    Ok(begun)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use super::super::content::Content;
    use super::super::form::CallbackDraft;
    use super::*;
    use async_trait::async_trait;
    use tollbook_kit::retry::Pending;
    use tollbook_model::ports::{CallMethod, NewNotification, StoredNotification};

    /// Notices that are due, oldest first.
    struct Outbox(Vec<NewNotification>);

    #[async_trait]
    impl Notifications for Outbox {
        async fn due_beside(
            &self,
            _: i64,
            except: &[Uuid],
            tenants: &[TenantName],
            limit: usize,
        ) -> Result<Vec<StoredNotification>, Fault> {
            let due = self.0.iter().filter(|n| !except.contains(&n.id) && !tenants.contains(&n.tenant));
            let stored =
                |n: &NewNotification| StoredNotification { notification: n.clone(), failed: 0, rests: None };
            Ok(due.take(limit).map(stored).collect())
        }
        async fn untold(&self, _: &TenantName, _: u32) -> Result<u32, Fault> {
            Ok(0)
        }
        async fn next_due_in(&self, _: i64) -> Result<Option<i64>, Fault> {
            Ok(None)
        }
        async fn done(&self, _: Uuid) -> Result<(), Fault> {
            Ok(())
        }
        async fn postpone(&self, _: Uuid, _: u32, _: Pending) -> Result<(), Fault> {
            Ok(())
        }
    }

    fn call(number: u128, tenant: &str, host: &str) -> NewNotification {
        let draft = CallbackDraft {
            method: CallMethod::Post,
            url: format!("https://{host}/told"),
            content_type: None,
            body: String::new(),
            id: number.to_string(),
            note: None,
        };
        NewNotification {
            id: Uuid::from_u128(number),
            tenant: TenantName::parse(tenant).unwrap(),
            job: Uuid::nil(),
            content: Content::Callback { dialect: "native".into(), draft }.to_text().unwrap(),
            created_at_ms: 0,
        }
    }

    #[tokio::test]
    async fn however_many_wait_for_a_receiver_that_hangs_others_are_told() {
        let mut outbox: Vec<_> = (0..5_000).map(|n| call(n, "acme", "hangs.example")).collect();
        outbox.extend((5_000..7_000).map(|n| call(n, "beta", &format!("hangs{}.example", n % 5))));
        outbox.push(call(9_000, "zeta", "answers.example"));
        let (outbox, mut lanes) = (Outbox(outbox), Lanes::default());
        let begun = due_with_room(&outbox, 0, &mut lanes).await.unwrap();
        let of = |tenant: &str| begun.iter().filter(|attempt| attempt.tenant().as_str() == tenant).count();
        assert_eq!((of("acme"), of("beta"), of("zeta")), (4, 8, 1));
        let again = due_with_room(&outbox, 0, &mut lanes).await.unwrap();
        assert!(again.is_empty(), "what is under way is not begun twice");
    }
}
