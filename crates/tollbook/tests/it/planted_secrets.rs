//! Secrets and callers' numbers that are planted wherever somebody may put one, and looked for in everything that is kept,
//! logged or shown.

use crate::client::{Answer, Client};
use crate::credentials::key_of;
use crate::load::Load;
use crate::login::{Login, REALM, form, post};
use crate::service::{Service, day_ago, tollbook, wait_for};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

const BOOTSTRAP: &str = "planted-bootstrap-4f1c9a7be2";
const PASSWORD: &str = "planted-password-8d27e1c05b";
const NEXT_PASSWORD: &str = "planted-next-password-1b96f0";
const WRONG_PASSWORD: &str = "planted-wrong-password-77ac21";
const OWN_VALUE: &str = "planted-own-value-c3e85d1f90";
const CALLBACK_SECRET: &str = "planted-callback-secret-50b7";
const BASIC_PASSWORD: &str = "planted-basic-password-e41d83";
const WRONG_BASIC: &str = "planted-wrong-basic-90ff3a12";
const IN_QUERY: &str = "planted-in-a-query-2e6b94d7";
const IN_PATH: &str = "planted-in-a-path-6c08a3f1b5";
const WRONG_KEY: &str = "planted-wrong-api-key-a9157c";
const SEALING_KEY: &str = "5ea11049b3c7d2e8f60a1b2c3d4e5f60718293a4b5c6d7e8f9010a1b2c3d4e5f";
const MAIL_PASSWORD: &str = "planted-mail-password-3d70e6a1";
const CALLED_PASSWORD: &str = "planted-called-password-b84c2f";
const IN_CALLED_PATH: &str = "planted-in-a-called-path-19e5d0";
const RECIPIENT: &str = "planted-recipient-c60a7e@example.net";
const DIRECT_NUMBER: &str = "4989700100200";
/// Callers of inbound calls, as switches write them; those of rejected rows among them.
const CALLERS: [&str; 4] = ["442071239876", "33140987654", "4930123498765", "12025550177"];
/// Everything that our crates say.
const FILTER: &str = "info,tollbook=trace,tollbook_app=trace,tollbook_catalog=trace,tollbook_columns=trace,\
    tollbook_connect=trace,tollbook_http=trace,tollbook_kit=trace,tollbook_model=trace,tollbook_select=trace,\
    tollbook_store=trace";
const PATIENCE: Duration = Duration::from_secs(20);

/// What must be found nowhere, by name.
type Planted = Vec<(String, Vec<u8>)>;

fn planted() -> Planted {
    let texts = [
        BOOTSTRAP,
        PASSWORD,
        NEXT_PASSWORD,
        WRONG_PASSWORD,
        OWN_VALUE,
        CALLBACK_SECRET,
        BASIC_PASSWORD,
        WRONG_BASIC,
        IN_QUERY,
        IN_PATH,
        WRONG_KEY,
        SEALING_KEY,
        MAIL_PASSWORD,
        CALLED_PASSWORD,
        IN_CALLED_PATH,
        RECIPIENT,
        DIRECT_NUMBER,
    ];
    let mut all: Planted = texts.into_iter().chain(CALLERS).map(|text| (text.into(), text.into())).collect();
    all.push(("the sealing key's bytes".into(), hex::decode(SEALING_KEY).unwrap()));
    for password in [BASIC_PASSWORD, WRONG_BASIC] {
        all.push((format!("{password} in base64"), basic(password).into_bytes()));
    }
    all
}

fn basic(password: &str) -> String {
    STANDARD.encode(format!("switch:{password}"))
}

/// What is served about one service.
struct Shown {
    metrics: String,
    audit_log: String,
    checkpoint: String,
    settings: String,
    errors: String,
}

