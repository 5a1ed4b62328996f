//! Links to files of jobs: which are good, for what, how long, and which never are. Checklist rows 32 to 35.

use super::desk::{fetch, id_of, look, order, ready, target};
use super::filled;
use crate::client::{Answer, Client};
use crate::load::Random;
use crate::service::{Service, day_ago, wait_for};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tollbook_kit::clock::{Clock, SystemClock};

/// Changed links in all; fixed, so that a run can be repeated.
const MUTATIONS: usize = 4_000;
const THREADS: usize = 8;

fn ready_ndjson(service: &Service) -> Value {
    let client = &service.client;
    ready(client, &order(client, &json!({"from": day_ago(9), "format": "ndjson"})))
}

fn anybody(service: &Service) -> Client {
    service.client.with_authorization(None)
}

#[track_caller]
fn send(client: &Client, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
    client.send(method, target, headers, b"").expect("the service answers")
}

/// The parameters of a link.
fn parameters(target: &str) -> BTreeMap<String, String> {
    let (_, query) = target.split_once('?').expect("a query");
    let pairs = query.split('&').map(|pair| pair.split_once('=').expect("a value"));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Checklist row 35.
#[test]
fn every_look_signs_new_links_and_all_of_them_work() {
    let (_folder, service) = filled();
    let job = ready_ndjson(&service);
    let first = target(&job["download_url"]);
    let other = wait_for(Duration::from_secs(30), || {
        let link = target(&look(&service.client, &job)["download_url"]);
        (link != first).then_some(link)
    });
    let other = other.expect("a second later it is another one");
    for link in [&first, &other, &first] {
        anybody(&service).get(link).expect(200);
    }
    let parameters = parameters(&other);
    let names: Vec<&str> = parameters.keys().map(String::as_str).collect();
    assert_eq!(names, ["exp", "kid", "sig"]);
    assert_eq!(parameters["sig"].len(), 43, "SHA-256 without padding");
    let left_s = parameters["exp"].parse::<i64>().unwrap() - SystemClock::new().now_ms() / 1000;
    assert!((3500..=3600).contains(&left_s), "an hour: {left_s}");
}

/// Checklist row 34.
#[test]
fn readers_take_ranges_and_ask_what_is_there() {
    let (_folder, service) = filled();
    let job = ready_ndjson(&service);
    let (client, link) = (anybody(&service), target(&job["download_url"]));
    let whole = client.get(&link).expect(200);
    let bytes = whole.body.len();
    let etag = whole.header("etag").expect("a tag").to_owned();
    assert!(etag.starts_with('"') && etag.ends_with('"'), "a strong tag: {etag}");
    let ask = |headers: &[(&str, &str)]| send(&client, "GET", &link, headers);
    for (range, from, to) in [
        ("bytes=0-99", 0, 100),
        ("bytes=100-", 100, bytes),
        ("bytes=-100", bytes - 100, bytes),
        ("bytes=0-999999999999", 0, bytes),
        ("bytes=-999999999999", 0, bytes),
        ("Bytes=5-5", 5, 6),
    ] {
        let part = ask(&[("range", range)]).expect(206);
        assert!(part.body == whole.body[from..to], "{range}");
        let told = format!("bytes {from}-{}/{bytes}", to - 1);
        assert_eq!(part.header("content-range"), Some(told.as_str()), "{range}");
        assert_eq!(part.header("etag"), Some(etag.as_str()));
    }
    for range in
        [format!("bytes={bytes}-"), format!("bytes={}-{}", bytes + 5, bytes + 9), "bytes=-0".to_owned()]
    {
        let refused = ask(&[("range", &range)]).expect(416);
        let told = format!("bytes */{bytes}");
        assert_eq!(refused.header("content-range"), Some(told.as_str()), "{range}");
    }
    for range in ["bytes=0-1,5-6", "bytes=9-5", "bytes=", "bytes=a-b", "lines=0-1", "bytes 0-1"] {
        assert!(ask(&[("range", range)]).expect(200).body == whole.body, "{range}");
    }
    ask(&[("range", "bytes=0-99"), ("if-range", &etag)]).expect(206);
    let changed = ask(&[("range", "bytes=0-99"), ("if-range", "\"another\"")]).expect(200);
    assert!(changed.body == whole.body, "the whole, as it would be another file");
    for tags in [etag.as_str(), "*", &format!("\"another\", {etag}")] {
        let known = ask(&[("if-none-match", tags)]);
        assert_eq!(
            (known.status, known.body.len(), known.header("etag")),
            (304, 0, Some(etag.as_str())),
            "{tags}"
        );
    }
    ask(&[("if-none-match", "\"another\"")]).expect(200);
    ask(&[("if-match", &etag)]).expect(200);
    assert_eq!(ask(&[("if-match", "\"another\"")]).status, 412);

    let head = send(&client, "HEAD", &link, &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    for header in
        ["content-length", "content-type", "content-disposition", "etag", "accept-ranges", "cache-control"]
    {
        assert_eq!(head.header(header), whole.header(header), "{header}");
        assert!(head.header(header).is_some(), "{header}");
    }
    assert_eq!(whole.header("content-encoding"), None);
    for method in ["POST", "DELETE", "PUT"] {
        let refused = send(&client, method, &link, &[]).expect(405);
        assert!(refused.header("allow").is_some_and(|allow| allow.contains("GET") && allow.contains("HEAD")));
    }
}

/// Checklist row 33: nothing but the link itself is the link.
#[test]
fn a_changed_link_is_none() {
    let (_folder, service) = filled();
    let job = ready_ndjson(&service);
    let (client, link) = (anybody(&service), target(&job["download_url"]));
    let (path, _) = link.split_once('?').unwrap();
    let parameters = parameters(&link);
    let (exp, kid, sig) = (&parameters["exp"], &parameters["kid"], &parameters["sig"]);
    let manifest = target(&job["manifest_url"]);
    let (manifest_path, _) = manifest.split_once('?').unwrap();
    let later: i64 = exp.parse::<i64>().unwrap() + 1;
    for changed in [
        path.to_owned(),
        format!("{path}?exp={exp}&kid={kid}"),
        format!("{path}?exp={exp}&sig={sig}"),
        format!("{path}?kid={kid}&sig={sig}"),
        format!("{path}?exp={exp}&kid={kid}&sig="),
        format!("{path}?exp={exp}&kid={kid}&sig={sig}&sig={sig}"),
        format!("{path}?exp={exp}&exp={exp}&kid={kid}&sig={sig}"),
        format!("{path}?exp={exp}&kid={kid}&sig={sig}&x=y"),
        format!("{path}?exp={exp}&kid={kid}&sig={sig}="),
        format!("{path}?exp={exp}&kid={kid}&sig={sig}%20"),
        format!("{path}?exp={exp}&kid={kid}&sig={sig}&"),
        format!("{path}?exp={later}&kid={kid}&sig={sig}"),
        format!("{path}?exp=0{exp}&kid={kid}&sig={sig}"),
        format!("{path}?exp=%2B{exp}&kid={kid}&sig={sig}"),
        format!("{path}?exp={exp}.0&kid={kid}&sig={sig}"),
        format!("{path}?exp={exp}&kid=k999&sig={sig}"),
        format!("{path}?exp={exp}&kid={kid}&SIG={sig}"),
        format!("{path}?exp={exp}&kid={kid}&sig={}", sig.to_ascii_lowercase()),
        format!("{manifest_path}?exp={exp}&kid={kid}&sig={sig}"),
        link.replacen(id_of(&job), "0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01", 1),
        link.replacen(id_of(&job), &id_of(&job).to_ascii_uppercase(), 1),
        link.replacen("cdr_", "cdr%5F", 1),
        link.replacen(".ndjson", ".csv", 1),
    ] {
        let refused = send(&client, "GET", &changed, &[]);
        assert_eq!((refused.status, refused.problem().as_str()), (403, "forbidden"), "{changed}");
    }
    for changed in [
        link.replacen("/dl/v1/", "/dl//v1/", 1),
        link.replacen("/dl/v1/", "/dl/v1/./", 1),
        link.replacen("/dl/", "/DL/", 1),
    ] {
        let refused = send(&client, "GET", &changed, &[]);
        assert!(matches!(refused.status, 403 | 404), "{changed}: {}", refused.status);
    }
    client.get(&link).expect(200);

    let next = AtomicUsize::new(0);
    std::thread::scope(|threads| {
        for _ in 0..THREADS {
            threads.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= MUTATIONS {
                        return;
                    }
                    let changed = mutated(&link, number as u64);
                    // What is no path of ours any more may be nothing, or no request at all.
                    if let Ok(answer) = client.send("GET", &changed, &[], b"") {
                        let refused = matches!(answer.status, 400 | 403 | 404);
                        assert!(refused && changed != link, "{}: {changed}", answer.status);
                    }
                }
            });
        }
    });
    assert!(!service.logged().contains(sig.as_str()), "signatures are never logged");
}

