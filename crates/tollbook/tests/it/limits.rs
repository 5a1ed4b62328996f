//! Rates and places as clients of the real binary meet them: exact under many threads, each in its dialect's words.
//!
//! Buckets refill while a test runs, so it asks for what must pass at least and may pass at most in the time it took.

use crate::client::{Answer, Client, End};
use crate::load::Load;
use crate::service::{Service, refused_start, wait_for};
use serde_json::json;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tollbook_kit::clock::{Clock, SystemClock};

const THREADS: usize = 64;
/// Behind the gates of the dialects nothing is at these paths; requests for them count all the same.
const NOTHING_IN_V3: &str = "/v3/nothing-here";
const NOTHING_IN_GROUP: &str = "/exports-api/v1/groups/g/nothing-here";

/// The answers to as many requests from all threads at once, and how long that took.
fn at_once(count: usize, send: impl Fn() -> Answer + Sync) -> (Vec<Answer>, Duration) {
    let clock = SystemClock::new();
    let next = AtomicUsize::new(0);
    let answers = std::thread::scope(|scope| {
        let work = || {
            let mut answers = Vec::new();
            while next.fetch_add(1, Ordering::Relaxed) < count {
                answers.push(send());
            }
            answers
        };
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    (answers, clock.monotonic())
}

/// Checks that a bucket of `burst` permits, `per_second` new ones each second, let pass what it must and no more.
#[track_caller]
fn assert_bucket((answers, took): &(Vec<Answer>, Duration), passed: u16, burst: usize, per_second: f64) {
    let allowed = answers.iter().filter(|answer| answer.status == passed).count();
    let limited = answers.iter().filter(|answer| answer.status == 429).count();
    assert_eq!(allowed + limited, answers.len(), "other answers than {passed} and 429");
    let most = burst + (took.as_secs_f64() * per_second).ceil() as usize + 1;
    assert!((burst..=most).contains(&allowed), "{allowed} passed in {took:?}, at most {most} may");
    for answer in answers {
        assert_eq!(answer.header("retry-after").is_some(), answer.status == 429);
    }
}

fn number(answer: &Answer, header: &str) -> u64 {
    let text = answer.header(header).unwrap_or_else(|| panic!("no {header}: {:?}", answer.headers));
    text.parse().unwrap_or_else(|_| panic!("{header}: {text}"))
}

fn send(client: &Client, path: &str, headers: &[(&str, &str)]) -> Answer {
    client.send("GET", path, headers, b"").expect("the service answers")
}

/// A tenant of this name, and an admin's token in it.
fn tenant(service: &Service, name: &str) -> String {
    service.client.send_json("POST", "/api/v1/tenants", &json!({ "name": name })).expect(201);
    let token = json!({"name": "first", "role": "admin"});
    let made = service.client.send_json("POST", &format!("/api/v1/tenants/{name}/tokens"), &token);
    made.expect(201).json()["secret"].as_str().unwrap().to_owned()
}

#[test]
fn a_native_token_has_its_burst_and_its_rate() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("TOLLBOOK_NATIVE__RATE_LIMIT", "20"), ("TOLLBOOK_NATIVE__RATE_BURST", "40")];
    let service = Service::start_with(folder.path(), &settings);
    let [one, other] = [(); 2].map(|()| service.client.with_token(&service.token("admin")));
    let answered = at_once(200, || one.get("/api/v1/sources"));
    // Before the bucket has time to fill: a neighbour, and records, have their own.
    let neighbour = other.get("/api/v1/sources").expect(200);
    let records = one.post("/api/v1/cdr/records", "application/x-ndjson", "").expect(200);
    assert_bucket(&answered, 200, 40, 20.0);
    for answer in &answered.0 {
        assert_eq!(number(answer, "ratelimit-limit"), 40);
        assert!(number(answer, "ratelimit-reset") <= 2);
        if answer.status == 429 {
            assert_eq!(answer.problem(), "rate-limited");
            assert_eq!(answer.header("retry-after"), Some("1"));
            assert_eq!(number(answer, "ratelimit-remaining"), 0);
        }
    }
    assert_eq!(number(&neighbour, "ratelimit-remaining"), 39);
    assert_ne!(number(&records, "ratelimit-limit"), 40);
    let again = wait_for(Duration::from_secs(10), || {
        Some(one.get("/api/v1/sources").status).filter(|status| *status == 200)
    });
    assert!(again.is_some(), "the bucket fills again");
    assert_refused_are_named(&service);
}

