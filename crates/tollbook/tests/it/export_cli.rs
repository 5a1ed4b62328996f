//! `tollbook export`, `jobs` and `link-key`: against a service that is none and does what no honest one would, and against the
//! real one.

mod fake;
mod served;

use crate::service::{TOKEN, tollbook};
use fake::{Asked, Reply, serve};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tollbook_kit::secret::Secret;
use tollbook_model::export_manifest::MANIFEST_TYPE;
use tollbook_model::jws::JwsKey;

const JOB: &str = "0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01";
const NAME: &str = "cdr_2026-01-01_2026-01-31.csv";
const LINK: &str = "/dl/v1/0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01/cdr_2026-01-01_2026-01-31.csv";
const MANIFEST_LINK: &str = "/dl/v1/0b6b5c1e-7a3f-4b54-9a55-3f1f0a7f5f01/manifest.jws";
/// Where broken answers break.
const BREAK: usize = 100_000;

/// A file of CSV, larger than any buffer on the way.
fn content() -> Vec<u8> {
    let rows: String = (0..40_000).map(|row| format!("{row:09}\n")).collect();
    format!("\u{feff}id\n{rows}").into_bytes()
}

fn sha256(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

/// A job of that file. The host of its links is nobody: they are followed on the server that was asked.
fn ready(sha256: &str, bytes: usize, sig: usize) -> Value {
    let link = format!("https://cdr.invalid{LINK}?exp=1&kid=k1&sig=s{sig}");
    json!({
        "id": JOB, "dataset": "cdr", "status": "ready", "queue_position": null, "rows": 40_000, "bytes": bytes,
        "progress": {"rows_done": 40_000, "rows_estimated": 40_000, "percent": 100, "eta_s": 0},
        "files": [{"name": NAME, "bytes": bytes, "rows": 40_000, "sha256": sha256, "download_url": link}],
        "download_url": link, "manifest_url": null, "error": null,
    })
}

fn not_ready(status: &str) -> Value {
    let error = json!({"code": "unavailable", "message": "the disk does not answer", "retryable": true});
    json!({
        "id": JOB, "status": status, "queue_position": (status == "queued").then_some(2), "files": [],
        "progress": {"rows_done": 10, "rows_estimated": 40_000, "percent": 3, "eta_s": null},
        "manifest_url": null, "error": (status == "failed").then_some(error),
    })
}

fn json_reply(status: u16, document: &Value) -> Reply {
    Reply::new(status, document.to_string()).with("content-type", "application/json")
}

/// Answers about the job: it is queued, runs, and is ready then; each look gives another link. Everything else is
/// `file`'s.
fn answers(file: impl Fn(&Asked) -> Reply + Sync) -> impl Fn(&Asked) -> Reply + Sync {
    let (told, bytes) = (sha256(&content()), content().len());
    move |asked| match asked.what.as_str() {
        "POST /api/v1/cdr/export-jobs" => json_reply(202, &not_ready("queued")),
        what if what.ends_with(&format!("/export-jobs/{JOB}")) => match asked.before {
            0 => json_reply(200, &not_ready("queued")),
            1 => json_reply(200, &not_ready("running")),
            look => json_reply(200, &ready(&told, bytes, look)),
        },
        _ => file(asked),
    }
}

/// An honest answer for a link: all of it, or what is left.
fn whole(asked: &Asked, etag: &str) -> Reply {
    let content = content();
    match asked.from() {
        0 => Reply::new(200, content).with("etag", etag),
        from => {
            let range = format!("bytes {from}-{}/{}", content.len() - 1, content.len());
            Reply::new(206, &content[from..]).with("content-range", range).with("etag", etag)
        }
    }
}

/// What the command line did.
struct Done {
    code: Option<i32>,
    out: Vec<u8>,
    said: String,
    complained: String,
    folder: tempfile::TempDir,
}

impl Done {
    fn of(output: Output, folder: tempfile::TempDir) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (said, complained) = (text(&output.stdout), text(&output.stderr));
        Self { code: output.status.code(), out: output.stdout, said, complained, folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The names of the files that are there now.
    fn files(&self) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    /// It has fetched the file and left nothing else.
    #[track_caller]
    fn fetched(&self) {
        assert_eq!(self.code, Some(0), "{}", self.complained);
        assert_eq!(self.files(), [NAME]);
        assert!(std::fs::read(self.path(NAME)).unwrap() == content(), "the bytes of the file");
    }
}

fn command(url: &str, folder: &Path, words: &[&str]) -> Command {
    let mut command = tollbook();
    command.args(words).current_dir(folder).stdin(Stdio::null());
    command.env("TOLLBOOK_SERVER", url).env("TOLLBOOK_TOKEN", TOKEN);
    command
}

fn run(answer: impl Fn(&Asked) -> Reply + Sync, words: &[&str]) -> (Done, Vec<Asked>) {
    run_in(tempfile::tempdir().unwrap(), answer, words)
}

fn run_in(
    folder: tempfile::TempDir,
    answer: impl Fn(&Asked) -> Reply + Sync,
    words: &[&str],
) -> (Done, Vec<Asked>) {
    let (output, asked) = serve(answer, |url| command(url, folder.path(), words).output().unwrap());
    (Done::of(output, folder), asked)
}

/// Those of the requests that went to the link.
fn downloads(asked: &[Asked]) -> Vec<&Asked> {
    asked.iter().filter(|asked| asked.path() == LINK).collect()
}

const EXPORT: [&str; 4] = ["export", "cdr", "--from", "2026-01-01"];
const DOWNLOAD: [&str; 3] = ["jobs", "download", JOB];

#[test]
fn a_job_is_ordered_followed_and_fetched_by_its_link() {
    let words = [&EXPORT[..], &["--filter", "direction=inbound", "--filter", "direction=internal"]].concat();
    let (done, asked) = run(answers(|asked| whole(asked, "\"e\"")), &words);
    done.fetched();
    assert!(done.said.contains(&sha256(&content())) && done.said.contains("40000 records"), "{}", done.said);
    for told in ["ordered as job", "queued, at place 2", "running: 3 %", "ready", "fetching cdr_"] {
        assert!(done.complained.contains(told), "{told}: {}", done.complained);
    }
    let order: Value = serde_json::from_str(&asked[0].body).unwrap();
    assert_eq!(order, json!({"from": "2026-01-01", "direction": ["inbound", "internal"]}));
    let [download] = downloads(&asked)[..] else { panic!("one download: {asked:?}") };
    assert_eq!(download.what, format!("GET {LINK}?exp=1&kid=k1&sig=s2"), "the link as it was given");
    assert_eq!(download.header("authorization"), None, "a link needs no token");
    let bearer = format!("Bearer {TOKEN}");
    assert!(asked.iter().all(|asked| asked.path() == LINK || asked.header("authorization") == Some(&bearer)));
}

#[test]
fn an_order_whose_answer_was_lost_is_sent_again_under_the_same_key() {
    let answers = answers(|asked| whole(asked, "\"e\""));
    let (done, asked) = run(
        |asked| {
            if asked.what.starts_with("POST") && asked.before == 0 { Reply::none() } else { answers(asked) }
        },
        &EXPORT,
    );
    done.fetched();
    let keys: Vec<_> = asked
        .iter()
        .filter(|asked| asked.what.starts_with("POST"))
        .map(|asked| asked.header("idempotency-key"))
        .collect();
    assert!(keys.len() == 2 && keys[0].is_some() && keys[0] == keys[1], "{keys:?}");
}

#[test]
fn a_broken_download_goes_on_where_it_stopped() {
    let (done, asked) = run(
        answers(|asked| match asked.before {
            0 => whole(asked, "\"e\"").broken_behind(BREAK),
            1 => Reply::new(503, "{}"),
            _ => whole(asked, "\"e\""),
        }),
        &EXPORT,
    );
    done.fetched();
    let asked = downloads(&asked);
    let ranges: Vec<_> =
        asked.iter().map(|asked| (asked.header("range"), asked.header("if-range"))).collect();
    assert_eq!(ranges[0], (None, None));
    let from = asked[1].from();
    assert!(from > 0 && from <= BREAK, "{ranges:?}");
    assert_eq!(ranges[1..], [(Some(format!("bytes={from}-").as_str()), Some("\"e\"")); 2]);
    assert!(done.complained.contains("trying again"), "{}", done.complained);
}

#[test]
fn a_server_that_ignores_ranges_or_serves_another_file_is_read_from_the_beginning() {
    let other = vec![b'x'; content().len()];
    let another = |asked: &Asked| match (asked.before, asked.header("if-range")) {
        (0, _) => Reply::new(200, other.clone()).with("etag", "\"old\"").broken_behind(BREAK),
        (_, Some("\"old\"")) => Reply::new(200, content()).with("etag", "\"new\""),
        _ => panic!("the range is not asked for under a condition: {asked:?}"),
    };
    run(answers(another), &EXPORT).0.fetched();
    let ignoring = |asked: &Asked| {
        let reply = Reply::new(200, content());
        if asked.before == 0 { reply.broken_behind(BREAK) } else { reply }
    };
    run(answers(ignoring), &EXPORT).0.fetched();
    // Pieces of which the condition, or the place, is not the one that was asked for.
    for (etag, from) in [("\"new\"", 0), ("\"old\"", 1)] {
        let lying = |asked: &Asked| match asked.before {
            0 => Reply::new(200, other.clone()).with("etag", "\"old\"").broken_behind(BREAK),
            1 => {
                let range =
                    format!("bytes {}-{}/{}", asked.from() + from, content().len() - 1, content().len());
                let piece = &content()[asked.from() + from..];
                Reply::new(206, piece).with("content-range", range).with("etag", etag)
            }
            _ => Reply::new(200, content()).with("etag", "\"new\""),
        };
        run(answers(lying), &EXPORT).0.fetched();
    }
}

#[test]
fn a_link_that_has_ended_is_replaced() {
    for status in [403, 410] {
        let (done, asked) = run(
            answers(|asked| match asked.before {
                0 => whole(asked, "\"e\"").broken_behind(BREAK),
                1 => Reply::new(status, "{}"),
                _ => whole(asked, "\"e\""),
            }),
            &EXPORT,
        );
        done.fetched();
        let links: Vec<_> =
            downloads(&asked).iter().map(|asked| asked.what.rsplit('=').next().unwrap()).collect();
        assert_eq!(links, ["s2", "s2", "s3"], "a new link comes from a new look at the job");
    }
}

#[test]
fn a_link_that_is_refused_at_once_and_a_job_without_files_are_no_reason_to_go_on_asking() {
    let (done, asked) = run(answers(|_| Reply::new(403, "{\"detail\":\"no\"}")), &EXPORT);
    assert_eq!((done.code, downloads(&asked).len()), (Some(1), 1), "{}", done.complained);
    assert!(done.complained.contains("status 403"), "{}", done.complained);

    let files_gone = |asked: &Asked| match (asked.path(), asked.before) {
        (LINK, 0) => whole(asked, "\"e\"").broken_behind(BREAK),
        (LINK, _) => Reply::new(410, "{}"),
        (_, 0) => json_reply(200, &ready(&sha256(&content()), content().len(), 0)),
        _ => json_reply(200, &not_ready("expired")),
    };
    let (done, _) = run(files_gone, &DOWNLOAD);
    assert_eq!(done.code, Some(1));
    assert!(done.complained.contains("is expired"), "{}", done.complained);
    assert!(!done.path(NAME).exists());
}

#[test]
fn another_file_than_the_job_tells_of_is_not_kept_under_its_name() {
    let mut changed = content();
    changed[BREAK] ^= 1;
    let longer = [content(), b"x".to_vec()].concat();
    for (served, told) in [(changed, "SHA-256 differs"), (longer, "more came")] {
        let (done, _) = run(answers(|_| Reply::new(200, served.clone())), &EXPORT);
        assert_eq!((done.code, done.files()), (Some(1), vec![format!("{NAME}.rejected")]), "{told}");
        assert!(
            done.complained.contains(told) && done.complained.contains("must not be used"),
            "{}",
            done.complained
        );
    }
}

#[test]
fn what_an_earlier_download_left_is_gone_on_with_unless_it_is_of_another_file() {
    let mut foreign = content()[..BREAK].to_vec();
    foreign[7] ^= 1;
    let too_long = [content(), content()].concat();
    let (part, wrong) =
        (content()[..BREAK].to_vec(), [content()[..9].to_vec(), vec![b'x'; content().len() - 9]].concat());
    for (left, froms) in [
        (part, vec![BREAK]),
        (content(), vec![]),
        (foreign, vec![BREAK, 0]),
        (wrong, vec![0]),
        (too_long, vec![0]),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(format!("{NAME}.part")), left).unwrap();
        let (done, asked) = run_in(folder, answers(|asked| whole(asked, "\"e\"")), &DOWNLOAD);
        done.fetched();
        assert_eq!(downloads(&asked).iter().map(|asked| asked.from()).collect::<Vec<_>>(), froms);
    }
}

#[test]
fn standard_output_gets_each_byte_once() {
    let words = [&EXPORT[..], &["--output", "-"]].concat();
    let ignoring = |asked: &Asked| match asked.before {
        0 => Reply::new(200, content()).with("etag", "\"e\"").broken_behind(BREAK),
        1 => Reply::new(200, content()).with("etag", "\"e\"").broken_behind(BREAK / 2),
        2 => whole(asked, "\"e\"").broken_behind(BREAK),
        _ => Reply::new(200, content()).with("etag", "\"e\""),
    };
    let (done, _) = run(answers(ignoring), &words);
    assert_eq!(done.code, Some(0), "{}", done.complained);
    assert!(done.out == content(), "{} bytes", done.out.len());
    assert!(done.complained.contains("40000 records") && done.files().is_empty());
}

#[test]
fn a_job_that_ends_otherwise_has_a_code_of_its_own() {
    for status in ["failed", "cancelled", "expired"] {
        let answer = |asked: &Asked| match asked.what.starts_with("POST") {
            true => json_reply(202, &not_ready("queued")),
            false => json_reply(200, &not_ready(status)),
        };
        for words in [&EXPORT[..], &["jobs", "wait", JOB, "--json"], &DOWNLOAD] {
            let (done, _) = run(answer, words);
            assert_eq!(done.code, Some(3), "{words:?}: {}", done.complained);
            let told = if status == "failed" { "the disk does not answer (unavailable)" } else { status };
            assert!(done.complained.contains(told), "{}", done.complained);
            if words.contains(&"--json") {
                assert_eq!(serde_json::from_str::<Value>(&done.said).unwrap(), not_ready(status));
            }
        }
    }
}

#[test]
fn a_disk_without_room_is_told_and_what_came_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (output, _) = serve(answers(|asked| whole(asked, "\"e\"")), |url| {
        let binary = command(url, folder.path(), &[]);
        // A bound of the size of files looks like a full disk to whoever writes one.
        let mut limited = Command::new("sh");
        limited
            .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$@\"", "sh"])
            .arg(binary.get_program())
            .args(EXPORT);
        limited.current_dir(folder.path()).stdin(Stdio::null()).env_clear();
        limited.env("TOLLBOOK_SERVER", url).env("TOLLBOOK_TOKEN", TOKEN).output().unwrap()
    });
    let done = Done::of(output, folder);
    assert_eq!((done.code, done.files()), (Some(1), vec![format!("{NAME}.part")]), "{}", done.complained);
    assert!(
        done.complained.contains("no room") && done.complained.contains("jobs download"),
        "{}",
        done.complained
    );
    let Done { folder, .. } = done;
    let (done, asked) = run_in(folder, answers(|asked| whole(asked, "\"e\"")), &DOWNLOAD);
    done.fetched();
    assert!(downloads(&asked)[0].from() > 0, "what was there is not fetched again");
}

