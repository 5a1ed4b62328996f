//! The manifest port: what is visible, from one consistent read. The swap is in `swap`, giving room back in `space`.

use super::{SqliteCatalog, read_failed, stored};
use crate::packed;
use async_trait::async_trait;
use sqlx::SqliteConnection;
use tollbook_kit::fault::Fault;
use tollbook_model::ports::{
    DoomedObject, Manifest, ManifestBatch, ManifestPart, Replacement, Rollup, Snapshot, SnapshotScope,
};
use tollbook_model::time_range::{TimeRange, utc_day};
use uuid::Uuid;

#[async_trait]
impl Manifest for SqliteCatalog {
    async fn snapshot(&self, scope: &SnapshotScope, range: TimeRange) -> Result<Snapshot, Fault> {
        let doing = "taking a snapshot of the manifest";
        let mut transaction = self.begin_read(doing).await?;
        select_snapshot(&mut transaction, scope, range).await.map_err(|error| read_failed(doing, error))
    }

    async fn scopes(&self) -> Result<Vec<SnapshotScope>, Fault> {
        let doing = "listing tenants and datasets with records";
        let rows: Vec<(String, String)> = sqlx::query_as(
            "SELECT tenant, dataset FROM batches WHERE doomed_at_ms IS NULL \
             UNION SELECT tenant, dataset FROM parts WHERE doomed_at_ms IS NULL ORDER BY 1, 2",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|error| read_failed(doing, error))?;
        rows.iter()
            .map(|(tenant, dataset)| {
                Ok(SnapshotScope { tenant: stored::tenant(tenant)?, dataset: stored::dataset(dataset)? })
            })
            .collect::<Result<_, sqlx::Error>>()
            .map_err(|error| read_failed(doing, error))
    }

    async fn replace(&self, replacement: Replacement) -> Result<bool, Fault> {
        self.swap(replacement).await
    }

    async fn rollups(&self, parts: &[Uuid]) -> Result<Vec<(Uuid, Rollup)>, Fault> {
        let doing = "reading hourly counts";
        if parts.is_empty() {
            return Ok(Vec::new());
        }
        let mut transaction = self.begin_read(doing).await?;
        let mut rollups = Vec::new();
        for &part in parts {
            let of_part =
                select_rollups(&mut transaction, part).await.map_err(|error| read_failed(doing, error))?;
            rollups.extend(of_part.into_iter().map(|rollup| (part, rollup)));
        }
        Ok(rollups)
    }

    /// What an export job still reads is not among it.
    async fn doomed(&self, until_ms: i64, limit: usize) -> Result<Vec<DoomedObject>, Fault> {
        let doing = "listing what is doomed";
        let rows: Vec<(Vec<u8>, Option<String>, i64)> = sqlx::query_as(
            "SELECT id, object AS path, doomed_at_ms FROM batches WHERE doomed_at_ms <= $1 \
             AND NOT EXISTS (SELECT 1 FROM pinned_batches WHERE batch = number) \
             UNION ALL SELECT id, path, doomed_at_ms FROM parts WHERE doomed_at_ms <= $1 \
             AND NOT EXISTS (SELECT 1 FROM pinned_parts WHERE part = number) \
             ORDER BY doomed_at_ms, id LIMIT $2",
        )
        .bind(until_ms)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(&self.readers)
        .await
        .map_err(|error| read_failed(doing, error))?;
        rows.into_iter()
            .map(|(id, path, doomed_at_ms)| Ok(DoomedObject { id: stored::id(&id)?, path, doomed_at_ms }))
            .collect::<Result<_, sqlx::Error>>()
            .map_err(|error| read_failed(doing, error))
    }

    async fn forget(&self, ids: &[Uuid]) -> Result<(), Fault> {
        self.erase_doomed(ids).await?;
        self.give_back_space().await;
        Ok(())
    }

    async fn names_object(&self, path: &str) -> Result<bool, Fault> {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT 1 FROM batches WHERE object = $1) OR EXISTS (SELECT 1 FROM parts WHERE path = $1) \
             OR EXISTS (SELECT 1 FROM export_parts WHERE path = $1)",
        )
        .bind(path)
        .fetch_one(&self.readers)
        .await
        .map_err(|error| read_failed("looking for an object's row", error))
    }
}