/// The log says whose rate is used up.
fn assert_refused_are_named(service: &Service) {
    let log = service.logged();
    let mut refused = log.lines().filter(|line| line.contains("status=429")).peekable();
    assert!(refused.peek().is_some(), "{log}");
    assert!(refused.all(|line| line.contains("tenant=default actor=token:")), "{log}");
}

#[test]
fn strangers_are_limited_by_their_address_whatever_they_say_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start_with(folder.path(), &[("TOLLBOOK_NATIVE__PUBLIC_RATE_LIMIT", "20")]);
    let stranger = service.client.with_authorization(None);
    let place = AtomicUsize::new(0);
    let answered = at_once(120, || {
        let claimed = format!("198.51.100.{}", place.fetch_add(1, Ordering::Relaxed) % 250);
        send(&stranger, "/api/v1/schemas", &[("x-forwarded-for", &claimed)])
    });
    assert_bucket(&answered, 200, 20, 20.0);
    service.client.get("/api/v1/sources").expect(200);
    stranger.get("/healthz").expect(200);
}

#[test]
fn a_key_of_v3_has_its_rate_and_the_contracts_words() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start_with(folder.path(), &[("TOLLBOOK_DIDWW__RATE_LIMIT", "20")]);
    let (key, other) = (service.token("analyst"), service.token("analyst"));
    let client = service.client.with_authorization(None);
    let bearer = service.client.with_token(&key);
    let turn = AtomicUsize::new(0);
    // The same key counts once, in whichever header it comes.
    let answered = at_once(150, || match turn.fetch_add(1, Ordering::Relaxed) % 2 {
        0 => send(&client, NOTHING_IN_V3, &[("api-key", &key)]),
        _ => bearer.get(NOTHING_IN_V3),
    });
    assert_eq!(send(&client, NOTHING_IN_V3, &[("api-key", &other)]).status, 404, "another has its own");
    assert_bucket(&answered, 404, 20, 20.0);
    for answer in answered.0.iter().filter(|answer| answer.status == 429) {
        assert_eq!(answer.text(), r#"{"errors":[{"status":"429","detail":"Too Many Requests"}]}"#);
        assert_eq!(answer.header("content-type"), Some("application/vnd.api+json"));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    for _ in 0..100 {
        assert_eq!(send(&client, NOTHING_IN_V3, &[("api-key", "no-key-of-anybody-000")]).status, 401);
    }
    assert_refused_are_named(&service);
}

#[test]
fn a_group_has_exactly_its_permits_in_a_window() {
    const WINDOW_S: u64 = 3600;
    let folder = tempfile::tempdir().unwrap();
    let settings = [
        ("TOLLBOOK_RATE_LIMIT__PERMITS", "60"),
        ("TOLLBOOK_RATE_LIMIT__WINDOW", "3600s"),
        ("TOLLBOOK_RATE_LIMIT__ENTRY_TTL", "3601s"),
    ];
    let service = Service::start_with(folder.path(), &settings);
    let (of_g, of_g2) = (tenant(&service, "g"), tenant(&service, "g2"));
    let stranger = service.client.with_authorization(None);
    let pat = |token: &str, path: &str| send(&stranger, path, &[("x-ocp-personal-access-token", token)]);

    // Strangers and those of other groups take nothing out of the bucket.
    for _ in 0..100 {
        assert_eq!(pat("tb_no_token_of_anybody", NOTHING_IN_GROUP).status, 401);
        let refused = pat(&of_g2, NOTHING_IN_GROUP);
        assert_eq!((refused.status, refused.header("ratelimit-limit")), (403, None), "{}", refused.text());
    }
    let (answers, took) = at_once(100, || pat(&of_g, NOTHING_IN_GROUP));
    let passed = answers.iter().filter(|answer| answer.status == 404).count();
    let limited: Vec<&Answer> = answers.iter().filter(|answer| answer.status == 429).collect();
    assert_eq!((passed, limited.len()), (60, 40));
    for answer in &answers {
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let document = answer.json();
        assert_eq!(document["status"], answer.status);
        assert_eq!(document["path"], NOTHING_IN_GROUP, "{document}");
        assert!(document["timestamp"].is_string() && document["message"].is_string(), "{document}");
        let error = if answer.status == 404 { "Not Found" } else { "Too Many Requests" };
        assert_eq!(document["error"], error);
    }
    for answer in limited {
        let wait = number(answer, "retry-after");
        assert!((WINDOW_S - took.as_secs() - 1..=WINDOW_S).contains(&wait), "{wait} s to the window's end");
    }
    // One bucket for all that is below the group and for every credential; another group has its own.
    let token = json!({"name": "second", "role": "viewer"});
    let second = service.client.send_json("POST", "/api/v1/tenants/g/tokens", &token).expect(201).json();
    let second = second["secret"].as_str().unwrap();
    assert_eq!(pat(second, "/exports-api/v1/groups/g/other/nothing").status, 429);
    assert_eq!(pat(&of_g, "/exports-api/v1/groups/g2/nothing-here").status, 403);
    let answers: Vec<u16> =
        (0..61).map(|_| pat(&of_g2, "/exports-api/v1/groups/g2/nothing-here").status).collect();
    assert_eq!((&answers[..60], answers[60]), (&[404; 60][..], 429));
}

#[test]
fn a_group_gets_all_its_permits_back_when_the_window_ends() {
    let folder = tempfile::tempdir().unwrap();
    let settings = [("TOLLBOOK_RATE_LIMIT__PERMITS", "3"), ("TOLLBOOK_RATE_LIMIT__WINDOW", "2s")];
    let service = Service::start_with(folder.path(), &settings);
    let client = service.client.with_token(&tenant(&service, "g"));
    let get = || client.get(NOTHING_IN_GROUP);
    let waited = wait_for(Duration::from_secs(30), || Some(get()).filter(|answer| answer.status == 429));
    let waited = waited.expect("three a window is not many");
    assert!((1..=2).contains(&number(&waited, "retry-after")));
    let back = wait_for(Duration::from_secs(30), || Some(get()).filter(|answer| answer.status == 404));
    assert_eq!(number(&back.expect("the window ends"), "ratelimit-remaining"), 2, "all of them are back");
}

#[test]
fn a_memory_shorter_than_the_window_refuses_to_start() {
    for (window, entry_ttl) in [("60s", "60s"), ("60s", "59s"), ("5m", "60s"), ("1d", "24h")] {
        let complaint = refused_start(&[
            ("TOLLBOOK_RATE_LIMIT__WINDOW", window),
            ("TOLLBOOK_RATE_LIMIT__ENTRY_TTL", entry_ttl),
        ]);
        let words = "rate_limit.entry_ttl: must be greater than rate_limit.window";
        assert!(complaint.contains(words), "{window} {entry_ttl}: {complaint}");
    }
}

#[test]
fn direct_exports_have_places() {
    const EXPORT: &str = "/api/v1/cdr/export?from=2026-11-20&to=2026-11-20&format=ndjson&columns=id,extra";
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    let quota = json!({"quota": {"direct_exports": 2}});
    service.client.send_json("PATCH", "/api/v1/tenants/default", &quota).expect(200);
    service.post_ndjson(Load::new(8).ndjson("large", 900, 20_000, "2026-11-20")).expect(200);
    let [one, other] = [(); 2].map(|()| service.client.with_token(&service.token("analyst")));

    // Nobody reads on, so whoever got a place keeps it until all are asked for.
    let begun: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(|| one.begin(EXPORT).unwrap())).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let refused = one.get(EXPORT).expect(429);
    assert_eq!(refused.problem(), "too-many-jobs");
    assert!(number(&refused, "retry-after") >= 1);
    other.get(EXPORT).expect(200);
    let answers: Vec<Answer> = begun.into_iter().map(|download| download.finish()).collect();
    let whole = answers.iter().filter(|answer| (answer.status, answer.end) == (200, End::Clean)).count();
    let limited = answers.iter().filter(|answer| answer.status == 429).count();
    assert_eq!((whole, limited), (2, 14));

    // A place comes back when its export ends, and when its reader goes away.
    let free = || {
        wait_for(Duration::from_secs(30), || {
            Some(one.begin(EXPORT).unwrap()).filter(|begun| begun.status() == 200)
        })
    };
    let held = [free().expect("places come back"), free().expect("both of them")];
    assert_eq!(one.get(EXPORT).status, 429);
    drop(held);
    assert!(free().is_some(), "who goes away leaves his place");
}
