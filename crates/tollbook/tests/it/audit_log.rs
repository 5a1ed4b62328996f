//! The audit log from outside: it tells all and nothing too much, its chain is whole, and whatever is done to it shows.

use crate::client::{Client, End};
use crate::load::Random;
use crate::login::{PASSWORD, log_in, post, try_log_in, user};
use crate::service::{Service, skip, tollbook, wait_for};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

const EXPORT: &str = "/api/v1/audit-log/export?from=2000-01-01&to=2100-01-01&format=";
const PATIENCE: Duration = Duration::from_secs(20);
/// Things that are said to the service, and are none of the log's business.
const PRIVATE: [&str; 9] = [
    "+442071234567",
    "442071234567",
    "2071234567",
    "lyon-0478123456",
    "eve-the-user",
    "nobody-0478999999",
    PASSWORD,
    "a callback secret",
    "an own value of a token",
];

#[track_caller]
fn export(client: &Client, format: &str) -> String {
    client.get(&format!("{EXPORT}{format}")).expect(200).text().to_owned()
}

fn entries(client: &Client) -> Vec<Value> {
    export(client, "ndjson").lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Files of a reader who wants to know.
struct Evidence {
    folder: tempfile::TempDir,
}

impl Evidence {
    /// Fetches keys, and the latest checkpoint as soon as there is one of entry `seq` or a later one.
    fn gather(client: &Client, seq: u64) -> Self {
        let evidence = Self { folder: tempfile::tempdir().unwrap() };
        let keys = client.with_authorization(None).get("/.well-known/jwks.json").expect(200);
        evidence.write("keys.json", &keys.body);
        let checkpoint = wait_for(PATIENCE, || {
            let answer = client.get("/api/v1/audit-log/checkpoints/latest");
            (answer.status == 200 && signed_seq(answer.text()) >= seq).then_some(answer)
        });
        let checkpoint = checkpoint.expect("a checkpoint in time");
        assert_eq!(checkpoint.header("content-type"), Some("application/jose"));
        evidence.write("checkpoint.jws", &checkpoint.body);
        evidence
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).unwrap();
    }

    /// What `tollbook verify` says of a log, and its exit code.
    fn verify(&self, log: impl AsRef<[u8]>) -> (Option<i32>, String) {
        self.write("log", log);
        let mut command = tollbook();
        command.arg("verify").arg("--jwks").arg(self.path("keys.json"));
        let output = command.arg(self.path("log")).arg(self.path("checkpoint.jws")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.code(), said.into_owned())
    }

    #[track_caller]
    fn whole(&self, log: &str) {
        let (code, said) = self.verify(log);
        assert_eq!(code, Some(0), "{said}");
        assert!(said.lines().last() == Some("whole"), "{said}");
    }
}

fn signed_seq(jws: &str) -> u64 {
    use base64::Engine;
    let payload = jws.split('.').nth(1).expect("a compact JWS");
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
    serde_json::from_slice::<Value>(&payload).unwrap()["seq"].as_u64().expect("a place")
}

/// What happens on a day, by several people at once.
fn a_day(service: &Service) {
    let admin = &service.client;
    user(admin, "eve-the-user", "analyst");
    let viewer = admin.with_token(&service.token("viewer"));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            for at in 0..8 {
                let value = format!("an own value of a token {at}");
                let body = json!({"name": format!("t{at}"), "role": "viewer", "value": value});
                let made = admin.send_json("POST", "/api/v1/tokens", &body).expect(201).json();
                let path = format!("/api/v1/tokens/{}", made["id"].as_str().unwrap());
                admin.send("DELETE", &path, &[], b"").unwrap().expect(204);
            }
        });
        threads.spawn(|| {
            for _ in 0..2 {
                let login = log_in(admin, "eve-the-user");
                assert_eq!(try_log_in(admin, "eve-the-user", "a wrong password").status, 401);
                assert_eq!(try_log_in(admin, "nobody-0478999999", "a wrong password").status, 401);
                post(admin, "logout", &[("refresh_token", &login.refresh)]).expect(204);
            }
        });
        threads.spawn(|| {
            for at in 0..8 {
                let change = json!({"retention": {"cdr_days": 100 + at}, "callback_secret": format!("a callback secret {at}")});
                admin.send_json("PATCH", "/api/v1/settings", &change).expect(200);
                let source = json!({"kind": "asterisk-csv", "zone": "UTC"});
                admin.send_json("PUT", "/api/v1/sources/lyon-0478123456", &source);
                admin.get("/api/v1/cdr/export?from=2026-01-01&calling_party=%2B442071234567").expect(200);
            }
            admin.send("DELETE", "/api/v1/sources/lyon-0478123456", &[], b"").unwrap().expect(204);
        });
        for _ in 0..2 {
            threads.spawn(|| {
                for path in ["tokens", "users", "settings", "tenants", "sources/lyon-0478123456"].repeat(4) {
                    viewer.get(&format!("/api/v1/{path}?calling_party=%2B442071234567")).expect(403);
                }
            });
        }
    });
}

