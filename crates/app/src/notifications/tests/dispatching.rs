//! The dispatcher as a task: who hangs holds up nobody, nothing is sent twice, nothing is lost.

use super::*;
use tollbook_kit::supervise::Supervisor;

const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for something that the dispatcher brings about.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("in vain: {what}"));
}

fn calls_of(outside: &Outside, host: &str) -> usize {
    outside.calls.lock().unwrap().iter().filter(|call| call.url.contains(host)).count()
}

#[tokio::test]
async fn who_hangs_holds_up_nobody_else() {
    let (outside, supervisor) = (Outside::new(), Supervisor::new());
    let notices = outside.notices();
    for _ in 0..100 {
        outside.keep(&calling("hangs.example"), JobEvent::Ready);
    }
    let other = ExportJob { tenant: tenant("other"), ..calling("other.example") };
    outside.keep(&other, JobEvent::Ready);
    notices.start(&supervisor);
    until("the call of another tenant", || calls_of(&outside, "other.example") == 1).await;
    // Somebody else of the same tenant, who comes later.
    outside.keep(&calling("late.example"), JobEvent::Ready);
    notices.ring();
    until("the call of another receiver", || calls_of(&outside, "late.example") == 1).await;
    until("the end of both", || outside.outbox.lock().unwrap().len() == 100).await;
    assert_eq!(calls_of(&outside, "hangs.example"), 4, "so many at once, and each one once");
    assert!(supervisor.stop(PATIENCE).await.is_empty(), "who hangs does not hold up the stop either");
    assert_eq!(outside.outbox.lock().unwrap().len(), 100, "what was broken off is told after the start");
}

#[tokio::test]
async fn who_hangs_holds_up_none_of_the_same_tenant_however_many_wait_for_him() {
    let (outside, supervisor) = (Outside::new(), Supervisor::new());
    let notices = outside.notices();
    for _ in 0..1_500 {
        outside.keep(&calling("hangs.example"), JobEvent::Ready);
    }
    outside.keep(&calling("late.example"), JobEvent::Ready);
    outside.keep(&mailing(&["eve@ops.example"]), JobEvent::Ready);
    notices.start(&supervisor);
    until("the call of another receiver", || calls_of(&outside, "late.example") == 1).await;
    until("the mail", || outside.mails.lock().unwrap().len() == 1).await;
    until("the end of both", || outside.outbox.lock().unwrap().len() == 1_500).await;
    assert_eq!(calls_of(&outside, "hangs.example"), 4, "so many at once");
    assert!(supervisor.stop(PATIENCE).await.is_empty());
}

#[tokio::test]
async fn what_rests_is_told_in_time_and_what_was_told_is_not_told_again() {
    let (outside, supervisor) = (Outside::new(), Supervisor::new());
    let notices = outside.notices();
    outside.reactions.lock().unwrap().push_back(Reaction::Status(503));
    outside.keep(&calling(HOST), JobEvent::Ready);
    notices.start(&supervisor);
    let rests = || outside.outbox.lock().unwrap().first().is_some_and(|stored| stored.rests.is_some());
    until("a rest", rests).await;
    outside.clock.advance(Duration::from_millis(999));
    notices.ring();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(calls_of(&outside, HOST), 1, "not before its time");
    outside.clock.advance(Duration::from_millis(1));
    notices.ring();
    until("the end", || outside.outbox.lock().unwrap().is_empty()).await;
    assert_eq!(calls_of(&outside, HOST), 2);
    assert!(supervisor.stop(PATIENCE).await.is_empty());
}

#[tokio::test]
async fn a_full_disk_makes_nobody_be_told_again_and_again() {
    let (outside, supervisor) = (Outside::new(), Supervisor::new());
    let notices = outside.notices();
    outside.disk_is_full.store(true, Ordering::SeqCst);
    outside.keep(&calling(HOST), JobEvent::Ready);
    notices.start(&supervisor);
    until("the call", || calls_of(&outside, HOST) == 1).await;
    for _ in 0..20 {
        notices.ring();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(calls_of(&outside, HOST), 1);
    outside.disk_is_full.store(false, Ordering::SeqCst);
    until("the end", || outside.outbox.lock().unwrap().is_empty()).await;
    assert_eq!(calls_of(&outside, HOST), 1);
    assert!(supervisor.stop(PATIENCE).await.is_empty());
}
