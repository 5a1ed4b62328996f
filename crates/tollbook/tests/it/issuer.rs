//! Access tokens of an outside issuer, which is a real one: whose they are taken for, which are refused, and what its
//! keys' rotation, its failures and crowds of bad tokens do to honest ones.

mod process;

use crate::client::{Answer, Client};
use crate::service::{Service, refused_start};
use process::{ANOTHERS, Issuer, OURS, Signed, is_here, new_keys};
use serde_json::{Value, json};
use std::path::Path;
use tollbook_kit::clock::{Clock, SystemClock};

/// A path that only admins may read.
const SETTINGS: &str = "/api/v1/settings";
/// Tenants of these tests, with a setting that tells them apart.
const TENANTS: [(&str, u32); 2] = [("acme", 31), ("globex", 32)];

/// Clients of the issuer, and what it says of them.
fn personas() -> Value {
    json!({
        "owner": {"groups": ["/customers/acme"], "realm_access": {"roles": ["offline_access", "Owner"]}},
        "viewer": {"groups": ["acme"], "realm_access": {"roles": ["Viewer"]}},
        "nobody": {"groups": ["acme"], "realm_access": {"roles": ["offline_access"]}},
        "both": {"groups": ["/acme", "/customers/globex", "/unknown"], "roles": ["viewer", "OrgAdmin"]},
        "listed": {"allowed_groups": "globex, other", "roles": "admin"},
        "stranger": {"groups": ["unknown"], "realm_access": {"roles": ["Owner"]}},
        "climber": {"groups": ["default"], "realm_access": {"roles": ["operator", "source"]}},
    })
}

fn start(folder: &Path, issuer: &Issuer) -> Service {
    let settings = issuer.settings();
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let service = Service::start_with(folder, &settings);
    for (name, days) in TENANTS {
        let tenant = json!({"name": name, "settings": {"retention": {"cdr_days": days}}});
        service.client.send_json("POST", "/api/v1/tenants", &tenant).expect(201);
    }
    service
}

fn get(client: &Client, path: &str, tenant: Option<&str>) -> Answer {
    let headers: Vec<(&str, &str)> = tenant.map(|tenant| ("tollbook-tenant", tenant)).into_iter().collect();
    client.send("GET", path, &headers, b"").expect("the service answers")
}