#[test]
fn who_is_stopped_says_how_to_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let running = |asked: &Asked| match asked.what.starts_with("POST") {
        true => json_reply(202, &not_ready("queued")),
        false => json_reply(200, &not_ready("running")),
    };
    let complaints = folder.path().join("complaints");
    let (status, asked) = serve(running, |url| {
        let mut command = command(url, folder.path(), &EXPORT);
        let mut process = command.stderr(std::fs::File::create(&complaints).unwrap()).spawn().unwrap();
        let runs = crate::service::wait_for(std::time::Duration::from_secs(20), || {
            std::fs::read_to_string(&complaints).unwrap().contains("running").then_some(())
        });
        let asked = Command::new("sh").args(["-c", &format!("kill -INT {}", process.id())]).status().unwrap();
        assert!(runs.is_some() && asked.success());
        process.wait().unwrap()
    });
    assert_eq!(status.code(), Some(130));
    let complained = std::fs::read_to_string(&complaints).unwrap();
    assert!(complained.contains(&format!("`tollbook jobs download {JOB}` goes on")), "{complained}");
    assert!(asked.iter().all(|asked| !asked.what.starts_with("DELETE")), "the job is left alone");
}

/// A key, its public set, and the manifest that it signs for the file.
fn signed(export: &str, sha256: &str) -> (Value, String) {
    let key = JwsKey::from_seed(&Secret::new([5; 32]));
    let file = json!({"name": NAME, "bytes": content().len(), "rows": 40_000, "sha256": sha256});
    let manifest = json!({
        "manifest_version": 1, "export_id": export, "tenant": "acme", "dataset": "cdr", "schema": "s",
        "format": "csv", "from": null, "to": null, "tz": "UTC", "filters": {}, "columns": null,
        "formula_guard": false, "snapshot_at": "2026-02-01T00:00:00.000Z", "watermark": 1,
        "created_at": "2026-02-01T00:00:01.000Z", "files": [file], "rows": 40_000, "merkle": null,
    });
    (json!({"keys": [key.public_jwk()]}), key.sign(MANIFEST_TYPE, manifest.to_string().as_bytes()))
}

