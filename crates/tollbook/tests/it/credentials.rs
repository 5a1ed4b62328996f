//! The life of credentials: tokens from their one showing to their revocation, and logins of people.
//!
//! What forgers try is in `forged_tokens`.

use crate::client::{Answer, Client};
use crate::login::{Login, PASSWORD, REALM, form, log_in, post, post_from, refresh, try_log_in, user};
use crate::service::{Service, wait_for};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tollbook_kit::clock::{Clock, SystemClock};

/// What an analyst may see without any data being there.
const EXPORT: &str = "/api/v1/cdr/export?from=2026-01-01&to=2026-01-02";
/// Nothing is there yet, which only whoever may export calls is told: without the quota of exports at once.
const BEHIND_THE_GATE: &str = "/v3/exports";
const JOBS: &str = "/exports-api/v1/groups/default/jobs";
/// Lets tests say from which address they come.
const BEHIND_PROXY: (&str, &str) = ("TOLLBOOK_HTTP__TRUSTED_PROXIES", "127.0.0.1");
const PATIENCE: Duration = Duration::from_secs(20);
/// Clients that race with a revocation.
const RACERS: usize = 64;

#[track_caller]
fn made_token(client: &Client, body: &Value) -> (String, String) {
    let made = client.send_json("POST", "/api/v1/tokens", body).expect(201).json();
    let text = |name: &str| made[name].as_str().unwrap_or_else(|| panic!("{name}: {made}")).to_owned();
    (text("id"), text("secret"))
}

#[track_caller]
fn listed(client: &Client, id: &str) -> Option<Value> {
    let list = client.get("/api/v1/tokens").expect(200).json();
    list["items"].as_array().expect("a list").iter().find(|token| token["id"] == id).cloned()
}

/// In a moment, as tokens are told when they end.
fn in_ms(ms: i64) -> String {
    let moment = jiff::Timestamp::from_millisecond(SystemClock::new().now_ms() + ms);
    moment.expect("a moment of these years").to_string()
}

/// Did the gate let it through, to whatever there is behind?
fn passed(answer: &Answer) -> bool {
    !matches!(answer.status, 401 | 403 | 429 | 500..)
}

#[test]
fn a_token_lives_from_its_one_showing_to_its_revocation() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start_with(folder.path(), &[BEHIND_PROXY]);
    let admin = &service.client;
    let (id, secret) = made_token(admin, &json!({"name": "nightly", "role": "analyst"}));
    let client = admin.with_token(&secret);
    client.get(EXPORT).expect(200);

    let list = admin.get("/api/v1/tokens").expect(200);
    assert!(!list.text().contains(&secret[8..]), "no list shows a secret");
    let noted = wait_for(PATIENCE, || {
        listed(admin, &id).filter(|token| token["last_used_at"].is_string()).map(|token| {
            let moment = |name: &str| token[name].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
            assert!(moment("last_used_at") >= moment("created_at"), "{token}");
        })
    });
    assert!(noted.is_some(), "its use is noted");
    let (unused, _) = made_token(admin, &json!({"name": "unused", "role": "analyst"}));
    assert_eq!(listed(admin, &unused).unwrap()["last_used_at"], Value::Null);

    let revoke = |id: &str| admin.send("DELETE", &format!("/api/v1/tokens/{id}"), &[], b"").unwrap();
    revoke(&id).expect(204);
    assert_eq!(client.get(EXPORT).expect(401).json()["code"], "NAT-API-001");
    assert_eq!(revoke(&id).expect(404).problem(), "not-found");
    assert!(listed(admin, &id).is_none());

    let (_, short) = made_token(admin, &json!({"name": "s", "role": "analyst", "expires_at": in_ms(1500)}));
    let short = admin.with_token(&short);
    short.get(EXPORT).expect(200);
    let ended = wait_for(PATIENCE, || (short.get(EXPORT).status == 401).then_some(()));
    assert!(ended.is_some(), "its time ends");
    let past = json!({"name": "s", "role": "analyst", "expires_at": "2020-01-01T00:00:00Z"});
    assert_eq!(admin.send_json("POST", "/api/v1/tokens", &past).expect(400).wrong_names(), ["expires_at"]);

    let bound = json!({"name": "near", "role": "analyst", "networks": ["192.0.2.0/24", "2001:db8::7"]});
    let (_, bound) = made_token(admin, &bound);
    for (from, status) in
        [("192.0.2.200", 200), ("192.0.3.1", 401), ("2001:db8::7", 200), ("2001:db8::8", 401)]
    {
        let asked = admin.with_token(&bound).send("GET", EXPORT, &[("x-forwarded-for", from)], b"");
        assert_eq!(asked.unwrap().status, status, "{from}");
    }
    assert_eq!(admin.with_token(&bound).get(EXPORT).status, 401, "127.0.0.1 is not in its networks");
}