/// The link with one thing changed: a letter replaced, left out, doubled, put in, or two exchanged.
fn mutated(link: &str, number: u64) -> String {
    let mut random = Random::new(number);
    let letters = b"ABCXYZabcxyz0189-_.~=&?/%+";
    let letter = letters[random.below(letters.len() as u64) as usize];
    loop {
        let mut changed = link.as_bytes().to_vec();
        // The leading slash makes it a request.
        let at = 1 + random.below(changed.len() as u64 - 1) as usize;
        let other = 1 + random.below(changed.len() as u64 - 1) as usize;
        match random.below(6) {
            0 | 1 => changed[at] = letter,
            2 => drop(changed.remove(at)),
            3 => changed.insert(at, changed[at]),
            4 => changed.insert(at, letter),
            _ => changed.swap(at, other),
        }
        let changed = String::from_utf8(changed).expect("ASCII");
        if changed != link {
            return changed;
        }
    }
}

/// The other half of row 33; also that nobody lives longer than the settings say.
#[test]
fn a_link_ends_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start_with(folder.path(), &[("TOLLBOOK_JOBS__LINK_LIFE", "60s")]);
    let job = ready_ndjson(&service);
    let (client, link) = (anybody(&service), target(&job["download_url"]));
    let over = wait_for(Duration::from_secs(90), || {
        let now_s = SystemClock::new().now_ms() / 1000;
        let asked = send(&client, "GET", &link, &[]);
        let exp: i64 = parameters(&link)["exp"].parse().unwrap();
        match asked.status {
            200 => {
                assert!(now_s <= exp, "it still works at {now_s}");
                std::thread::sleep(Duration::from_millis(200));
                None
            }
            _ => Some((asked, exp)),
        }
    });
    let (answer, exp) = over.expect("it ends");
    assert_eq!((answer.status, answer.problem().as_str()), (410, "gone"));
    assert!(SystemClock::new().now_ms() / 1000 >= exp);
    // A wrong one is wrong first.
    assert_eq!(send(&client, "GET", &format!("{link}A"), &[]).status, 403);
    fetch(&client, &look(&service.client, &job)["download_url"]).expect(200);
}