#[test]
fn the_log_of_a_day_is_whole_says_enough_and_not_too_much() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    a_day(&service);
    // The first round after a start signs what no checkpoint covers.
    assert!(service.stop().success());
    let service = Service::start(folder.path());
    let admin = &service.client;
    let log = export(admin, "ndjson");
    let seen: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let evidence = Evidence::gather(admin, 90);
    evidence.whole(&log);
    let array = export(admin, "json");
    assert!(array.starts_with("[\n"));
    evidence.whole(&array);
    evidence.whole(&export(admin, "ndjson&tz=Asia/Kolkata"));
    let parts: Vec<&str> = log.split_inclusive('\n').collect();
    let (front, back) = parts.split_at(parts.len() / 2);
    evidence.write("front", front.concat());
    let mut command = tollbook();
    command.args(["verify", "--jwks"]).arg(evidence.path("keys.json")).arg(evidence.path("front"));
    evidence.write("back", back.concat());
    let both = command.arg(evidence.path("back")).arg(evidence.path("checkpoint.jws")).output().unwrap();
    assert!(both.status.success(), "one after the other: {both:?}");

    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for entry in &seen {
        let text = |name: &str| entry[name].as_str().unwrap_or("-");
        *counts.entry((text("action"), text("outcome"))).or_default() += 1;
    }
    let wanted = [
        // Eight, the viewer's, and the first one.
        (("token.create", "success"), 10),
        (("tenant.create", "success"), 1),
        (("token.revoke", "success"), 8),
        (("user.create", "success"), 1),
        (("login", "success"), 2),
        (("login", "denied"), 4),
        (("logout", "success"), 2),
        (("settings.change", "success"), 8),
        (("source.put", "success"), 8),
        (("source.remove", "success"), 1),
        // Eight of calls, and this one.
        (("export.direct", "success"), 9),
        (("tokens.manage", "denied"), 8),
        (("users.manage", "denied"), 8),
        (("settings.manage", "denied"), 8),
        (("tenants.manage", "denied"), 8),
        (("sources.manage", "denied"), 8),
    ];
    for (what, times) in wanted {
        assert_eq!(counts.remove(&what), Some(times), "{what:?}");
    }
    assert!(counts.is_empty(), "{counts:?}");
    for private in PRIVATE {
        assert!(!log.contains(private), "{private}");
    }
    admin.get(&format!("{EXPORT}ndjson&action=login&actor=system")).expect(200);

    mutations(&evidence, &log);
}

/// Every way to change a file that is still one.
fn mutations(evidence: &Evidence, log: &str) {
    let lines: Vec<&str> = log.lines().collect();
    let last = lines.len() - 1;
    let mut changed: Vec<(String, Vec<String>)> = Vec::new();
    let mut change = |what: String, edit: &dyn Fn(&mut Vec<String>)| {
        let mut lines: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        edit(&mut lines);
        changed.push((what, lines));
    };
    let places = [0, 1, last / 2, last - 3];
    for at in places {
        change(format!("{at} removed"), &|lines| drop(lines.remove(at)));
        change(format!("{at} twice"), &|lines| lines.insert(at, lines[at].clone()));
        change(format!("{at} swapped"), &|lines| lines.swap(at, at + 1));
        let entry: Value = serde_json::from_str(lines[at]).unwrap();
        for (name, value) in entry.as_object().unwrap() {
            let mut other = entry.clone();
            other[name] = match value {
                Value::Number(number) => json!(number.as_u64().unwrap() + 1),
                // The last character, so that hashes stay hashes and moments moments.
                Value::String(text) => {
                    let place = if name == "at" { 22 } else { text.len() - 1 };
                    let old = text.as_bytes()[place];
                    let new = if old == b'1' { "2" } else { "1" };
                    json!(format!("{}{new}{}", &text[..place], &text[place + 1..]))
                }
                _ => panic!("{name}: {value}"),
            };
            change(format!("{name} of {at} changed"), &|lines| lines[at] = other.to_string());
            let mut without = entry.clone();
            without.as_object_mut().unwrap().shift_remove(name);
            change(format!("{at} without {name}"), &|lines| lines[at] = without.to_string());
        }
        let mut more = entry.clone();
        more["reason"] = json!("for a good reason");
        change(format!("{at} with a reason of its own"), &|lines| lines[at] = more.to_string());
    }
    let signed = signed_seq(&std::fs::read_to_string(evidence.path("checkpoint.jws")).unwrap());
    let signed = usize::try_from(signed).unwrap();
    change("cut before the checkpoint".into(), &|lines| lines.truncate(signed - 1));
    change("empty".into(), &Vec::clear);
    change("made anew".into(), &|lines| *lines = rewritten(lines));
    for (what, lines) in &changed {
        let (code, said) = evidence.verify(lines.join("\n") + "\n");
        // An entry without a column looks like an export of some columns, which is no log to verify.
        let incomplete = what.starts_with("0 without") && code == Some(2);
        assert!(code == Some(1) || incomplete, "{what}: {code:?} {said}");
    }
    let (code, said) = evidence.verify(&log.as_bytes()[..log.len() - 20]);
    assert_eq!(code, Some(1), "cut within an entry: {said}");
    assert!(changed.len() > 80);
}

