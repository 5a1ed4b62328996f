//! The command line and the real service: what is ordered arrives, whole and verified.

use super::{Done, command};
use crate::load::Load;
use crate::service::{Service, day_ago, tollbook};
use serde_json::Value;

struct Desk {
    service: Service,
    _folder: tempfile::TempDir,
    range: [String; 4],
}

impl Desk {
    /// A service with 300 calls of one day.
    fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let service = Service::start(folder.path());
        service.post_ndjson(Load::new(7).ndjson("small", 300, 0, &day_ago(5))).expect(200);
        let range = ["--from".into(), day_ago(9), "--to".into(), day_ago(2)];
        Self { service, _folder: folder, range }
    }

    /// Runs a command in a folder of its own.
    fn run(&self, words: &[&str]) -> Done {
        let folder = tempfile::tempdir().unwrap();
        let output = command(&self.service.client.url(), folder.path(), words).output().unwrap();
        Done::of(output, folder)
    }

    fn export(&self, words: &[&str]) -> Done {
        let range = self.range.each_ref().map(String::as_str);
        self.run(&[&["export", "cdr"], &range[..], words].concat())
    }

    #[track_caller]
    fn json(&self, words: &[&str]) -> Value {
        let done = self.run(&[words, &["--json"]].concat());
        assert_eq!(done.code, Some(0), "{words:?}: {}", done.complained);
        serde_json::from_str(&done.said).unwrap_or_else(|error| panic!("{error}: {}", done.said))
    }

    fn direct(&self, query: &str) -> Vec<u8> {
        let path = format!("/api/v1/cdr/export?from={}&to={}{query}", self.range[1], self.range[3]);
        self.service.client.get(&path).expect(200).body
    }
}

#[test]
fn every_format_is_exported_as_a_job_and_directly() {
    let desk = Desk::open();
    for (format, signed) in
        [("csv", false), ("csv.gz", false), ("parquet", false), ("json", true), ("ndjson", true)]
    {
        for direct in [false, true] {
            let words = ["--format", format, "--output", "calls", "--direct"];
            let done = desk.export(&words[..if direct { 5 } else { 4 }]);
            assert_eq!((done.code, done.files()), (Some(0), vec!["calls".to_owned()]), "{}", done.complained);
            assert_eq!(done.said.contains("signed manifest"), signed, "{format}: {}", done.said);
            // Parquet names its export, so that no two files are alike.
            if format != "parquet" {
                let file = std::fs::read(done.path("calls")).unwrap();
                assert!(file == desk.direct(&format!("&format={format}")), "{format}, direct: {direct}");
            }
        }
    }
    let named = format!("cdr_{}_{}.csv", desk.range[1], desk.range[3]);
    assert_eq!(desk.export(&[]).files(), [named.as_str()], "the name that the service gives");
    let piped = desk.export(&["--output", "-"]);
    assert!(piped.code == Some(0) && piped.out == desk.direct(""), "{}", piped.complained);
}

#[test]
fn what_was_fetched_verifies_offline_by_its_own_name() {
    let desk = Desk::open();
    let done = desk.export(&["--format", "ndjson", "--sign", "records", "--manifest", "manifest.jws"]);
    assert_eq!(done.code, Some(0), "{}", done.complained);
    let keys = desk.service.client.get("/.well-known/jwks.json").expect(200).body;
    std::fs::write(done.path("keys.json"), keys).unwrap();
    let mut verify = tollbook();
    verify.current_dir(done.folder.path()).args(["verify", "--jwks", "keys.json", "manifest.jws"]);
    let verified = verify.arg(format!("cdr_{}_{}.ndjson", desk.range[1], desk.range[3])).output().unwrap();
    assert!(String::from_utf8_lossy(&verified.stdout).ends_with("whole\n"), "{verified:?}");

    let unsigned = desk.export(&["--manifest", "manifest.jws"]);
    assert_eq!((unsigned.code, unsigned.files().len()), (Some(1), 0));
    assert!(unsigned.complained.contains("--sign manifest"), "{}", unsigned.complained);
}