#[test]
fn one_text_serves_every_dialect() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    let admin = &service.client;
    let own = "key of the old days: ~!@#$%^&*()";
    let brought = json!({"name": "brought along", "role": "analyst", "value": own});
    let (id, shown) = made_token(admin, &brought);
    assert_eq!(shown, own);
    let again = json!({"name": "another", "role": "viewer", "value": own});
    assert_eq!(admin.send_json("POST", "/api/v1/tokens", &again).expect(409).problem(), "conflict");

    let (_, made) = made_token(admin, &json!({"name": "made", "role": "analyst"}));
    let stranger = admin.with_authorization(None);
    let with = |path: &str, headers: &[(&str, &str)]| stranger.send("GET", path, headers, b"").unwrap();
    for secret in [own, &made] {
        let bearer = format!("Bearer {secret}");
        let forms: [(&str, &[(&str, &str)]); 6] = [
            (EXPORT, &[("authorization", &bearer)]),
            ("/v3/exports", &[("Api-Key", secret)]),
            ("/v3/exports", &[("authorization", &bearer)]),
            (JOBS, &[("X-OCP-PERSONAL-ACCESS-TOKEN", secret)]),
            (JOBS, &[("authorization", &bearer)]),
            (JOBS, &[("authorization", &bearer), ("X-OCP-PERSONAL-ACCESS-TOKEN", "another")]),
        ];
        for (path, headers) in forms {
            let answer = with(path, headers);
            assert!(passed(&answer), "{path} {headers:?}: {} {}", answer.status, answer.text());
        }
        // Each dialect looks in its own headers, and in nothing but headers.
        let elsewhere: [(&str, &[(&str, &str)]); 7] = [
            (EXPORT, &[("Api-Key", secret)]),
            (EXPORT, &[("X-OCP-PERSONAL-ACCESS-TOKEN", secret)]),
            (EXPORT, &[("cookie", &format!("token={secret}; access_token={secret}"))]),
            ("/v3/exports", &[("Api-Key", "wrong"), ("authorization", &bearer)]),
            ("/v3/exports", &[("X-OCP-PERSONAL-ACCESS-TOKEN", secret)]),
            (JOBS, &[("authorization", "Bearer wrong"), ("X-OCP-PERSONAL-ACCESS-TOKEN", secret)]),
            (JOBS, &[("Api-Key", secret)]),
        ];
        for (path, headers) in elsewhere {
            assert_eq!(with(path, headers).status, 401, "{path} {headers:?}");
        }
    }
    for path in [EXPORT, "/v3/exports?", JOBS] {
        let query = format!("{path}{}access_token={made}&token={made}", if path == JOBS { "?" } else { "&" });
        assert_eq!(with(&query, &[]).status, 401, "{path}");
    }
    admin.send("DELETE", &format!("/api/v1/tokens/{id}"), &[], b"").unwrap().expect(204);
    for (path, name) in [(JOBS, "X-OCP-PERSONAL-ACCESS-TOKEN"), ("/v3/exports", "Api-Key")] {
        assert_eq!(with(path, &[(name, own)]).status, 401, "{name}");
    }
}

/// What is known to have ended lets nobody in: 64 clients ask all the time, and look before each request whether the end
/// was answered already.
fn race(client: &Client, path: &str, end: impl FnOnce()) {
    let (ended, before, after) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|threads| {
        for _ in 0..RACERS {
            threads.spawn(|| {
                let mut refusals = 0;
                while refusals < 2 {
                    let begins_late = ended.load(Ordering::SeqCst);
                    let status = client.get(path).status;
                    match (begins_late, status) {
                        (false, 200 | 404) => drop(before.fetch_add(1, Ordering::SeqCst)),
                        (true, 401) => {
                            after.fetch_add(1, Ordering::SeqCst);
                            refusals += 1;
                        }
                        // The end was done, and its answer under way.
                        (false, 401) => {}
                        (true, status) => panic!("a request that began after the end was answered {status}"),
                        (false, status) => panic!("before the end: {status}"),
                    }
                }
            });
        }
        let warm = wait_for(PATIENCE, || (before.load(Ordering::SeqCst) > RACERS).then_some(()));
        assert!(warm.is_some(), "it was good before");
        end();
        ended.store(true, Ordering::SeqCst);
    });
    assert_eq!(after.load(Ordering::SeqCst), 2 * RACERS);
}