#[test]
fn keys_are_rotated_without_losing_links_and_removed_with_them() {
    let (folder, service) = filled();
    let operator = &service.client;
    let job = ready_ndjson(&service);
    let keys = |client: &Client| client.get("/api/v1/link-keys").expect(200).json()["items"].clone();
    let before = keys(operator);
    let old = before[0]["kid"].as_str().unwrap().to_owned();
    assert_eq!((before.as_array().map(Vec::len), &before[0]["signs"]), (Some(1), &json!(true)), "{before}");
    let old_link = target(&job["download_url"]);
    assert_eq!(parameters(&old_link)["kid"], old);

    let made = operator.send("POST", "/api/v1/link-keys", &[], b"").unwrap().expect(201).json();
    let new = made["kid"].as_str().unwrap().to_owned();
    assert!(made["signs"] == true && made["created_at"].is_string() && new != old, "{made}");
    assert!(
        !made.to_string().contains("seed") && made.as_object().map(serde_json::Map::len) == Some(3),
        "{made}"
    );
    let signs: Vec<(String, bool)> = keys(operator)
        .as_array()
        .unwrap()
        .iter()
        .map(|key| (key["kid"].as_str().unwrap().to_owned(), key["signs"].as_bool().unwrap()))
        .collect();
    assert!(signs.contains(&(old.clone(), false)) && signs.contains(&(new.clone(), true)), "{signs:?}");
    let new_link = target(&look(operator, &job)["download_url"]);
    assert_eq!(parameters(&new_link)["kid"], new);
    for link in [&old_link, &new_link] {
        anybody(&service).get(link).expect(200);
    }
    assert!(service.stop().success());
    let service = Service::start(folder.path());
    let operator = &service.client;
    for link in [&old_link, &new_link] {
        anybody(&service).get(link).expect(200);
    }
    let remove = |kid: &str| operator.send("DELETE", &format!("/api/v1/link-keys/{kid}"), &[], b"").unwrap();
    assert_eq!(remove(&new).expect(409).problem(), "conflict");
    remove(&old).expect(204);
    assert_eq!(remove(&old).expect(404).problem(), "not-found");
    assert_eq!(anybody(&service).get(&old_link).expect(403).problem(), "forbidden");
    anybody(&service).get(&new_link).expect(200);
    let logged = audit(operator);
    for action in ["link-key.create", "link-key.remove"] {
        assert!(
            logged.iter().any(|entry| entry["action"] == action && entry["outcome"] == "success"),
            "{action}"
        );
    }
}

