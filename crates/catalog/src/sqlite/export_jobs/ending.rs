//! The ends of a job: ready, failed, cancelled, expired, removed. Each lets go of what the job had pinned, erases the key
//! that was kept for its notices and says what becomes of its parts, in one transaction with these notices.

use super::{leaders, line, names, parts, sight};
use crate::packed;
use crate::sqlite::audit_chain::{append_entry, append_if_any, append_if_told};
use crate::sqlite::{notifications, sealing, stored};
use sqlx::SqliteConnection;
use tollbook_kit::secret::{Sealer, Secret};
use tollbook_model::audit::AuditEntry;
use tollbook_model::export_job::{Claim, JobError, JobFile, JobState};
use tollbook_model::ports::{JobEnd, NewNotification};
use tollbook_model::tenant::TenantName;
use uuid::Uuid;

/// Forgets old jobs, what was ordered and what came of it; see
/// [`forget_in_steps`](crate::sqlite::SqliteCatalog::forget_in_steps). One that is ready has files, even if they are empty.
pub(super) const FORGET: &str = "DELETE FROM export_jobs WHERE id IN (SELECT id FROM export_jobs j \
     WHERE finished_at_ms IS NOT NULL AND finished_at_ms < $1 AND state <> 'ready' \
     AND NOT EXISTS (SELECT 1 FROM export_parts p WHERE p.job = j.id) LIMIT $2)";

/// Jobs of a tenant ended per transaction, so that other writers are not held up by a long one.
const ENDED_AT_ONCE: i64 = 200;

/// False when the claim no longer holds.
pub(super) async fn end(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    claim: Claim,
    end: JobEnd,
    at_ms: i64,
    notices: Vec<NewNotification>,
) -> Result<bool, sqlx::Error> {
    let state = match end {
        JobEnd::Ready { .. } => JobState::Ready,
        JobEnd::Failed(_) => JobState::Failed,
    };
    if !line::holds(connection, claim).await? || !leave(connection, &claim.job, state, at_ms).await? {
        return Ok(false);
    }
    match end {
        JobEnd::Ready { files, manifest, expires_at_ms } => {
            complete(connection, &claim.job, &files, expires_at_ms).await?;
            insert_files(connection, sealer, &claim.job, &files, manifest).await?;
        }
        JobEnd::Failed(error) => insert_error(connection, &claim.job, error).await?,
    }
    notifications::insert(connection, sealer, notices).await?;
    Ok(true)
}

/// False when it was taken, or ended, since it was seen. What was ordered is not opened.
pub(super) async fn fail_unread(
    connection: &mut SqliteConnection,
    seen: Claim,
    error: JobError,
    at_ms: i64,
) -> Result<bool, sqlx::Error> {
    if !line::may_take(connection, seen, at_ms).await?
        || !leave(connection, &seen.job, JobState::Failed, at_ms).await?
    {
        return Ok(false);
    }
    insert_error(connection, &seen.job, error).await?;
    Ok(true)
}

/// False when it has ended, or the tenant has no such job.
pub(super) async fn cancel(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    tenant: &TenantName,
    id: &Uuid,
    at_ms: i64,
    notices: Vec<NewNotification>,
    audit: AuditEntry,
) -> Result<bool, sqlx::Error> {
    if !is_of(connection, tenant, id).await? || !leave(connection, id, JobState::Cancelled, at_ms).await? {
        return Ok(false);
    }
    notifications::insert(connection, sealer, notices).await?;
    append_entry(connection, audit).await?;
    Ok(true)
}

/// False when it was not ready, or the tenant has no such job.
pub(super) async fn expire(
    connection: &mut SqliteConnection,
    tenant: &TenantName,
    id: &Uuid,
    at_ms: i64,
    audit: Option<AuditEntry>,
) -> Result<bool, sqlx::Error> {
    let expired =
        is_of(connection, tenant, id).await? && leave(connection, id, JobState::Expired, at_ms).await?;
    append_if_told(connection, u64::from(expired), audit).await
}

/// False when it is in none of the states, or the tenant has no such job. All that names it goes with its row; only its
/// parts stay, until their objects are erased.
pub(super) async fn remove(
    connection: &mut SqliteConnection,
    tenant: &TenantName,
    id: &Uuid,
    states: &[JobState],
    audit: AuditEntry,
) -> Result<bool, sqlx::Error> {
    let removed = sqlx::query(
        "DELETE FROM export_jobs WHERE id = $1 AND tenant = $2 AND state IN (SELECT value FROM json_each($3))",
    )
    .bind(stored::id_column(id))
    .bind(tenant.as_str())
    .bind(names(states.iter().copied()))
    .execute(&mut *connection)
    .await?
    .rows_affected();
    if removed > 0 {
        parts::leave_over(connection, id).await?;
    }
    append_if_any(connection, removed, audit).await
}