#[test]
fn nothing_that_begins_after_the_end_of_a_credential_passes() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    let admin = &service.client;
    for round in 0..3 {
        let (id, secret) = made_token(admin, &json!({"name": format!("{round}"), "role": "admin"}));
        race(&admin.with_token(&secret), "/api/v1/settings", || {
            admin.send("DELETE", &format!("/api/v1/tokens/{id}"), &[], b"").unwrap().expect(204);
        });
    }
    let eve = user(admin, "eve", "admin");
    let change =
        |change: Value| drop(admin.send_json("PATCH", &format!("/api/v1/users/{eve}"), &change).expect(200));
    type End<'e> = &'e dyn Fn(&Login);
    let ways_out: [(&str, End<'_>); 4] = [
        ("logout", &|login| drop(post(admin, "logout", &[("refresh_token", &login.refresh)]).expect(204))),
        ("another role", &|_| change(json!({"role": "auditor"}))),
        ("another role again", &|_| change(json!({"role": "admin"}))),
        ("disabled", &|_| change(json!({"enabled": false}))),
    ];
    for (at, (what, end)) in ways_out.into_iter().enumerate() {
        let login = log_in(admin, "eve");
        let path = if at == 2 { BEHIND_THE_GATE } else { "/api/v1/settings" };
        race(&admin.with_token(&login.access), path, || end(&login));
        assert_eq!(refresh(admin, &login.refresh).status, 401, "{what}");
    }
    assert_eq!(try_log_in(admin, "eve", PASSWORD).status, 401, "whoever is disabled stays out");
    change(json!({"enabled": true}));
    let login = log_in(admin, "eve");
    admin.send("DELETE", &format!("/api/v1/users/{eve}"), &[], b"").unwrap().expect(204);
    assert_eq!(admin.with_token(&login.access).get(EXPORT).status, 401);
    assert_eq!(refresh(admin, &login.refresh).status, 401);
}

#[test]
fn people_log_in_stay_and_log_out_as_the_contract_says() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    let admin = &service.client;
    user(admin, "Ada", "admin");
    user(admin, "vic", "viewer");

    let login = log_in(admin, "ada");
    let names: Vec<&str> = login.document.as_object().unwrap().keys().map(String::as_str).collect();
    let wanted = [
        "access_token",
        "expires_in",
        "refresh_expires_in",
        "refresh_token",
        "token_type",
        "not-before-policy",
        "session_state",
        "scope",
    ];
    assert_eq!(names, wanted);
    let told = |name: &str| login.document[name].clone();
    assert_eq!((told("expires_in"), told("refresh_expires_in")), (json!(300), json!(1800)));
    assert_eq!((told("token_type"), told("scope")), (json!("bearer"), json!("openid")));

    // As the vendor's page shows it, in every realm, and whatever stands in Authorization.
    let body = json!({"grant_type": "password", "client_id": "ocp", "username": "ADA", "password": PASSWORD});
    for (realm, junk) in [("master", "Bearer junk"), ("ocp", "Basic anVuazpqdW5r")] {
        let place = format!("/auth/realms/{realm}/protocol/openid-connect/token");
        let answer = admin.with_authorization(Some(junk)).send_json("POST", &place, &body).expect(200);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let access = Login::of(answer).access;
        admin.with_token(&access).get(EXPORT).expect(200);
    }
    let elsewhere = "/auth/realms/other/protocol/openid-connect/token";
    assert_eq!(admin.send_json("POST", elsewhere, &body).status, 404);

    let wrong = try_log_in(admin, "ada", "not the password of ada").expect(401);
    let unknown = try_log_in(admin, "nobody", PASSWORD).expect(401);
    assert_eq!(wrong.json()["error"], "invalid_grant");
    assert_eq!(wrong.text(), unknown.text(), "who exists is not told");
    let post = |place: &str, members: &[(&str, &str)]| post(admin, place, members);
    type Members<'m> = &'m [(&'m str, &'m str)];
    let errors: [(Members<'_>, u16, &str); 5] = [
        (&[("grant_type", "password"), ("username", "ada")], 400, "invalid_request"),
        (&[("username", "ada"), ("password", PASSWORD)], 400, "invalid_request"),
        (&[("grant_type", "magic")], 400, "unsupported_grant_type"),
        (&[("grant_type", "client_credentials"), ("client_secret", "x")], 400, "unauthorized_client"),
        (&[("grant_type", "refresh_token"), ("refresh_token", "tbr_x")], 401, "invalid_grant"),
    ];
    for (members, status, error) in errors {
        assert_eq!(post("token", members).expect(status).json()["error"], error, "{members:?}");
    }
    let other_client = form(&[("grant_type", "password"), ("client_id", "other"), ("username", "ada")]);
    let kind = "application/x-www-form-urlencoded";
    let refused = admin.post(&format!("{REALM}/token"), kind, other_client).expect(401);
    assert_eq!(refused.json()["error"], "invalid_client");

    let again = Login::of(refresh(admin, &login.refresh));
    assert_eq!(again.refresh, login.refresh, "it stays valid to its end");
    let left = again.document["refresh_expires_in"].as_i64().unwrap();
    assert!((1700..=1800).contains(&left), "refreshing prolongs nothing: {left}");
    for access in [&login.access, &again.access] {
        admin.with_token(access).get("/api/v1/settings").expect(200);
    }
    assert_eq!(
        admin.with_token(&login.refresh).get(EXPORT).status,
        401,
        "a refresh token is no access token"
    );
    assert_eq!(refresh(admin, &login.access).status, 401, "nor the other way round");
    assert_eq!(post("logout", &[("refresh_token", &login.refresh)]).expect(204).body, b"");
    assert_eq!(refresh(admin, &login.refresh).expect(401).json()["error"], "invalid_grant");
    for access in [&login.access, &again.access] {
        assert_eq!(admin.with_token(access).get(EXPORT).status, 401, "dead with the session");
    }
    post("logout", &[("refresh_token", &login.refresh)]).expect(204);

    groups(&service);
}

