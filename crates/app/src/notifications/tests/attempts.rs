//! Attempts one behind the other, while the clock is moved by hand.

use super::super::attempt::{Attempt, Next};
use super::*;

const DAY: Duration = Duration::from_secs(86_400);

/// Makes one attempt to tell what is kept; answers how long it rests then, none when it is forgotten.
async fn attempt(outside: &Arc<Outside>, stored: &mut StoredNotification) -> Option<Duration> {
    match Attempt::of(stored.clone()).make(&outside.ports()).await {
        Next::Forget => None,
        Next::Rest { failed, rests } => {
            assert_eq!((failed, rests.since_ms), (stored.failed + 1, outside.clock.now_ms()));
            (stored.failed, stored.rests) = (failed, Some(rests));
            Some(rests.left(outside.clock.now_ms()))
        }
    }
}

/// The rests between attempts until it is told or given up, each attempt made as soon as it may be.
async fn rests(outside: &Arc<Outside>, mut stored: StoredNotification) -> Vec<u64> {
    let mut rests = Vec::new();
    while let Some(rest) = attempt(outside, &mut stored).await {
        rests.push(rest.as_secs());
        outside.clock.advance(rest);
    }
    rests
}

/// The same of a callback to a receiver that reacts so.
async fn rests_of_call(reactions: &[Reaction]) -> (Arc<Outside>, Vec<u64>) {
    let outside = Outside::new();
    outside.reactions.lock().unwrap().extend(reactions.iter().cloned());
    let stored = outside.keep(&calling(HOST), JobEvent::Ready).remove(0);
    let rests = rests(&outside, stored).await;
    (outside, rests)
}

fn always(reaction: Reaction) -> Vec<Reaction> {
    vec![reaction; 2_000]
}

#[tokio::test]
async fn every_attempt_sends_the_same() {
    let reactions = [Reaction::Away, Reaction::Status(302), Reaction::Status(500), Reaction::Panics];
    let (outside, rests) = rests_of_call(&reactions).await;
    assert_eq!(rests, [1, 5, 30, 120]);
    let calls = outside.calls.lock().unwrap();
    assert_eq!(calls.len(), 5);
    for call in &*calls {
        assert_eq!(Call { at_ms: calls[0].at_ms, ..call.clone() }, calls[0]);
    }
    let id = format!("{}-Ready", job().id);
    assert_eq!(calls[0].headers, [("x-id", id), ("content-type", "text/plain".into())]);
    assert_eq!(calls[0].body, format!("Ready {NOW_MS} https://cdr.example.net:8443").as_bytes());
    assert_eq!((calls[0].method, calls[0].url.as_str()), (CallMethod::Post, "https://hooks.example/hook"));
}

#[tokio::test]
async fn any_success_is_one_and_what_ends_it_ends_it() {
    for status in [200, 201, 204, 299, 410] {
        let (outside, rests) = rests_of_call(&[Reaction::Status(status)]).await;
        assert_eq!((rests.len(), outside.calls.lock().unwrap().len()), (0, 1), "{status}");
    }
    for status in [199, 300, 308, 400, 401, 404, 429, 500, 599] {
        let (_, rests) = rests_of_call(&[Reaction::Status(status)]).await;
        assert_eq!(rests, [1], "{status}");
    }
}

#[tokio::test]
async fn a_receiver_that_never_takes_it_is_given_up_in_time() {
    let (outside, rests) = rests_of_call(&always(Reaction::Away)).await;
    let whole: u64 = rests.iter().sum();
    assert!((86_400 - 300..=86_400).contains(&whole), "{whole}");
    assert_eq!(rests[..6], [1, 5, 30, 120, 300, 300]);
    assert_eq!(outside.calls.lock().unwrap().len(), rests.len() + 1);
}

#[tokio::test]
async fn receivers_may_ask_for_longer_waits_within_bounds() {
    let busy = |seconds| Reaction::Later(503, seconds);
    let (_, rests) = rests_of_call(&[busy(90), busy(2), busy(999_999), busy(u64::MAX)]).await;
    assert_eq!(rests, [90, 5, 3600, 3600], "never sooner than it would be, and an hour at most");
    let outside = Outside::new();
    outside.reactions.lock().unwrap().push_back(busy(999_999));
    let job =
        ExportJob { dialect: "exact".into(), callback_key: Some(Secret::new("key".into())), ..calling(HOST) };
    let stored = outside.keep(&job, JobEvent::Ready).remove(0);
    assert_eq!(super::attempts::rests(&outside, stored).await, [2 * 86_400], "a dialect need not heed it");
}

#[tokio::test]
async fn a_clock_that_is_set_neither_stops_nor_hurries_it() {
    let outside = Outside::new();
    outside.reactions.lock().unwrap().extend(always(Reaction::Away));
    let mut stored = outside.keep(&calling(HOST), JobEvent::Ready).remove(0);
    // Made by a clock that was ten years ahead: the age is unknown, and it is told all the same.
    outside.clock.set_wall(NOW_MS - 3650 * 86_400_000);
    for seconds in [1, 5, 30, 120] {
        let now_ms = outside.clock.now_ms();
        assert!(stored.rests.is_none_or(|rests| rests.is_over(now_ms)), "it is due");
        assert_eq!(attempt(&outside, &mut stored).await, Some(Duration::from_secs(seconds)));
        // Set back further while it rests: it is due at once.
        outside.clock.set_wall(now_ms - 86_400_000);
    }
    // Set right again, behind its time: it is tried once more, and then given up.
    outside.clock.set_wall(NOW_MS + 2 * 86_400_000);
    let calls = outside.calls.lock().unwrap().len();
    assert_eq!(attempt(&outside, &mut stored).await, None);
    assert_eq!(outside.calls.lock().unwrap().len(), calls + 1, "nothing is given up untried");
    // Without any help of the clock, the number of attempts is an end.
    outside.clock.set_wall(NOW_MS - 3650 * 86_400_000);
    stored.failed = 999;
    assert_eq!(attempt(&outside, &mut stored).await, None);
}

