//! Erasing what the control database holds of a tenant whose time is over.
//!
//! Its row stays, closed, so that the name is never given to somebody else. A tenant always has a pseudonym key: the last
//! thing that happens to one is a rotation to a fresh key of the next generation, with which nothing was ever sealed,
//! while all former ones are wiped. Asking for the key of an old pseudonym's generation then finds none.

use super::audit_chain::append_entry;
use super::{SqliteCatalog, read_failed, sealing, tenants};
use sqlx::SqliteConnection;
use tollbook_kit::fault::Fault;
use tollbook_kit::secret::Sealer;
use tollbook_model::audit::AuditEntry;
use tollbook_model::ports::AuditLog;
use tollbook_model::tenant::{TenantName, TenantState};

const DOING: &str = "erasing a tenant";

/// Jobs forgotten per transaction.
const JOBS_AT_ONCE: i64 = 500;

/// How far a tenant is on its way out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// It is unknown, its time is not over, or records or files of it are left.
    NotYet,
    Ready,
    Done,
}

impl SqliteCatalog {
    /// [`Tenants::erase`](tollbook_model::ports::Tenants::erase).
    pub(super) async fn erase_tenant(&self, name: &TenantName, audit: AuditEntry) -> Result<bool, Fault> {
        let now_ms = self.clock.now_ms();
        let mut reading = self.begin_read(DOING).await?;
        let progress = progress(&mut reading, &self.sealer, name, now_ms).await;
        match progress.map_err(|error| read_failed(DOING, error))? {
            Progress::NotYet => return Ok(false),
            Progress::Done => return Ok(true),
            Progress::Ready => drop(reading),
        }
        // What is long goes in steps between which other writers get their turn; the rest goes with everything else.
        self.forget_before(name, i64::MAX).await?;
        while self.forget_some_jobs(name).await? {}
        let mut transaction = self.begin_write(DOING).await?;
        let erased = erase(&mut transaction, &self.sealer, name, now_ms, audit).await;
        let erased = self.settle(DOING, transaction, erased).await?;
        sealing::fold_log(&self.writer).await;
        Ok(erased)
    }

    /// False when the tenant has no job any more.
    async fn forget_some_jobs(&self, name: &TenantName) -> Result<bool, Fault> {
        let mut transaction = self.begin_write(DOING).await?;
        let forgotten = delete_some_jobs(&mut transaction, name).await;
        self.settle(DOING, transaction, forgotten).await
    }
}

/// What was ordered, what came of it, what it held and what is still to be told goes with each job.
async fn delete_some_jobs(connection: &mut SqliteConnection, name: &TenantName) -> Result<bool, sqlx::Error> {
    let deleted = sqlx::query(
        "DELETE FROM export_jobs WHERE id IN (SELECT id FROM export_jobs WHERE tenant = $1 LIMIT $2)",
    )
    .bind(name.as_str())
    .bind(JOBS_AT_ONCE)
    .execute(connection)
    .await?;
    Ok(deleted.rows_affected() > 0)
}

async fn progress(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    name: &TenantName,
    now_ms: i64,
) -> Result<Progress, sqlx::Error> {
    match tenants::select(connection, sealer, name).await? {
        Some(tenant) if tenant.state == TenantState::Closed => return Ok(Progress::Done),
        Some(tenant) if tenant.is_over(now_ms) => {}
        _ => return Ok(Progress::NotYet),
    }
    let holds_records: bool = sqlx::query_scalar(
        "SELECT EXISTS (SELECT 1 FROM batches WHERE tenant = $1) OR EXISTS (SELECT 1 FROM parts WHERE tenant = $1) \
         OR EXISTS (SELECT 1 FROM export_parts WHERE tenant = $1)",
    )
    .bind(name.as_str())
    .fetch_one(connection)
    .await?;
    Ok(if holds_records { Progress::NotYet } else { Progress::Ready })
}

/// False when it is no longer to be erased.
async fn erase(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    name: &TenantName,
    now_ms: i64,
    audit: AuditEntry,
) -> Result<bool, sqlx::Error> {
    if progress(connection, sealer, name, now_ms).await? != Progress::Ready {
        return Ok(false);
    }
    let name = name.as_str();
    let newest: i64 = sqlx::query_scalar("SELECT max(generation) FROM pseudonym_keys WHERE tenant = $1")
        .bind(name)
        .fetch_one(&mut *connection)
        .await?;
    for statement in [
        // Sessions go with their users and tokens.
        "DELETE FROM users WHERE tenant = $1",
        "DELETE FROM tokens WHERE tenant = $1",
        "DELETE FROM sources WHERE tenant = $1",
        "DELETE FROM export_jobs WHERE tenant = $1",
        "DELETE FROM export_manifests WHERE tenant = $1",
        "DELETE FROM audit_log WHERE tenant = $1",
        "DELETE FROM audit_chains WHERE tenant = $1",
        "DELETE FROM audit_checkpoints WHERE tenant = $1",
        "DELETE FROM pseudonym_keys WHERE tenant = $1",
        "UPDATE tenants SET state = 'closed', ends_at_ms = NULL, sealed_callback_secret = NULL WHERE name = $1",
    ] {
        sqlx::query(statement).bind(name).execute(&mut *connection).await?;
    }
    let fresh = sealing::fresh_key(sealer);
    sealing::insert_pseudonym_key(connection, sealer, name, newest + 1, &fresh).await?;
    append_entry(connection, audit).await?;
    Ok(true)
}
