//! Prints how fast the catalog is on this machine; asserts nothing about it. Run with `--ignored --nocapture`.

use crate::conformance::export_jobs::{job, lease};
use crate::conformance::tenants::with_keys;
use crate::conformance::{NOW_MS, batch, entry, id, part, rollup, scope, swap, tenant};
use crate::sqlite::open;
use bytes::Bytes;
use std::time::Duration;
use tokio::task::JoinSet;
use tollbook_kit::clock::{Clock, SystemClock};
use tollbook_model::audit::AuditEntry;
use tollbook_model::dataset::Dataset;
use tollbook_model::export_job::{Claim, ExportJob, JobProgress};
use tollbook_model::ports::{
    AuditLog, AuditScope, BatchContent, ExportJobs, JobFilter, Journal, Manifest, ManifestPart, NewBatch,
    NewPart, RowGroup, StoredBytes, Tenants,
};
use tollbook_model::time_range::TimeRange;
use uuid::Uuid;

fn report(what: &str, count: u64, took: Duration) {
    let each = took.as_secs_f64() * 1e3 / count as f64;
    println!("{what}: {:.0}/s ({each:.2} ms each)", count as f64 / took.as_secs_f64());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement; run it by hand on an idle machine"]
async fn audit_entries() {
    const ENTRIES: u64 = 200_000;
    let clock = SystemClock::new();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let catalog = open(&folder.path().join("control.db")).await.unwrap();
    let start = clock.monotonic();
    for _ in 0..500 {
        AuditLog::append(&catalog, vec![entry("acme", "export.direct")]).await.unwrap();
    }
    report("entries appended one by one", 500, clock.monotonic() - start);
    let start = clock.monotonic();
    for thousand in 0..ENTRIES as i64 / 1000 {
        let at = |at_ms| AuditEntry { at_ms, ..entry("acme", "export.direct") };
        let entries = (0..1000).map(|number| at(thousand * 1000 + number)).collect();
        AuditLog::append(&catalog, entries).await.unwrap();
    }
    report("entries appended by the thousand", ENTRIES, clock.monotonic() - start);
    let range = TimeRange::new(ENTRIES as i64 - 1000, i64::MAX).unwrap();
    let scope = AuditScope { tenant: tenant("acme"), range, up_to_seq: u64::MAX };
    let start = clock.monotonic();
    assert_eq!(catalog.page(&scope, 0, 2000).await.unwrap().len(), 1000);
    report("pages of 1,000 entries at the end", 1, clock.monotonic() - start);
    let start = clock.monotonic();
    assert_eq!(catalog.unsigned_heads().await.unwrap().len(), 1);
    report("ends without checkpoint listed", 1, clock.monotonic() - start);
    let start = clock.monotonic();
    let forgotten = catalog.forget_before(&tenant("acme"), i64::MAX).await.unwrap();
    report("entries forgotten", forgotten, clock.monotonic() - start);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement; run it by hand on an idle machine"]
async fn export_jobs() {
    const JOBS: u128 = 5_000;
    let clock = SystemClock::new();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let catalog = open(&folder.path().join("control.db")).await.unwrap();
    let acme = with_keys("acme", &[(1, 1)]);
    Tenants::create(&catalog, acme, entry("acme", "tenant.create")).await.unwrap();
    let start = clock.monotonic();
    for number in 0..JOBS {
        let job = ExportJob { created_at_ms: number as i64, ..job(number, "acme") };
        catalog.order(job, u32::MAX, None, entry("acme", "export.create")).await.unwrap();
    }
    report("orders taken", JOBS as u64, clock.monotonic() - start);
    let parts: Vec<NewPart> =
        (0..10_000u128).map(|number| NewPart { part: part(number, 0, 1), rollups: vec![] }).collect();
    assert!(catalog.replace(swap(&[], &[], parts, 0)).await.unwrap());

    let start = clock.monotonic();
    for _ in 0..20 {
        assert_eq!(catalog.in_line().await.unwrap().len(), JOBS as usize);
    }
    report("looks at a line of 5,000", 20, clock.monotonic() - start);
    let filter = JobFilter {
        tenant: tenant("acme"),
        datasets: vec![Dataset::Cdr],
        states: Vec::new(),
        dialects: Vec::new(),
        created_from_ms: 0,
        created_to_ms: i64::MAX,
        behind: Some((JOBS as i64 / 2, id(0))),
        limit: 50,
    };
    let start = clock.monotonic();
    for _ in 0..20 {
        assert_eq!(ExportJobs::list(&catalog, &filter).await.unwrap().len(), 50);
    }
    report("pages of 50 queued jobs of 5,000", 20, clock.monotonic() - start);
    let seen = Claim { job: id(3), generation: 0 };
    let (claim, _) = catalog.claim(seen, lease(1, NOW_MS), NOW_MS).await.unwrap().unwrap();
    for what in ["pins of 10,000 parts", "the same asked again"] {
        let start = clock.monotonic();
        assert!(catalog.pin(claim, &scope("acme"), TimeRange::all(), 1).await.unwrap().is_some());
        report(what, 1, clock.monotonic() - start);
    }
    let start = clock.monotonic();
    for _ in 0..500 {
        assert!(catalog.heartbeat(claim, lease(1, NOW_MS), JobProgress::default()).await.unwrap());
    }
    report("signs of life", 500, clock.monotonic() - start);
    let start = clock.monotonic();
    assert!(catalog.let_go(claim, None, true).await.unwrap());
    assert_eq!(catalog.end_all(&tenant("acme"), 5).await.unwrap(), JOBS as u64);
    report("jobs ended with their tenant", JOBS as u64, clock.monotonic() - start);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement; run it by hand on an idle machine"]
async fn appends_and_snapshots() {
    let clock = SystemClock::new();
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let catalog = open(&folder.path().join("control.db")).await.unwrap();

    let start = clock.monotonic();
    for number in 0..2000u128 {
        let small = NewBatch { content: BatchContent::Inline(vec![1u8; 600].into()), ..batch(number, 1, 0) };
        Journal::append(&catalog, vec![small]).await.unwrap();
    }
    report("appends of one record (600 B)", 2000, clock.monotonic() - start);

    let blob: Vec<u8> = (0..600_000u32).map(|n| n.wrapping_mul(2_654_435_761) as u8).collect();
    let start = clock.monotonic();
    for number in 0..400u128 {
        let content = BatchContent::Inline(Bytes::from(blob.clone()));
        Journal::append(&catalog, vec![NewBatch { content, ..batch(10_000 + number, 5000, 0) }])
            .await
            .unwrap();
    }
    report("appends of 5,000 records (600 kB)", 400, clock.monotonic() - start);

    let ids: Vec<Uuid> = (0..400u128).map(|number| id(10_000 + number)).collect();
    let start = clock.monotonic();
    for some in ids.chunks(20) {
        catalog.contents(some).await.unwrap();
    }
    report("contents read (600 kB)", 400, clock.monotonic() - start);

    let group = RowGroup { rows: 131_072, bytes: 9_000_000, ids: ([3; 16], [4; 16]) };
    let parts: Vec<NewPart> = (0..10_000u128)
        .map(|number| NewPart {
            part: ManifestPart {
                row_groups: vec![group.clone(); 8],
                ..part(number, (number / 4) as i32, 1 << 20)
            },
            rollups: (0..72).map(|hour| rollup(hour, 5)).collect(),
        })
        .collect();
    let start = clock.monotonic();
    assert!(catalog.replace(swap(&ids, &[], parts, 0)).await.unwrap());
    report("parts published by one swap", 10_000, clock.monotonic() - start);

    for _ in 0..2 {
        let start = clock.monotonic();
        let seen = catalog.snapshot(&scope("acme"), TimeRange::all()).await.unwrap();
        report("snapshots of 10,000 parts and 2,000 batches", 1, clock.monotonic() - start);
        assert_eq!((seen.parts.len(), seen.batches.len()), (10_000, 2000));
    }

    let start = clock.monotonic();
    for _ in 0..100 {
        catalog.stored_bytes(&tenant("acme")).await.unwrap();
    }
    report("sums of what 10,000 parts and 2,000 batches hold", 100, clock.monotonic() - start);

    let start = clock.monotonic();
    let all: Vec<Uuid> = (0..10_000u128).map(id).collect();
    assert_eq!(catalog.rollups(&all).await.unwrap().len(), 720_000);
    report("hourly counts of 10,000 parts", 1, clock.monotonic() - start);

    let start = clock.monotonic();
    let mut forgetting = JoinSet::new();
    forgetting.spawn({
        let (catalog, ids) = (catalog.clone(), ids.clone());
        async move { catalog.forget(&ids).await.unwrap() }
    });
    let (mut waits, mut number) = (Vec::new(), 50_000u128);
    while forgetting.try_join_next().is_none() {
        number += 1;
        let before = clock.monotonic();
        Journal::append(&catalog, vec![batch(number, 1, 0)]).await.unwrap();
        waits.push(clock.monotonic() - before);
    }
    report("batches forgotten (600 kB)", 400, clock.monotonic() - start);
    waits.sort_unstable();
    let (typical, longest) = (waits[waits.len() / 2], waits[waits.len() - 1]);
    println!("appends meanwhile: {}, typically {typical:.2?}, at most {longest:.2?}", waits.len());

    catalog.close().await;
    let start = clock.monotonic();
    let catalog = open(&folder.path().join("control.db")).await.unwrap();
    report("opens of that database", 1, clock.monotonic() - start);
    catalog.close().await;
}
