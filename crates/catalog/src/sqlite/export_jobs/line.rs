//! Handing jobs to workers: who waits, who has one, and until when.

use super::{leaders, reading};
use crate::sqlite::stored;
use sqlx::SqliteConnection;
use tollbook_kit::retry::Pending;
use tollbook_kit::secret::Sealer;
use tollbook_model::export_job::{Claim, ExportJob, JobInLine, JobProgress, JobState, Lease};
use uuid::Uuid;

/// Every job that is queued or running, oldest first.
pub(super) async fn all(connection: &mut SqliteConnection) -> Result<Vec<JobInLine>, sqlx::Error> {
    let rows: Vec<LineRow> = sqlx::query_as(
        "SELECT id, generation, tenant, state, created_at_ms, rows_estimated, lease_owner, lease_since_ms, \
         lease_wait_ms, rest_since_ms, rest_wait_ms FROM export_jobs WHERE finished_at_ms IS NULL \
         ORDER BY created_at_ms, id",
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(in_line_from_row).collect()
}

/// Takes a job if it is as it was seen, nobody has it, and it does not rest.
pub(super) async fn claim(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    seen: Claim,
    lease: Lease,
    now_ms: i64,
) -> Result<Option<(Claim, ExportJob)>, sqlx::Error> {
    if !may_take(connection, seen, now_ms).await? {
        return Ok(None);
    }
    let taken = sqlx::query(
        "UPDATE export_jobs SET state = 'running', attempt = attempt + 1 - goes_on, goes_on = 0, \
         generation = generation + 1, started_at_ms = coalesce(started_at_ms, $2), lease_owner = $3, lease_since_ms = $4, lease_wait_ms = $5, \
         rest_since_ms = NULL, rest_wait_ms = NULL \
         WHERE id = $1 AND (state = 'running' OR state IN (SELECT value FROM json_each($6)))",
    )
    .bind(stored::id_column(&seen.job))
    .bind(now_ms)
    .bind(stored::id_column(&lease.owner))
    .bind(lease.holds.since_ms)
    .bind(lease.holds.wait_ms)
    .bind(leaders(JobState::Running))
    .execute(&mut *connection)
    .await?;
    if taken.rows_affected() == 0 {
        return Ok(None);
    }
    let job = reading::find(connection, sealer, &seen.job).await?;
    Ok(job.map(|job| (Claim { generation: seen.generation + 1, ..seen }, job)))
}

/// Is a job as it was seen in line, nobody has it, and it does not rest?
pub(super) async fn may_take(
    connection: &mut SqliteConnection,
    seen: Claim,
    now_ms: i64,
) -> Result<bool, sqlx::Error> {
    let found = one(connection, &seen.job).await?;
    Ok(found.is_some_and(|found| {
        let is_had = found.lease.is_some_and(|lease| !lease.holds.is_over(now_ms));
        let rests = found.rests.is_some_and(|rest| !rest.is_over(now_ms));
        found.claim == seen && !is_had && !rests
    }))
}

async fn one(connection: &mut SqliteConnection, id: &Uuid) -> Result<Option<JobInLine>, sqlx::Error> {
    let row: Option<LineRow> = sqlx::query_as(
        "SELECT id, generation, tenant, state, created_at_ms, rows_estimated, lease_owner, lease_since_ms, \
         lease_wait_ms, rest_since_ms, rest_wait_ms FROM export_jobs WHERE id = $1 AND finished_at_ms IS NULL",
    )
    .bind(stored::id_column(id))
    .fetch_optional(connection)
    .await?;
    row.map(in_line_from_row).transpose()
}

/// Is this still the worker's job? Asked in the transaction of what he writes.
pub(super) async fn holds(connection: &mut SqliteConnection, claim: Claim) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM export_jobs WHERE id = $1 AND generation = $2 AND state = 'running' \
         AND lease_owner IS NOT NULL)",
    )
    .bind(stored::id_column(&claim.job))
    .bind(stored::column(claim.generation)?)
    .fetch_one(connection)
    .await
}

