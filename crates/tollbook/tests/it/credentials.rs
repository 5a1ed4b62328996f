//! The life of credentials: tokens from their one showing to their revocation, logins of people, and what forgers try.

use crate::client::{Answer, Client};
use crate::login::{Login, PASSWORD, REALM, form, log_in, post, post_from, refresh, try_log_in, user};
use crate::service::{Service, wait_for};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tollbook_catalog::SqliteCatalog;
use tollbook_kit::clock::{Clock, SystemClock};
use tollbook_kit::ids::SystemRandomness;
use tollbook_kit::secret::{Sealer, Secret};
use tollbook_model::jws::JwsKey;
use tollbook_model::ports::{KeyPurpose, SigningKeys};

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

/// A service whose access tokens are looked at by somebody who knows its secret key.
struct Mint {
    key: JwsKey,
    claims: Map<String, Value>,
}

impl Mint {
    /// Reads the key of the service that ran on this folder, and the claims of a token of it.
    fn open(folder: &Path, access: &str) -> Self {
        let mut sealing = [0; 32];
        let text = std::fs::read_to_string(folder.join("data/sealing.key")).unwrap();
        hex::decode_to_slice(text.trim_end(), &mut sealing).unwrap();
        let sealer = Sealer::new(&Secret::new(sealing), Arc::new(SystemRandomness));
        let keys = tokio::runtime::Runtime::new().unwrap().block_on(async {
            let path = folder.join("data/catalog.sqlite");
            let catalog = SqliteCatalog::open(&path, Arc::new(SystemClock::new()), sealer).await.unwrap();
            let keys = SigningKeys::list(&catalog).await.unwrap();
            catalog.close().await;
            keys
        });
        let signing = keys.iter().rfind(|key| key.purpose == KeyPurpose::AccessToken);
        let key = JwsKey::from_seed(&signing.expect("a key of each purpose").seed);
        let payload = access.split('.').nth(1).unwrap();
        let claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap();
        Self { key, claims }
    }

    fn token(&self, typ: &str, change: impl FnOnce(&mut Map<String, Value>)) -> String {
        let mut claims = self.claims.clone();
        change(&mut claims);
        self.key.sign(typ, Value::Object(claims).to_string().as_bytes())
    }
}

#[test]
fn no_forged_stale_or_foreign_token_is_taken() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let named = [("TOLLBOOK_PUBLIC_URL", "https://cdr.example.net:8443")];
    let service = Service::start_with(folder.path(), &named);
    user(&service.client, "eve", "admin");
    let access = log_in(&service.client, "eve").access;
    assert!(service.stop().success());
    let mint = Mint::open(folder.path(), &access);
    // Sessions survive a restart, and so does the token.
    let service = Service::start_with(folder.path(), &named);
    let client = &service.client;
    client.with_token(&access).get("/api/v1/settings").expect(200);
    let now_s = SystemClock::new().now_ms() / 1000;

    let own = mint.token("JWT", |_| {});
    client.with_token(&own).get("/api/v1/settings").expect(200);
    let lenient = mint.token("JWT", |claims| claims["exp"] = json!(now_s - 5));
    client.with_token(&lenient).get("/api/v1/settings").expect(200);

    let mut forged = forgeries(&access, client);
    let with = |name: &str, value: Value| mint.token("JWT", |claims| drop(claims.insert(name.into(), value)));
    forged.extend([
        ("expired by 31 s", with("exp", json!(now_s - 31))),
        ("expired long ago", with("exp", json!(1))),
        ("not good yet", with("nbf", json!(now_s + 120))),
        ("made in the future", with("iat", json!(now_s + 120))),
        ("wrong issuer", with("iss", json!("https://evil.example/auth/realms/master"))),
        (
            "issuer that begins like ours",
            with("iss", json!("https://cdr.example.net:84430/auth/realms/master")),
        ),
        ("wrong audience", with("aud", json!("account"))),
        ("a refresh token by type", with("typ", json!("Refresh"))),
        ("another's session", with("sid", json!("0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01"))),
        ("another's subject", with("sub", json!("0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01"))),
        ("no expiry", mint.token("JWT", |claims| drop(claims.remove("exp")))),
        ("a checkpoint by type", mint.token("tollbook-checkpoint+jws", |_| {})),
    ]);
    // Another installation of the same name: its keys are its own.
    let other = Service::start_with(elsewhere.path(), &named);
    user(&other.client, "eve", "admin");
    forged.push(("another installation's", log_in(&other.client, "eve").access));

    let mut taken = Vec::new();
    for (what, token) in &forged {
        let answer = client.with_token(token).get("/api/v1/settings");
        if answer.status != 401 {
            taken.push(format!("{what}: {} {token}", answer.status));
        }
    }
    assert!(taken.is_empty() && forged.len() > 1000, "{taken:#?} of {}", forged.len());
    client.with_token(&access).get("/api/v1/settings").expect(200);
    // A role in the token is nothing that is relied on: the session's holder decides.
    let promoted = mint.token("JWT", |claims| claims["realm_access"] = json!({"roles": ["operator"]}));
    client.with_token(&promoted).get("/api/v1/tenants").expect(403);
    let moved = mint.token("JWT", |claims| claims["groups"] = json!(["acme"]));
    assert_eq!(client.with_token(&moved).get("/exports-api/v1/groups/acme/jobs").status, 403);
}