/// Ends some jobs of a tenant and withdraws its notices; answers how many jobs.
pub(super) async fn end_some(
    connection: &mut SqliteConnection,
    tenant: &TenantName,
    at_ms: i64,
) -> Result<u64, sqlx::Error> {
    sqlx::query("DELETE FROM notifications WHERE tenant = $1")
        .bind(tenant.as_str())
        .execute(&mut *connection)
        .await?;
    let mut ended = 0;
    for state in [JobState::Cancelled, JobState::Expired] {
        let ids: Vec<Vec<u8>> = sqlx::query_scalar(
            "SELECT id FROM export_jobs WHERE tenant = $1 AND state IN (SELECT value FROM json_each($2)) LIMIT $3",
        )
        .bind(tenant.as_str())
        .bind(leaders(state))
        .bind(ENDED_AT_ONCE)
        .fetch_all(&mut *connection)
        .await?;
        for id in ids {
            ended += u64::from(leave(connection, &stored::id(&id)?, state, at_ms).await?);
        }
    }
    Ok(ended)
}

/// Moves a job to one of its ends if the table of states allows it; false when not. Then nobody works on it, it holds
/// nothing in place, it has no key any more, and its parts are its files or are left over.
async fn leave(
    connection: &mut SqliteConnection,
    id: &Uuid,
    to: JobState,
    at_ms: i64,
) -> Result<bool, sqlx::Error> {
    let left = sqlx::query(
        "UPDATE export_jobs SET state = $2, finished_at_ms = coalesce(finished_at_ms, $3), lease_owner = NULL, \
         lease_since_ms = NULL, lease_wait_ms = NULL, rest_since_ms = NULL, rest_wait_ms = NULL, eta_s = NULL \
         WHERE id = $1 AND state IN (SELECT value FROM json_each($4))",
    )
    .bind(stored::id_column(id))
    .bind(to.name())
    .bind(at_ms)
    .bind(leaders(to))
    .execute(&mut *connection)
    .await?;
    if left.rows_affected() == 0 {
        return Ok(false);
    }
    sight::unpin(connection, id).await?;
    erase_callback_key(connection, id).await?;
    match to {
        JobState::Ready => parts::drop_states(connection, id).await?,
        _ => parts::leave_over(connection, id).await?,
    }
    Ok(true)
}

/// Whoever is still to be told has it in his notice.
async fn erase_callback_key(connection: &mut SqliteConnection, id: &Uuid) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE export_orders SET sealed_callback_key = NULL WHERE job = $1 AND sealed_callback_key IS NOT NULL",
    )
    .bind(stored::id_column(id))
    .execute(connection)
    .await
    .map(drop)
}

async fn is_of(
    connection: &mut SqliteConnection,
    tenant: &TenantName,
    id: &Uuid,
) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM export_jobs WHERE id = $1 AND tenant = $2)")
        .bind(stored::id_column(id))
        .bind(tenant.as_str())
        .fetch_one(connection)
        .await
}

/// A job that is ready is done to its last record, whatever was estimated.
async fn complete(
    connection: &mut SqliteConnection,
    id: &Uuid,
    files: &[JobFile],
    expires_at_ms: i64,
) -> Result<(), sqlx::Error> {
    let rows = files.iter().fold(0u64, |sum, file| sum.saturating_add(file.rows));
    sqlx::query(
        "UPDATE export_jobs SET rows_done = $2, rows_estimated = $2, percent = 100, eta_s = 0, expires_at_ms = $3 \
         WHERE id = $1",
    )
    .bind(stored::id_column(id))
    .bind(stored::column(rows)?)
    .bind(expires_at_ms)
    .execute(connection)
    .await
    .map(drop)
}

async fn insert_files(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    id: &Uuid,
    files: &[JobFile],
    manifest: Option<Secret<String>>,
) -> Result<(), sqlx::Error> {
    let place = sealing::export_job_manifest_place(id);
    sqlx::query("INSERT INTO export_results (job, files, sealed_manifest) VALUES ($1, $2, $3)")
        .bind(stored::id_column(id))
        .bind(packed::pack_files(files))
        .bind(manifest.map(|jws| sealer.seal(&place, jws.reveal().as_bytes())))
        .execute(connection)
        .await
        .map(drop)
}

async fn insert_error(
    connection: &mut SqliteConnection,
    id: &Uuid,
    error: JobError,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO export_results (job, error_code, error_message, error_retryable) VALUES ($1, $2, $3, $4)",
    )
    .bind(stored::id_column(id))
    .bind(error.code)
    .bind(error.message)
    .bind(error.retryable)
    .execute(connection)
    .await
    .map(drop)
}
