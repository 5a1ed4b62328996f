//! Jobs of a service that is killed again and again: each ends ready or failed with a reason, what is ready is whole,
//! nothing else can be fetched, and what a killed attempt has made is not made again.
//!
//! `TOLLBOOK_TEST_SEED` repeats the moments of a run, as far as a machine repeats anything; `TOLLBOOK_TEST_KILLS` makes it longer.

use super::desk::{
    BULKY, PATIENCE, assert_follows, ended, everything, file_of, fill, id_of, keys_of, look, order, ready,
    target, watch,
};
use super::part_files;
use crate::load::Random;
use crate::service::{Service, day_ago, wait_for};
use crate::table::Table;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tollbook_columns::parquet_file::rows_in_file;
use tollbook_kit::clock::{Clock, SystemClock};

/// A part for every day, so that little is made twice.
const SHORT_STRETCHES: (&str, &str) = ("TOLLBOOK_JOBS__STRETCH_RECORDS", "500");
const KILLS: u64 = 20;
/// Jobs that are under way at every kill.
const AT_ONCE: usize = 3;
const DAYS: i64 = 4;
const RECORDS: usize = DAYS as usize * BULKY.0;
const FORMATS: [&str; 5] = ["ndjson", "csv", "json", "csv.gz", "parquet"];

/// A job, and how it was seen last.
struct Watched {
    format: &'static str,
    seen: Value,
}