#[tokio::test]
async fn it_is_signed_with_the_secret_that_the_tenant_has_then() {
    let outside = Outside::new();
    outside.reactions.lock().unwrap().extend([Reaction::Away, Reaction::Away]);
    let mut stored = outside.keep(&calling(HOST), JobEvent::Failed).remove(0);
    for secret in [Some("old secret"), None, Some("new secret")] {
        *outside.secret.lock().unwrap() = secret;
        attempt(&outside, &mut stored).await;
        outside.clock.advance(Duration::from_secs(60));
    }
    let calls = outside.calls.lock().unwrap();
    let signatures: Vec<_> = calls
        .iter()
        .map(|call| {
            call.headers.iter().find(|(name, _)| *name == "x-signature").map(|(_, value)| value.clone())
        })
        .collect();
    let expected =
        [Some(format!("old secret {NOW_MS}")), None, Some(format!("new secret {}", NOW_MS + 120_000))];
    assert_eq!(signatures, expected);
}

#[tokio::test]
async fn a_dialect_that_must_sign_calls_once_it_can_and_keeps_its_key_with_the_call() {
    let outside = Outside::new();
    let exact = ExportJob { dialect: "exact".into(), ..calling("eve:hush@hooks.example") };
    let mut unsigned = outside.keep(&exact, JobEvent::Ready).remove(0);
    assert_eq!(attempt(&outside, &mut unsigned).await, Some(2 * DAY), "it waits for a secret");
    assert!(outside.calls.lock().unwrap().is_empty());
    *outside.secret.lock().unwrap() = Some("a secret");
    assert_eq!(attempt(&outside, &mut unsigned).await, None);

    *outside.secret.lock().unwrap() = None;
    let keyed = ExportJob { callback_key: Some(Secret::new("the key".into())), ..exact };
    let mut stored = outside.keep(&keyed, JobEvent::Ready).remove(0);
    assert_eq!(attempt(&outside, &mut stored).await, None);
    let calls = outside.calls.lock().unwrap();
    let keys: Vec<_> = calls.iter().map(|call| call.headers.clone()).collect();
    assert_eq!(keys, [[("x-key", "a secret".to_owned())], [("x-key", "the key".to_owned())]]);
    let url = format!("https://eve:hush@hooks.example/hook?id={}", job().id);
    assert!(
        calls.iter().all(|call| call.method == CallMethod::Get && call.url == url && call.body.is_empty())
    );
    assert!(outside.keep(&keyed, JobEvent::Cancelled).is_empty(), "it tells nothing of that");
}

#[tokio::test]
async fn what_nobody_can_tell_any_more_is_forgotten() {
    let outside = Outside::new();
    let good = outside.keep(&calling(HOST), JobEvent::Ready).remove(0);
    let content = |text: String| {
        let notification = NewNotification { content: Secret::new(text), ..good.notification.clone() };
        StoredNotification { notification, ..good.clone() }
    };
    let text = good.notification.content.reveal();
    let retired = content(text.replace("\"spread\"", "\"retired\""));
    let notification = NewNotification { tenant: tenant("erased"), ..good.notification.clone() };
    let of_nobody = StoredNotification { notification, ..good.clone() };
    for mut stored in [content("{}".into()), content(String::new()), retired, of_nobody] {
        assert_eq!(attempt(&outside, &mut stored).await, None);
    }
    assert!(outside.calls.lock().unwrap().is_empty());
    assert!(!format!("{:?}", good.notification).contains("hooks"), "addresses are not printed");
}

#[tokio::test]
async fn mail_is_tried_again_unless_it_is_refused_for_good() {
    let outside = Outside::new();
    outside.refusals.lock().unwrap().extend([Code::Unavailable, Code::Timeout, Code::Internal]);
    let stored = outside.keep(&mailing(&["eve@ops.example"]), JobEvent::Ready).remove(0);
    let waited = rests(&outside, stored).await;
    for (wait, around) in waited.iter().zip([5, 60, 300]) {
        assert!((around * 4 / 5..=around * 6 / 5).contains(wait), "{waited:?}");
    }
    {
        let mails = outside.mails.lock().unwrap();
        assert_eq!(mails.len(), 4);
        assert!(mails.iter().all(|mail| *mail == mails[0]), "the same each time");
    }
    outside.refusals.lock().unwrap().push_back(Code::Invalid);
    let stored = outside.keep(&mailing(&["eve@ops.example"]), JobEvent::Ready).remove(0);
    assert!(rests(&outside, stored).await.is_empty());

    // The server was taken out of the settings: it may come back.
    let mut stored = outside.keep(&mailing(&["eve@ops.example"]), JobEvent::Ready).remove(0);
    let ports = NoticePorts { mailer: None, ..outside.ports() };
    assert!(matches!(Attempt::of(stored.clone()).make(&ports).await, Next::Rest { failed: 1, .. }));
    outside.refusals.lock().unwrap().extend(vec![Code::Unavailable; 100]);
    outside.clock.advance(DAY);
    assert_eq!(attempt(&outside, &mut stored).await, None, "until a day is over");
}