#[test]
fn planted_secrets_are_found_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let environment = [
        ("TOLLBOOK_BOOTSTRAP_TOKEN", BOOTSTRAP),
        ("TOLLBOOK_SEALING_KEY", SEALING_KEY),
        ("TOLLBOOK_LOG__FILTER", FILTER),
        ("TOLLBOOK_METRICS__LISTEN", "127.0.0.1:0"),
        ("TOLLBOOK_AUTH__CLIENT_CREDENTIALS", "true"),
        // Nobody takes mail there.
        ("TOLLBOOK_MAIL__SERVER", "127.0.0.1:1"),
        ("TOLLBOOK_MAIL__FROM", "tollbook@example.net"),
        ("TOLLBOOK_MAIL__USERNAME", "tollbook"),
        ("TOLLBOOK_MAIL__PASSWORD", MAIL_PASSWORD),
        ("TOLLBOOK_MAIL__ALLOWED_DOMAINS", "example.net"),
    ];
    // The service's own start waits with another token than this one, which readiness does not need.
    let service = Service::start_with(folder.path(), &environment);
    let operator = service.client.with_token(BOOTSTRAP);
    let mut planted = planted();
    let mut errors = String::new();
    let exchanged = people(&operator, &mut planted, &mut errors);
    operator.with_token(&exchanged).get("/v3/exports").expect(200);
    calls(&operator, &mut errors);
    jobs(&operator, &mut planted, &mut errors);
    lake(&service, &operator);
    let shown = shown(folder.path(), &operator, errors);
    let log = service.logged();
    assert!(log.contains("TRACE") && log.contains("DEBUG"), "it tells all");
    // What is not folded into the files yet may hold what will not be.
    nothing_kept(folder.path(), &planted, &["catalog.sqlite-wal"]);
    assert!(service.stop().success());

    let search = Search::of(&planted);
    for (place, text) in [
        ("the metrics", &shown.metrics),
        ("the audit log", &shown.audit_log),
        ("the checkpoint", &shown.checkpoint),
        ("config show", &shown.settings),
        ("an error", &shown.errors),
    ] {
        let found = search.names_in(text.as_bytes());
        assert!(found.is_empty(), "{found:?} in {place}: {text}");
    }
    // The data folder, and what the service wrote beside it: standard output and the log.
    nothing_kept(folder.path(), &planted, &["catalog.sqlite", ".parquet", ".arrow", "log", "said"]);
    looking_finds(folder.path());
    another_key(folder.path());
}

/// Logins of every kind; answers an access token.
fn people(operator: &Client, planted: &mut Planted, errors: &mut String) -> String {
    let eve = json!({"username": "eve", "password": PASSWORD, "role": "analyst"});
    let eve = operator.send_json("POST", "/api/v1/users", &eve).expect(201).json();
    let eve = format!("/api/v1/users/{}", eve["id"].as_str().unwrap());
    let log_in = |password: &str| {
        let grant = [("grant_type", "password"), ("username", "eve"), ("password", password)];
        post(operator, "token", &grant)
    };
    let refresh = noted(planted, &log_in(PASSWORD));
    errors.push_str(log_in(WRONG_PASSWORD).expect(401).text());
    let again = [("grant_type", "refresh_token"), ("refresh_token", &*refresh)];
    noted(planted, &post(operator, "token", &again));
    post(operator, "logout", &[("refresh_token", &refresh)]).expect(204);
    operator.send_json("PATCH", &eve, &json!({"password": NEXT_PASSWORD})).expect(200);
    noted(planted, &log_in(NEXT_PASSWORD));

    let changed = operator.send_json("PATCH", &eve, &json!({"second_factor": true})).expect(200).json();
    let uri = changed["otpauth_uri"].as_str().unwrap();
    let key = uri.split_once("secret=").unwrap().1.split('&').next().unwrap();
    planted.push(("the key of the second factor".into(), key.into()));
    planted.push(("its bytes".into(), key_of(uri)));
    errors.push_str(log_in(NEXT_PASSWORD).expect(401).text());

    let own = json!({"name": "own", "role": "analyst", "value": OWN_VALUE});
    operator.send_json("POST", "/api/v1/tokens", &own).expect(201);
    let short = json!({"name": "", "role": "king", "value": IN_PATH, "expires_at": IN_QUERY});
    errors.push_str(operator.send_json("POST", "/api/v1/tokens", &short).expect(400).text());
    let made = json!({"name": "made", "role": "analyst"});
    let made = operator.send_json("POST", "/api/v1/tokens", &made).expect(201).json();
    planted.push(("a token that was made".into(), made["secret"].as_str().unwrap().into()));
    let change = json!({"callback_secret": CALLBACK_SECRET});
    operator.send_json("PATCH", "/api/v1/settings", &change).expect(200);
    let grant = [("grant_type", "client_credentials"), ("client_secret", OWN_VALUE)];
    let exchanged = post(operator, "token", &grant).expect(200).json();
    let broken =
        form(&[("client_id", "ocp"), ("username", "eve"), ("password", WRONG_PASSWORD)]) + "&password=x";
    let place = format!("{REALM}/token");
    errors.push_str(operator.post(&place, "application/x-www-form-urlencoded", broken).expect(400).text());
    errors.push_str(
        operator.post(&place, "application/json", format!("{{\"{WRONG_PASSWORD}")).expect(400).text(),
    );
    exchanged["access_token"].as_str().unwrap().to_owned()
}