#[test]
fn a_signed_job_is_verified_before_its_file_has_its_name() {
    let other_keys = json!({"keys": [JwsKey::from_seed(&Secret::new([6; 32])).public_jwk()]});
    let genuine = signed(JOB, &sha256(&content()));
    for ((keys, manifest), wrong) in [
        (genuine.clone(), None),
        ((other_keys, genuine.1.clone()), Some("the manifest")),
        (signed("another", &sha256(&content())), Some("another export")),
        (signed(JOB, &sha256(b"else")), Some("SHA-256 were signed")),
    ] {
        let answer = |asked: &Asked| match asked.path() {
            "/.well-known/jwks.json" => json_reply(200, &keys),
            MANIFEST_LINK => Reply::new(200, manifest.clone()),
            LINK => whole(asked, "\"e\""),
            _ => {
                let mut job = ready(&sha256(&content()), content().len(), 0);
                job["manifest_url"] = format!("https://cdr.invalid{MANIFEST_LINK}?exp=1&kid=k1&sig=m").into();
                json_reply(200, &job)
            }
        };
        let (done, asked) = run(answer, &[&DOWNLOAD[..], &["--manifest", "m.jws"]].concat());
        let manifest_asked = asked.iter().find(|asked| asked.path() == MANIFEST_LINK).unwrap();
        assert_eq!(manifest_asked.header("authorization"), None);
        match wrong {
            None => {
                assert_eq!((done.code, done.files()), (Some(0), vec![NAME.to_owned(), "m.jws".into()]));
                assert!(done.said.contains("as its signed manifest says"), "{}", done.said);
                assert_eq!(std::fs::read_to_string(done.path("m.jws")).unwrap(), manifest);
            }
            Some(wrong) => {
                assert_eq!((done.code, done.files()), (Some(1), vec![format!("{NAME}.rejected")]));
                assert!(done.complained.contains(wrong), "{}", done.complained);
            }
        }
    }
}

