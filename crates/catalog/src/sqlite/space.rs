//! Forgetting doomed rows and giving their room in the file back to the disk.
//!
//! The file is in `auto_vacuum=INCREMENTAL` mode: pages of deleted blobs go to a free list, from which the next blobs
//! are served without growing the file. Only what lies there beyond [`FREE_PAGES_KEPT`], after a burst, is cut off
//! the file's end, in short steps between which writers get their turn.

use super::{SqliteCatalog, stored};
use sqlx::SqliteConnection;
use tollbook_kit::fault::Fault;
use uuid::Uuid;

/// Rows forgotten per transaction, so that appends are not held up by a long one.
const FORGOTTEN_AT_ONCE: usize = 8;

/// Batches hold no keys and are large: they are overwritten only as far as that writes no further page.
const WIPE_WHERE_FREE: &str = "PRAGMA secure_delete = FAST";

/// As the connection begins.
const WIPE: &str = "PRAGMA secure_delete = ON";

/// Free pages (of 4 KiB) that stay in the file for the next batches: 4 MiB.
const FREE_PAGES_KEPT: i64 = 1024;

/// Free pages given back per step: 1 MiB.
const STEP: &str = "PRAGMA incremental_vacuum(256)";

/// Steps per call; the rest waits for the next one.
const MOST_STEPS: usize = 128;

/// Rows of what is over (sessions, manifests) forgotten per transaction, for the same reason; they are small.
const SMALL_ROWS_AT_ONCE: i64 = 500;

impl SqliteCatalog {
    /// Deletes what is older, so many rows at a time; answers how many. The statement takes the moment as `$1` and the
    /// number of rows as `$2`.
    pub(super) async fn forget_in_steps(
        &self,
        doing: &'static str,
        statement: &'static str,
        before_ms: i64,
    ) -> Result<u64, Fault> {
        let mut forgotten = 0;
        loop {
            let mut transaction = self.begin_write(doing).await?;
            let step = sqlx::query(statement)
                .bind(before_ms)
                .bind(SMALL_ROWS_AT_ONCE)
                .execute(&mut *transaction)
                .await
                .map_err(|error| self.write_failed(doing, error))?
                .rows_affected();
            if step == 0 {
                return Ok(forgotten);
            }
            self.commit(doing, transaction).await?;
            forgotten += step;
        }
    }

    /// Deletes those of the rows that are doomed; a live one stays, and one that a job still reads, whoever asks.
    pub(super) async fn erase_doomed(&self, ids: &[Uuid]) -> Result<(), Fault> {
        let doing = "forgetting what is doomed";
        for some in ids.chunks(FORGOTTEN_AT_ONCE) {
            let mut transaction = self.begin_write(doing).await?;
            let deleted = delete_some(&mut transaction, some).await;
            // After a failure too.
            let wiping = sqlx::query(WIPE).execute(&mut *transaction).await;
            deleted.and(wiping).map_err(|error| self.write_failed(doing, error))?;
            self.commit(doing, transaction).await?;
        }
        Ok(())
    }

    /// Shrinks the file if much of it is free. What was asked for is done already, so a failure is only logged.
    pub(super) async fn give_back_space(&self) {
        for _ in 0..MOST_STEPS {
            match self.give_back_step().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(fault) => {
                    tracing::warn!(
                        fault = fault.log_text(),
                        "the control database keeps its free pages for now"
                    );
                    return;
                }
            }
        }
    }

    /// One step; false when there is nothing left to give back.
    async fn give_back_step(&self) -> Result<bool, Fault> {
        let doing = "giving free pages back";
        let mut transaction = self.begin_write(doing).await?;
        let free: i64 = sqlx::query_scalar("PRAGMA freelist_count")
            .fetch_one(&mut *transaction)
            .await
            .map_err(|error| self.write_failed(doing, error))?;
        if free <= FREE_PAGES_KEPT {
            return Ok(false);
        }
        sqlx::query(STEP)
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.write_failed(doing, error))?;
        self.commit(doing, transaction).await?;
        Ok(true)
    }
}

/// The rows of contents and hourly counts go with theirs.
async fn delete_some(connection: &mut SqliteConnection, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query(WIPE_WHERE_FREE).execute(&mut *connection).await?;
    for id in ids {
        for statement in [
            "DELETE FROM batches WHERE id = $1 AND doomed_at_ms IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM pinned_batches WHERE batch = number)",
            "DELETE FROM parts WHERE id = $1 AND doomed_at_ms IS NOT NULL \
             AND NOT EXISTS (SELECT 1 FROM pinned_parts WHERE part = number)",
        ] {
            sqlx::query(statement).bind(stored::id_column(id)).execute(&mut *connection).await?;
        }
    }
    Ok(())
}