/// Notes what a login gave, of which nothing is kept; answers the refresh token.
#[track_caller]
fn noted(planted: &mut Planted, answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let login = Login::of(answer.clone());
    for (name, text) in [("an access token", &login.access), ("a refresh token", &login.refresh)] {
        // A part of it is one too much: the random part, the signature.
        planted.push((name.into(), text[text.len() - 40..].into()));
    }
    login.refresh
}

/// Calls come in by every way, good and bad, and are asked for; secrets stand where they should not.
fn calls(operator: &Client, errors: &mut String) {
    let switch = json!({"name": "switch", "role": "source", "value": BASIC_PASSWORD});
    operator.send_json("POST", "/api/v1/tokens", &switch).expect(201);
    let source = json!({"kind": "asterisk-csv", "zone": "UTC", "trunks": ["trunk-a"], "extension_pattern": "^1[0-9]{2}$"});
    operator.send_json("PUT", "/api/v1/sources/bench", &source).expect(201);
    let day = day_ago(1);
    let line = |caller: &str, key: &str| {
        json!({
            "source_key": key, "pbx_alias": "lyon", "start_at": format!("{day}T09:00:00.000Z"), "duration_s": 5,
            "direction": "inbound", "calling_party": format!("+{caller}"), "caller_name": format!("Caller {caller}"),
            "source_number_out": format!("00{caller}"), "called_party": "202", "result": "answered",
            "extra": {"note": format!("rang from {caller}")},
        })
    };
    let kind = "application/x-ndjson";
    for (at, caller) in CALLERS.iter().enumerate().take(3) {
        let body = format!("{}\n", line(caller, &format!("k{at}")));
        operator.post("/api/v1/cdr/records", kind, body).expect(200);
    }
    let mut bad = line(CALLERS[3], "bad");
    for name in ["start_at", "duration_s", "direction"] {
        bad[name] = json!(format!("x{}", CALLERS[3]));
    }
    errors.push_str(operator.post("/api/v1/cdr/records", kind, format!("{bad}\n")).expect(400).text());
    errors.push_str(
        operator.post("/api/v1/cdr/records", kind, format!("{{\"calling_party\": {}", CALLERS[3])).text(),
    );
    let csv =
        format!("\"\",\"{}\",\"101\",\"from-trunk\",\"{}\",\"SIP/trunk-a-1\"\n", CALLERS[3], CALLERS[3]);
    for (password, taken) in [(BASIC_PASSWORD, true), (WRONG_BASIC, false)] {
        let switch = operator.with_authorization(Some(&format!("Basic {}", basic(password))));
        let answer = switch.post("/api/v1/sources/bench/records", "text/csv", &csv);
        assert_eq!(answer.status != 401, taken, "{}", answer.text());
        errors.push_str(answer.text());
    }
    let seen = operator.get("/api/v1/cdr/export?from=2000-01-01&format=ndjson").expect(200);
    assert_eq!(seen.text().lines().count(), 3, "{}", seen.text());
    errors.push_str(seen.text());

    let stranger = operator.with_authorization(None);
    for path in [
        format!("/api/v1/cdr/export?from=2026-01-01&access_token={OWN_VALUE}&token={IN_QUERY}"),
        format!("/v3/exports?api_key={OWN_VALUE}&Api-Key={IN_QUERY}"),
        format!("/exports-api/v1/groups/default/jobs?token={IN_QUERY}"),
    ] {
        errors.push_str(stranger.get(&path).expect(401).text());
    }
    for (name, value) in
        [("Api-Key", WRONG_KEY), ("cookie", IN_QUERY), ("X-OCP-PERSONAL-ACCESS-TOKEN", WRONG_KEY)]
    {
        for path in ["/v3/exports", "/api/v1/tokens", "/exports-api/v1/groups/default/jobs"] {
            let answer = stranger.send("GET", path, &[(name, value)], b"").unwrap();
            assert_eq!(answer.status, 401);
        }
    }
    for path in [format!("/api/v1/tokens/{IN_PATH}"), format!("/api/v1/users/{IN_PATH}")] {
        let answer = operator.send("DELETE", &path, &[], b"").unwrap().expect(404);
        errors.push_str(answer.text());
    }
    stranger.get(&format!("/{IN_PATH}/{IN_QUERY}?x={IN_QUERY}")).expect(404);
    let asked = format!("/api/v1/cdr/export?from=2000-01-01&calling_party=%2B{}&format=ndjson", CALLERS[0]);
    assert_eq!(operator.get(&asked).expect(200).text().lines().count(), 1);
    let wrong = format!("/api/v1/cdr/export?from={IN_QUERY}&calling_party={}&x={IN_PATH}", CALLERS[1]);
    errors.push_str(operator.get(&wrong).expect(400).text());
    errors.push_str(operator.get(&format!("/api/v1/sources/{}", CALLERS[3])).expect(404).text());
}

