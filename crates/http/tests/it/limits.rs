//! Rates as callers see them.

use crate::connection::Answer;
use crate::fakes::TOKEN_PREFIX;
use crate::{NDJSON, Service, problem};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tollbook_http::HttpConfig;

/// (limit, remaining, reset) of an answer.
fn rate(answer: &Answer) -> Option<(u32, u32, u32)> {
    let value = |name: &str| answer.header(name).map(|text| text.parse().unwrap());
    Some((value("ratelimit-limit")?, value("ratelimit-remaining")?, value("ratelimit-reset")?))
}

async fn service() -> Service {
    Service::with_config(HttpConfig::default()).await
}

#[tokio::test]
async fn every_answer_to_an_authenticated_call_tells_what_is_left() {
    let service = service().await;
    let mut left = 40;
    for (line, status) in [
        ("GET /api/v1/sources", 200),
        ("GET /api/v1/sources/none", 404),
        ("GET /api/v1/sources?x=1", 400),
        ("HEAD /api/v1/cdr/export?from=2026-01-01", 200),
        ("POST /api/v1/tenants", 403),
        ("DELETE /api/v1/tokens/x", 404),
    ] {
        let answer = service.as_admin(line, b"").await;
        left -= 1;
        assert_eq!(answer.status, status, "{line}");
        let told = rate(&answer).expect(line);
        assert_eq!((told.0, told.1), (40, left), "{line}");
        assert!((1..=2).contains(&told.2), "{line}: full again in {} s", told.2);
    }
    for (line, header) in [
        ("GET /api/v1/sources", "X: y"),
        ("GET /api/v1/schemas", "X: y"),
        ("GET /healthz", "X: y"),
        ("GET /api/v1/nothing", "X: y"),
    ] {
        assert_eq!(rate(&service.with(line, header, b"").await), None, "{line}");
    }
}

#[tokio::test]
async fn a_credential_has_a_burst_then_its_rate_and_the_wall_clock_grants_nothing() {
    let service = service().await;
    let get = async || service.as_admin("GET /api/v1/sources", b"").await;
    for _ in 0..40 {
        assert_eq!(get().await.status, 200);
    }
    let refused = get().await;
    assert_eq!(problem(&refused), (429, "rate-limited".into()));
    assert_eq!(refused.header("retry-after").as_deref(), Some("1"));
    assert_eq!(rate(&refused), Some((40, 0, 2)), "the next permit is there sooner than all of them");
    service.world.clock.set_wall(1 << 42);
    assert_eq!(get().await.status, 429);
    assert_eq!(
        service.as_role("analyst", "GET /api/v1/sources", b"").await.status,
        403,
        "another has its own"
    );
    let headers = format!("Authorization: Bearer {TOKEN_PREFIX}admin\r\n{NDJSON}");
    let posted = service.with("POST /api/v1/cdr/records", &headers, b"a\n").await;
    assert_eq!(
        (posted.status, rate(&posted).map(|rate| rate.0)),
        (200, Some(2000)),
        "records have their own"
    );
    service.world.clock.advance(Duration::from_millis(100));
    assert_eq!([get().await.status, get().await.status, get().await.status], [200, 200, 429]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sixty_four_at_once_over_one_token_get_exactly_the_burst() {
    let service = Arc::new(service().await);
    let (passed, refused) = (AtomicU32::new(0), AtomicU32::new(0));
    let (passed, refused) = (&passed, &refused);
    let callers = (0..64).map(|at| {
        let service = service.clone();
        async move {
            for _ in 0..2 {
                // The same token, whatever header it comes in.
                let answer = match at % 2 {
                    0 => service.as_admin("GET /api/v1/sources", b"").await,
                    _ => service.as_admin("GET /api/v1/tokens", b"").await,
                };
                match answer.status {
                    200 => passed.fetch_add(1, Ordering::Relaxed),
                    429 => refused.fetch_add(1, Ordering::Relaxed),
                    status => panic!("{status}"),
                };
            }
        }
    });
    futures::future::join_all(callers).await;
    assert_eq!((passed.load(Ordering::Relaxed), refused.load(Ordering::Relaxed)), (40, 88));
}

#[tokio::test]
async fn a_key_and_a_group_have_the_rates_of_their_contracts() {
    let service = service().await;
    let key = format!("Api-Key: {TOKEN_PREFIX}analyst");
    for left in (0..20).rev() {
        let answer = service.with("GET /v3/exports", &key, b"").await;
        assert_eq!((answer.status, rate(&answer).map(|rate| rate.1)), (200, Some(left)));
    }
    assert_eq!(service.with("GET /v3/nothing", &key, b"").await.status, 429);
    let bearer = format!("Authorization: Bearer {TOKEN_PREFIX}analyst");
    assert_eq!(service.with("GET /v3", &bearer, b"").await.status, 429, "the same key in another header");
    // One window for a whole group, whoever asks and for what.
    for at in 0..60 {
        let role = ["admin", "viewer", "analyst"][at % 3];
        let path = ["jobs", "subscriptions"][at % 2];
        let line = format!("GET /exports-api/v1/groups/default/{path}");
        assert_eq!(service.as_role(role, &line, b"").await.status, 404, "request {at}");
    }
    let line = "GET /exports-api/v1/groups/default/jobs";
    let refused = service.as_role("auditor", line, b"").await;
    assert_eq!((refused.status, rate(&refused)), (429, Some((60, 0, 60))));
    service.world.clock.advance(Duration::from_secs(60));
    assert_eq!(service.as_role("auditor", line, b"").await.status, 404);
}

#[tokio::test]
async fn public_routes_count_by_address_and_health_does_not_count() {
    let service = service().await;
    let certs = "GET /auth/realms/ocp/protocol/openid-connect/certs";
    for at in 0..20 {
        let line =
            ["GET /api/v1/schemas/cdr.json", "GET /.well-known/jwks.json", certs, "GET /api/v1/schemas"]
                [at % 4];
        assert_eq!(service.with(line, "X: y", b"").await.status, 200, "{line}");
    }
    let refused = service.with("GET /api/v1/schemas", "X-Forwarded-For: 192.0.2.7", b"").await;
    assert_eq!(problem(&refused), (429, "rate-limited".into()));
    assert_eq!((refused.header("retry-after").as_deref(), rate(&refused)), (Some("1"), None));
    let login = service.with("POST /auth/realms/ocp/protocol/openid-connect/token", "X: y", b"").await;
    assert_eq!((login.status, login.json()["error"].as_str()), (429, Some("too_many_requests")));
    assert_eq!(login.header("retry-after").as_deref(), Some("1"));
    for line in ["GET /healthz", "GET /readyz"] {
        assert_eq!(service.with(line, "X: y", b"").await.status, 200);
    }
    assert_eq!(service.as_admin("GET /api/v1/sources", b"").await.status, 200, "credentials have their own");
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_has_an_own_rate() {
    let trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    let service = Service::with_config(HttpConfig { trusted_proxies, ..HttpConfig::default() }).await;
    let get = async |client: &str| {
        let header = format!("X-Forwarded-For: {client}");
        service.with("GET /api/v1/schemas", &header, b"").await.status
    };
    for _ in 0..20 {
        assert_eq!(get("192.0.2.1").await, 200);
    }
    assert_eq!((get("192.0.2.1").await, get("192.0.2.2").await), (429, 200));
    assert_eq!(get("192.0.2.9, 192.0.2.1").await, 429, "what the client himself wrote does not count");
}