/// The claims of the owner's access token, changed.
fn claims(issuer: &Issuer, change: Value) -> Value {
    let now_s = SystemClock::new().now_ms() / 1000;
    let mut claims = personas()["owner"].clone();
    let base = json!({"iss": issuer.url(), "aud": OURS.1, "sub": "owner", "iat": now_s, "exp": now_s + 300});
    for (name, value) in [base, change].iter().flat_map(|object| object.as_object().unwrap()) {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn rs256(kid: &str) -> Value {
    json!({"alg": "RS256", "typ": "at+jwt", "kid": kid})
}

#[test]
fn claims_say_tenant_and_role() {
    if !is_here() {
        return;
    }
    let mut issuer = Issuer::new(&new_keys(&["first=RS256"]), "RS256", &personas());
    issuer.up();
    let folder = tempfile::tempdir().unwrap();
    let service = start(folder.path(), &issuer);
    let with_token = |name: &str| service.client.with_token(&issuer.token(name, OURS.0));
    for (persona, tenant, wanted) in [
        ("owner", None, Ok(31)),
        ("owner", Some("acme"), Ok(31)),
        ("owner", Some("globex"), Err("")),
        ("owner", Some("/customers/acme"), Err("")),
        ("viewer", None, Err("")),
        ("nobody", None, Err("")),
        ("both", None, Err("Tollbook-Tenant")),
        ("both", Some("acme"), Ok(31)),
        ("both", Some("globex"), Ok(32)),
        ("both", Some("default"), Err("")),
        ("both", Some("unknown"), Err("")),
        ("listed", None, Ok(32)),
        ("stranger", None, Err("")),
        ("stranger", Some("acme"), Err("")),
        ("climber", None, Err("")),
    ] {
        let answer = get(&with_token(persona), SETTINGS, tenant);
        let seen = match answer.status {
            200 => Ok(answer.json()["retention"]["cdr_days"].clone()),
            _ => Err((answer.problem(), answer.json()["detail"].clone())),
        };
        match (&seen, wanted) {
            (Ok(days), Ok(wanted)) => assert_eq!(days, wanted, "{persona} {tenant:?}"),
            (Err((problem, detail)), Err(word)) => {
                assert_eq!(problem, "forbidden", "{persona} {tenant:?}");
                assert!(detail.as_str().unwrap().contains(word), "{persona} {tenant:?}: {detail}");
            }
            _ => panic!("{persona} {tenant:?}: {seen:?}"),
        }
    }
    // Behind the gate of the dialect that names groups in its paths nothing is at this path.
    for (persona, group, status) in [
        ("owner", "acme", 404),
        ("owner", "globex", 403),
        ("viewer", "acme", 404),
        ("nobody", "acme", 403),
        ("both", "acme", 404),
        ("both", "globex", 404),
        ("both", "unknown", 403),
        ("stranger", "unknown", 403),
        ("climber", "default", 403),
    ] {
        let answer = with_token(persona).get(&format!("/exports-api/v1/groups/{group}/nothing-here"));
        assert_eq!(answer.status, status, "{persona} {group}: {}", answer.text());
    }
    assert_eq!(with_token("climber").get("/api/v1/tenants").status, 403, "claims make no operator");
    let denied =
        with_token("owner").get("/api/v1/audit-log/export?from=2000-01-01&format=ndjson").expect(200);
    let denied = denied.text().lines().any(|line| {
        let entry: Value = serde_json::from_str(line).unwrap();
        (&entry["actor"], &entry["action"], &entry["outcome"])
            == (&"subject:viewer".into(), &"settings.manage".into(), &"denied".into())
    });
    assert!(denied, "the tenant's log tells of the viewer's attempt");
}

#[test]
fn tokens_that_do_not_hold_are_refused_alike() {
    if !is_here() {
        return;
    }
    let keys = new_keys(&["first=RS256", "second=ES256"]);
    let mut issuer = Issuer::new(&keys, "RS256", &personas());
    // Another issuer whose keys have the same names.
    let mut other = Issuer::new(&new_keys(&["first=RS256", "second=ES256"]), "RS256", &personas());
    issuer.up();
    other.up();
    let folder = tempfile::tempdir().unwrap();
    let service = start(folder.path(), &issuer);
    let now_s = SystemClock::new().now_ms() / 1000;
    let signed =
        |change: Value| Signed { header: rs256("first"), claims: claims(&issuer, change), key: "first" };

    let fine = [
        ("as the issuer makes them", signed(json!({}))),
        ("within the leeway after the end", signed(json!({"exp": now_s - 1}))),
        ("within the leeway before the beginning", signed(json!({"nbf": now_s + 20}))),
        ("for several audiences", signed(json!({"aud": ["other", OURS.1]}))),
        (
            "another algorithm",
            Signed {
                header: json!({"alg": "ES256", "kid": "second"}),
                claims: claims(&issuer, json!({})),
                key: "second",
            },
        ),
    ];
    let (names, tokens): (Vec<&str>, Vec<Signed>) = fine.into_iter().unzip();
    for (name, token) in names.iter().zip(issuer.sign(&tokens)) {
        assert_eq!(service.client.with_token(&token).get(SETTINGS).status, 200, "{name}");
    }

    let with_header = |header: Value, key| Signed { header, claims: claims(&issuer, json!({})), key };
    let wrong = [
        ("expired", signed(json!({"exp": now_s - 60}))),
        ("long expired", signed(json!({"exp": now_s - 86_400}))),
        ("without an end", signed(json!({"exp": null}))),
        ("not yet", signed(json!({"nbf": now_s + 120}))),
        ("without a subject", signed(json!({"sub": null}))),
        ("without an audience", signed(json!({"aud": null}))),
        ("another audience", signed(json!({"aud": ["tollbook2", "toll"]}))),
        ("another issuer's name", signed(json!({"iss": other.url()}))),
        ("almost the issuer's name", signed(json!({"iss": format!("{}/", issuer.url())}))),
        ("no algorithm", with_header(json!({"alg": "none", "kid": "first"}), "none")),
        ("no algorithm, no key", with_header(json!({"alg": "none"}), "none")),
        ("no signature", with_header(rs256("first"), "none")),
        ("a MAC with the public key", with_header(json!({"alg": "HS256", "kid": "first"}), "public first")),
        (
            "a MAC with another public key",
            with_header(json!({"alg": "HS256", "kid": "second"}), "public second"),
        ),
        (
            "an algorithm that its key is not for",
            with_header(json!({"alg": "PS256", "kid": "first"}), "first"),
        ),
        ("the name of another key", with_header(rs256("second"), "first")),
        ("no key", with_header(json!({"alg": "RS256"}), "first")),
        (
            "another kind of token",
            with_header(json!({"alg": "RS256", "kid": "first", "typ": "logout+jwt"}), "first"),
        ),
    ];
    let (mut names, tokens): (Vec<&str>, Vec<Signed>) = wrong.into_iter().unzip();
    let mut tokens = issuer.sign(&tokens);
    let elsewhere = format!("{}/jwks", other.url());
    let forged = [
        ("keys of the same names", rs256("first")),
        ("keys elsewhere", json!({"alg": "RS256", "kid": "first", "jku": elsewhere})),
        ("keys in the token", json!({"alg": "RS256", "kid": "first", "jwk": other_public_key(&other)})),
    ];
    let (forged_names, forged): (Vec<&str>, Vec<Signed>) =
        forged.into_iter().map(|(name, header)| (name, with_header(header, "first"))).unzip();
    names.extend(forged_names);
    tokens.extend(other.sign(&forged));
    for (name, token) in [
        ("of another issuer", other.token("owner", OURS.0)),
        ("of another audience", issuer.token("owner", ANOTHERS.0)),
        ("spliced", spliced(&issuer.token("owner", OURS.0), &issuer.token("viewer", OURS.0))),
    ] {
        names.push(name);
        tokens.push(token);
    }

    let mut words = Vec::new();
    for (name, token) in names.iter().zip(&tokens) {
        let answer = service.client.with_token(token).get(SETTINGS);
        assert_eq!((answer.status, answer.header("www-authenticate")), (401, Some("Bearer")), "{name}");
        assert_eq!(answer.problem(), "unauthorized", "{name}");
        words.push(answer.json()["detail"].as_str().unwrap().to_owned());
        let group = service.client.with_token(token).get("/exports-api/v1/groups/acme/nothing-here");
        assert_eq!(group.status, 401, "{name}");
        let key =
            service.client.with_authorization(None).send("GET", "/v3/exports", &[("api-key", token)], b"");
        assert_eq!(key.unwrap().status, 401, "{name}");
    }
    words.dedup();
    assert_eq!(words.len(), 1, "whoever forges learns nothing: {words:?}");
    assert!(issuer.key_fetches() <= 2, "{} fetches", issuer.key_fetches());
    let logged = service.logged();
    for token in &tokens {
        let signature = token.rsplit('.').next().filter(|signature| !signature.is_empty());
        assert!(!signature.is_some_and(|signature| logged.contains(signature)), "a token is in the log");
    }
}

/// The public half of a forger's key.
fn other_public_key(other: &Issuer) -> Value {
    other.published_keys()["keys"][0].clone()
}

/// The claims of one token under the signature of another.
fn spliced(claims_of: &str, signature_of: &str) -> String {
    let (signed, _) = claims_of.rsplit_once('.').unwrap();
    format!("{signed}.{}", signature_of.rsplit('.').next().unwrap())
}

#[test]
fn new_keys_are_followed_without_a_restart() {
    if !is_here() {
        return;
    }
    let mut issuer = Issuer::new(&new_keys(&["first=RS256"]), "RS256", &personas());
    issuer.up();
    let folder = tempfile::tempdir().unwrap();
    let service = start(folder.path(), &issuer);
    let old = service.client.with_token(&issuer.token("owner", OURS.0));
    old.get(SETTINGS).expect(200);
    issuer.rotate(&new_keys(&["second=ES256"]), "ES256");
    old.get(SETTINGS).expect(200);
    let new = service.client.with_token(&issuer.token("owner", OURS.0));
    new.get(SETTINGS).expect(200);
    assert_eq!(old.get(SETTINGS).status, 401, "the issuer has withdrawn its key");
    new.get(SETTINGS).expect(200);
    assert_eq!(issuer.key_fetches(), 2);
}

#[test]
fn a_storm_of_unknown_keys_costs_the_issuer_two_fetches_and_honest_tokens_nothing() {
    const STORM: usize = 500;
    const THREADS: usize = 16;
    if !is_here() {
        return;
    }
    let mut issuer = Issuer::new(&new_keys(&["first=RS256"]), "RS256", &personas());
    issuer.up();
    let folder = tempfile::tempdir().unwrap();
    let service = start(folder.path(), &issuer);
    let honest = service.client.with_token(&issuer.token("owner", OURS.0));
    let storm: Vec<Signed> = (0..STORM)
        .map(|number| Signed {
            header: rs256(&format!("made-up-{number}")),
            claims: claims(&issuer, json!({})),
            key: "first",
        })
        .collect();
    let storm = issuer.sign(&storm);
    let clock = SystemClock::new();
    std::thread::scope(|scope| {
        for share in storm.chunks(STORM.div_ceil(THREADS)) {
            let service = &service;
            scope.spawn(move || {
                for token in share {
                    assert_eq!(service.client.with_token(token).get(SETTINGS).status, 401);
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..100 {
                honest.get(SETTINGS).expect(200);
            }
        });
    });
    // On a machine so slow that minutes pass, two more may come in each.
    let most = 2 * (1 + clock.monotonic().as_secs() as usize / 60);
    let fetches = issuer.key_fetches();
    assert!((1..=most).contains(&fetches), "{fetches} fetches in {:?}", clock.monotonic());
    service.client.with_token(&issuer.token("both", OURS.0)).get("/api/v1/tenants").expect(403);
}

#[test]
fn an_issuer_that_is_down_locks_out_nobody_whose_key_is_known() {
    if !is_here() {
        return;
    }
    let mut issuer = Issuer::new(&new_keys(&["first=RS256"]), "RS256", &personas());
    let folder = tempfile::tempdir().unwrap();
    // The service starts though its issuer does not run, and says so to whoever needs it.
    let service = start(folder.path(), &issuer);
    let valid = |kid: &str| Signed { header: rs256(kid), claims: claims(&issuer, json!({})), key: "first" };
    let tokens = issuer.sign(&[valid("first"), valid("unknown")]);
    let (known, unknown) = (service.client.with_token(&tokens[0]), service.client.with_token(&tokens[1]));
    let early = known.get(SETTINGS).expect(503);
    assert_eq!(early.problem(), "unavailable");
    assert!(early.header("retry-after").is_some_and(|text| text.parse::<u32>().is_ok_and(|wait| wait >= 1)));

    issuer.up();
    known.get(SETTINGS).expect(200);
    issuer.down();
    for _ in 0..10 {
        known.get(SETTINGS).expect(200);
        assert_eq!(unknown.get(SETTINGS).status, 401, "both fetches of this minute are spent");
        service.client.get(SETTINGS).expect(200);
    }
    assert_eq!(issuer.key_fetches(), 1);
}

#[test]
fn an_issuer_that_egress_does_not_allow_refuses_to_start() {
    let plain = ("TOLLBOOK_AUTH__ISSUER", "http://127.0.0.1:20001");
    let sealed = ("TOLLBOOK_AUTH__ISSUER", "https://127.0.0.1:20001");
    let (allow, http) = (("TOLLBOOK_EGRESS__ALLOW", "127.0.0.1"), ("TOLLBOOK_EGRESS__ALLOW_HTTP", "true"));
    for (settings, words) in [
        (&[plain][..], "plain http"),
        (&[plain, allow], "plain http"),
        (&[plain, http], "plain http"),
        (&[sealed], "egress.allow"),
        (&[plain, ("TOLLBOOK_EGRESS__ALLOW", "127.0.0.2"), http], "plain http"),
        (&[("TOLLBOOK_AUTH__ISSUER", "127.0.0.1"), allow, http], "URL"),
    ] {
        let complaint = refused_start(settings);
        assert!(complaint.contains("auth.issuer") && complaint.contains(words), "{settings:?}: {complaint}");
    }
}

#[test]
fn waiting_for_an_issuer_that_never_answers_ends() {
    // It takes connections and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    if !is_here() {
        return;
    }
    let issuer = Issuer::new(&new_keys(&["first=RS256"]), "RS256", &personas());
    let url = format!("http://{}", silent.local_addr().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut settings = issuer.settings();
    settings[0].1.clone_from(&url);
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let service = Service::start_with(folder.path(), &settings);
    let token = Signed { header: rs256("first"), claims: claims(&issuer, json!({"iss": url})), key: "first" };
    let waiting = service.client.with_token(&issuer.sign(&[token])[0]);
    // The client waits no longer than for a minute.
    std::thread::scope(|scope| {
        let answered = scope.spawn(|| waiting.get(SETTINGS).status);
        for _ in 0..20 {
            service.client.get(SETTINGS).expect(200);
        }
        assert_eq!(answered.join().unwrap(), 503);
    });
}