/// Rows 5 to 7 of section 9, as far as the operations behind the gate are there.
fn groups(service: &Service) {
    let admin = &service.client;
    admin.send_json("POST", "/api/v1/tenants", &json!({"name": "acme"})).expect(201);
    let personal = service.token("admin");
    let stranger = admin.with_authorization(None);
    let ask = |group: &str, headers: &[(&str, &str)]| {
        let path = format!("/exports-api/v1/groups/{group}/jobs");
        stranger.send("GET", &path, headers, b"").unwrap()
    };
    let access = format!("Bearer {}", log_in(admin, "ada").access);
    let (pat, bearer) = (("X-OCP-PERSONAL-ACCESS-TOKEN", &*personal), ("authorization", &*access));
    let viewer = format!("Bearer {}", log_in(admin, "vic").access);
    for headers in [&[bearer][..], &[pat], &[("authorization", &viewer)]] {
        let answer = ask("default", headers);
        assert!(passed(&answer), "{}", answer.text());
        let mut bodies: Vec<Value> = ["acme", "unknown", "Default", "a%20b", "%FF"]
            .map(|group| {
                let mut body = ask(group, headers).expect(403).json();
                // They repeat the time and what was asked for.
                body["timestamp"].take();
                body["path"].take();
                body
            })
            .to_vec();
        bodies.dedup();
        assert_eq!(bodies.len(), 1, "which groups there are is not told: {bodies:?}");
    }
    assert_eq!(ask("default", &[]).status, 401);
    assert_eq!(ask("unknown", &[]).status, 401);
}

#[test]
fn a_second_factor_is_asked_for_and_taken_once() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    let admin = &service.client;
    let eve = format!("/api/v1/users/{}", user(admin, "eve", "analyst"));
    let before = log_in(admin, "eve");
    let change = |on: bool| admin.send_json("PATCH", &eve, &json!({"second_factor": on})).expect(200).json();
    let uri = change(true)["otpauth_uri"].as_str().expect("shown once").to_owned();
    let shown = admin.get(&eve).expect(200);
    assert!(shown.json()["second_factor"] == true && !shown.text().contains("otpauth"), "{}", shown.text());
    assert_eq!(admin.with_token(&before.access).get(EXPORT).status, 401, "sessions of before end");

    let key = key_of(&uri);
    let with = |otp: &str| {
        let grant = [("grant_type", "password"), ("username", "eve"), ("password", PASSWORD), ("otp", otp)];
        post(admin, "token", &grant)
    };
    let without = try_log_in(admin, "eve", PASSWORD).expect(401);
    let now = SystemClock::new().now_ms() / 30_000;
    let code = one_time_password(&key, now);
    let stale = one_time_password(&key, now - 10);
    assert_eq!(with(&stale).expect(401).text(), without.text(), "a wrong code looks like a wrong password");
    let login = Login::of(with(&code));
    admin.with_token(&login.access).get(EXPORT).expect(200);
    assert_eq!(with(&code).status, 401, "a code is good once");
    Login::of(with(&one_time_password(&key, now + 1)));

    let other = key_of(change(true)["otpauth_uri"].as_str().expect("another key"));
    assert_ne!(other, key, "switching it on again makes another key");
    assert_eq!(admin.with_token(&login.access).get(EXPORT).status, 401);
    assert!(change(false)["otpauth_uri"].is_null());
    log_in(admin, "eve");
}