/// A job that asks for callers, and for others to be told, whom nobody reaches.
fn jobs(operator: &Client, planted: &mut Planted, errors: &mut String) {
    let order = json!({
        "from": day_ago(9), "format": "ndjson", "calling_party": format!("+{}", CALLERS[0]), "did_number": DIRECT_NUMBER,
        "notify_email": RECIPIENT,
        "callback_url": format!("https://callback.invalid/{IN_CALLED_PATH}?x={IN_CALLED_PATH}"),
    });
    let made = operator.send_json("POST", "/api/v1/cdr/export-jobs", &order).expect(202).json();
    let path = format!("/api/v1/export-jobs/{}", made["id"].as_str().unwrap());
    let ready = wait_for(PATIENCE, || {
        Some(operator.get(&path).expect(200).json()).filter(|job| job["status"] == "ready")
    });
    let link = ready.expect("a job in time")["download_url"].as_str().unwrap().to_owned();
    let signature = link.split_once("sig=").unwrap().1.split('&').next().unwrap();
    planted.push(("the signature of a link".into(), signature.into()));
    let stranger = operator.with_authorization(None);
    let link = &link[link.find("/dl/").unwrap()..];
    stranger.get(link).expect(200);
    errors.push_str(stranger.get(&link.replace("exp=", "exp=1")).expect(403).text());
    let wrong = json!({
        "from": CALLERS[1], "notify_email": format!("{RECIPIENT}x"), "callback_url": format!("http://a:{CALLED_PASSWORD}@10.0.0.1/"),
    });
    errors.push_str(operator.send_json("POST", "/api/v1/cdr/export-jobs", &wrong).expect(400).text());
}

/// So much arrives beside them that the calls move from the journal to the lake.
fn lake(service: &Service, operator: &Client) {
    let body = Load::new(1).ndjson("filler", 450, 24_000, &day_ago(1));
    operator.post("/api/v1/cdr/records", "application/x-ndjson", body).expect(200);
    let done = wait_for(PATIENCE * 3, || service.logged().contains("compacted").then_some(()));
    assert!(done.is_some(), "no compaction came");
}

