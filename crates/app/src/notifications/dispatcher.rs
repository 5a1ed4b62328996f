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
use tollbook_model::ports::{LeftOut, Notifications};
use tollbook_model::tenant::TenantName;
use uuid::Uuid;

/// Notices that are read at once.
const PAGE: usize = 64;
/// The key of receivers of notices that an older version kept: one key for them all.
const UNKNOWN: u64 = 0;
/// Once so many of a tenant's notices to unknown receivers found no room, the others of these are left for the next look.
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

/// Those that are due and find room, which they take. However many wait for a receiver that hangs, they hide neither those
/// of the tenant to others nor those of other tenants, which came later.
async fn due_with_room(
    outbox: &dyn Notifications,
    now_ms: i64,
    lanes: &mut Lanes,
) -> Result<Vec<Attempt>, Fault> {
    let mut seen: Vec<Uuid> = lanes.notices().collect();
    let (mut begun, mut left_out) = (Vec::new(), LeftOut::default());
    let mut unknown = HashMap::new();
    while lanes.has_room() {
        let page = outbox.due_beside(now_ms, &seen, &left_out, PAGE).await?;
        let is_last = page.len() < PAGE;
        seen.extend(page.iter().map(|stored| stored.notification.id));
        for attempt in page.into_iter().map(Attempt::of) {
            if lanes.enter(attempt.notice(), attempt.tenant(), &attempt.receiver()) {
                begun.push(attempt);
                continue;
            }
            pass_over(&attempt, lanes, &mut unknown, &mut left_out);
        }
        if is_last {
            break;
        }
    }
    Ok(begun)
}

/// Leaves out, for the rest of this look, what finds no room as this attempt found none; `unknown` counts those of each
/// tenant whose receivers are unknown.
fn pass_over(
    attempt: &Attempt,
    lanes: &Lanes,
    unknown: &mut HashMap<TenantName, usize>,
    left_out: &mut LeftOut,
) {
    let (tenant, receiver) = (attempt.tenant(), attempt.receiver_key());
    if !lanes.has_room_for(tenant) {
        if !left_out.tenants.contains(tenant) {
            left_out.tenants.push(tenant.clone());
        }
        return;
    }
    if receiver == UNKNOWN {
        let count = unknown.entry(tenant.clone()).or_default();
        *count += 1;
        if *count < PASSED_OVER {
            return;
        }
    }
    let pair = (tenant.clone(), receiver);
    if !left_out.receivers.contains(&pair) {
        left_out.receivers.push(pair);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use super::super::content::Content;
    use super::super::form::CallbackDraft;
    use super::*;
    use async_trait::async_trait;
    use tollbook_kit::retry::Pending;
    use tollbook_kit::secret::Secret;
    use tollbook_model::ports::{CallMethod, Mail, NewNotification, StoredNotification};

    /// Notices that are due, oldest first.
    struct Outbox(Vec<NewNotification>);

    #[async_trait]
    impl Notifications for Outbox {
        async fn due_beside(
            &self,
            _: i64,
            except: &[Uuid],
            left_out: &LeftOut,
            limit: usize,
        ) -> Result<Vec<StoredNotification>, Fault> {
            let due = self.0.iter().filter(|n| !except.contains(&n.id) && !left_out.holds(n));
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
        notice(number, tenant, &Content::Callback { dialect: "native".into(), draft })
    }

    fn mail(number: u128, tenant: &str) -> NewNotification {
        let mail = Mail {
            id: number.to_string(),
            to: "eve@ops.example".into(),
            subject: String::new(),
            text: String::new(),
        };
        notice(number, tenant, &Content::Mail(mail))
    }

    fn notice(number: u128, tenant: &str, content: &Content) -> NewNotification {
        let tenant = TenantName::parse(tenant).unwrap();
        NewNotification {
            id: Uuid::from_u128(number),
            receiver: content.receiver_key(&tenant),
            tenant,
            job: Uuid::nil(),
            content: content.to_text().unwrap(),
            created_at_ms: 0,
        }
    }

    /// Which of these are begun at one look, by number.
    async fn begun(outbox: Vec<NewNotification>) -> Vec<u128> {
        let begun = due_with_room(&Outbox(outbox), 0, &mut Lanes::default()).await.unwrap();
        begun.iter().map(|attempt| attempt.notice().as_u128()).collect()
    }

    #[tokio::test]
    async fn however_many_wait_for_a_receiver_that_hangs_the_others_of_the_tenant_are_told() {
        let hanging = (0..1_500).map(|n| call(n, "acme", "hangs.example"));
        let later = [call(2_000, "acme", "answers.example"), mail(2_001, "acme")];
        let expected = [0, 1, 2, 3, 2_000, 2_001];
        assert_eq!(begun(hanging.clone().chain(later.clone()).collect()).await, expected);
        let of_older_version = hanging.map(|notice| NewNotification { receiver: UNKNOWN, ..notice });
        assert_eq!(begun(of_older_version.chain(later).collect()).await, expected);
    }

    #[tokio::test]
    async fn what_cannot_be_read_does_not_wait_for_the_mail_server() {
        let unreadable =
            NewNotification { content: Secret::new(String::new()), ..call(10, "acme", "answers.example") };
        let outbox = (0..9).map(|n| mail(n, "acme")).chain([unreadable, call(11, "acme", "answers.example")]);
        assert_eq!(begun(outbox.collect()).await, [0, 1, 2, 3, 10, 11]);
    }

    #[tokio::test]
    async fn a_few_of_an_older_version_hide_none_of_their_own() {
        let hanging = (0..100).map(|n| call(n, "acme", "hangs.example"));
        let kept = hanging.chain([call(100, "acme", "answers.example")]);
        let kept = kept.map(|notice| NewNotification { receiver: UNKNOWN, ..notice });
        assert_eq!(begun(kept.collect()).await, [0, 1, 2, 3, 100]);
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
