//! The port of signed manifests. They are sealed: what an export was filtered by may be phone numbers.

use super::{SqliteCatalog, read_failed, sealing, stored};
use async_trait::async_trait;
use tollbook_kit::fault::Fault;
use tollbook_kit::secret::Sealer;
use tollbook_model::ports::{ExportManifests, MOST_MANIFESTS, StoredManifest};
use tollbook_model::tenant::TenantName;
use uuid::Uuid;

#[async_trait]
impl ExportManifests for SqliteCatalog {
    async fn keep(&self, manifest: StoredManifest) -> Result<(), Fault> {
        let doing = "keeping the manifest of an export";
        let place = sealing::export_manifest_place(&manifest.export_id);
        let sealed = self.sealer.seal(&place, manifest.jws.as_bytes());
        let mut transaction = self.begin_write(doing).await?;
        self.require_tenant(doing, &mut transaction, &manifest.tenant).await?;
        sqlx::query(
            "INSERT INTO export_manifests (export_id, tenant, dataset, created_at_ms, sealed_jws) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(stored::id_column(&manifest.export_id))
        .bind(manifest.tenant.as_str())
        .bind(manifest.dataset.name())
        .bind(manifest.created_at_ms)
        .bind(sealed)
        .execute(&mut *transaction)
        .await
        .map_err(|error| self.write_failed(doing, error))?;
        sqlx::query(
            "DELETE FROM export_manifests WHERE export_id IN (SELECT export_id FROM export_manifests \
             WHERE tenant = $1 ORDER BY created_at_ms DESC, export_id DESC LIMIT -1 OFFSET $2)",
        )
        .bind(manifest.tenant.as_str())
        .bind(i64::try_from(MOST_MANIFESTS).unwrap_or(i64::MAX))
        .execute(&mut *transaction)
        .await
        .map_err(|error| self.write_failed(doing, error))?;
        self.commit(doing, transaction).await
    }

    async fn find(&self, tenant: &TenantName, export_id: Uuid) -> Result<Option<StoredManifest>, Fault> {
        let doing = "looking for the manifest of an export";
        let row: Option<ManifestRow> = sqlx::query_as(
            "SELECT tenant, dataset, created_at_ms, sealed_jws FROM export_manifests \
             WHERE export_id = $1 AND tenant = $2",
        )
        .bind(stored::id_column(&export_id))
        .bind(tenant.as_str())
        .fetch_optional(&self.readers)
        .await
        .map_err(|error| read_failed(doing, error))?;
        row.map(|row| manifest_from_row(&self.sealer, export_id, row))
            .transpose()
            .map_err(|error| read_failed(doing, error))
    }

    async fn forget_signed_before(&self, before_ms: i64) -> Result<u64, Fault> {
        let doing = "forgetting old manifests of exports";
        let statement = "DELETE FROM export_manifests WHERE export_id IN \
             (SELECT export_id FROM export_manifests WHERE created_at_ms < $1 LIMIT $2)";
        self.forget_in_steps(doing, statement, before_ms).await
    }
}

type ManifestRow = (String, String, i64, Vec<u8>);

fn manifest_from_row(
    sealer: &Sealer,
    export_id: Uuid,
    row: ManifestRow,
) -> Result<StoredManifest, sqlx::Error> {
    let (tenant, dataset, created_at_ms, sealed) = row;
    Ok(StoredManifest {
        tenant: stored::tenant(&tenant)?,
        export_id,
        dataset: stored::dataset(&dataset)?,
        created_at_ms,
        jws: sealing::open_text(sealer, &sealing::export_manifest_place(&export_id), &sealed)?,
    })
}
