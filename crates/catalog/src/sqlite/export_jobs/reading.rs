//! Reading jobs as everybody sees them: the narrow row, what was ordered and what came of it.

use crate::packed;
use crate::sqlite::{sealing, stored};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};
use tollbook_kit::secret::{Sealer, Secret};
use tollbook_model::export_job::{
    ExportJob, FileKeeping, JobContacts, JobError, JobFile, JobOrder, JobOwner, JobProgress, JobSnapshot,
    JobState,
};
use tollbook_model::ports::JobFilter;
use tollbook_model::tenant::TenantName;
use uuid::Uuid;

/// A statement that reads whole jobs as `j`. Their place in the queue is counted, never kept: it changes with every job
/// that leaves.
macro_rules! select_jobs {
    ($rest:literal) => {
        concat!(
            "SELECT j.id, j.tenant, j.dialect, j.credential, j.actor, j.actor_role, j.external_reference, \
             j.keeping, j.state, j.created_at_ms, j.started_at_ms, j.finished_at_ms, j.expires_at_ms, \
             j.snapshot_at_ms, j.watermark, j.attempt, j.rows_done, j.rows_estimated, j.percent, j.eta_s, \
             o.sealed_order, o.sealed_contacts, o.sealed_dialect_note, o.sealed_callback_key, \
             r.files, r.sealed_manifest, r.error_code, r.error_message, r.error_retryable, \
             CASE WHEN j.state = 'queued' THEN (SELECT count(*) FROM export_jobs q WHERE q.tenant = j.tenant \
             AND q.state = 'queued' AND (q.created_at_ms, q.id) <= (j.created_at_ms, j.id)) END AS queue_position \
             FROM export_jobs j JOIN export_orders o ON o.job = j.id \
             LEFT JOIN export_results r ON r.job = j.id ",
            $rest
        )
    };
}

/// One stretch of the index by tenant and time, read backwards.
const PAGE: &str = select_jobs!(
    "WHERE j.tenant = $1 AND j.created_at_ms >= $2 AND (j.created_at_ms, j.id) < ($3, $4) \
     AND j.dataset IN (SELECT value FROM json_each($5)) \
     AND ($6 = '[]' OR j.state IN (SELECT value FROM json_each($6))) \
     AND ($7 = '[]' OR j.dialect IN (SELECT value FROM json_each($7))) \
     ORDER BY j.created_at_ms DESC, j.id DESC LIMIT $8"
);

/// The job of that id.
pub(super) async fn find(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    id: &Uuid,
) -> Result<Option<ExportJob>, sqlx::Error> {
    let row = sqlx::query(select_jobs!("WHERE j.id = $1"))
        .bind(stored::id_column(id))
        .fetch_optional(connection)
        .await?;
    row.map(|row| job_from_row(sealer, &row)).transpose()
}

/// A page of jobs. It is as long as it can be, however many in between cannot be read.
pub(super) async fn list(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    filter: &JobFilter,
) -> Result<Vec<ExportJob>, sqlx::Error> {
    // A job before `created_to_ms` is one behind the least id of that moment.
    let end = (filter.created_to_ms, Uuid::nil());
    let mut behind = filter.behind.map_or(end, |behind| behind.min(end));
    let mut jobs = Vec::new();
    loop {
        let wanted = filter.limit - jobs.len();
        let rows = page(connection, filter, behind, wanted).await?;
        for row in &rows {
            behind = (row.try_get("created_at_ms")?, stored::id(row.try_get("id")?)?);
            match job_from_row(sealer, row) {
                Ok(job) => jobs.push(job),
                Err(error) => {
                    tracing::error!(job = %behind.1, %error, "an export cannot be read; lists go without")
                }
            }
        }
        if rows.len() < wanted || jobs.len() == filter.limit {
            return Ok(jobs);
        }
    }
}

async fn page(
    connection: &mut SqliteConnection,
    filter: &JobFilter,
    behind: (i64, Uuid),
    limit: usize,
) -> Result<Vec<SqliteRow>, sqlx::Error> {
    sqlx::query(PAGE)
        .bind(filter.tenant.as_str())
        .bind(filter.created_from_ms)
        .bind(behind.0)
        .bind(stored::id_column(&behind.1))
        .bind(words(filter.datasets.iter().map(|dataset| dataset.name())))
        .bind(words(filter.states.iter().map(|state| state.name())))
        .bind(words(filter.dialects.iter().map(String::as_str)))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await
}

/// Words as a JSON array.
fn words<'w>(words: impl Iterator<Item = &'w str>) -> String {
    serde_json::Value::from_iter(words).to_string()
}

/// Ready jobs whose files are due to be removed, those first that are due longest.
pub(super) async fn due_to_expire(
    connection: &mut SqliteConnection,
    now_ms: i64,
    limit: usize,
) -> Result<Vec<(TenantName, Uuid)>, sqlx::Error> {
    let rows: Vec<(String, Vec<u8>)> = sqlx::query_as(
        "SELECT tenant, id FROM export_jobs WHERE state = 'ready' AND expires_at_ms <= $1 \
         ORDER BY expires_at_ms LIMIT $2",
    )
    .bind(now_ms)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    rows.iter().map(|(tenant, id)| Ok((stored::tenant(tenant)?, stored::id(id)?))).collect()
}

