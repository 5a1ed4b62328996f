//! Finished export jobs, put on the shelf without waiting for anybody to make them.

use crate::Service;
use crate::connection::Answer;
use crate::fakes::{NOW_MS, World};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tollbook_kit::secret::Secret;
use tollbook_model::export_job::{ExportPart, JobFile, JobSnapshot, JobState};
use uuid::Uuid;

/// What most tests order.
pub(crate) const ORDER: &str = "{\"from\":\"2026-01-01\",\"to\":\"2026-01-31\"}";
/// The file of what they order.
pub(crate) const FILE_NAME: &str = "cdr_2026-01-01_2026-01-31.csv";
/// What stands in it, in two parts.
pub(crate) const FILE: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
/// The manifest of a signed one.
pub(crate) const MANIFEST: &str = "aGVhZA.cGF5bG9hZA.c2lnbmF0dXJl";
/// How long files are kept.
pub(crate) const KEPT_MS: i64 = 7 * 24 * 60 * 60 * 1000;

/// Orders a job of a role.
pub(crate) async fn order(service: &Service, role: &str, body: &str) -> Answer {
    service.as_role(role, "POST /api/v1/cdr/export-jobs", body.as_bytes()).await
}

/// The id in a job.
pub(crate) fn id_of(job: &Value) -> Uuid {
    job["id"].as_str().unwrap().parse().unwrap()
}

/// A ready job of the role admin, as it is shown to him.
pub(crate) async fn ready_job(service: &Service) -> Value {
    let ordered = order(service, "admin", ORDER).await;
    assert_eq!(ordered.status, 202, "{ordered:?}");
    let id = id_of(&ordered.json());
    make_ready(&service.world, id, FILE.len() as u64);
    for (at, text) in [&FILE[..10], &FILE[10..]].into_iter().enumerate() {
        service.world.objects.lock().unwrap().insert(format!("{id}-{at}"), text.to_owned());
    }
    let shown = service.as_admin(&format!("GET /api/v1/cdr/export-jobs/{id}"), b"").await;
    assert_eq!(shown.status, 200, "{shown:?}");
    shown.json()
}

/// Makes a job ready, with a file of so many bytes in two parts and a manifest.
pub(crate) fn make_ready(world: &World, id: Uuid, bytes: u64) {
    world.tamper(id, |row| {
        let parts = [10, bytes - 10].into_iter().enumerate();
        let part = |(at, bytes)| ExportPart {
            number: u32::try_from(at).unwrap(),
            path: Some(format!("{id}-{at}")),
            bytes,
            state: Vec::new(),
        };
        row.parts = parts.map(part).collect();
        let job = &mut row.job;
        job.state = JobState::Ready;
        (job.started_at_ms, job.finished_at_ms) = (Some(NOW_MS + 1), Some(NOW_MS + 2));
        job.snapshot = Some(JobSnapshot { at_ms: NOW_MS + 1, watermark: 7 });
        job.expires_at_ms = Some(NOW_MS + KEPT_MS);
        job.attempt = 1;
        let sha256 = Sha256::digest(FILE).into();
        job.files = vec![JobFile { name: FILE_NAME.into(), bytes, rows: 3, sha256 }];
        job.manifest = Some(Secret::new(MANIFEST.into()));
    });
}

/// The path and query of a link.
pub(crate) fn target(link: &Value) -> String {
    link.as_str().unwrap().strip_prefix("https://cdr.example.net:8443").unwrap().to_owned()
}
