//! The audit log port: reading chains, signing off their ends, forgetting their beginnings. See `audit_chain` for how an
//! entry is appended.

use super::audit_chain::append_entry;
use super::{SqliteCatalog, read_failed, stored};
use async_trait::async_trait;
use sqlx::SqliteConnection;
use tollbook_kit::fault::Fault;
use tollbook_model::audit::{AuditEntry, AuditRecord, Outcome};
use tollbook_model::ports::{AuditHead, AuditLog, AuditScope};
use tollbook_model::tenant::TenantName;

/// Entries forgotten per transaction, so that other writers are not held up by a long one.
const FORGOTTEN_AT_ONCE: i64 = 500;

#[async_trait]
impl AuditLog for SqliteCatalog {
    async fn append(&self, entries: Vec<AuditEntry>) -> Result<(), Fault> {
        let doing = "appending to the audit log";
        if entries.is_empty() {
            return Ok(());
        }
        let mut transaction = self.begin_write(doing).await?;
        for entry in entries {
            append_entry(&mut transaction, entry).await.map_err(|error| self.write_failed(doing, error))?;
        }
        self.commit(doing, transaction).await
    }

    async fn page(&self, scope: &AuditScope, after_seq: u64, most: usize) -> Result<Vec<AuditRecord>, Fault> {
        let doing = "reading the audit log";
        let mut transaction = self.begin_read(doing).await?;
        select_page(&mut transaction, scope, after_seq, most).await.map_err(|error| read_failed(doing, error))
    }

    async fn head(&self, tenant: &TenantName) -> Result<Option<AuditHead>, Fault> {
        let doing = "reading the end of an audit log";
        let row: Option<HeadRow> = sqlx::query_as(
            "SELECT c.tenant, c.seq, c.hash, k.seq FROM audit_chains c \
             LEFT JOIN audit_checkpoints k ON k.tenant = c.tenant WHERE c.tenant = $1",
        )
        .bind(tenant.as_str())
        .fetch_optional(&self.readers)
        .await
        .map_err(|error| read_failed(doing, error))?;
        row.map(head_from_row).transpose().map_err(|error| read_failed(doing, error))
    }

    async fn unsigned_heads(&self) -> Result<Vec<AuditHead>, Fault> {
        let doing = "listing audit logs with news";
        // One row per tenant, however long the logs are.
        let rows: Vec<HeadRow> = sqlx::query_as(
            "SELECT c.tenant, c.seq, c.hash, k.seq FROM audit_chains c \
             LEFT JOIN audit_checkpoints k ON k.tenant = c.tenant WHERE c.seq > coalesce(k.seq, 0) ORDER BY c.tenant",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|error| read_failed(doing, error))?;
        rows.into_iter()
            .map(head_from_row)
            .collect::<Result<_, _>>()
            .map_err(|error| read_failed(doing, error))
    }

    /// Only the latest is kept. One that is older than that, or of a chain that was erased meanwhile, is not.
    async fn put_checkpoint(
        &self,
        tenant: &TenantName,
        seq: u64,
        at_ms: i64,
        jws: String,
    ) -> Result<(), Fault> {
        let doing = "keeping a checkpoint";
        let mut transaction = self.begin_write(doing).await?;
        sqlx::query(
            "INSERT INTO audit_checkpoints (tenant, seq, at_ms, jws) \
             SELECT tenant, $2, $3, $4 FROM audit_chains WHERE tenant = $1 AND seq >= $2 \
             ON CONFLICT (tenant) DO UPDATE SET seq = excluded.seq, at_ms = excluded.at_ms, jws = excluded.jws \
             WHERE audit_checkpoints.seq <= excluded.seq",
        )
        .bind(tenant.as_str())
        .bind(nearest(seq))
        .bind(at_ms)
        .bind(jws)
        .execute(&mut *transaction)
        .await
        .map_err(|error| self.write_failed(doing, error))?;
        self.commit(doing, transaction).await
    }

    async fn latest_checkpoint(&self, tenant: &TenantName) -> Result<Option<String>, Fault> {
        sqlx::query_scalar("SELECT jws FROM audit_checkpoints WHERE tenant = $1")
            .bind(tenant.as_str())
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| read_failed("reading a checkpoint", error))
    }

    /// An entry from before then that follows a later one, because the clock was set back, stays: the rest of the chain
    /// has no gap. A moment in the future is no later one.
    async fn forget_before(&self, tenant: &TenantName, at_ms: i64) -> Result<u64, Fault> {
        let doing = "forgetting old entries of the audit log";
        let mut reading = self.begin_read(doing).await?;
        let last = last_forgotten(&mut reading, tenant, at_ms, self.clock.now_ms()).await;
        let Some(last) = last.map_err(|error| read_failed(doing, error))? else { return Ok(0) };
        drop(reading);
        let mut forgotten = 0;
        loop {
            let mut transaction = self.begin_write(doing).await?;
            let step = delete_first(&mut transaction, tenant, last)
                .await
                .map_err(|error| self.write_failed(doing, error))?;
            if step == 0 {
                return Ok(forgotten);
            }
            self.commit(doing, transaction).await?;
            forgotten += step;
        }
    }
}

