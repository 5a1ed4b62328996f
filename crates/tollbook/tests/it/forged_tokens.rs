//! Access tokens that were forged, are stale or come from elsewhere: none is taken.

use crate::client::Client;
use crate::login::{REALM, log_in, user};
use crate::service::Service;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::sync::Arc;
use tollbook_catalog::SqliteCatalog;
use tollbook_kit::clock::{Clock, SystemClock};
use tollbook_kit::ids::SystemRandomness;
use tollbook_kit::secret::{Sealer, Secret};
use tollbook_model::jws::JwsKey;
use tollbook_model::ports::{KeyPurpose, SigningKeys};

/// Makes what only the service itself could: it knows the secret key.
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