#[test]
fn a_direct_export_that_breaks_off_begins_again_or_is_told_incomplete() {
    let stream = |asked: &Asked| {
        let reply = Reply::new(200, content()).with("tollbook-export-id", JOB);
        let reply = reply.with("content-disposition", format!("attachment; filename=\"{NAME}\""));
        if asked.before == 0 { reply.broken_behind(BREAK) } else { reply }
    };
    let (done, asked) = run(stream, &[&EXPORT[..], &["--direct", "--tz", "Europe/Paris"]].concat());
    done.fetched();
    assert_eq!(asked.len(), 2);
    assert!(asked.iter().all(|asked| asked.header("range").is_none()));
    assert_eq!(asked[0].what, "GET /api/v1/cdr/export?from=2026-01-01&tz=Europe%2FParis");
    assert!(done.said.contains(&sha256(&content())), "{}", done.said);

    let (done, asked) = run(stream, &[&EXPORT[..], &["--direct", "--output", "-"]].concat());
    assert_eq!((done.code, asked.len()), (Some(1), 1));
    assert!(done.complained.contains("must not be used"), "{}", done.complained);
    assert!(content().starts_with(&done.out));

    let refused = |_: &Asked| Reply::new(400, r#"{"detail":"from: not a date"}"#);
    let (done, _) = run(refused, &[&EXPORT[..], &["--direct"]].concat());
    assert_eq!((done.code, done.files().len()), (Some(1), 0));
    assert!(done.complained.contains("from: not a date"), "{}", done.complained);
}

#[test]
fn a_name_that_leads_elsewhere_is_not_written() {
    let mut job = ready(&sha256(&content()), content().len(), 0);
    job["files"][0]["name"] = "../escaped.csv".into();
    let (done, asked) = run(|_| json_reply(200, &job), &DOWNLOAD);
    assert_eq!((done.code, done.files().len(), asked.len()), (Some(1), 0, 1), "{}", done.complained);
}

#[test]
fn nothing_is_ordered_that_could_not_be_kept() {
    for flag in ["--output", "--manifest", "--jwks"] {
        let (done, asked) = run(|_| Reply::none(), &[&EXPORT[..], &[flag, "no/such/file"]].concat());
        assert_eq!((done.code, asked.len()), (Some(1), 0), "{flag}: {}", done.complained);
    }
}

#[test]
fn flags_that_do_not_go_together_are_wrong_use() {
    for words in [
        &["--direct", "--callback-url", "https://x.example"][..],
        &["--direct", "--no-wait"],
        &["--no-wait", "--output", "x"],
        &["--estimate", "--direct"],
        &["--filter", "direction"],
    ] {
        let folder = tempfile::tempdir().unwrap();
        let output =
            command("http://127.0.0.1:9", folder.path(), &[&EXPORT[..], words].concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{words:?}");
    }
}