/// What can be made of a token without any secret.
fn forgeries(access: &str, client: &Client) -> Vec<(&'static str, String)> {
    let parts: Vec<&str> = access.split('.').collect();
    let [header, payload, signature] = parts[..] else { panic!("a compact JWS") };
    let decoded = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    let object = |part: &str| serde_json::from_slice::<Map<String, Value>>(&decoded(part)).unwrap();
    let encoded =
        |object: &Map<String, Value>| URL_SAFE_NO_PAD.encode(Value::Object(object.clone()).to_string());
    let set = client.get(&format!("{REALM}/certs")).expect(200).json();
    let jwk = set["keys"][0].clone();
    assert_eq!(jwk["kid"], object(header)["kid"], "the key is published");

    let mut all = Vec::new();
    let claims = {
        let mut claims = object(payload);
        claims.insert("realm_access".into(), json!({"roles": ["operator"]}));
        encoded(&claims)
    };
    all.push(("changed claims", format!("{header}.{claims}.{signature}")));
    let public = jwk["x"].as_str().unwrap();
    let secrets = [
        public.as_bytes().to_vec(),
        decoded(public),
        jwk.to_string().into_bytes(),
        set.to_string().into_bytes(),
        Vec::new(),
    ];
    for alg in ["none", "None", "NONE", "nOnE", "HS256", "HS512", "ES256", "RS256", "", "EdDSA"] {
        let mut changed = object(header);
        changed["alg"] = json!(alg);
        for payload in [payload, &claims] {
            let text = format!("{}.{payload}", encoded(&changed));
            all.push(("no signature", format!("{text}.")));
            all.push(("two parts", text.clone()));
            if (alg, payload) != ("EdDSA", parts[1]) {
                all.push(("its old signature", format!("{text}.{signature}")));
            }
            for secret in &secrets {
                let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret).unwrap();
                mac.update(text.as_bytes());
                let mac = URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
                all.push(("signed with the public key", format!("{text}.{mac}")));
            }
        }
    }
    let own = JwsKey::from_seed(&Secret::new([7; 32]));
    let by_own = own.sign("JWT", &decoded(payload));
    let own_signature = by_own.rsplit('.').next().unwrap().to_owned();
    all.push(("a key of the forger's", by_own));
    for (name, value) in [
        ("kid", json!("another")),
        ("kid", json!(own.kid())),
        ("kid", json!("../../../../dev/null")),
        ("jwk", own.public_jwk()),
        ("jku", json!("https://evil.example/keys")),
        ("crit", json!(["exp"])),
        ("typ", json!("tollbook-checkpoint+jws")),
    ] {
        let mut changed = object(header);
        changed.insert(name.into(), value);
        all.push(("a changed header", format!("{}.{payload}.{signature}", encoded(&changed))));
        let text = format!("{}.{payload}", encoded(&changed));
        all.push(("a changed header, signed by the forger", format!("{text}.{own_signature}")));
    }
    // Every bit of every part; in the text, so that those that carry nothing are among them.
    for (at, part) in parts.iter().enumerate() {
        let bits = if at == 2 { 6 } else { 1 };
        for place in 0..part.len() {
            for bit in 0..bits {
                let mut changed = parts.clone();
                let flipped = flipped(part, place, if at == 2 { bit } else { place % 6 });
                changed[at] = &flipped;
                all.push(("a flipped bit", changed.join(".")));
            }
        }
    }
    for junk in ["", ".", "..", "...", "a.b.c"] {
        all.push(("junk", format!("{junk}xxxxxxxxxxxxxxxxxxxx")));
    }
    all.push(("padding", format!("{access}=")));
    all.push(("one part more", format!("{access}.{signature}")));
    all
}

/// The text with one bit of one of its letters flipped.
fn flipped(text: &str, place: usize, bit: usize) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut letters = text.as_bytes().to_vec();
    let value = ALPHABET.iter().position(|letter| *letter == letters[place]).expect("base64url");
    letters[place] = ALPHABET[value ^ (1 << bit)];
    String::from_utf8(letters).unwrap()
}
