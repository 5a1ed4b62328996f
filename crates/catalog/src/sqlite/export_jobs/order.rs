//! Taking an order: the key of a repeated request, the place in the queue, the job. Also the caller's own name for it.

use super::reading;
use crate::sqlite::audit_chain::{append_entry, append_if_any};
use crate::sqlite::{sealing, stored};
use sqlx::SqliteConnection;
use tollbook_kit::secret::{Sealer, Secret};
use tollbook_model::audit::AuditEntry;
use tollbook_model::export_job::{ExportJob, JobContacts};
use tollbook_model::ports::{IDEMPOTENCY_KEPT_MS, IdempotencyKey, Ordered};
use tollbook_model::tenant::TenantName;
use uuid::Uuid;

/// Only a new job is to be kept; the caller rolls back otherwise.
pub(super) async fn take(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    job: ExportJob,
    most_queued: u32,
    key: Option<IdempotencyKey>,
    audit: AuditEntry,
) -> Result<Ordered, sqlx::Error> {
    if let Some(key) = &key {
        forget_old_keys(connection, job.created_at_ms).await?;
        if let Some(answer) = answer_of_key(connection, sealer, key, job.created_at_ms).await? {
            return Ok(answer);
        }
    }
    if count_queued(connection, &job.tenant).await? >= i64::from(most_queued) {
        return Ok(Ordered::QueueIsFull);
    }
    insert_job(connection, &job).await?;
    insert_order(connection, sealer, &job).await?;
    if let Some(key) = key {
        insert_key(connection, key, &job).await?;
    }
    append_entry(connection, audit).await?;
    Ok(Ordered::New)
}

/// A key from further in the future than it is kept was made while the clock was wrong, and would stay too long.
async fn forget_old_keys(connection: &mut SqliteConnection, now_ms: i64) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM idempotency_keys WHERE created_at_ms <= $1 OR created_at_ms > $2")
        .bind(now_ms.saturating_sub(IDEMPOTENCY_KEPT_MS))
        .bind(now_ms.saturating_add(IDEMPOTENCY_KEPT_MS))
        .execute(connection)
        .await
        .map(drop)
}

/// What an order with this key is answered, if one came before.
pub(super) async fn answer_of_key(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    key: &IdempotencyKey,
    now_ms: i64,
) -> Result<Option<Ordered>, sqlx::Error> {
    let known: Option<(Vec<u8>, Vec<u8>)> = sqlx::query_as(
        "SELECT request, job FROM idempotency_keys WHERE credential = $1 AND path = $2 AND key = $3 \
         AND created_at_ms > $4 AND created_at_ms <= $5",
    )
    .bind(stored::id_column(&key.credential))
    .bind(key.path.as_str())
    .bind(key.key.as_str())
    .bind(now_ms.saturating_sub(IDEMPOTENCY_KEPT_MS))
    .bind(now_ms.saturating_add(IDEMPOTENCY_KEPT_MS))
    .fetch_optional(&mut *connection)
    .await?;
    let Some((request, job)) = known else { return Ok(None) };
    if stored::hash(&request)? != key.request {
        return Ok(Some(Ordered::OtherRequest));
    }
    let before = reading::find(connection, sealer, &stored::id(&job)?).await?;
    let before = before.ok_or_else(|| stored::unreadable("a key names a job that is not there"))?;
    Ok(Some(Ordered::Before(Box::new(before))))
}

async fn count_queued(connection: &mut SqliteConnection, tenant: &TenantName) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT count(*) FROM export_jobs WHERE tenant = $1 AND state = 'queued'")
        .bind(tenant.as_str())
        .fetch_one(connection)
        .await
}

/// Whatever the job says of its life: it begins here.
async fn insert_job(connection: &mut SqliteConnection, job: &ExportJob) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO export_jobs (id, tenant, dataset, dialect, credential, actor, actor_role, external_reference, \
         keeping, state, created_at_ms, rows_estimated) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'queued', $10, $11)",
    )
    .bind(stored::id_column(&job.id))
    .bind(job.tenant.as_str())
    .bind(job.order.query.selection.dataset.name())
    .bind(job.dialect.as_str())
    .bind(stored::id_column(&job.owner.credential))
    .bind(job.owner.actor.as_str())
    .bind(job.owner.role.name())
    .bind(job.external_reference.as_deref())
    .bind(job.keeping.name())
    .bind(job.created_at_ms)
    .bind(stored::column(job.progress.rows_estimated)?)
    .execute(connection)
    .await
    .map(drop)
}

async fn insert_order(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    job: &ExportJob,
) -> Result<(), sqlx::Error> {
    let order = job.order.to_text().map_err(|fault| sqlx::Error::Encode(fault.into()))?;
    let contacts = contacts_text(&job.contacts)?;
    let seal = |place: String, text: &str| sealer.seal(&place, text.as_bytes());
    let seal_secret = |place: String, secret: &Option<Secret<String>>| {
        secret.as_ref().map(|text| seal(place, text.reveal()))
    };
    sqlx::query(
        "INSERT INTO export_orders (job, sealed_order, sealed_contacts, sealed_dialect_note, sealed_callback_key) \
         VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(stored::id_column(&job.id))
    .bind(seal(sealing::export_order_place(&job.id), &order))
    .bind(contacts.map(|text| seal(sealing::export_contacts_place(&job.id), &text)))
    .bind(seal_secret(sealing::export_dialect_note_place(&job.id), &job.dialect_note))
    .bind(seal_secret(sealing::export_callback_key_place(&job.id), &job.callback_key))
    .execute(connection)
    .await
    .map(drop)
}

/// None when nobody is told.
fn contacts_text(contacts: &JobContacts) -> Result<Option<String>, sqlx::Error> {
    if contacts.callback_url.is_none() && contacts.notify_email.is_empty() {
        return Ok(None);
    }
    serde_json::to_string(&(&contacts.callback_url, &contacts.notify_email))
        .map(Some)
        .map_err(|error| sqlx::Error::Encode(error.into()))
}

async fn insert_key(
    connection: &mut SqliteConnection,
    key: IdempotencyKey,
    job: &ExportJob,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO idempotency_keys (credential, path, key, request, job, created_at_ms) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(stored::id_column(&key.credential))
    .bind(key.path)
    .bind(key.key)
    .bind(key.request.to_vec())
    .bind(stored::id_column(&job.id))
    .bind(job.created_at_ms)
    .execute(connection)
    .await
    .map(drop)
}

/// False when the tenant has no such job.
pub(super) async fn rename(
    connection: &mut SqliteConnection,
    tenant: &TenantName,
    id: &Uuid,
    reference: Option<String>,
    audit: AuditEntry,
) -> Result<bool, sqlx::Error> {
    let renamed = sqlx::query("UPDATE export_jobs SET external_reference = $3 WHERE id = $1 AND tenant = $2")
        .bind(stored::id_column(id))
        .bind(tenant.as_str())
        .bind(reference)
        .execute(&mut *connection)
        .await?;
    append_if_any(connection, renamed.rows_affected(), audit).await
}