/// The key in an `otpauth` URI.
pub(crate) fn key_of(uri: &str) -> Vec<u8> {
    let text = uri.split_once("secret=").and_then(|(_, rest)| rest.split('&').next()).expect("a key");
    let mut bits = String::new();
    for letter in text.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|known| *known == letter);
        bits.push_str(&format!("{:05b}", value.expect("base32")));
    }
    let whole = bits.as_bytes().chunks_exact(8);
    whole.map(|byte| u8::from_str_radix(std::str::from_utf8(byte).unwrap(), 2).unwrap()).collect()
}

/// RFC 6238, as authenticator apps do it.
fn one_time_password(key: &[u8], step: i64) -> String {
    let mut mac = Hmac::<sha1::Sha1>::new_from_slice(key).expect("any length");
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let at = usize::from(digest[19] & 15);
    let word = u32::from_be_bytes([digest[at], digest[at + 1], digest[at + 2], digest[at + 3]]);
    format!("{:06}", (word & 0x7FFF_FFFF) % 1_000_000)
}

#[test]
fn guessing_is_slowed_down_by_name_and_by_address() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start_with(folder.path(), &[BEHIND_PROXY]);
    let admin = &service.client;
    user(admin, "eve", "analyst");
    user(admin, "ada", "analyst");
    let guess = |address: &str, username: &str, password: &str| {
        let grant = [("grant_type", "password"), ("username", username), ("password", password)];
        post_from(admin, address, "token", &grant)
    };
    let locked = |answer: Answer| {
        let after: u64 = answer.header("retry-after").expect("when to come back").parse().unwrap();
        assert!(answer.status == 429 && (1..=300).contains(&after), "{} {after}", answer.status);
    };
    // One name from many addresses.
    for at in 0..10 {
        assert_eq!(guess(&format!("192.0.2.{at}"), "eve", "a wrong password").status, 401, "{at}");
    }
    locked(guess("192.0.2.50", "eve", "a wrong password"));
    locked(guess("192.0.2.51", "EVE", PASSWORD));
    // Many names from one address; those of others there are not told from those who do not exist.
    for at in 0..10 {
        assert_eq!(guess("198.51.100.1", &format!("nobody{at}"), "a wrong password").status, 401, "{at}");
    }
    locked(guess("198.51.100.1", "ada", PASSWORD));
    guess("198.51.100.2", "ada", PASSWORD).expect(200);
    // Whoever knows his password is not counted.
    for _ in 0..3 {
        guess("203.0.113.1", "ada", PASSWORD).expect(200);
    }
}

#[test]
fn programs_exchange_their_token_where_that_is_switched_on() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start_with(folder.path(), &[("TOLLBOOK_AUTH__CLIENT_CREDENTIALS", "true")]);
    let admin = &service.client;
    let (id, secret) = made_token(admin, &json!({"name": "program", "role": "analyst"}));
    let exchange = |secret: &str| {
        post(admin, "token", &[("grant_type", "client_credentials"), ("client_secret", secret)])
    };
    let login = Login::of(exchange(&secret));
    assert_eq!(login.refresh, "", "it can be exchanged again instead");
    let client = admin.with_token(&login.access);
    client.get(EXPORT).expect(200);
    client.get("/api/v1/tokens").expect(403);
    assert_eq!(exchange("tb_unknown_unknown_unknown").expect(401).json()["error"], "invalid_grant");
    assert_eq!(exchange(&login.access).status, 401, "what was made of a token is no token");
    race(&client, BEHIND_THE_GATE, || {
        admin.send("DELETE", &format!("/api/v1/tokens/{id}"), &[], b"").unwrap().expect(204);
    });
    assert_eq!(exchange(&secret).status, 401);
}