#[test]
fn jobs_are_listed_shown_fetched_and_ended() {
    let desk = Desk::open();
    let range = desk.range.each_ref().map(String::as_str);
    let order = [&["export", "cdr"], &range[..], &["--no-wait", "--reference", "Q3/a"]].concat();
    let ordered = desk.json(&order);
    let id = ordered["id"].as_str().unwrap();
    assert_eq!(desk.json(&["jobs", "wait", id])["status"], "ready");
    let shown = desk.json(&["jobs", "show", id]);
    assert_eq!((&shown["rows"], &shown["external_reference"]), (&300.into(), &"Q3/a".into()), "{shown}");
    let words = desk.run(&["jobs", "show", id]);
    assert!(words.said.contains("status = ready") && words.said.contains("300 records"), "{}", words.said);
    assert!(!words.said.contains("sig="), "links are for those who ask for them: {}", words.said);

    let second = desk.json(&order)["id"].as_str().unwrap().to_owned();
    let page = desk.json(&["jobs", "list", "--limit", "1"]);
    assert_eq!(page["items"][0]["id"], second, "the newest first");
    let cursor = page["next_cursor"].as_str().unwrap();
    assert_eq!(desk.json(&["jobs", "list", "--limit", "1", "--cursor", cursor])["items"][0]["id"], id);
    let listed = desk.run(&["jobs", "list", "--status", "ready", "--dataset", "cdr"]);
    assert!(listed.said.contains(id) && listed.said.starts_with("ID"), "{}", listed.said);

    let refused = desk.run(&["jobs", "cancel", id]);
    assert_eq!(refused.code, Some(1));
    assert!(refused.complained.contains("jobs delete"), "{}", refused.complained);
    let fetched = desk.run(&["jobs", "download", id, "--output", "calls.csv"]);
    assert_eq!(fetched.code, Some(0), "{}", fetched.complained);
    assert!(std::fs::read(fetched.path("calls.csv")).unwrap() == desk.direct(""));
    assert_eq!(desk.json(&["jobs", "delete", id])["status"], "expired");
    assert_eq!(desk.run(&["jobs", "download", id]).code, Some(3));
    assert_eq!(desk.run(&["jobs", "show", "0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01"]).code, Some(1));
}

#[test]
fn half_a_file_is_made_whole_and_only_the_rest_is_fetched() {
    let desk = Desk::open();
    let range = desk.range.each_ref().map(String::as_str);
    let order = [&["export", "cdr"], &range[..], &["--format", "ndjson", "--no-wait"]].concat();
    let id = desk.json(&order)["id"].as_str().unwrap().to_owned();
    let whole = desk.direct("&format=ndjson");
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("calls.part"), &whole[..whole.len() / 2]).unwrap();
    let words = ["jobs", "download", &id, "-o", "calls"];
    let output = command(&desk.service.client.url(), folder.path(), &words).output().unwrap();
    let done = Done::of(output, folder);
    assert_eq!((done.code, done.files()), (Some(0), vec!["calls".to_owned()]), "{}", done.complained);
    assert!(std::fs::read(done.path("calls")).unwrap() == whole);
    assert!(done.said.contains("as its signed manifest says"), "{}", done.said);
    assert!(done.complained.contains("going on behind") && !done.complained.contains("another file"));
}

#[test]
fn an_export_is_estimated_and_its_wrong_words_are_all_told() {
    let desk = Desk::open();
    let range = desk.range.each_ref().map(String::as_str);
    let estimate = desk.json(&[&["export", "cdr"], &range[..], &["--estimate"]].concat());
    assert_eq!(estimate["mode"], "direct", "{estimate}");
    let wrong = desk.export(&["--format", "xlsx", "--tz", "Mars/Base"]);
    assert_eq!(wrong.code, Some(1));
    assert!(wrong.complained.contains("format") && wrong.complained.contains("tz"), "{}", wrong.complained);
}

#[test]
fn keys_of_links_are_rotated_and_removed() {
    let desk = Desk::open();
    let keys = |listed: &Value| -> Vec<(String, bool)> {
        let items = listed["items"].as_array().unwrap().iter();
        items.map(|key| (key["kid"].as_str().unwrap().to_owned(), key["signs"] == true)).collect()
    };
    let first = desk.json(&["link-key", "rotate"])["kid"].as_str().unwrap().to_owned();
    let second = desk.json(&["link-key", "rotate"])["kid"].as_str().unwrap().to_owned();
    let known = keys(&desk.json(&["link-key", "list"]));
    assert!(known.contains(&(first.clone(), false)) && known.contains(&(second.clone(), true)), "{known:?}");
    assert_eq!(desk.run(&["link-key", "remove", &second]).code, Some(1), "it signs");
    assert_eq!(desk.run(&["link-key", "remove", &first]).code, Some(0));
    assert!(!keys(&desk.json(&["link-key", "list"])).contains(&(first, false)));
}