fn shown(folder: &Path, operator: &Client, errors: String) -> Shown {
    let said = std::fs::read_to_string(folder.join("said")).unwrap();
    let metrics = said.split_once("metrics at http://").and_then(|(_, rest)| rest.split_once("/metrics"));
    let metrics = metrics.expect("the place of the metrics").0.parse().unwrap();
    let metrics = Client::new(metrics, "").with_authorization(None).get("/metrics").expect(200);
    let audit_log = operator.get("/api/v1/audit-log/export?from=2000-01-01&format=ndjson").expect(200);
    let checkpoint = wait_for(PATIENCE, || {
        Some(operator.get("/api/v1/audit-log/checkpoints/latest")).filter(|answer| answer.status == 200)
    });
    let mut command = tollbook();
    command.args(["config", "show"]).env("TOLLBOOK_BOOTSTRAP_TOKEN", BOOTSTRAP);
    command.env("TOLLBOOK_SEALING_KEY", SEALING_KEY).env("TOLLBOOK_DATA", folder.join("data"));
    command.env("TOLLBOOK_MAIL__USERNAME", "tollbook").env("TOLLBOOK_MAIL__PASSWORD", MAIL_PASSWORD);
    let settings = command.output().unwrap();
    assert!(settings.status.success(), "{settings:?}");
    let settings = [settings.stdout, settings.stderr].concat();
    let mut errors = errors;
    for path in ["/api/v1/settings", "/api/v1/tokens", "/api/v1/users", "/api/v1/tenants", "/api/v1/sources"]
    {
        errors.push_str(operator.get(path).expect(200).text());
    }
    assert!(!metrics.text().is_empty() && audit_log.text().lines().count() > 10);
    Shown {
        metrics: metrics.text().into(),
        audit_log: audit_log.text().into(),
        checkpoint: checkpoint.expect("a checkpoint").text().into(),
        settings: String::from_utf8(settings).unwrap(),
        errors,
    }
}

/// Looks for all of them in one pass.
struct Search<'p> {
    /// By their first two bytes.
    by_start: Vec<Vec<&'p (String, Vec<u8>)>>,
}

impl<'p> Search<'p> {
    fn of(planted: &'p Planted) -> Self {
        let mut by_start = vec![Vec::new(); 1 << 16];
        for one in planted {
            by_start[usize::from(u16::from_be_bytes([one.1[0], one.1[1]]))].push(one);
        }
        Self { by_start }
    }

    fn names_in(&self, content: &[u8]) -> BTreeSet<&'p str> {
        let mut found = BTreeSet::new();
        for (at, start) in content.windows(2).enumerate() {
            for (name, secret) in &self.by_start[usize::from(u16::from_be_bytes([start[0], start[1]]))] {
                if content[at..].starts_with(secret) {
                    found.insert(name.as_str());
                }
            }
        }
        found
    }
}

/// Nothing planted is in the data folder, or in what the service wrote beside it. Files with these ends are among them.
#[track_caller]
fn nothing_kept(folder: &Path, planted: &Planted, ends: &[&str]) {
    let files = files_below(folder);
    for end in ends {
        assert!(files.iter().any(|file| file.to_str().unwrap().ends_with(end)), "{end}: {files:?}");
    }
    let search = Search::of(planted);
    let found: Vec<_> = files
        .iter()
        .map(|file| (file, search.names_in(&std::fs::read(file).unwrap())))
        .filter(|(_, names)| !names.is_empty())
        .collect();
    assert!(found.is_empty(), "{found:#?}");
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}

/// That looking would find something: what is in the folder in clear.
fn looking_finds(folder: &Path) {
    let clear: Planted =
        ["eve", "$argon2id$", "request answered", "p1_"].map(|text| (text.into(), text.into())).into();
    let search = Search::of(&clear);
    let mut found = BTreeSet::new();
    for file in files_below(folder) {
        found.extend(search.names_in(&std::fs::read(file).unwrap()));
    }
    assert_eq!(found.len(), clear.len(), "{found:?}");
}

/// The folder opens with its own key only, and a refusal spoils nothing.
fn another_key(folder: &Path) {
    for key in ["00".repeat(32), SEALING_KEY.replace('5', "6")] {
        let mut command = tollbook();
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder.join("data"));
        let refused = command.env("TOLLBOOK_SEALING_KEY", &key).output().unwrap();
        let complaint = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1));
        assert!(complaint.contains("sealing key") && !complaint.contains(&key), "{complaint}");
    }
    let environment = [("TOLLBOOK_BOOTSTRAP_TOKEN", BOOTSTRAP), ("TOLLBOOK_SEALING_KEY", SEALING_KEY)];
    let service = Service::start_with(folder, &environment);
    let operator = service.client.with_token(BOOTSTRAP);
    let settings: Value = operator.get("/api/v1/settings").expect(200).json();
    assert_eq!(settings["callback_secret_set"], true, "what is sealed opens again");
    let asked = format!("/api/v1/cdr/export?from=2000-01-01&calling_party=%2B{}&format=ndjson", CALLERS[0]);
    assert_eq!(
        operator.get(&asked).expect(200).text().lines().count(),
        1,
        "and the pseudonym's key is the same"
    );
}