fn job_from_row(sealer: &Sealer, row: &SqliteRow) -> Result<ExportJob, sqlx::Error> {
    let id = stored::id(row.try_get("id")?)?;
    let opened = |column: &str, place: String| -> Result<Option<String>, sqlx::Error> {
        let sealed: Option<&[u8]> = row.try_get(column)?;
        sealed.map(|sealed| sealing::open_text(sealer, &place, sealed)).transpose()
    };
    let order = opened("sealed_order", sealing::export_order_place(&id))?;
    let order = order.ok_or_else(|| stored::unreadable("an export job has no order"))?;
    Ok(ExportJob {
        tenant: stored::tenant(row.try_get("tenant")?)?,
        dialect: row.try_get("dialect")?,
        order: JobOrder::from_text(&order).map_err(|fault| sqlx::Error::Decode(fault.into()))?,
        owner: JobOwner {
            credential: stored::id(row.try_get("credential")?)?,
            actor: row.try_get("actor")?,
            role: stored::role(row.try_get("actor_role")?)?,
        },
        external_reference: row.try_get("external_reference")?,
        contacts: contacts(opened("sealed_contacts", sealing::export_contacts_place(&id))?)?,
        keeping: FileKeeping::from_name(row.try_get("keeping")?)
            .ok_or_else(|| stored::unreadable("how long files are kept is unknown to this version"))?,
        dialect_note: opened("sealed_dialect_note", sealing::export_dialect_note_place(&id))?
            .map(Secret::new),
        callback_key: opened("sealed_callback_key", sealing::export_callback_key_place(&id))?
            .map(Secret::new),
        state: state(row.try_get("state")?)?,
        created_at_ms: row.try_get("created_at_ms")?,
        started_at_ms: row.try_get("started_at_ms")?,
        finished_at_ms: row.try_get("finished_at_ms")?,
        snapshot: snapshot(row.try_get("snapshot_at_ms")?, row.try_get("watermark")?)?,
        expires_at_ms: row.try_get("expires_at_ms")?,
        attempt: stored::small_count(row.try_get("attempt")?)?,
        progress: progress(row)?,
        queue_position: optional_count(row, "queue_position")?,
        files: files(row)?,
        manifest: opened("sealed_manifest", sealing::export_job_manifest_place(&id))?.map(Secret::new),
        error: error(row)?,
        id,
    })
}

/// A state from a column.
pub(super) fn state(column: &str) -> Result<JobState, sqlx::Error> {
    JobState::from_name(column).ok_or_else(|| stored::unreadable("a job's state is unknown to this version"))
}

/// What a job has seen, from its columns; none while that is not fixed.
pub(super) fn snapshot(
    at_ms: Option<i64>,
    watermark: Option<i64>,
) -> Result<Option<JobSnapshot>, sqlx::Error> {
    let (Some(at_ms), Some(watermark)) = (at_ms, watermark) else { return Ok(None) };
    Ok(Some(JobSnapshot { at_ms, watermark: stored::count(watermark)? }))
}

fn contacts(text: Option<String>) -> Result<JobContacts, sqlx::Error> {
    let Some(text) = text else { return Ok(JobContacts::default()) };
    let (callback_url, notify_email) =
        serde_json::from_str(&text).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(JobContacts { callback_url, notify_email })
}

fn progress(row: &SqliteRow) -> Result<JobProgress, sqlx::Error> {
    let percent: i64 = row.try_get("percent")?;
    Ok(JobProgress {
        rows_done: stored::count(row.try_get("rows_done")?)?,
        rows_estimated: stored::count(row.try_get("rows_estimated")?)?,
        percent: u8::try_from(percent).map_err(|_| stored::unreadable("a share is no percentage"))?,
        eta_s: optional_count(row, "eta_s")?,
    })
}

fn files(row: &SqliteRow) -> Result<Vec<JobFile>, sqlx::Error> {
    let packed: Option<&[u8]> = row.try_get("files")?;
    packed.map_or(Ok(Vec::new()), |packed| {
        packed::unpack_files(packed).map_err(|error| sqlx::Error::Decode(error.into()))
    })
}

fn error(row: &SqliteRow) -> Result<Option<JobError>, sqlx::Error> {
    let Some(code) = row.try_get("error_code")? else { return Ok(None) };
    Ok(Some(JobError {
        code,
        message: row.try_get("error_message")?,
        retryable: row.try_get("error_retryable")?,
    }))
}

fn optional_count(row: &SqliteRow, column: &str) -> Result<Option<u64>, sqlx::Error> {
    row.try_get::<Option<i64>, _>(column)?.map(stored::count).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::{AssertSqlSafe, ConnectOptions};

    #[tokio::test]
    async fn a_page_is_read_in_order_from_the_index() {
        let mut connection = sqlx::sqlite::SqliteConnectOptions::new().connect().await.unwrap();
        for step in [
            include_str!("../../../migrations/sqlite/0001_journal_and_manifest.sql"),
            include_str!("../../../migrations/sqlite/0005_export_jobs.sql"),
            include_str!("../../../migrations/sqlite/0007_callback_keys.sql"),
            include_str!("../../../migrations/sqlite/0008_attempts_that_go_on.sql"),
        ] {
            sqlx::raw_sql(step).execute(&mut connection).await.unwrap();
        }
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {PAGE}")))
                .fetch_all(&mut connection)
                .await
                .unwrap();
        let plan: Vec<String> = plan.into_iter().map(|(.., step)| step).collect();
        let plan = plan.join("\n");
        assert!(
            plan.contains("SEARCH j USING INDEX export_jobs_of_tenant (tenant=? AND created_at_ms>?"),
            "{plan}"
        );
        assert!(plan.contains("export_jobs_queued (tenant=? AND (created_at_ms,id)<"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE") && !plan.contains("SCAN j\n"), "{plan}");
    }
}
