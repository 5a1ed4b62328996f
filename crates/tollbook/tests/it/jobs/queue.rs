//! The queue: how many wait, in which order, and that nobody starves.

use super::desk::{
    BULKY, PATIENCE, ended, everything, fill, id_of, look, order, path_of, ready, tenant, watch,
};
use crate::client::Client;
use crate::load::Load;
use crate::service::{Service, day_ago, wait_for};
use serde_json::{Value, json};
use std::sync::Mutex;

/// Jobs that may wait, of each tenant.
const QUEUED: usize = 100;
const THREADS: usize = 8;

fn listed(client: &Client, status: &str) -> Vec<Value> {
    let path = format!("/api/v1/export-jobs?status={status}&limit=200");
    client.get(&path).expect(200).json()["items"].as_array().expect("items").clone()
}

/// Orders jobs from several threads until one is refused.
fn fill_queue(client: &Client) -> Vec<Value> {
    let (jobs, full) = (Mutex::new(Vec::new()), std::sync::atomic::AtomicBool::new(false));
    std::thread::scope(|threads| {
        for _ in 0..THREADS {
            threads.spawn(|| {
                while !full.load(std::sync::atomic::Ordering::Relaxed) {
                    let answer = client.send_json("POST", "/api/v1/cdr/export-jobs", &everything("ndjson"));
                    if answer.status == 202 {
                        jobs.lock().unwrap().push(answer.json());
                        assert!(jobs.lock().unwrap().len() < 3 * QUEUED, "the queue never fills");
                        continue;
                    }
                    assert_eq!((answer.status, answer.problem().as_str()), (429, "too-many-jobs"));
                    let wait: u64 =
                        answer.header("retry-after").expect("when to come again").parse().unwrap();
                    assert!(wait >= 1);
                    full.store(true, std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
    });
    jobs.into_inner().unwrap()
}

#[test]
fn a_hundred_wait_and_others_are_not_kept_waiting() {
    let folder = tempfile::tempdir().unwrap();
    // One worker is busy long enough with each of these jobs for the queue to fill.
    let service = Service::start_with(folder.path(), &[("TOLLBOOK_JOBS__WORKERS", "1")]);
    fill(&service, 2);
    let client = &service.client;
    let (acme, globex) = (tenant(&service, "acme"), tenant(&service, "globex"));
    for other in [&acme, &globex] {
        let records = Load::new(5).ndjson("few", 20, 0, &day_ago(2));
        other.post("/api/v1/cdr/records", "application/x-ndjson", records).expect(200);
    }
    let first = order(client, &everything("ndjson"));
    watch(client, &first, |job| job["status"] != "queued");
    let jobs = fill_queue(client);
    let waiting = listed(client, "queued");
    assert!((QUEUED - 2..=QUEUED).contains(&waiting.len()), "{} wait", waiting.len());
    assert!(listed(client, "running").len() <= 1, "one worker");
    let positions: Vec<u64> = waiting.iter().map(|job| job["queue_position"].as_u64().unwrap()).collect();
    assert!(positions.is_sorted_by(|newer, older| newer > older), "{positions:?}");
    assert_eq!(positions.last(), Some(&1), "the oldest is the next: {positions:?}");

    // Two others with one job each come next, and not after a hundred.
    let theirs = [&acme, &globex].map(|other| {
        let job = order(other, &json!({"from": day_ago(9), "format": "ndjson"}));
        assert!(job["queue_position"].is_null() || job["queue_position"] == 1, "their own queue: {job}");
        (other, job)
    });
    for (other, job) in &theirs {
        assert_eq!(ready(other, job)["rows"], 20);
    }
    let left = listed(client, "queued").len();
    assert!(left + 10 >= waiting.len(), "{} of {} jobs went before", waiting.len() - left, waiting.len());

    // Cancelling makes room.
    for job in &jobs[4..] {
        client.send("DELETE", &path_of(job), &[], b"").unwrap().expect(204);
    }
    let again = order(client, &everything("csv"));
    for job in jobs[..4].iter().chain([&first, &again]) {
        let job = ready(client, job);
        assert_eq!(job["rows"], 2 * BULKY.0, "{}", id_of(&job));
    }
    for job in &jobs[4..] {
        // Those that came before their cancelling are ready, and then taken back.
        let status = ended(client, job)["status"].clone();
        assert!(status == "cancelled" || status == "expired", "{status}");
    }
}

#[test]
fn a_tenant_runs_as_many_as_its_quota_says() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(folder.path());
    fill(&service, 2);
    let client = &service.client;
    let quota = json!({"quota": {"running_jobs": 1, "queued_jobs": 2}});
    client.send_json("PATCH", "/api/v1/tenants/default", &quota).expect(200);
    let jobs = fill_queue(client);
    let mut most = 0;
    let done = wait_for(PATIENCE, || {
        most = most.max(listed(client, "running").len());
        jobs.iter().all(|job| look(client, job)["status"] == "ready").then_some(())
    });
    assert!(done.is_some(), "all of them end");
    assert_eq!(most, 1);
}