/// One narrow row, by its key. False when the claim no longer holds.
pub(super) async fn heartbeat(
    connection: &mut SqliteConnection,
    claim: Claim,
    lease: Lease,
    progress: JobProgress,
) -> Result<bool, sqlx::Error> {
    let beaten = sqlx::query(
        "UPDATE export_jobs SET lease_owner = $3, lease_since_ms = $4, lease_wait_ms = $5, rows_done = $6, \
         rows_estimated = $7, percent = max(percent, min($8, 99)), eta_s = $9 \
         WHERE id = $1 AND generation = $2 AND state = 'running' AND lease_owner IS NOT NULL",
    )
    .bind(stored::id_column(&claim.job))
    .bind(stored::column(claim.generation)?)
    .bind(stored::id_column(&lease.owner))
    .bind(lease.holds.since_ms)
    .bind(lease.holds.wait_ms)
    .bind(stored::column(progress.rows_done)?)
    .bind(stored::column(progress.rows_estimated)?)
    .bind(i64::from(progress.percent))
    .bind(progress.eta_s.map(stored::column).transpose()?)
    .execute(connection)
    .await?;
    Ok(beaten.rows_affected() == 1)
}

/// False when the claim no longer holds.
pub(super) async fn let_go(
    connection: &mut SqliteConnection,
    claim: Claim,
    rest: Option<Pending>,
    counts: bool,
) -> Result<bool, sqlx::Error> {
    let let_go = sqlx::query(
        "UPDATE export_jobs SET lease_owner = NULL, lease_since_ms = NULL, lease_wait_ms = NULL, \
         rest_since_ms = $3, rest_wait_ms = $4, goes_on = $5, eta_s = NULL \
         WHERE id = $1 AND generation = $2 AND state = 'running' AND lease_owner IS NOT NULL",
    )
    .bind(stored::id_column(&claim.job))
    .bind(stored::column(claim.generation)?)
    .bind(rest.map(|rest| rest.since_ms))
    .bind(rest.map(|rest| rest.wait_ms))
    .bind(i64::from(!counts))
    .execute(connection)
    .await?;
    Ok(let_go.rows_affected() == 1)
}

/// False when nobody else had a job.
pub(super) async fn disown_others(
    connection: &mut SqliteConnection,
    owner: &Uuid,
) -> Result<bool, sqlx::Error> {
    let disowned = sqlx::query(
        "UPDATE export_jobs SET lease_owner = NULL, lease_since_ms = NULL, lease_wait_ms = NULL \
         WHERE finished_at_ms IS NULL AND lease_owner <> $1",
    )
    .bind(stored::id_column(owner))
    .execute(connection)
    .await?;
    Ok(disowned.rows_affected() > 0)
}

type LineRow = (
    Vec<u8>,
    i64,
    String,
    String,
    i64,
    i64,
    Option<Vec<u8>>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
);

fn in_line_from_row(row: LineRow) -> Result<JobInLine, sqlx::Error> {
    let (id, generation, tenant, state, created_at_ms, rows_estimated, owner, ..) = row;
    let (.., lease_since_ms, lease_wait_ms, rest_since_ms, rest_wait_ms) = row;
    let lease = match (owner, stored::pending(lease_since_ms, lease_wait_ms)) {
        (Some(owner), Some(holds)) => Some(Lease { owner: stored::id(&owner)?, holds }),
        _ => None,
    };
    Ok(JobInLine {
        claim: Claim { job: stored::id(&id)?, generation: stored::count(generation)? },
        tenant: stored::tenant(&tenant)?,
        state: reading::state(&state)?,
        created_at_ms,
        rows_estimated: stored::count(rows_estimated)?,
        lease,
        rests: stored::pending(rest_since_ms, rest_wait_ms),
    })
}