/// Entries are read in their order from the first that can lie in the range: over all pages, each is looked at once.
async fn select_page(
    connection: &mut SqliteConnection,
    scope: &AuditScope,
    after_seq: u64,
    most: usize,
) -> Result<Vec<AuditRecord>, sqlx::Error> {
    let first: Option<i64> = sqlx::query_scalar(
        "SELECT seq FROM audit_log WHERE tenant = $1 AND latest_ms >= $2 ORDER BY latest_ms, seq LIMIT 1",
    )
    .bind(scope.tenant.as_str())
    .bind(scope.range.from_ms())
    .fetch_optional(&mut *connection)
    .await?;
    let Some(first) = first else { return Ok(Vec::new()) };
    let rows: Vec<RecordRow> = sqlx::query_as(
        "SELECT seq, at_ms, actor, actor_role, ip, action, object_type, object_id, outcome, reason, prev_hash, hash \
         FROM audit_log WHERE tenant = $1 AND seq > $2 AND seq <= $3 AND at_ms >= $4 AND at_ms < $5 \
         ORDER BY seq LIMIT $6",
    )
    .bind(scope.tenant.as_str())
    .bind(nearest(after_seq).max(first - 1))
    .bind(nearest(scope.up_to_seq))
    .bind(scope.range.from_ms())
    .bind(scope.range.to_ms())
    .bind(i64::try_from(most).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(record_from_row).collect()
}

/// Where the beginning ends that is forgotten: at the last old entry before the first one that is not old. Entries from
/// the future are neither. Looks at what is forgotten, hardly at what stays.
async fn last_forgotten(
    connection: &mut SqliteConnection,
    tenant: &TenantName,
    before_ms: i64,
    now_ms: i64,
) -> Result<Option<i64>, sqlx::Error> {
    let kept: Option<i64> = sqlx::query_scalar(
        "SELECT seq FROM audit_log WHERE tenant = $1 AND at_ms >= $2 AND at_ms <= $3 ORDER BY seq LIMIT 1",
    )
    .bind(tenant.as_str())
    .bind(before_ms)
    .bind(now_ms)
    .fetch_optional(&mut *connection)
    .await?;
    sqlx::query_scalar(
        "SELECT seq FROM audit_log WHERE tenant = $1 AND seq < $2 AND at_ms < $3 ORDER BY seq DESC LIMIT 1",
    )
    .bind(tenant.as_str())
    .bind(kept.unwrap_or(i64::MAX))
    .bind(before_ms)
    .fetch_optional(connection)
    .await
}

/// Deletes some entries from the chain's beginning, up to and with that place; answers how many.
async fn delete_first(
    connection: &mut SqliteConnection,
    tenant: &TenantName,
    last: i64,
) -> Result<u64, sqlx::Error> {
    let deleted = sqlx::query(
        "DELETE FROM audit_log WHERE tenant = $1 AND seq IN (SELECT seq FROM audit_log WHERE tenant = $1 \
         AND seq <= $2 AND seq < (SELECT max(seq) FROM audit_log WHERE tenant = $1) ORDER BY seq LIMIT $3)",
    )
    .bind(tenant.as_str())
    .bind(last)
    .bind(FORGOTTEN_AT_ONCE)
    .execute(connection)
    .await?;
    Ok(deleted.rows_affected())
}

/// A place in a chain as a column holds it; no chain is longer than that.
fn nearest(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

type HeadRow = (String, i64, Vec<u8>, Option<i64>);

fn head_from_row(row: HeadRow) -> Result<AuditHead, sqlx::Error> {
    let (tenant, seq, hash, signed) = row;
    Ok(AuditHead {
        tenant: stored::tenant(&tenant)?,
        seq: stored::count(seq)?,
        hash: stored::hash(&hash)?,
        unsigned: stored::count(seq - signed.unwrap_or(0))?,
    })
}

type Text = Option<String>;
type RecordRow = (i64, i64, String, Text, Text, String, Text, Text, String, Text, Vec<u8>, Vec<u8>);

fn record_from_row(row: RecordRow) -> Result<AuditRecord, sqlx::Error> {
    let (seq, at_ms, actor, actor_role, ip, action, object_type, object_id, outcome, reason, previous, hash) =
        row;
    Ok(AuditRecord {
        seq: stored::count(seq)?,
        at_ms,
        actor,
        actor_role,
        ip,
        action,
        object_type,
        object_id,
        outcome: Outcome::from_name(&outcome)
            .ok_or_else(|| stored::unreadable("an outcome is unknown to this version"))?,
        reason,
        previous: stored::hash(&previous)?,
        hash: stored::hash(&hash)?,
    })
}