async fn select_snapshot(
    connection: &mut SqliteConnection,
    scope: &SnapshotScope,
    range: TimeRange,
) -> Result<Snapshot, sqlx::Error> {
    Ok(Snapshot {
        watermark: watermark(connection, scope).await?,
        parts: select_parts(connection, scope, range).await?,
        batches: select_batches(connection, scope, range).await?,
    })
}

/// The last allocated sequence; 0 when none.
pub(super) async fn watermark(
    connection: &mut SqliteConnection,
    scope: &SnapshotScope,
) -> Result<u64, sqlx::Error> {
    let next: Option<i64> =
        sqlx::query_scalar("SELECT next FROM sequences WHERE tenant = $1 AND dataset = $2")
            .bind(scope.tenant.as_str())
            .bind(scope.dataset.name())
            .fetch_optional(connection)
            .await?;
    stored::count(next.unwrap_or(1) - 1)
}

pub(super) type PartRow = (Vec<u8>, String, i32, i64, i64, i64, i64, bool, i64, Vec<u8>);

async fn select_parts(
    connection: &mut SqliteConnection,
    scope: &SnapshotScope,
    range: TimeRange,
) -> Result<Vec<ManifestPart>, sqlx::Error> {
    let rows: Vec<PartRow> = sqlx::query_as(
        "SELECT id, path, day, rows, bytes, first_sequence, last_sequence, unsettled, layout, row_groups FROM parts \
         WHERE tenant = $1 AND dataset = $2 AND doomed_at_ms IS NULL AND day BETWEEN $3 AND $4 ORDER BY day, first_id",
    )
    .bind(scope.tenant.as_str())
    .bind(scope.dataset.name())
    .bind(utc_day(range.from_ms()))
    // The range ends before `to`, and is never empty.
    .bind(utc_day(range.to_ms() - 1))
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(part_from_row).collect()
}

pub(super) fn part_from_row(row: PartRow) -> Result<ManifestPart, sqlx::Error> {
    let (id, path, day, rows, bytes, first_sequence, last_sequence, unsettled, layout, row_groups) = row;
    Ok(ManifestPart {
        id: stored::id(&id)?,
        path,
        day,
        rows: stored::count(rows)?,
        bytes: stored::count(bytes)?,
        sequences: (stored::count(first_sequence)?, stored::count(last_sequence)?),
        unsettled,
        layout: stored::small_count(layout)?,
        row_groups: packed::unpack_row_groups(&row_groups)
            .map_err(|error| sqlx::Error::Decode(error.into()))?,
    })
}

pub(super) type BatchRow = (Vec<u8>, i64, i64, i64, i64, i64, bool, i64);

async fn select_batches(
    connection: &mut SqliteConnection,
    scope: &SnapshotScope,
    range: TimeRange,
) -> Result<Vec<ManifestBatch>, sqlx::Error> {
    let rows: Vec<BatchRow> = sqlx::query_as(
        "SELECT id, first_sequence, rows, first_ms, last_ms, bytes, unsettled OR revisions > 0, received_at_ms \
         FROM batches WHERE tenant = $1 AND dataset = $2 AND doomed_at_ms IS NULL AND first_ms < $4 AND last_ms >= $3 \
         ORDER BY first_sequence",
    )
    .bind(scope.tenant.as_str())
    .bind(scope.dataset.name())
    .bind(range.from_ms())
    .bind(range.to_ms())
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(batch_from_row).collect()
}

pub(super) fn batch_from_row(row: BatchRow) -> Result<ManifestBatch, sqlx::Error> {
    let (id, first_sequence, rows, first_ms, last_ms, bytes, unsettled, received_at_ms) = row;
    Ok(ManifestBatch {
        id: stored::id(&id)?,
        first_sequence: stored::count(first_sequence)?,
        rows: stored::count(rows)?,
        time_ms: (first_ms, last_ms),
        bytes: stored::count(bytes)?,
        unsettled,
        received_at_ms,
    })
}

async fn select_rollups(connection: &mut SqliteConnection, part: Uuid) -> Result<Vec<Rollup>, sqlx::Error> {
    let packed: Option<Vec<u8>> = sqlx::query_scalar(
        "SELECT r.rollups FROM parts p JOIN part_rollups r ON r.part = p.number WHERE p.id = $1",
    )
    .bind(stored::id_column(&part))
    .fetch_optional(connection)
    .await?;
    match packed {
        Some(packed) => packed::unpack_rollups(&packed).map_err(|error| sqlx::Error::Decode(error.into())),
        None => Ok(Vec::new()),
    }
}