#[test]
fn who_orders_downloads_cancels_and_deletes_is_in_the_audit_log() {
    let (_folder, service) = filled();
    let analyst = service.client.with_token(&service.token("analyst"));
    let job =
        ready(&analyst, &order(&analyst, &json!({"from": day_ago(9), "calling_party": "+442071239876"})));
    let link = target(&job["download_url"]);
    anybody(&service).get(&link).expect(200);
    send(&anybody(&service), "GET", &link, &[("range", "bytes=0-2")]).expect(206);
    send(&anybody(&service), "GET", &format!("{link}x"), &[]).expect(403);
    analyst.send("DELETE", &format!("/api/v1/export-jobs/{}", id_of(&job)), &[], b"").unwrap().expect(204);
    let logged = audit(&service.client);
    let of_job = logged.iter().filter(|entry| entry["object_id"] == id_of(&job));
    let told: Vec<(&str, &str)> = of_job
        .map(|entry| {
            assert_eq!(
                (&entry["object_type"], &entry["outcome"]),
                (&json!("export_job"), &json!("success")),
                "{entry}"
            );
            assert_eq!(entry["ip"], "127.0.0.1", "{entry}");
            (entry["action"].as_str().unwrap(), entry["actor"].as_str().unwrap())
        })
        .collect();
    let actions: Vec<&str> = told.iter().map(|(action, _)| *action).collect();
    assert_eq!(actions, ["export.create", "export.download", "export.download", "export.delete"]);
    let kid = format!("link:{}", parameters(&link)["kid"]);
    assert!(told[0].1.starts_with("token:") && told[3].1 == told[0].1, "{told:?}");
    assert_eq!((told[1].1, told[2].1), (kid.as_str(), kid.as_str()));
    assert!(!serde_json::to_string(&logged).unwrap().contains("71239876"), "numbers never appear");
}

/// The entries of the audit log.
fn audit(client: &Client) -> Vec<Value> {
    let log = client.get("/api/v1/audit-log/export?from=2020-01-01&format=ndjson").expect(200);
    log.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