fn start(folder: &Path) -> Service {
    Service::start_with(folder, &[SHORT_STRETCHES])
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

#[test]
#[allow(clippy::print_stdout, reason = "the seed, and the figures of a run, for whoever looks")]
fn jobs_survive_kills() {
    let seed = number("TOLLBOOK_TEST_SEED").unwrap_or_else(|| SystemClock::new().now_ms().unsigned_abs());
    let kills = number("TOLLBOOK_TEST_KILLS").unwrap_or(KILLS);
    println!("TOLLBOOK_TEST_SEED={seed}");
    let mut random = Random::new(seed);
    let folder = tempfile::tempdir().unwrap();
    let service = start(folder.path());
    fill(&service, DAYS);
    service.kill();

    let (mut under_way, mut over) = (Vec::<Watched>::new(), Vec::<Watched>::new());
    let mut caught = 0;
    for _ in 0..kills {
        let service = start(folder.path());
        let clock = SystemClock::new();
        let delay = Duration::from_millis(random.below(1_500));
        while under_way.len() < AT_ONCE {
            let format = FORMATS[random.below(FORMATS.len() as u64) as usize];
            under_way.push(Watched { format, seen: order(&service.client, &everything(format)) });
        }
        while clock.monotonic() < delay {
            watch_all(&service, &mut under_way);
        }
        caught += under_way.iter().filter(|job| job.seen["status"] == "running").count();
        service.kill();
        let (ended, rest) = under_way.into_iter().partition(|job| job.seen["finished_at"].is_string());
        (over, under_way) = (over.into_iter().chain::<Vec<_>>(ended).collect(), rest);
    }
    assert!(caught as u64 > kills / 4, "only {caught} jobs were under way when a kill came");

    let service = start(folder.path());
    for job in &mut under_way {
        let now = look(&service.client, &job.seen);
        assert_follows(&job.seen, &now);
        job.seen = ended(&service.client, &now);
    }
    over.append(&mut under_way);
    let wanted = Wanted::of(&service);
    let mut figures = [0; 2];
    for job in &over {
        let now = look(&service.client, &job.seen);
        figures[usize::from(now["status"] == "failed")] += 1;
        match now["status"].as_str() {
            Some("ready") => wanted.assert_is(file_of(&service.client, &now), &now, job.format),
            // After five attempts that were killed; the form of its reason is checked wherever a job is looked at.
            Some("failed") => assert_eq!((&now["attempt"], &now["files"]), (&json!(5), &json!([])), "{now}"),
            other => panic!("{other:?}: {now}"),
        }
    }
    println!(
        "{kills} kills met {caught} running jobs; {} ready and {} failed in the end",
        figures[0], figures[1]
    );
    assert!(figures[0] > 0, "none got ready");
    // What killed attempts left half written is swept, and what is ready stays.
    let named = over.iter().filter(|job| job.seen["status"] == "ready");
    for job in named {
        assert!(!parts_of(folder.path(), &job.seen).is_empty(), "{}", job.seen);
    }
}

/// Looks at every job that is under way; none of its files can be had.
fn watch_all(service: &Service, jobs: &mut [Watched]) {
    for job in jobs {
        let now = look(&service.client, &job.seen);
        assert_follows(&job.seen, &now);
        job.seen = now;
    }
}

/// What direct exports of the same records make, by format.
struct Wanted(BTreeMap<&'static str, Vec<u8>>);

impl Wanted {
    fn of(service: &Service) -> Self {
        let direct = |format| {
            let from = day_ago(40);
            let path = format!("/api/v1/cdr/export?from={from}&format={format}&columns=id,source_key,extra");
            (format, service.client.get(&path).expect(200).body)
        };
        let wanted = Self(["csv", "ndjson", "json"].map(direct).into());
        let mut keys = keys_of(&wanted.0["ndjson"]);
        keys.dedup();
        assert_eq!(keys.len(), RECORDS, "each record once");
        assert_eq!(Table::of(&wanted.0["csv"]).rows.len(), RECORDS);
        wanted
    }

    /// The file of a job is that of a direct export; of Parquet, which holds the id of its export, by its records.
    #[track_caller]
    fn assert_is(&self, file: Vec<u8>, job: &Value, format: &str) {
        assert_eq!((&job["rows"], &job["watermark"]), (&json!(RECORDS), &json!(RECORDS)), "{job}");
        match format {
            "parquet" => assert_eq!(rows_in_file(Bytes::from(file)).unwrap(), RECORDS as u64),
            "csv.gz" => {
                let mut unpacked = Vec::new();
                flate2::read::GzDecoder::new(&file[..]).read_to_end(&mut unpacked).unwrap();
                assert!(unpacked == self.0["csv"], "{job}");
            }
            format => assert!(file == self.0[format], "{job}"),
        }
    }
}

/// Files of the parts of a job.
fn parts_of(folder: &Path, job: &Value) -> Vec<PathBuf> {
    let id = id_of(job);
    part_files(folder).into_iter().filter(|path| path.to_string_lossy().contains(id)).collect()
}

/// Waits until a running job has kept a part: the next one is there too.
fn with_kept_part(folder: &Path, service: &Service, format: &str) -> Value {
    let job = order(&service.client, &everything(format));
    let kept = wait_for(PATIENCE, || (parts_of(folder, &job).len() >= 2).then_some(()));
    assert!(kept.is_some(), "it never has two parts");
    let job = look(&service.client, &job);
    assert_eq!(job["status"], "running", "it was too quick: {job}");
    job
}

/// How many of the files begin as the whole file begins.
fn beginnings(files: &[PathBuf], whole: &[u8]) -> usize {
    let begins = |path: &PathBuf| std::fs::read(path).is_ok_and(|part| part.starts_with(&whole[..1_000]));
    files.iter().filter(|path| begins(path)).count()
}

#[test]
fn a_killed_job_goes_on_behind_its_kept_parts() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = start(folder.path());
    fill(&service, 6);
    for format in ["ndjson", "csv", "csv.gz", "parquet"] {
        let job = with_kept_part(folder.path(), &service, format);
        service.kill();
        service = start(folder.path());
        let again = look(&service.client, &job);
        assert_follows(&job, &again);
        let job = ready(&service.client, &again);
        assert_eq!(job["attempt"], 2, "the dead process' job is taken over at once: {job}");
        let file = file_of(&service.client, &job);
        assert_eq!(job["rows"], 6 * BULKY.0);
        let parts = parts_of(folder.path(), &job);
        assert_eq!(beginnings(&parts, &file), 1, "{format}: the beginning was written once");
        service.client.send("DELETE", &super::path_of(&job), &[], b"").unwrap().expect(204);
    }
}

#[test]
fn an_ordered_stop_lets_jobs_go_and_counts_no_attempt() {
    let folder = tempfile::tempdir().unwrap();
    let service = start(folder.path());
    fill(&service, 6);
    let job = with_kept_part(folder.path(), &service, "ndjson");
    let clock = SystemClock::new();
    assert!(service.stop().success());
    assert!(clock.monotonic() < Duration::from_secs(10), "{:?}", clock.monotonic());
    let service = start(folder.path());
    let job = ready(&service.client, &look(&service.client, &job));
    assert_eq!((&job["attempt"], &job["rows"]), (&json!(1), &json!(6 * BULKY.0)), "{job}");
    let file = file_of(&service.client, &job);
    assert_eq!(beginnings(&parts_of(folder.path(), &job), &file), 1);
    let log = service.logged();
    assert!(!log.contains("did not stop in time") && !log.contains(" ERROR "), "{log}");
}

/// Until a job is ready nothing of it can be had, whatever lies on the disk; then all of it.
#[test]
fn no_partial_file_can_be_fetched() {
    let folder = tempfile::tempdir().unwrap();
    let service = start(folder.path());
    fill(&service, 4);
    let known =
        ready(&service.client, &order(&service.client, &json!({"from": day_ago(40), "format": "csv"})));
    let job = with_kept_part(folder.path(), &service, "ndjson");
    // A good signature of another job does not help, nor does any name.
    let link = target(&known["download_url"]).replace(id_of(&known), id_of(&job));
    let anybody = service.client.with_authorization(None);
    for link in [link.clone(), link.replace(".csv", ".ndjson")] {
        let refused = anybody.send("GET", &link, &[], b"").unwrap();
        assert_eq!(refused.status, 403, "{link}");
    }
    let job = watch(&service.client, &job, |job| job["status"] == "ready");
    file_of(&service.client, &job);
}

/// A store that fails is tried again; nothing has to be ordered anew once it works.
#[test]
fn a_job_outlasts_a_store_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    let service = start(folder.path());
    fill(&service, 1);
    let exports = folder.path().join("data/exports");
    let _nothing_there = std::fs::remove_dir_all(&exports);
    std::fs::write(&exports, "in the way").unwrap();
    let job = order(&service.client, &everything("csv"));
    let job = watch(&service.client, &job, |job| job["attempt"].as_u64() >= Some(2));
    assert_eq!((&job["status"], &job["error"]), (&json!("running"), &Value::Null), "{job}");
    std::fs::remove_file(&exports).unwrap();
    let job = ready(&service.client, &job);
    assert_eq!(Table::of(&file_of(&service.client, &job)).rows.len(), BULKY.0);
}
