//! Fixing what a job sees, once for all its attempts, and holding it in place until the job ends.

use super::reading;
use crate::sqlite::{manifest, stored};
use sqlx::SqliteConnection;
use tollbook_model::export_job::{Claim, JobSnapshot, Sight};
use tollbook_model::ports::{Snapshot, SnapshotScope};
use tollbook_model::time_range::{TimeRange, utc_day};
use uuid::Uuid;

/// Where the rows come from, as the column `sight` says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Records,
    Given,
}

/// What is fixed, and where the rows come from.
type Fixed = (JobSnapshot, Kind);

/// None when the claim no longer holds.
pub(super) async fn pin(
    connection: &mut SqliteConnection,
    claim: Claim,
    scope: &SnapshotScope,
    range: TimeRange,
    now_ms: i64,
) -> Result<Option<(JobSnapshot, Sight)>, sqlx::Error> {
    let (seen, kind) = match fixed(connection, claim).await? {
        None => return Ok(None),
        Some(Some(earlier)) => earlier,
        Some(None) => {
            pin_live(connection, &claim.job, scope, range).await?;
            let seen =
                JobSnapshot { at_ms: now_ms, watermark: manifest::watermark(connection, scope).await? };
            fix(connection, &claim.job, seen, Kind::Records).await?;
            (seen, Kind::Records)
        }
    };
    let sight = match kind {
        Kind::Records => {
            Sight::Records(Box::new(pinned_snapshot(connection, &claim.job, seen.watermark).await?))
        }
        Kind::Given => Sight::Given { watermark: seen.watermark },
    };
    Ok(Some((seen, sight)))
}

/// None when the claim no longer holds.
pub(super) async fn keep(
    connection: &mut SqliteConnection,
    claim: Claim,
    seen: JobSnapshot,
) -> Result<Option<JobSnapshot>, sqlx::Error> {
    match fixed(connection, claim).await? {
        None => Ok(None),
        Some(Some((earlier, _))) => Ok(Some(earlier)),
        Some(None) => {
            fix(connection, &claim.job, seen, Kind::Given).await?;
            Ok(Some(seen))
        }
    }
}

/// Lets go of what a job held: the sweep takes what of it is doomed.
pub(super) async fn unpin(connection: &mut SqliteConnection, job: &Uuid) -> Result<(), sqlx::Error> {
    for statement in ["DELETE FROM pinned_batches WHERE job = $1", "DELETE FROM pinned_parts WHERE job = $1"]
    {
        sqlx::query(statement).bind(stored::id_column(job)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// What an earlier attempt fixed, if one did; none at all when the claim no longer holds.
async fn fixed(
    connection: &mut SqliteConnection,
    claim: Claim,
) -> Result<Option<Option<Fixed>>, sqlx::Error> {
    let row: Option<(Option<String>, Option<i64>, Option<i64>)> = sqlx::query_as(
        "SELECT sight, snapshot_at_ms, watermark FROM export_jobs WHERE id = $1 AND generation = $2 \
         AND state = 'running' AND lease_owner IS NOT NULL",
    )
    .bind(stored::id_column(&claim.job))
    .bind(stored::column(claim.generation)?)
    .fetch_optional(connection)
    .await?;
    let Some((sight, at_ms, watermark)) = row else { return Ok(None) };
    let kind = match sight.as_deref() {
        None => return Ok(Some(None)),
        Some("records") => Kind::Records,
        Some("given") => Kind::Given,
        Some(_) => return Err(stored::unreadable("what a job sees is unknown to this version")),
    };
    Ok(Some(reading::snapshot(at_ms, watermark)?.map(|seen| (seen, kind))))
}

async fn fix(
    connection: &mut SqliteConnection,
    job: &Uuid,
    seen: JobSnapshot,
    kind: Kind,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE export_jobs SET sight = $2, snapshot_at_ms = $3, watermark = $4 WHERE id = $1")
        .bind(stored::id_column(job))
        .bind(match kind {
            Kind::Records => "records",
            Kind::Given => "given",
        })
        .bind(seen.at_ms)
        .bind(stored::column(seen.watermark)?)
        .execute(connection)
        .await
        .map(drop)
}

/// Pins what [`Manifest::snapshot`](tollbook_model::ports::Manifest::snapshot) would show.
async fn pin_live(
    connection: &mut SqliteConnection,
    job: &Uuid,
    scope: &SnapshotScope,
    range: TimeRange,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO pinned_parts (part, job) SELECT number, $1 FROM parts WHERE tenant = $2 AND dataset = $3 \
         AND doomed_at_ms IS NULL AND day BETWEEN $4 AND $5",
    )
    .bind(stored::id_column(job))
    .bind(scope.tenant.as_str())
    .bind(scope.dataset.name())
    .bind(utc_day(range.from_ms()))
    // The range ends before `to`, and is never empty.
    .bind(utc_day(range.to_ms() - 1))
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        "INSERT INTO pinned_batches (batch, job) SELECT number, $1 FROM batches WHERE tenant = $2 \
         AND dataset = $3 AND doomed_at_ms IS NULL AND first_ms < $5 AND last_ms >= $4",
    )
    .bind(stored::id_column(job))
    .bind(scope.tenant.as_str())
    .bind(scope.dataset.name())
    .bind(range.from_ms())
    .bind(range.to_ms())
    .execute(connection)
    .await
    .map(drop)
}

async fn pinned_snapshot(
    connection: &mut SqliteConnection,
    job: &Uuid,
    watermark: u64,
) -> Result<Snapshot, sqlx::Error> {
    let parts: Vec<manifest::PartRow> = sqlx::query_as(
        "SELECT id, path, day, rows, bytes, first_sequence, last_sequence, unsettled, layout, row_groups \
         FROM pinned_parts JOIN parts ON number = part WHERE job = $1 ORDER BY day, first_id",
    )
    .bind(stored::id_column(job))
    .fetch_all(&mut *connection)
    .await?;
    let batches: Vec<manifest::BatchRow> = sqlx::query_as(
        "SELECT id, first_sequence, rows, first_ms, last_ms, bytes, unsettled OR revisions > 0, received_at_ms \
         FROM pinned_batches JOIN batches ON number = batch WHERE job = $1 ORDER BY first_sequence",
    )
    .bind(stored::id_column(job))
    .fetch_all(connection)
    .await?;
    Ok(Snapshot {
        watermark,
        parts: parts.into_iter().map(manifest::part_from_row).collect::<Result<_, _>>()?,
        batches: batches.into_iter().map(manifest::batch_from_row).collect::<Result<_, _>>()?,
    })
}
