//! The parts of a job's file: kept in order while it is written, left over when it has no file any more.

use super::line;
use crate::sqlite::stored;
use sqlx::SqliteConnection;
use std::ops::Range;
use tollbook_model::export_job::{Claim, ExportPart};
use tollbook_model::ports::{LeftoverPart, PartsOfRange};
use uuid::Uuid;

/// Parts forgotten per transaction, so that other writers are not held up by a long one.
pub(super) const FORGOTTEN_AT_ONCE: usize = 200;

/// Whether a part was kept.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Yes,
    /// The claim no longer holds.
    NotHeld,
    /// Its number is not the next one.
    OutOfOrder,
}

/// Keeps the next part of a job.
pub(super) async fn keep(
    connection: &mut SqliteConnection,
    claim: Claim,
    part: ExportPart,
) -> Result<Kept, sqlx::Error> {
    if !line::holds(connection, claim).await? {
        return Ok(Kept::NotHeld);
    }
    let kept = sqlx::query(
        "INSERT INTO export_parts (job, number, tenant, path, bytes, state) \
         SELECT $1, $2, tenant, $3, $4, $5 FROM export_jobs WHERE id = $1 \
         AND $2 = (SELECT coalesce(max(number) + 1, 0) FROM export_parts WHERE job = $1)",
    )
    .bind(stored::id_column(&claim.job))
    .bind(i64::from(part.number))
    .bind(part.path)
    .bind(stored::column(part.bytes)?)
    .bind(part.state)
    .execute(connection)
    .await?;
    Ok(if kept.rows_affected() == 1 { Kept::Yes } else { Kept::OutOfOrder })
}

/// The parts of a job, in order.
pub(super) async fn of_job(
    connection: &mut SqliteConnection,
    job: &Uuid,
) -> Result<Vec<ExportPart>, sqlx::Error> {
    let rows: Vec<(i64, Option<String>, i64, Vec<u8>)> =
        sqlx::query_as("SELECT number, path, bytes, state FROM export_parts WHERE job = $1 ORDER BY number")
            .bind(stored::id_column(job))
            .fetch_all(connection)
            .await?;
    rows.into_iter()
        .map(|(number, path, bytes, state)| {
            Ok(ExportPart { number: stored::small_count(number)?, path, bytes: stored::count(bytes)?, state })
        })
        .collect()
}

/// The parts of a job that hold bytes of this range.
pub(super) async fn of_range(
    connection: &mut SqliteConnection,
    job: &Uuid,
    range: Range<u64>,
) -> Result<PartsOfRange, sqlx::Error> {
    let whole: i64 = sqlx::query_scalar("SELECT coalesce(sum(bytes), 0) FROM export_parts WHERE job = $1")
        .bind(stored::id_column(job))
        .fetch_one(&mut *connection)
        .await?;
    let rows: Vec<(i64, Option<String>, i64, i64)> = sqlx::query_as(
        "SELECT number, path, bytes, ends - bytes FROM \
         (SELECT number, path, bytes, sum(bytes) OVER (ORDER BY number) AS ends FROM export_parts WHERE job = $1) \
         WHERE bytes > 0 AND ends > $2 AND ends - bytes < $3 ORDER BY number",
    )
    .bind(stored::id_column(job))
    .bind(stored::column(range.start)?)
    .bind(stored::column(range.end)?)
    .fetch_all(connection)
    .await?;
    let before = rows.first().map_or(Ok(0), |(.., before)| stored::count(*before))?;
    let part = |(number, path, bytes, _)| {
        let (number, bytes) = (stored::small_count(number)?, stored::count(bytes)?);
        Ok(ExportPart { number, path, bytes, state: Vec::new() })
    };
    let parts = rows.into_iter().map(part).collect::<Result<_, sqlx::Error>>()?;
    Ok(PartsOfRange { parts, before, whole: stored::count(whole)? })
}

/// False when the claim no longer holds.
pub(super) async fn start_over(connection: &mut SqliteConnection, claim: Claim) -> Result<bool, sqlx::Error> {
    if !line::holds(connection, claim).await? {
        return Ok(false);
    }
    sqlx::query("DELETE FROM export_parts WHERE job = $1")
        .bind(stored::id_column(&claim.job))
        .execute(connection)
        .await?;
    Ok(true)
}

/// Nobody goes on behind the parts of a job that has ended.
pub(super) async fn drop_states(connection: &mut SqliteConnection, job: &Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE export_parts SET state = x'' WHERE job = $1")
        .bind(stored::id_column(job))
        .execute(connection)
        .await
        .map(drop)
}

/// Nobody reads the parts of a job that has no files.
pub(super) async fn leave_over(connection: &mut SqliteConnection, job: &Uuid) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE export_parts SET state = x'', left_over = 1 WHERE job = $1")
        .bind(stored::id_column(job))
        .execute(connection)
        .await
        .map(drop)
}

/// Parts whose objects can be erased.
pub(super) async fn leftovers(
    connection: &mut SqliteConnection,
    behind: Option<(Uuid, u32)>,
    limit: usize,
) -> Result<Vec<LeftoverPart>, sqlx::Error> {
    // The first one of all is behind the nil job.
    let (job, number) = behind.unwrap_or((Uuid::nil(), 0));
    let rows: Vec<(Vec<u8>, i64, Option<String>)> = sqlx::query_as(
        "SELECT job, number, path FROM export_parts WHERE left_over <> 0 AND (job, number) > ($1, $2) \
         ORDER BY job, number LIMIT $3",
    )
    .bind(stored::id_column(&job))
    .bind(i64::from(number))
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|(job, number, path)| {
            Ok(LeftoverPart { job: stored::id(&job)?, number: stored::small_count(number)?, path })
        })
        .collect()
}

/// Forgets those of the parts that are left over; others stay, whoever asks. False when there were none.
pub(super) async fn forget(
    connection: &mut SqliteConnection,
    parts: &[LeftoverPart],
) -> Result<bool, sqlx::Error> {
    let mut forgotten = 0;
    for part in parts {
        let deleted = sqlx::query(
            "DELETE FROM export_parts WHERE job = $1 AND number = $2 AND path IS $3 AND left_over <> 0",
        )
        .bind(stored::id_column(&part.job))
        .bind(i64::from(part.number))
        .bind(part.path.as_deref())
        .execute(&mut *connection)
        .await?;
        forgotten += deleted.rows_affected();
    }
    Ok(forgotten > 0)
}
