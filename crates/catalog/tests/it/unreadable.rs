//! Rows that cannot be read any more, such as after a step back to an older version: they are alone with that.

use crate::conformance::export_ends::notice;
use crate::conformance::export_jobs::{job, lease};
use crate::conformance::{NOW_MS, entry, id, tenant};
use crate::sqlite::{open, run_sql};
use std::path::Path;
use tollbook_catalog::SqliteCatalog;
use tollbook_kit::fault::Code;
use tollbook_model::dataset::Dataset;
use tollbook_model::export_job::{Claim, ExportJob, JobError, JobState};
use tollbook_model::ports::{ExportJobs, JobFilter, Notifications, Tenants};
use tollbook_model::privacy::PseudonymKey;
use tollbook_model::tenant::Tenant;

/// A catalog with so many jobs, of which each is a millisecond younger than the one before.
async fn with_jobs(path: &Path, jobs: u128) -> SqliteCatalog {
    let catalog = open(path).await.unwrap();
    let acme = Tenant::new(tenant("acme"), vec![PseudonymKey::new(1, [1; 32])], NOW_MS);
    catalog.create(acme, entry("acme", "tenant.create")).await.unwrap();
    for (number, at_ms) in (1..=jobs).zip(NOW_MS..) {
        let job = ExportJob { created_at_ms: at_ms, ..job(number, "acme") };
        catalog.order(job, 100, None, entry("acme", "export.create")).await.unwrap();
    }
    catalog
}

#[tokio::test]
async fn a_notice_is_handed_over_empty_and_others_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.db");
    let catalog = with_jobs(&path, 1).await;
    let notices = vec![notice(11, 1, "acme"), notice(12, 1, "acme")];
    let wanted = notices[1].content.reveal().clone();
    let act = entry("acme", "export.cancel");
    assert!(catalog.cancel(&tenant("acme"), id(1), NOW_MS, notices, act).await.unwrap());
    run_sql(&path, "UPDATE notifications SET sealed_content = x'00' WHERE substr(hex(id), 31) = '0B'").await;
    let due = catalog.due(NOW_MS, &[], 9).await.unwrap();
    let contents: Vec<_> = due.iter().map(|due| due.notification.content.reveal().as_str()).collect();
    assert_eq!(contents, ["", wanted.as_str()]);
    catalog.done(due[0].notification.id).await.unwrap();
    assert_eq!(catalog.due(NOW_MS, &[], 9).await.unwrap().len(), 1, "it can be refused");
}

#[tokio::test]
async fn jobs_are_left_out_of_lists_and_pages_stay_full() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.db");
    let catalog = with_jobs(&path, 7).await;
    // Newest first: two in a row, and the oldest one.
    run_sql(
        &path,
        "UPDATE export_orders SET sealed_order = x'00' WHERE substr(hex(job), 31) IN ('06', '05', '01')",
    )
    .await;
    for (limit, numbers) in
        [(2, &[7, 4][..]), (3, &[7, 4, 3]), (4, &[7, 4, 3, 2]), (9, &[7, 4, 3, 2]), (0, &[])]
    {
        let filter = JobFilter {
            tenant: tenant("acme"),
            datasets: vec![Dataset::Cdr],
            states: Vec::new(),
            dialects: Vec::new(),
            created_from_ms: 0,
            created_to_ms: i64::MAX,
            behind: None,
            limit,
        };
        let listed = ExportJobs::list(&catalog, &filter).await.unwrap();
        let found: Vec<_> = listed.iter().map(|job| job.id.as_u128()).collect();
        assert_eq!(found, numbers, "at most {limit}");
    }
}

#[tokio::test]
async fn a_job_fails_unread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.db");
    let catalog = with_jobs(&path, 3).await;
    run_sql(&path, "UPDATE export_orders SET sealed_order = x'00' WHERE substr(hex(job), 31) = '01'").await;
    let seen = |number| Claim { job: id(number), generation: 0 };
    let unread = catalog.claim(seen(1), lease(1, NOW_MS), NOW_MS).await.unwrap_err();
    assert_eq!(unread.code(), Code::Internal);
    let error = || JobError { code: "timeout".into(), message: "too late".into(), retryable: true };
    assert!(catalog.fail_unread(seen(1), error(), NOW_MS).await.unwrap());
    assert!(!catalog.fail_unread(seen(1), error(), NOW_MS).await.unwrap(), "it has ended");
    // One that somebody has, though it was seen before.
    let (claim, _) = catalog.claim(seen(2), lease(1, NOW_MS), NOW_MS).await.unwrap().unwrap();
    assert!(!catalog.fail_unread(seen(2), error(), NOW_MS).await.unwrap());
    assert!(!catalog.fail_unread(claim, error(), NOW_MS).await.unwrap(), "while its lease holds");
    assert!(catalog.fail_unread(claim, error(), NOW_MS + 60_000).await.unwrap());
    let in_line: Vec<_> = catalog.in_line().await.unwrap().iter().map(|job| job.claim.job).collect();
    assert_eq!(in_line, [id(3)]);
    let failed = ExportJobs::find(&catalog, id(2)).await.unwrap().unwrap();
    assert_eq!((failed.state, failed.error), (JobState::Failed, Some(error())));
}
