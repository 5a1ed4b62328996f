//! The control database in one SQLite file: one writer, a few readers, write-ahead log, fsync at every commit.
//!
//! All that knows SQLite is in this module: `connect` opens the file, `sealing` guards its secrets, `failure` reads its
//! error codes, and one file or folder per port holds the statements. Parameters are written `$1`, which SQLite and PostgreSQL
//! both take. What a person changes commits together with its entry in the audit log, which `audit_chain` appends.

mod audit_chain;
mod audit_log;
mod connect;
mod erasure;
mod export_jobs;
mod export_manifests;
mod failure;
mod journal;
mod manifest;
mod notifications;
mod sealing;
mod sessions;
mod signing_keys;
mod sources;
mod space;
mod stored;
mod stored_bytes;
mod swap;
mod tenants;
mod tokens;
mod users;

use sqlx::sqlite::SqlitePool;
use sqlx::{Sqlite, Transaction};
use std::path::Path;
use std::sync::Arc;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::secret::Sealer;
use tollbook_kit::supervise::StopToken;

/// The control database in one file. Clones share it.
///
/// Writers queue for the one writing connection and so never meet `SQLITE_BUSY`; readers see the last commit and
/// wait for nobody.
#[derive(Debug, Clone)]
pub struct SqliteCatalog {
    writer: SqlitePool,
    readers: SqlitePool,
    clock: Arc<dyn Clock>,
    sealer: Sealer,
    broken: StopToken,
}

impl SqliteCatalog {
    /// Opens the database at `path` and brings its tables up to date. A missing file is created for this user alone
    /// (0600), and so is a missing folder (0700). `sealer` hides the secrets in it; it must have the key that the file
    /// was first opened with.
    ///
    /// # Errors
    /// `conflict` when the sealer has another key, a newer version of Tollbook wrote the file, or it is no control
    /// database; `storage_full`, `unavailable` or `internal` when it cannot be opened.
    pub async fn open(path: &Path, clock: Arc<dyn Clock>, sealer: Sealer) -> Result<Self, Fault> {
        connect::create_private_file(path)?;
        let writer = connect::writer(path).await?;
        connect::migrate(&writer).await?;
        sealing::prepare(&writer, &sealer).await?;
        let readers = connect::readers(path);
        Ok(Self { writer, readers, clock, sealer, broken: StopToken::new() })
    }

    /// Waits for running work, folds the write-ahead log into the file and closes it. Later calls of any port
    /// answer `unavailable`. Not needed for durability.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Resolves when the file can no longer be trusted: a write or its fsync failed, or the file is damaged. From
    /// then on every write is refused; the process should stop, so that the next start reads what the disk has.
    pub async fn broken(&self) {
        self.broken.cancelled().await;
    }

