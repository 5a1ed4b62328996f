//! The atomic swap: batches and old parts go, new parts come, or nothing changes.

use super::{SqliteCatalog, stored};
use crate::packed;
use sqlx::SqliteConnection;
use tollbook_kit::fault::Fault;
use tollbook_model::ports::{NewPart, Replacement, SnapshotScope};
use uuid::Uuid;

impl SqliteCatalog {
    /// [`Manifest::replace`](tollbook_model::ports::Manifest::replace).
    pub(super) async fn swap(&self, replacement: Replacement) -> Result<bool, Fault> {
        let doing = "swapping parts";
        let mut transaction = self.begin_write(doing).await?;
        let swapped = swap_rows(&mut transaction, &replacement).await;
        self.settle(doing, transaction, swapped).await
    }
}

/// False as soon as something is not live; the caller rolls back.
async fn swap_rows(connection: &mut SqliteConnection, swap: &Replacement) -> Result<bool, sqlx::Error> {
    const DOOM_BATCH: &str = "UPDATE batches SET doomed_at_ms = $1 \
                              WHERE id = $2 AND tenant = $3 AND dataset = $4 AND doomed_at_ms IS NULL";
    const DOOM_PART: &str = "UPDATE parts SET doomed_at_ms = $1 \
                             WHERE id = $2 AND tenant = $3 AND dataset = $4 AND doomed_at_ms IS NULL";
    for batch in &swap.batches {
        if !doom(connection, DOOM_BATCH, swap, batch).await? {
            return Ok(false);
        }
    }
    for part in &swap.old_parts {
        if !doom(connection, DOOM_PART, swap, part).await? {
            return Ok(false);
        }
    }
    for new in &swap.new_parts {
        insert_part(connection, &swap.scope, new).await?;
    }
    Ok(true)
}

/// Dooms one row if it is live; the row itself is the lock that lets only one of two swaps have it.
async fn doom(
    connection: &mut SqliteConnection,
    statement: &'static str,
    swap: &Replacement,
    id: &Uuid,
) -> Result<bool, sqlx::Error> {
    let result = sqlx::query(statement)
        .bind(swap.at_ms)
        .bind(stored::id_column(id))
        .bind(swap.scope.tenant.as_str())
        .bind(swap.scope.dataset.name())
        .execute(connection)
        .await?;
    Ok(result.rows_affected() == 1)
}

async fn insert_part(
    connection: &mut SqliteConnection,
    scope: &SnapshotScope,
    new: &NewPart,
) -> Result<(), sqlx::Error> {
    let part = &new.part;
    let first_id = part.row_groups.first().map_or([0; 16], |group| group.ids.0);
    let number: i64 = sqlx::query_scalar(
        "INSERT INTO parts (id, tenant, dataset, path, day, first_id, rows, bytes, first_sequence, last_sequence, \
         unsettled, layout, row_groups) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) \
         RETURNING number",
    )
    .bind(stored::id_column(&part.id))
    .bind(scope.tenant.as_str())
    .bind(scope.dataset.name())
    .bind(part.path.as_str())
    .bind(part.day)
    .bind(first_id.to_vec())
    .bind(stored::column(part.rows)?)
    .bind(stored::column(part.bytes)?)
    .bind(stored::column(part.sequences.0)?)
    .bind(stored::column(part.sequences.1)?)
    .bind(part.unsettled)
    .bind(i64::from(part.layout))
    .bind(packed::pack_row_groups(&part.row_groups))
    .fetch_one(&mut *connection)
    .await?;
    if !new.rollups.is_empty() {
        sqlx::query("INSERT INTO part_rollups (part, rollups) VALUES ($1, $2)")
            .bind(number)
            .bind(packed::pack_rollups(&new.rollups))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
