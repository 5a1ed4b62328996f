//! The stored bytes port: sums over what is live.

use super::{SqliteCatalog, read_failed, stored};
use async_trait::async_trait;
use tollbook_kit::fault::Fault;
use tollbook_model::ports::StoredBytes;
use tollbook_model::tenant::TenantName;

#[async_trait]
impl StoredBytes for SqliteCatalog {
    async fn stored_bytes(&self, tenant: &TenantName) -> Result<u64, Fault> {
        let doing = "summing what a tenant has stored";
        // One statement, so that a swap in between counts nothing twice.
        let sum: i64 = sqlx::query_scalar(
            "SELECT (SELECT coalesce(sum(bytes), 0) FROM batches WHERE tenant = $1 AND doomed_at_ms IS NULL) \
             + (SELECT coalesce(sum(bytes), 0) FROM parts WHERE tenant = $1 AND doomed_at_ms IS NULL)",
        )
        .bind(tenant.as_str())
        .fetch_one(&self.readers)
        .await
        .map_err(|error| read_failed(doing, error))?;
        stored::count(sum).map_err(|error| read_failed(doing, error))
    }
}