    /// Starts a writing transaction. Dropping it rolls back.
    async fn begin_write(&self, doing: &'static str) -> Result<Transaction<'static, Sqlite>, Fault> {
        if self.broken.is_cancelled() {
            return Err(Fault::new(
                Code::Unavailable,
                "the control database failed and takes no more writes; restart the service",
            )
            .with_context(doing));
        }
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(|error| self.write_failed(doing, error))
    }

    /// Makes a transaction durable: returns after the fsync of the write-ahead log.
    async fn commit(
        &self,
        doing: &'static str,
        transaction: Transaction<'static, Sqlite>,
    ) -> Result<(), Fault> {
        transaction.commit().await.map_err(|error| self.write_failed(doing, error))
    }

    /// Ends a transaction whose work says whether it did anything: if so it is made durable, else it leaves no trace.
    async fn settle(
        &self,
        doing: &'static str,
        transaction: Transaction<'static, Sqlite>,
        done: Result<bool, sqlx::Error>,
    ) -> Result<bool, Fault> {
        let done = done.map_err(|error| self.write_failed(doing, error))?;
        if done {
            self.commit(doing, transaction).await?;
        } else {
            transaction.rollback().await.map_err(|error| self.write_failed(doing, error))?;
        }
        Ok(done)
    }

    /// Starts a reading transaction: all its statements see the same commit.
    async fn begin_read(&self, doing: &'static str) -> Result<Transaction<'static, Sqlite>, Fault> {
        self.readers.begin().await.map_err(|error| read_failed(doing, error))
    }

    /// The fault of a failed write. After one that leaves the file in doubt, no further write is tried.
    fn write_failed(&self, doing: &'static str, error: sqlx::Error) -> Fault {
        if failure::leaves_doubt(&error) {
            self.broken.cancel();
        }
        failure::fault(doing, error)
    }
}

fn read_failed(doing: &'static str, error: sqlx::Error) -> Fault {
    failure::fault(doing, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, SeekFrom, Write};
    use tollbook_kit::clock::ManualClock;
    use tollbook_kit::ids::SeededRandomness;
    use tollbook_kit::secret::Secret;
    use tollbook_model::dataset::Dataset;
    use tollbook_model::ports::{BatchContent, Journal, Manifest, NewBatch, SnapshotScope};
    use tollbook_model::tenant::TenantName;
    use tollbook_model::time_range::TimeRange;
    use uuid::Uuid;

    /// Bound of a wait that should end at once.
    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(5);

    async fn open(path: &Path) -> SqliteCatalog {
        let sealer = Sealer::new(&Secret::new([7; 32]), Arc::new(SeededRandomness::new(1)));
        SqliteCatalog::open(path, Arc::new(ManualClock::at(0)), sealer).await.unwrap()
    }

    fn batch(number: u128, bytes: usize) -> NewBatch {
        NewBatch {
            id: Uuid::from_u128(number),
            tenant: TenantName::default_tenant(),
            dataset: Dataset::Cdr,
            rows: 1,
            revisions: 0,
            unsettled: false,
            time_ms: (0, 0),
            bytes: bytes as u64,
            received_at_ms: 0,
            content: BatchContent::Inline(vec![1; bytes].into()),
        }
    }

    async fn watermark(catalog: &SqliteCatalog) -> u64 {
        let scope = SnapshotScope { tenant: TenantName::default_tenant(), dataset: Dataset::Cdr };
        let seen = catalog.snapshot(&scope, TimeRange::all()).await.unwrap();
        assert_eq!(seen.watermark, seen.batches.len() as u64);
        seen.watermark
    }

    #[tokio::test]
    async fn a_full_disk_refuses_appends_and_takes_them_again_when_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = open(&folder.path().join("control.db")).await;
        catalog.append(vec![batch(1, 10)]).await.unwrap();
        sqlx::query("PRAGMA max_page_count = 60").execute(&catalog.writer).await.unwrap();
        let refused = catalog.append(vec![batch(2, 10), batch(3, 1 << 20)]).await.unwrap_err();
        assert_eq!(refused.code(), Code::StorageFull);
        assert_eq!(watermark(&catalog).await, 1, "reads go on, and nothing of the refused append is kept");
        // The bound went with the connection, as a full disk goes when somebody makes room.
        let appended = catalog.append(vec![batch(2, 10), batch(3, 1 << 20)]).await.unwrap();
        assert_eq!(appended.iter().map(|batch| batch.first_sequence).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(watermark(&catalog).await, 3);
    }

    #[tokio::test]
    async fn after_a_write_that_leaves_doubt_no_further_one_is_tried() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("control.db");
        let catalog = open(&path).await;
        catalog.append(vec![batch(1, 10)]).await.unwrap();
        let page: i64 = sqlx::query_scalar("SELECT rootpage FROM sqlite_schema WHERE name = 'batches'")
            .fetch_one(&catalog.readers)
            .await
            .unwrap();
        catalog.close().await;
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start((page.cast_unsigned() - 1) * 4096)).unwrap();
        file.write_all(&[0xEE; 4096]).unwrap();
        drop(file);

        let catalog = open(&path).await;
        assert!(!catalog.broken.is_cancelled());
        assert_eq!(catalog.append(vec![batch(2, 10)]).await.unwrap_err().code(), Code::Unavailable);
        tokio::time::timeout(PATIENCE, catalog.broken()).await.unwrap();
        let refused = catalog.append(vec![batch(3, 10)]).await.unwrap_err();
        assert!(refused.message().contains("takes no more writes"), "{refused}");
    }
}