/// The same log with another first entry, and every hash made to fit: only a checkpoint tells.
fn rewritten(lines: &[String]) -> Vec<String> {
    let mut previous = "0".repeat(64);
    let mut all = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let mut entry: Value = serde_json::from_str(line).unwrap();
        if at == 0 {
            entry["outcome"] = json!("denied");
        }
        entry["prev_hash"] = json!(previous);
        let members = entry.as_object_mut().unwrap();
        members.shift_remove("hash");
        let hash = tollbook_model::audit::hash_of(members).expect("an entry");
        previous = hex::encode(hash);
        members.insert("hash".into(), json!(previous));
        all.push(entry.to_string());
    }
    all
}

/// Does something to the control database of a service that does not run, as whoever holds the disk can.
fn tamper(folder: &Path, statements: &str) -> bool {
    let script = "import sqlite3, sys\nc = sqlite3.connect(sys.argv[1])\nc.executescript(sys.argv[2])\nc.commit()\nc.close()";
    let database = folder.join("data/catalog.sqlite");
    match Command::new("python3").arg("-c").arg(script).arg(database).arg(statements).output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            true
        }
        Err(error) => {
            skip(&format!("python3 is needed to change rows behind the service's back: {error}"));
            false
        }
    }
}

#[test]
fn what_is_done_to_the_rows_themselves_shows_in_the_next_export() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    for _ in 0..30 {
        let viewer = service.client.with_token("tb_nobody_nobody_nobody_nobody");
        assert_eq!(viewer.get("/api/v1/tokens").status, 401);
        service.token("viewer");
    }
    assert!(service.stop().success());
    let service = Service::start(folder.path());
    let evidence = Evidence::gather(&service.client, 31);
    evidence.whole(&export(&service.client, "ndjson"));
    assert!(service.stop().success());
    let untouched = folder.path().join("data/catalog.sqlite");
    let kept = std::fs::read(&untouched).unwrap();
    for (what, statements) in [
        ("a changed actor", "UPDATE audit_log SET actor = 'system' WHERE tenant = 'default' AND seq = 5"),
        ("a changed time", "UPDATE audit_log SET at_ms = at_ms + 1 WHERE tenant = 'default' AND seq = 5"),
        ("an entry less", "DELETE FROM audit_log WHERE tenant = 'default' AND seq = 5"),
        ("no beginning", "DELETE FROM audit_log WHERE tenant = 'default' AND seq < 5"),
        (
            "no end, and a chain that goes on from there",
            "DELETE FROM audit_log WHERE tenant = 'default' AND seq > 20;
             UPDATE audit_chains SET seq = 20, hash = (SELECT hash FROM audit_log WHERE tenant = 'default' AND seq = 20)
             WHERE tenant = 'default'; DELETE FROM audit_checkpoints",
        ),
    ] {
        for beside in ["data/catalog.sqlite-wal", "data/catalog.sqlite-shm"] {
            let _gone = std::fs::remove_file(folder.path().join(beside));
        }
        std::fs::write(&untouched, &kept).unwrap();
        if !tamper(folder.path(), statements) {
            return;
        }
        let service = Service::start(folder.path());
        let (code, said) = evidence.verify(export(&service.client, "ndjson"));
        assert_eq!(code, Some(1), "{what}: {said}");
        assert!(service.stop().success());
    }
}

/// What clients were told before the kill.
#[derive(Default)]
struct Told {
    tokens: BTreeSet<String>,
    users: BTreeSet<String>,
}

