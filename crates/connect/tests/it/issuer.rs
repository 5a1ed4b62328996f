//! An issuer in the test: tokens of all kinds, keys that rotate, and a count of how often it was asked.

use crate::server::{Answer, Server};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;
use tollbook_connect::egress::{EgressClient, EgressPolicy};
use tollbook_connect::issuer::{IssuerConfig, OpenIdIssuer};
use tollbook_kit::clock::{Clock, ManualClock};
use tollbook_kit::fault::{Code, Fault};
use tollbook_model::ports::TokenIssuer;

const NOW_MS: i64 = 1_800_000_000_000;
const MINUTE: Duration = Duration::from_secs(60);

/// A key with its name.
struct Signer {
    kid: &'static str,
    algorithm: Algorithm,
    key: EncodingKey,
    public: Value,
}

impl Signer {
    fn new(kid: &'static str, algorithm: Algorithm) -> Self {
        let jwk = |key: &EncodingKey| {
            let jwk = Jwk::from_encoding_key(key, algorithm).unwrap();
            serde_json::to_value(jwk).unwrap()
        };
        let (key, mut public) = match algorithm {
            Algorithm::ES256 => {
                let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
                let key = EncodingKey::from_ec_der(pair.serialized_der());
                let public = jwk(&key);
                (key, public)
            }
            Algorithm::EdDSA => {
                let pair = KeyPair::generate_for(&PKCS_ED25519).unwrap();
                let x = URL_SAFE_NO_PAD.encode(pair.public_key_raw());
                let public = json!({"kty": "OKP", "crv": "Ed25519", "x": x, "alg": "EdDSA"});
                (EncodingKey::from_ed_der(pair.serialized_der()), public)
            }
            _ => {
                let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
                // The key itself stands behind 26 bytes that say that it is one for RSA (RFC 5208).
                let key = EncodingKey::from_rsa_der(&pair.serialized_der()[26..]);
                let public = jwk(&key);
                (key, public)
            }
        };
        public["kid"] = kid.into();
        public["use"] = "sig".into();
        Self { kid, algorithm, key, public }
    }

    /// The public part as it is published, with these members changed.
    fn jwk(&self, change: Value) -> Value {
        let mut jwk = self.public.clone();
        for (name, value) in change.as_object().unwrap() {
            jwk[name] = value.clone();
        }
        jwk
    }

    fn sign(&self, claims: &Value) -> String {
        self.sign_as(self.algorithm, self.kid, claims)
    }

    fn sign_as(&self, algorithm: Algorithm, kid: &str, claims: &Value) -> String {
        let mut header = Header::new(algorithm);
        header.kid = Some(kid.to_owned());
        jsonwebtoken::encode(&header, claims, &self.key).unwrap()
    }
}

/// What the issuer publishes for now.
#[derive(Clone)]
struct Published {
    status: &'static str,
    keys: Value,
    named_issuer: Option<String>,
    keys_url: Option<String>,
}

struct Issuer {
    server: Arc<Server>,
    published: Arc<Mutex<Published>>,
    clock: Arc<ManualClock>,
    verifier: Arc<OpenIdIssuer>,
}

impl Issuer {
    async fn start(keys: Value, audience: &[&str]) -> Self {
        let published =
            Arc::new(Mutex::new(Published { status: "200 OK", keys, named_issuer: None, keys_url: None }));
        let current = published.clone();
        let server = Server::start(move |request| {
            let now = current.lock().unwrap().clone();
            let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
            let issuer = format!("http://{host}/realms/ocp");
            let body = if request.starts_with("GET /realms/ocp/.well-known/openid-configuration ") {
                let keys_url = now.keys_url.unwrap_or_else(|| format!("{issuer}/certs"));
                json!({"issuer": now.named_issuer.unwrap_or(issuer), "jwks_uri": keys_url})
            } else {
                assert!(request.starts_with("GET /realms/ocp/certs "), "{request}");
                json!({ "keys": now.keys })
            };
            Answer::body(now.status, &body.to_string())
        })
        .await;
        let clock = Arc::new(ManualClock::at(NOW_MS));
        let config = IssuerConfig {
            issuer: server.url("/realms/ocp"),
            audience: audience.iter().map(|name| (*name).to_owned()).collect(),
        };
        let policy = EgressPolicy {
            allow: vec!["127.0.0.1".parse().unwrap()],
            allow_http: true,
            ..EgressPolicy::default()
        };
        let verifier = OpenIdIssuer::new(config, EgressClient::new(policy), clock.clone()).unwrap();
        Self { server: Arc::new(server), published, clock, verifier: Arc::new(verifier) }
    }

