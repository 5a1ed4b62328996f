//! The signing keys port. Seeds are sealed.

use super::audit_chain::append_if_told;
use super::{SqliteCatalog, read_failed, sealing, stored};
use async_trait::async_trait;
use sqlx::SqliteConnection;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::secret::{Sealer, Secret};
use tollbook_model::audit::AuditEntry;
use tollbook_model::ports::{KeyPurpose, SigningKeys, StoredSigningKey};

#[async_trait]
impl SigningKeys for SqliteCatalog {
    async fn list(&self) -> Result<Vec<StoredSigningKey>, Fault> {
        let doing = "listing signing keys";
        let rows: Vec<KeyRow> = sqlx::query_as(
            "SELECT purpose, kid, sealed_seed, created_at_ms FROM signing_keys ORDER BY created_at_ms, kid",
        )
        .fetch_all(&self.readers)
        .await
        .map_err(|error| read_failed(doing, error))?;
        rows.into_iter()
            .map(|row| key_from_row(&self.sealer, row))
            .collect::<Result<_, _>>()
            .map_err(|error| read_failed(doing, error))
    }

    async fn create(&self, key: StoredSigningKey, audit: Option<AuditEntry>) -> Result<(), Fault> {
        let doing = "keeping a signing key";
        let mut transaction = self.begin_write(doing).await?;
        let created = insert(&mut transaction, &self.sealer, key, audit).await;
        if self.settle(doing, transaction, created).await? {
            return Ok(());
        }
        Err(Fault::new(Code::Conflict, "there is a key of that name; name the new one otherwise")
            .with_context(doing))
    }

    async fn remove(&self, purpose: KeyPurpose, kid: &str, audit: Option<AuditEntry>) -> Result<bool, Fault> {
        let doing = "removing a signing key";
        let mut transaction = self.begin_write(doing).await?;
        let removed = delete(&mut transaction, purpose, kid, audit).await;
        self.settle(doing, transaction, removed).await
    }
}

/// False when there is a key of that purpose and name: what it signed must not change its meaning.
async fn insert(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    key: StoredSigningKey,
    audit: Option<AuditEntry>,
) -> Result<bool, sqlx::Error> {
    let purpose = key.purpose.name();
    let sealed = sealer.seal(&sealing::signing_key_place(purpose, &key.kid), key.seed.reveal());
    let inserted = sqlx::query(
        "INSERT INTO signing_keys (purpose, kid, sealed_seed, created_at_ms) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (purpose, kid) DO NOTHING",
    )
    .bind(purpose)
    .bind(key.kid)
    .bind(sealed)
    .bind(key.created_at_ms)
    .execute(&mut *connection)
    .await?;
    append_if_told(connection, inserted.rows_affected(), audit).await
}

async fn delete(
    connection: &mut SqliteConnection,
    purpose: KeyPurpose,
    kid: &str,
    audit: Option<AuditEntry>,
) -> Result<bool, sqlx::Error> {
    let deleted = sqlx::query("DELETE FROM signing_keys WHERE purpose = $1 AND kid = $2")
        .bind(purpose.name())
        .bind(kid)
        .execute(&mut *connection)
        .await?;
    append_if_told(connection, deleted.rows_affected(), audit).await
}

type KeyRow = (String, String, Vec<u8>, i64);

fn key_from_row(sealer: &Sealer, row: KeyRow) -> Result<StoredSigningKey, sqlx::Error> {
    let (purpose, kid, sealed, created_at_ms) = row;
    let seed = sealing::open_key(sealer, &sealing::signing_key_place(&purpose, &kid), &sealed)?;
    let purpose = KeyPurpose::from_name(&purpose)
        .ok_or_else(|| stored::unreadable("a signing key's purpose is unknown to this version"))?;
    Ok(StoredSigningKey { purpose, kid, seed: Secret::new(seed), created_at_ms })
}
