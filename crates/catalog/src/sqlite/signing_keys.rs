//! The signing keys port. Seeds are sealed.

use super::{SqliteCatalog, read_failed, sealing, stored};
use async_trait::async_trait;
use tollbook_kit::fault::Fault;
use tollbook_kit::secret::{Sealer, Secret};
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

    async fn create(&self, key: StoredSigningKey) -> Result<(), Fault> {
        let doing = "keeping a signing key";
        let purpose = key.purpose.name();
        let sealed = self.sealer.seal(&sealing::signing_key_place(purpose, &key.kid), key.seed.reveal());
        let mut transaction = self.begin_write(doing).await?;
        sqlx::query(
            "INSERT INTO signing_keys (purpose, kid, sealed_seed, created_at_ms) VALUES ($1, $2, $3, $4)",
        )
        .bind(purpose)
        .bind(key.kid)
        .bind(sealed)
        .bind(key.created_at_ms)
        .execute(&mut *transaction)
        .await
        .map_err(|error| self.write_failed(doing, error))?;
        self.commit(doing, transaction).await
    }
}

type KeyRow = (String, String, Vec<u8>, i64);

fn key_from_row(sealer: &Sealer, row: KeyRow) -> Result<StoredSigningKey, sqlx::Error> {
    let (purpose, kid, sealed, created_at_ms) = row;
    let seed = sealing::open_key(sealer, &sealing::signing_key_place(&purpose, &kid), &sealed)?;
    let purpose = KeyPurpose::from_name(&purpose)
        .ok_or_else(|| stored::unreadable("a signing key's purpose is unknown to this version"))?;
    Ok(StoredSigningKey { purpose, kid, seed: Secret::new(seed), created_at_ms })
}
