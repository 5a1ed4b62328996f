//! How an entry gets its place in its tenant's chain. Whoever changes something calls this within his transaction.

use super::stored;
use sqlx::SqliteConnection;
use tollbook_model::audit::{AuditEntry, AuditRecord, FIRST_PREVIOUS};
use tollbook_model::tenant::TenantName;

/// Writers overtake one another between reading the clock and taking their place. Within this time a later place is given
/// no earlier time, so that a range of time is a stretch of the chain without holes. A clock that was set back by more is
/// told as it is.
const OVERTAKING_MS: i64 = 10_000;

/// Appends the entry to its tenant's chain, and what it tells at home to that of the actor's own tenant. The transaction
/// holds the writing lock, so nobody else reads the same ends.
pub(super) async fn append_entry(
    connection: &mut SqliteConnection,
    entry: AuditEntry,
) -> Result<(), sqlx::Error> {
    if let Some(told_at_home) = entry.told_at_home() {
        append_to_chain(connection, told_at_home).await?;
    }
    append_to_chain(connection, entry).await
}

/// Appends the entry of a removal if it removed anything; says whether it did.
pub(super) async fn append_if_any(
    connection: &mut SqliteConnection,
    removed: u64,
    entry: AuditEntry,
) -> Result<bool, sqlx::Error> {
    if removed > 0 {
        append_entry(connection, entry).await?;
    }
    Ok(removed > 0)
}

/// Appends the entry of a change, if anything was changed and somebody asked for it; says whether anything was. What the
/// service does by itself, such as removing what is too old, has no entry.
pub(super) async fn append_if_told(
    connection: &mut SqliteConnection,
    changed: u64,
    entry: Option<AuditEntry>,
) -> Result<bool, sqlx::Error> {
    match entry {
        Some(entry) => append_if_any(connection, changed, entry).await,
        None => Ok(changed > 0),
    }
}

async fn append_to_chain(
    connection: &mut SqliteConnection,
    mut entry: AuditEntry,
) -> Result<(), sqlx::Error> {
    let tenant = entry.tenant.clone();
    if is_closed(connection, &tenant).await? {
        // Its chain was erased with all that it told of; another one from the beginning on would look like a forgery.
        return Ok(());
    }
    let end: Option<(i64, Vec<u8>, i64)> =
        sqlx::query_as("SELECT seq, hash, latest_ms FROM audit_chains WHERE tenant = $1")
            .bind(tenant.as_str())
            .fetch_optional(&mut *connection)
            .await?;
    let (seq, previous, latest_ms) = match end {
        Some((seq, hash, latest_ms)) => {
            if (1..=OVERTAKING_MS).contains(&latest_ms.saturating_sub(entry.at_ms)) {
                entry.at_ms = latest_ms;
            }
            (stored::count(seq)? + 1, stored::hash(&hash)?, latest_ms.max(entry.at_ms))
        }
        None => (1, FIRST_PREVIOUS, entry.at_ms),
    };
    let record = entry.chained(seq, previous);
    move_end(connection, &tenant, &record, latest_ms).await?;
    insert(connection, &tenant, record, latest_ms).await
}

async fn is_closed(connection: &mut SqliteConnection, tenant: &TenantName) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM tenants WHERE name = $1 AND state = 'closed')")
        .bind(tenant.as_str())
        .fetch_one(connection)
        .await
}

async fn move_end(
    connection: &mut SqliteConnection,
    tenant: &TenantName,
    record: &AuditRecord,
    latest_ms: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO audit_chains (tenant, seq, hash, latest_ms) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (tenant) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, latest_ms = excluded.latest_ms",
    )
    .bind(tenant.as_str())
    .bind(stored::column(record.seq)?)
    .bind(record.hash.to_vec())
    .bind(latest_ms)
    .execute(connection)
    .await
    .map(drop)
}

async fn insert(
    connection: &mut SqliteConnection,
    tenant: &TenantName,
    record: AuditRecord,
    latest_ms: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO audit_log (tenant, seq, at_ms, latest_ms, actor, actor_role, ip, action, object_type, object_id, \
         outcome, reason, prev_hash, hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
    )
    .bind(tenant.as_str())
    .bind(stored::column(record.seq)?)
    .bind(record.at_ms)
    .bind(latest_ms)
    .bind(record.actor)
    .bind(record.actor_role)
    .bind(record.ip)
    .bind(record.action)
    .bind(record.object_type)
    .bind(record.object_id)
    .bind(record.outcome.name())
    .bind(record.reason)
    .bind(record.previous.to_vec())
    .bind(record.hash.to_vec())
    .execute(connection)
    .await
    .map(drop)
}
