//! The conformance suite on SQLite, and what a file on a disk promises beyond it.

use crate::conformance::{NOW_MS, Ports, bare, batch, conformance, id, part, swap};
use bytes::Bytes;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tollbook_catalog::SqliteCatalog;
use tollbook_kit::clock::ManualClock;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::ids::SystemRandomness;
use tollbook_kit::secret::{Sealer, Secret};
use tollbook_model::ports::{BatchContent, Journal, Manifest, NewBatch};

conformance!(crate::sqlite::fresh);

pub(crate) async fn open(path: &Path) -> Result<SqliteCatalog, Fault> {
    open_sealed_with(path, sealer(1)).await
}

pub(crate) async fn open_sealed_with(path: &Path, sealer: Sealer) -> Result<SqliteCatalog, Fault> {
    SqliteCatalog::open(path, Arc::new(ManualClock::at(NOW_MS)), sealer).await
}

pub(crate) fn sealer(key: u8) -> Sealer {
    Sealer::new(&Secret::new([key; 32]), Arc::new(SystemRandomness))
}

pub(crate) async fn fresh() -> Ports {
    let folder = tempfile::tempdir().unwrap();
    let catalog = Arc::new(open(&folder.path().join("control.db")).await.unwrap());
    Ports {
        journal: catalog.clone(),
        manifest: catalog.clone(),
        sources: catalog.clone(),
        tenants: catalog.clone(),
        tokens: catalog.clone(),
        users: catalog.clone(),
        sessions: catalog.clone(),
        export_manifests: catalog.clone(),
        export_jobs: catalog.clone(),
        notifications: catalog.clone(),
        audit_log: catalog.clone(),
        signing_keys: catalog.clone(),
        stored_bytes: catalog,
        _keep: Arc::new(folder),
    }
}

pub(crate) async fn run_sql(path: &Path, statement: &'static str) {
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    sqlx::query(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn what_was_appended_is_there_after_a_drop_without_close() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.db");
    for round in 0..3u128 {
        let catalog = open(&path).await.unwrap();
        let appended = catalog.append(vec![batch(round, 10, 0)]).await.unwrap();
        assert_eq!(appended[0].first_sequence, 1 + round as u64 * 10);
        if round == 1 {
            assert!(catalog.replace(swap(&[id(0)], &[], vec![bare(part(50, 0, 10))], 0)).await.unwrap());
        }
        drop(catalog);
    }
    let catalog = open(&path).await.unwrap();
    let seen = catalog.snapshot(&crate::conformance::scope("acme"), everything()).await.unwrap();
    assert_eq!(seen.watermark, 30);
    assert_eq!(seen.batches.iter().map(|batch| batch.id).collect::<Vec<_>>(), [id(1), id(2)]);
    assert_eq!(seen.parts, [part(50, 0, 10)]);
    assert_eq!(catalog.contents(&[id(0), id(1), id(2)]).await.unwrap().len(), 3);
    catalog.close().await;
    let refused = catalog.append(vec![batch(9, 1, 0)]).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "a closed catalog takes nothing");
}

fn everything() -> tollbook_model::time_range::TimeRange {
    tollbook_model::time_range::TimeRange::all()
}

#[tokio::test]
async fn a_copy_of_the_files_taken_after_an_append_holds_it() {
    // What a power cut leaves is what the files hold at that moment, log included.
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder.path().join("control.db")).await.unwrap();
    for number in 0..5u128 {
        catalog.append(vec![batch(number, 1, 0)]).await.unwrap();
        let copy = tempfile::tempdir().unwrap();
        for name in ["control.db", "control.db-wal"] {
            std::fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
        }
        let copied = open(&copy.path().join("control.db")).await.unwrap();
        let seen = copied.snapshot(&crate::conformance::scope("acme"), everything()).await.unwrap();
        assert_eq!((seen.watermark, seen.batches.len() as u128), (number as u64 + 1, number + 1));
    }
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.db");
    open(&path).await.unwrap().close().await;
    run_sql(
        &path,
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'from the future', TRUE, x'00', 0)",
    )
    .await;
    let refused = open(&path).await.unwrap_err();
    assert_eq!(refused.code(), Code::Conflict);
    assert!(refused.message().contains("newer version"), "{refused}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.db");
    let text = "start,duration\n".repeat(1000);
    std::fs::write(&path, &text).unwrap();
    let refused = open(&path).await.unwrap_err();
    assert_eq!(refused.code(), Code::Conflict);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
    let folder_in_its_place = open(folder.path()).await.unwrap_err();
    assert_eq!(folder_in_its_place.code(), Code::Unavailable);
}

#[cfg(unix)]
#[tokio::test]
async fn files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").join("control");
    let catalog = open(&data.join("control.db")).await.unwrap();
    catalog.append(vec![batch(1, 1, 0)]).await.unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(data.parent().unwrap()), 0o700);
    for name in ["control.db", "control.db-wal", "control.db-shm"] {
        assert_eq!(mode(&data.join(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn forgetting_gives_room_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.db");
    let catalog = open(&path).await.unwrap();
    let blob = Bytes::from(vec![7u8; 1 << 20]);
    let ids: Vec<_> = (0..48u128).map(id).collect();
    for number in 0..48u128 {
        let large = NewBatch { content: BatchContent::Inline(blob.clone()), ..batch(number, 1, 0) };
        catalog.append(vec![large]).await.unwrap();
    }
    catalog.close().await;
    let full = std::fs::metadata(&path).unwrap().len();
    assert!(full > 48 << 20, "{full}");
    let catalog = open(&path).await.unwrap();
    assert!(catalog.replace(swap(&ids, &[], vec![bare(part(99, 0, 48))], 1)).await.unwrap());
    catalog.forget(&ids).await.unwrap();
    catalog.close().await;
    let after = std::fs::metadata(&path).unwrap().len();
    assert!(after < 6 << 20, "{full} bytes became {after}");
}

#[tokio::test]
async fn an_abandoned_append_leaves_the_writer_usable() {
    let folder = tempfile::tempdir().unwrap();
    let catalog = open(&folder.path().join("control.db")).await.unwrap();
    let mut finished = 0u64;
    for number in 0..200u128 {
        // The caller goes away at ever other points of the work.
        let wait = Duration::from_micros(number as u64 * 5);
        if tokio::time::timeout(wait, catalog.append(vec![batch(number, 1, 0)])).await.is_ok() {
            finished += 1;
        }
    }
    let seen = catalog.snapshot(&crate::conformance::scope("acme"), everything()).await.unwrap();
    assert_eq!(seen.watermark, seen.batches.len() as u64, "all or nothing of each");
    assert!(seen.watermark >= finished, "nothing acknowledged is missing");
    let next = catalog.append(vec![batch(1000, 1, 0)]).await.unwrap();
    assert!(next[0].first_sequence > finished);
}