#[test]
#[allow(clippy::print_stdout, reason = "what a run was like, for whoever looks")]
fn no_kill_parts_a_change_from_its_entry() {
    let folder = tempfile::tempdir().unwrap();
    let mut random = Random::new(11);
    let told = Mutex::new(Told::default());
    for life in 0..10 {
        let service = Service::start(folder.path());
        check(&service, &told.lock().unwrap());
        let client = service.client.clone();
        let delay = Duration::from_millis(60 + random.below(200));
        std::thread::scope(|threads| {
            for storm in 0..4 {
                let (client, told) = (&client, &told);
                threads.spawn(move || change_until_killed(client, told, &format!("{life}-{storm}"), storm));
            }
            std::thread::sleep(delay);
            service.kill();
        });
    }
    let service = Service::start(folder.path());
    let told = told.into_inner().unwrap();
    check(&service, &told);
    let seen = entries(&service.client);
    let evidence = Evidence::gather(&service.client, (told.tokens.len() + told.users.len()) as u64);
    evidence.whole(&export(&service.client, "ndjson"));
    println!("{} tokens, {} users, {} entries", told.tokens.len(), told.users.len(), seen.len());
    assert!(told.tokens.len() > 50 && told.users.len() > 5, "too little was done to learn anything");
}

/// Makes and removes tokens and users, and changes settings, until the service is gone.
fn change_until_killed(client: &Client, told: &Mutex<Told>, name: &str, storm: u64) {
    let ask = |method: &str, path: &str, body: &Value| {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("content-type", "application/json")];
        let answer = client.send(method, path, &headers, body.as_bytes()).ok();
        answer.filter(|answer| answer.end == End::Clean)
    };
    for at in 0.. {
        let outcome = match storm {
            0 => {
                let body =
                    json!({"username": format!("u-{name}-{at}"), "password": PASSWORD, "role": "viewer"});
                ask("POST", "/api/v1/users", &body).map(|answer| {
                    let id = answer.expect(201).json()["id"].as_str().unwrap().to_owned();
                    told.lock().unwrap().users.insert(id);
                })
            }
            1 => {
                let body = json!({"retention": {"cdr_days": 30 + at % 300, "event_days": 30 + at % 30}});
                ask("PATCH", "/api/v1/settings", &body).map(|answer| drop(answer.expect(200)))
            }
            _ => {
                let body = json!({"name": format!("t-{name}-{at}"), "role": "viewer"});
                ask("POST", "/api/v1/tokens", &body).and_then(|answer| {
                    let id = answer.expect(201).json()["id"].as_str().unwrap().to_owned();
                    told.lock().unwrap().tokens.insert(id.clone());
                    if at % 2 == 0 {
                        return Some(());
                    }
                    let removed = ask("DELETE", &format!("/api/v1/tokens/{id}"), &Value::Null);
                    removed.map(|answer| drop(answer.expect(204)))
                })
            }
        };
        if outcome.is_none() {
            return;
        }
    }
}

/// Every object has its entry, every entry its object, and what was answered is there.
fn check(service: &Service, told: &Told) {
    let client = &service.client;
    let log = entries(client);
    for (at, entry) in log.iter().enumerate() {
        assert_eq!(entry["seq"], at + 1);
    }
    let of = |action: &str| -> BTreeSet<String> {
        let those = log.iter().filter(|entry| entry["action"] == action && entry["outcome"] == "success");
        those.map(|entry| entry["object_id"].as_str().expect("an object").to_owned()).collect()
    };
    for (path, create, remove, told) in [
        ("tokens", "token.create", "token.revoke", &told.tokens),
        ("users", "user.create", "user.delete", &told.users),
    ] {
        let list = client.get(&format!("/api/v1/{path}")).expect(200).json();
        let items = list["items"].as_array().unwrap().iter();
        let there: BTreeSet<String> = items.map(|item| item["id"].as_str().unwrap().to_owned()).collect();
        let created = of(create);
        let alive: BTreeSet<String> = created.difference(&of(remove)).cloned().collect();
        assert_eq!(alive, there, "{path}: entries and objects");
        assert!(told.is_subset(&created), "{path}: what was answered");
    }
    // The settings are those that their last entries tell.
    let settings = client.get("/api/v1/settings").expect(200).json();
    let changes = log.iter().filter(|entry| entry["action"] == "settings.change");
    for name in ["cdr_days", "event_days"] {
        let told = changes.clone().rev().find_map(|entry| {
            let reason = entry["reason"].as_str().expect("what was changed");
            let (_, rest) = reason.split_once(&format!("retention.{name} from "))?;
            let (_, to) = rest.split(", ").next()?.split_once(" to ")?;
            to.parse::<u64>().ok()
        });
        if let Some(told) = told {
            assert_eq!(settings["retention"][name], told, "{name}");
        }
    }
}
