//! The sources port.

use super::audit_chain::{append_entry, append_if_any};
use super::{SqliteCatalog, read_failed, stored};
use async_trait::async_trait;
use serde_json::{Map, Value};
use sqlx::SqliteConnection;
use tollbook_kit::fault::Fault;
use tollbook_model::audit::AuditEntry;
use tollbook_model::ports::Sources;
use tollbook_model::source::Source;
use tollbook_model::tenant::TenantName;

#[async_trait]
impl Sources for SqliteCatalog {
    async fn find(&self, tenant: &TenantName, pbx_alias: &str) -> Result<Option<Source>, Fault> {
        let doing = "looking for a source";
        let row: Option<SourceRow> = sqlx::query_as(
            "SELECT id, pbx_alias, kind, settings, enabled, version, last_seen_at_ms, updated_at_ms FROM sources \
             WHERE tenant = $1 AND pbx_alias = $2",
        )
        .bind(tenant.as_str())
        .bind(pbx_alias)
        .fetch_optional(&self.readers)
        .await
        .map_err(|error| read_failed(doing, error))?;
        row.map(source_from_row).transpose().map_err(|error| read_failed(doing, error))
    }

    async fn list(&self, tenant: &TenantName) -> Result<Vec<Source>, Fault> {
        let doing = "listing sources";
        let rows: Vec<SourceRow> = sqlx::query_as(
            "SELECT id, pbx_alias, kind, settings, enabled, version, last_seen_at_ms, updated_at_ms FROM sources \
             WHERE tenant = $1 ORDER BY pbx_alias",
        )
        .bind(tenant.as_str())
        .fetch_all(&self.readers)
        .await
        .map_err(|error| read_failed(doing, error))?;
        rows.into_iter()
            .map(source_from_row)
            .collect::<Result<_, sqlx::Error>>()
            .map_err(|error| read_failed(doing, error))
    }

    async fn put(&self, tenant: &TenantName, source: Source, audit: AuditEntry) -> Result<Source, Fault> {
        let doing = "storing a source";
        let mut transaction = self.begin_write(doing).await?;
        self.require_tenant(doing, &mut transaction, tenant).await?;
        let source = upsert(&mut transaction, tenant, source, audit)
            .await
            .map_err(|error| self.write_failed(doing, error))?;
        self.commit(doing, transaction).await?;
        Ok(source)
    }

    async fn remove(&self, tenant: &TenantName, pbx_alias: &str, audit: AuditEntry) -> Result<bool, Fault> {
        let doing = "removing a source";
        let mut transaction = self.begin_write(doing).await?;
        let removed = delete(&mut transaction, tenant, pbx_alias, audit).await;
        self.settle(doing, transaction, removed).await
    }

    async fn seen(&self, tenant: &TenantName, pbx_alias: &str, at_ms: i64) -> Result<(), Fault> {
        let doing = "noting that a source sent records";
        let mut transaction = self.begin_write(doing).await?;
        // Notes may overtake one another; the latest moment stays.
        sqlx::query(
            "UPDATE sources SET last_seen_at_ms = $3 \
             WHERE tenant = $1 AND pbx_alias = $2 AND (last_seen_at_ms IS NULL OR last_seen_at_ms < $3)",
        )
        .bind(tenant.as_str())
        .bind(pbx_alias)
        .bind(at_ms)
        .execute(&mut *transaction)
        .await
        .map_err(|error| self.write_failed(doing, error))?;
        self.commit(doing, transaction).await
    }
}

/// Answers the source as stored.
async fn upsert(
    connection: &mut SqliteConnection,
    tenant: &TenantName,
    source: Source,
    audit: AuditEntry,
) -> Result<Source, sqlx::Error> {
    // Whoever changes a source read it earlier: records that it sent in between must not be unseen again.
    let row: SourceRow = sqlx::query_as(
        "INSERT INTO sources (tenant, pbx_alias, id, kind, settings, enabled, version, last_seen_at_ms, \
         updated_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
         ON CONFLICT (tenant, pbx_alias) DO UPDATE SET kind = excluded.kind, settings = excluded.settings, \
         enabled = excluded.enabled, version = sources.version + 1, updated_at_ms = excluded.updated_at_ms, \
         last_seen_at_ms = CASE WHEN sources.last_seen_at_ms > excluded.last_seen_at_ms \
         THEN sources.last_seen_at_ms ELSE coalesce(excluded.last_seen_at_ms, sources.last_seen_at_ms) END \
         RETURNING id, pbx_alias, kind, settings, enabled, version, last_seen_at_ms, updated_at_ms",
    )
    .bind(tenant.as_str())
    .bind(source.pbx_alias)
    .bind(stored::id_column(&source.id))
    .bind(source.kind)
    .bind(Value::Object(source.settings).to_string())
    .bind(source.enabled)
    .bind(stored::column(source.version)?)
    .bind(source.last_seen_at_ms)
    .bind(source.updated_at_ms)
    .fetch_one(&mut *connection)
    .await?;
    append_entry(connection, audit).await?;
    source_from_row(row)
}

async fn delete(
    connection: &mut SqliteConnection,
    tenant: &TenantName,
    pbx_alias: &str,
    audit: AuditEntry,
) -> Result<bool, sqlx::Error> {
    let deleted = sqlx::query("DELETE FROM sources WHERE tenant = $1 AND pbx_alias = $2")
        .bind(tenant.as_str())
        .bind(pbx_alias)
        .execute(&mut *connection)
        .await?;
    append_if_any(connection, deleted.rows_affected(), audit).await
}

type SourceRow = (Vec<u8>, String, String, String, bool, i64, Option<i64>, i64);

fn source_from_row(row: SourceRow) -> Result<Source, sqlx::Error> {
    let (id, pbx_alias, kind, settings, enabled, version, last_seen_at_ms, updated_at_ms) = row;
    let settings: Map<String, Value> =
        serde_json::from_str(&settings).map_err(|error| sqlx::Error::Decode(error.into()))?;
    Ok(Source {
        id: stored::id(&id)?,
        pbx_alias,
        kind,
        settings,
        enabled,
        version: stored::count(version)?,
        last_seen_at_ms,
        updated_at_ms,
    })
}