    fn publish(&self, change: impl FnOnce(&mut Published)) {
        change(&mut self.published.lock().unwrap());
    }

    /// Claims that hold now, changed.
    fn claims(&self, change: Value) -> Value {
        let now_s = self.clock.now_ms() / 1000;
        let mut claims =
            json!({"iss": self.verifier.issuer(), "sub": "u1", "exp": now_s + 300, "groups": ["acme"]});
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }

    async fn verify(&self, token: &str) -> Result<serde_json::Map<String, Value>, Fault> {
        self.verifier.verify(token).await
    }

    async fn code(&self, token: &str) -> Option<Code> {
        self.verify(token).await.err().map(|fault| fault.code())
    }

    /// Is asked to verify the token by a client that hangs up: at once (as soon as the call waits for anything), or when
    /// the issuer has been asked for `requests` more documents.
    async fn hang_up_after(&self, token: &str, requests: usize) {
        let wanted = self.server.seen().len() + requests;
        let mut call = self.verifier.verify(token);
        std::future::poll_fn(|context| {
            // Either way the call is polled once, and is over only if nothing was to be waited for.
            if call.as_mut().poll(context).is_ready() || self.server.seen().len() >= wanted {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// How often it was asked for its keys.
    fn fetches(&self) -> usize {
        self.server.seen().iter().filter(|request| request.starts_with("GET /realms/ocp/certs ")).count()
    }

    /// Waits until it was asked for its keys that often.
    async fn fetched(&self, wanted: usize) {
        let wait = async {
            while self.fetches() < wanted {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait)
            .await
            .expect("it is asked in the shadow of calls");
    }
}

#[tokio::test]
async fn tokens_that_a_published_key_has_signed_are_taken() {
    let signers = [
        Signer::new("rsa", Algorithm::RS256),
        Signer::new("ec", Algorithm::ES256),
        Signer::new("ed", Algorithm::EdDSA),
    ];
    let keys: Vec<Value> = signers.iter().map(|signer| signer.jwk(json!({}))).collect();
    let issuer = Issuer::start(json!(keys), &["tollbook"]).await;
    for signer in &signers {
        let claims = issuer.claims(json!({"aud": ["account", "tollbook"]}));
        let verified = issuer.verify(&signer.sign(&claims)).await.unwrap();
        assert_eq!(Value::Object(verified), claims, "{}", signer.kid);
    }
    // A key without `alg` serves every algorithm of its kind.
    let mut open = signers[0].jwk(json!({"kid": "open"}));
    open.as_object_mut().unwrap().remove("alg");
    issuer.publish(|published| published.keys = json!([open]));
    for algorithm in
        [Algorithm::RS384, Algorithm::RS512, Algorithm::PS256, Algorithm::PS384, Algorithm::PS512]
    {
        let token = signers[0].sign_as(algorithm, "open", &issuer.claims(json!({"aud": "tollbook"})));
        assert!(issuer.verify(&token).await.is_ok(), "{algorithm:?}");
    }
}

#[tokio::test]
async fn forgeries_are_refused_all_alike() {
    let rsa = Signer::new("rsa", Algorithm::RS256);
    let ec = Signer::new("ec", Algorithm::ES256);
    let encrypting = Signer::new("enc", Algorithm::RS256);
    let unknown = Signer::new("rsa", Algorithm::RS256);
    let keys = json!([
        rsa.jwk(json!({})),
        ec.jwk(json!({})),
        encrypting.jwk(json!({"use": "enc", "alg": "RSA-OAEP"}))
    ]);
    let issuer = Issuer::start(keys, &["tollbook"]).await;
    let fine = issuer.claims(json!({"aud": "tollbook"}));
    assert!(issuer.verify(&rsa.sign(&fine)).await.is_ok());

    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let unsigned = |header: Value| format!("{}.{}", part(&header), part(&fine));
    let genuine = rsa.sign(&fine);
    let (signed, signature) = genuine.rsplit_once('.').unwrap();
    let mut forgeries = vec![
        ("alg none", format!("{}.", unsigned(json!({"alg": "none", "kid": "rsa"})))),
        (
            "alg none with a signature",
            format!("{}.{signature}", unsigned(json!({"alg": "none", "kid": "rsa"}))),
        ),
        ("no signature", format!("{signed}.")),
        ("another's signature", format!("{signed}.{}", ec.sign(&fine).rsplit_once('.').unwrap().1)),
        ("crit", format!("{}.{signature}", unsigned(json!({"alg": "RS256", "kid": "rsa", "crit": ["x"]})))),
        ("another algorithm of the key's kind", rsa.sign_as(Algorithm::PS256, "rsa", &fine)),
        ("another algorithm than the key's", rsa.sign_as(Algorithm::RS256, "ec", &fine)),
        ("a key of another issuer under a known name", unknown.sign(&fine)),
        ("an unknown name", rsa.sign_as(Algorithm::RS256, "other", &fine)),
        ("a key for encryption", encrypting.sign(&fine)),
        ("padded", format!("{genuine}=")),
        ("white space", format!(" {genuine}")),
    ];
    // The public key as a shared secret, in the forms in which it lies around.
    let jwk = rsa.jwk(json!({}));
    let modulus = jwk["n"].as_str().unwrap();
    let secrets = [
        modulus.as_bytes().to_vec(),
        URL_SAFE_NO_PAD.decode(modulus).unwrap(),
        jwk.to_string().into_bytes(),
        vec![],
    ];
    for secret in secrets {
        for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
            let mut header = Header::new(algorithm);
            header.kid = Some("rsa".into());
            let key = EncodingKey::from_secret(&secret);
            forgeries
                .push(("the public key as a secret", jsonwebtoken::encode(&header, &fine, &key).unwrap()));
        }
    }
    // A key that the token brings along.
    let mut header = Header::new(Algorithm::RS256);
    header.kid = Some("rsa".into());
    header.jwk = Some(serde_json::from_value(unknown.jwk(json!({}))).unwrap());
    forgeries.push(("its own key", jsonwebtoken::encode(&header, &fine, &unknown.key).unwrap()));
    let now_s = NOW_MS / 1000;
    for change in [
        json!({"exp": now_s - 31}),
        json!({"exp": (now_s + 300).to_string()}),
        json!({"exp": null}),
        json!({"nbf": now_s + 31}),
        json!({"nbf": "0"}),
        json!({"aud": "another"}),
        json!({"aud": null}),
        json!({"sub": null}),
        json!({"iss": "https://issuer.example"}),
        json!({"iss": format!("{}/", issuer.verifier.issuer())}),
    ] {
        let mut claims = fine.clone();
        claims[change.as_object().unwrap().keys().next().unwrap()] =
            change.as_object().unwrap().values().next().unwrap().clone();
        forgeries.push(("claims", rsa.sign(&claims)));
    }
    let mut texts = std::collections::BTreeSet::new();
    for (name, token) in &forgeries {
        let fault = issuer.verify(token).await.expect_err(name);
        assert_eq!(fault.code(), Code::Unauthenticated, "{name}: {fault:?}");
        texts.insert(fault.message().to_owned());
    }
    assert_eq!(texts.len(), 1, "one text for all: {texts:?}");
    assert!(issuer.fetches() <= 2);
}

#[tokio::test]
async fn every_change_of_a_token_is_found() {
    let signer = Signer::new("ec", Algorithm::ES256);
    let issuer = Issuer::start(json!([signer.jwk(json!({}))]), &[]).await;
    let token = signer.sign(&issuer.claims(json!({})));
    assert!(issuer.verify(&token).await.is_ok());
    for at in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'Q' } else { b'A' };
        assert!(issuer.verify(std::str::from_utf8(&changed).unwrap()).await.is_err(), "character {at}");
    }
}

#[tokio::test]
async fn several_keys_of_one_name_are_all_tried() {
    let (first, second) = (Signer::new("k", Algorithm::RS256), Signer::new("k", Algorithm::RS256));
    let third = Signer::new("k", Algorithm::EdDSA);
    let keys = json!([first.jwk(json!({})), second.jwk(json!({})), third.jwk(json!({})), {"kty": "oct", "kid": "k", "k": "AAAA"}]);
    let issuer = Issuer::start(keys, &[]).await;
    for signer in [&first, &second, &third] {
        assert!(issuer.verify(&signer.sign(&issuer.claims(json!({})))).await.is_ok());
    }
    let stranger = Signer::new("k", Algorithm::RS256);
    assert_eq!(issuer.code(&stranger.sign(&issuer.claims(json!({})))).await, Some(Code::Unauthenticated));
}

#[tokio::test]
async fn a_rotation_is_followed_at_once_and_old_keys_are_dropped_with_it() {
    let (old, new) = (Signer::new("old", Algorithm::EdDSA), Signer::new("new", Algorithm::ES256));
    let issuer = Issuer::start(json!([old.jwk(json!({}))]), &[]).await;
    assert!(issuer.verify(&old.sign(&issuer.claims(json!({})))).await.is_ok());
    issuer.publish(|published| published.keys = json!([new.jwk(json!({}))]));
    assert!(issuer.verify(&new.sign(&issuer.claims(json!({})))).await.is_ok());
    assert_eq!(issuer.code(&old.sign(&issuer.claims(json!({})))).await, Some(Code::Unauthenticated));
    assert_eq!(issuer.fetches(), 2);
}

#[tokio::test]
async fn a_storm_of_unknown_keys_makes_two_fetches_a_minute() {
    let signer = Signer::new("k", Algorithm::EdDSA);
    let issuer = Issuer::start(json!([signer.jwk(json!({}))]), &[]).await;
    let mut wanted = 0;
    for minute in 0..3 {
        let claims = issuer.claims(json!({}));
        let storm = (0..1000).map(|at| signer.sign_as(Algorithm::EdDSA, &format!("k{minute}-{at}"), &claims));
        let storm: Vec<String> = storm.collect();
        // All at once, and then one after the other.
        let mut calls = tokio::task::JoinSet::new();
        for token in &storm[..500] {
            let (verifier, token) = (issuer.verifier.clone(), token.clone());
            calls.spawn(async move { verifier.verify(&token).await.map(|_| ()).unwrap_err().code() });
        }
        while let Some(code) = calls.join_next().await {
            assert_eq!(code.unwrap(), Code::Unauthenticated);
        }
        for token in &storm[500..] {
            assert_eq!(issuer.code(token).await, Some(Code::Unauthenticated));
        }
        wanted += 2;
        assert_eq!(issuer.fetches(), wanted);
        assert!(issuer.verify(&signer.sign(&claims)).await.is_ok(), "honest callers go on");
        issuer.clock.advance(MINUTE - Duration::from_millis(1));
        issuer.clock.set_wall(NOW_MS);
        assert_eq!(issuer.code(&storm[999]).await, Some(Code::Unauthenticated));
        assert_eq!(issuer.fetches(), wanted, "not within a minute of the first");
        issuer.clock.advance(Duration::from_millis(1));
        issuer.clock.set_wall(NOW_MS);
    }
    let discoveries = issuer.server.seen().len() - issuer.fetches();
    assert_eq!(discoveries, 1, "where the keys are is asked once");
}

#[tokio::test]
async fn tokens_that_come_at_once_wait_for_one_fetch() {
    let signer = Signer::new("k", Algorithm::EdDSA);
    let issuer = Issuer::start(json!([signer.jwk(json!({}))]), &[]).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let (verifier, token) = (issuer.verifier.clone(), signer.sign(&issuer.claims(json!({}))));
        calls.spawn(async move { verifier.verify(&token).await.is_ok() });
    }
    assert!(calls.join_all().await.into_iter().all(|taken| taken));
    assert_eq!(issuer.fetches(), 1);
}

#[tokio::test]
async fn clients_that_hang_up_keep_nobody_from_the_keys() {
    let (old, new) = (Signer::new("old", Algorithm::EdDSA), Signer::new("new", Algorithm::EdDSA));
    let issuer = Issuer::start(json!([old.jwk(json!({}))]), &[]).await;
    let forged =
        |number: usize| old.sign_as(Algorithm::EdDSA, &format!("k{number}"), &issuer.claims(json!({})));
    // After a start, when nothing is known yet.
    for number in 0..100 {
        issuer.hang_up_after(&forged(number), 0).await;
    }
    assert!(issuer.verify(&old.sign(&issuer.claims(json!({})))).await.is_ok());
    assert_eq!(issuer.fetches(), 1, "the fetch that the first of them began served everybody");
    // After a rotation, and while the issuer is answering.
    issuer.publish(|published| published.keys = json!([new.jwk(json!({}))]));
    issuer.clock.advance(MINUTE);
    issuer.hang_up_after(&forged(0), 2).await;
    issuer.hang_up_after(&forged(1), 0).await;
    assert!(issuer.verify(&new.sign(&issuer.claims(json!({})))).await.is_ok());
    for number in 0..100 {
        issuer.hang_up_after(&forged(number), 0).await;
    }
    assert_eq!(issuer.code(&forged(0)).await, Some(Code::Unauthenticated));
    assert_eq!(issuer.fetches(), 3, "two in this minute");
}

#[tokio::test]
async fn clients_that_hang_up_all_day_lock_nobody_out() {
    let signer = Signer::new("k", Algorithm::EdDSA);
    let issuer = Issuer::start(json!([signer.jwk(json!({}))]), &[]).await;
    let honest = async || issuer.verify(&signer.sign(&issuer.claims(json!({})))).await.is_ok();
    let forged = || signer.sign_as(Algorithm::EdDSA, "unknown", &issuer.claims(json!({})));
    assert!(honest().await);
    for step in 1..=25 * 6 {
        issuer.clock.advance(10 * MINUTE);
        for _ in 0..3 {
            issuer.hang_up_after(&forged(), 0).await;
        }
        assert!(honest().await, "after {step} times ten minutes");
        // Whoever is patient learns how the fetch ended that one of them began.
        assert_eq!(issuer.code(&forged()).await, Some(Code::Unauthenticated));
        assert_eq!(issuer.fetches(), 1 + step);
    }
}

#[tokio::test]
async fn a_refresh_that_was_due_has_its_turn_a_minute_after_a_storm() {
    let (old, new) = (Signer::new("old", Algorithm::EdDSA), Signer::new("new", Algorithm::EdDSA));
    let issuer = Issuer::start(json!([old.jwk(json!({}))]), &[]).await;
    let verify_old = async || issuer.verify(&old.sign(&issuer.claims(json!({})))).await;
    assert!(verify_old().await.is_ok());
    // All that this minute allows fails, while a refresh is due.
    issuer.clock.advance(10 * MINUTE);
    issuer.publish(|published| published.status = "503 Service Unavailable");
    let unknown = old.sign_as(Algorithm::EdDSA, "unknown", &issuer.claims(json!({})));
    for _ in 0..5 {
        assert_eq!(issuer.code(&unknown).await, Some(Code::Unavailable));
        assert!(verify_old().await.is_ok());
    }
    let asked = issuer.server.seen().len();
    assert_eq!(asked - 2, 2, "two fetches failed at the discovery document");
    issuer.publish(|published| {
        (published.status, published.keys) = ("200 OK", json!([new.jwk(json!({}))]));
    });
    issuer.clock.advance(MINUTE);
    assert!(verify_old().await.is_ok(), "this call did not wait for the refresh");
    issuer.fetched(2).await;
    assert!(issuer.verify(&new.sign(&issuer.claims(json!({})))).await.is_ok());
    assert_eq!(verify_old().await.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn keys_are_refreshed_in_the_shadow_of_calls() {
    let (old, new) = (Signer::new("old", Algorithm::EdDSA), Signer::new("new", Algorithm::EdDSA));
    let issuer = Issuer::start(json!([old.jwk(json!({}))]), &[]).await;
    let verify_old = async || issuer.verify(&old.sign(&issuer.claims(json!({})))).await;
    assert!(verify_old().await.is_ok());
    issuer.clock.advance(10 * MINUTE - Duration::from_millis(1));
    assert!(verify_old().await.is_ok());
    tokio::task::yield_now().await;
    assert_eq!(issuer.fetches(), 1);
    issuer.publish(|published| published.keys = json!([new.jwk(json!({}))]));
    issuer.clock.advance(Duration::from_millis(1));
    assert!(verify_old().await.is_ok());
    assert_eq!(issuer.fetches(), 1, "this call did not wait for the refresh");
    issuer.fetched(2).await;
    let dropped = async {
        while verify_old().await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), dropped)
        .await
        .expect("a key that was taken back is dropped");
    assert!(issuer.verify(&new.sign(&issuer.claims(json!({})))).await.is_ok());
}

#[tokio::test]
async fn keys_outlast_failures_of_the_issuer_by_a_day() {
    let signer = Signer::new("k", Algorithm::EdDSA);
    let issuer = Issuer::start(json!([signer.jwk(json!({}))]), &[]).await;
    let token = || signer.sign(&issuer.claims(json!({})));
    assert!(issuer.verify(&token()).await.is_ok());
    issuer.publish(|published| published.status = "503 Service Unavailable");
    let unknown = || signer.sign_as(Algorithm::EdDSA, "unknown", &issuer.claims(json!({})));
    assert_eq!(
        issuer.code(&unknown()).await,
        Some(Code::Unavailable),
        "nobody knows whether it is published"
    );
    for _ in 0..23 {
        issuer.clock.advance(60 * MINUTE);
        assert!(issuer.verify(&token()).await.is_ok());
    }
    issuer.clock.advance(60 * MINUTE);
    assert_eq!(issuer.code(&token()).await, Some(Code::Unavailable));
    issuer.publish(|published| published.status = "200 OK");
    issuer.clock.advance(MINUTE);
    assert!(issuer.verify(&token()).await.is_ok(), "and they are fetched again when it is back");
    // An empty set is no reason to lock everybody out.
    issuer.publish(|published| published.keys = json!([]));
    issuer.clock.advance(MINUTE);
    assert_eq!(issuer.code(&unknown()).await, Some(Code::Unavailable));
    assert!(issuer.verify(&token()).await.is_ok());
}

#[tokio::test]
async fn documents_that_do_not_fit_bring_no_keys() {
    let signer = Signer::new("k", Algorithm::EdDSA);
    let changes: [fn(&mut Published); 5] = [
        |published| published.named_issuer = Some("https://issuer.example".into()),
        |published| published.keys_url = Some("http://8.8.8.8/certs".into()),
        |published| published.keys_url = Some("https://169.254.169.254/certs".into()),
        |published| published.status = "302 Found",
        |published| published.keys = json!("none"),
    ];
    for (at, change) in changes.into_iter().enumerate() {
        let issuer = Issuer::start(json!([signer.jwk(json!({}))]), &[]).await;
        issuer.publish(change);
        assert_eq!(
            issuer.code(&signer.sign(&issuer.claims(json!({})))).await,
            Some(Code::Unavailable),
            "{at}"
        );
    }
}

#[tokio::test]
async fn issuers_that_may_not_be_called_are_refused_at_the_start() {
    let clock = Arc::new(ManualClock::at(NOW_MS));
    for issuer in
        ["", "issuer", "http://issuer.example", "https://10.0.0.1", "https://issuer.example/?realm=x"]
    {
        let config = IssuerConfig { issuer: issuer.into(), audience: Vec::new() };
        let client = EgressClient::new(EgressPolicy::default());
        let fault = OpenIdIssuer::new(config, client, clock.clone()).unwrap_err();
        assert_eq!(fault.details()[0].name, "auth.issuer", "{issuer}");
    }
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn an_issuer_without_an_audience_is_warned_of_at_the_start() {
    let log = Log::default();
    let writer = log.clone();
    // While there is but one listener, what another thread logs first is taken for something that nobody hears.
    let _second = tracing::Dispatch::new(tracing::subscriber::NoSubscriber::new());
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let mut logged = Vec::new();
    for audience in [vec!["tollbook".to_owned()], Vec::new()] {
        let config = IssuerConfig { issuer: "https://issuer.example".into(), audience };
        let client = EgressClient::new(EgressPolicy::default());
        OpenIdIssuer::new(config, client, Arc::new(ManualClock::at(NOW_MS))).unwrap();
        logged.push(String::from_utf8(std::mem::take(&mut *log.0.lock().unwrap())).unwrap());
    }
    assert!(!logged[0].contains("auth.audience"), "{}", logged[0]);
    assert!(logged[1].contains(" WARN ") && logged[1].contains("auth.audience"), "{}", logged[1]);
}
