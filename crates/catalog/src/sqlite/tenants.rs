//! The tenants port. Keys lie in the file as they are; sealing them is not here yet, the file's mode protects them.

use super::{SqliteCatalog, read_failed, stored};
use async_trait::async_trait;
use sqlx::SqliteConnection;
use tollbook_kit::fault::Fault;
use tollbook_model::ports::Tenants;
use tollbook_model::privacy::PseudonymKey;
use tollbook_model::tenant::{CallerNumbers, Tenant, TenantName};

#[async_trait]
impl Tenants for SqliteCatalog {
    async fn find(&self, name: &TenantName) -> Result<Option<Tenant>, Fault> {
        let doing = "looking for a tenant";
        let mut transaction = self.begin_read(doing).await?;
        let row: Option<TenantRow> =
            sqlx::query_as("SELECT name, caller_numbers, cdr_retention_days FROM tenants WHERE name = $1")
                .bind(name.as_str())
                .fetch_optional(&mut *transaction)
                .await
                .map_err(|error| read_failed(doing, error))?;
        match row {
            None => Ok(None),
            Some(row) => tenant_from_row(&mut transaction, row)
                .await
                .map(Some)
                .map_err(|error| read_failed(doing, error)),
        }
    }

    async fn list(&self) -> Result<Vec<Tenant>, Fault> {
        let doing = "listing tenants";
        let mut transaction = self.begin_read(doing).await?;
        let rows: Vec<TenantRow> =
            sqlx::query_as("SELECT name, caller_numbers, cdr_retention_days FROM tenants ORDER BY name")
                .fetch_all(&mut *transaction)
                .await
                .map_err(|error| read_failed(doing, error))?;
        let mut tenants = Vec::with_capacity(rows.len());
        for row in rows {
            tenants.push(
                tenant_from_row(&mut transaction, row).await.map_err(|error| read_failed(doing, error))?,
            );
        }
        Ok(tenants)
    }

    async fn put(&self, tenant: Tenant) -> Result<(), Fault> {
        let doing = "storing a tenant";
        if tenant.pseudonym_keys.is_empty() {
            return Err(Fault::internal("a tenant without a pseudonym key was to be stored"));
        }
        let now_ms = self.clock.now_ms();
        let mut transaction = self.begin_write(doing).await?;
        upsert(&mut transaction, &tenant, now_ms).await.map_err(|error| self.write_failed(doing, error))?;
        self.commit(doing, transaction).await
    }
}

type TenantRow = (String, String, i64);

async fn tenant_from_row(connection: &mut SqliteConnection, row: TenantRow) -> Result<Tenant, sqlx::Error> {
    let (name, caller_numbers, cdr_retention_days) = row;
    let keys: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT generation, key FROM pseudonym_keys WHERE tenant = $1 ORDER BY generation")
            .bind(name.as_str())
            .fetch_all(connection)
            .await?;
    if keys.is_empty() {
        return Err(stored::unreadable("a tenant has no pseudonym key"));
    }
    let pseudonym_keys = keys
        .into_iter()
        .map(|(generation, key)| {
            let bytes =
                key.try_into().map_err(|_| stored::unreadable("a pseudonym key is not of 32 bytes"))?;
            Ok(PseudonymKey::new(stored::small_count(generation)?, bytes))
        })
        .collect::<Result<_, sqlx::Error>>()?;
    Ok(Tenant {
        name: stored::tenant(&name)?,
        caller_numbers: caller_numbers_from_word(&caller_numbers)?,
        pseudonym_keys,
        cdr_retention_days: stored::small_count(cdr_retention_days)?,
    })
}

/// Afterwards the tenant has exactly these keys: a generation that is left out is gone, and with it every original
/// that it sealed.
async fn upsert(connection: &mut SqliteConnection, tenant: &Tenant, now_ms: i64) -> Result<(), sqlx::Error> {
    let name = tenant.name.as_str();
    sqlx::query(
        "INSERT INTO tenants (name, caller_numbers, cdr_retention_days, created_at_ms) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (name) DO UPDATE SET caller_numbers = excluded.caller_numbers, \
         cdr_retention_days = excluded.cdr_retention_days",
    )
    .bind(name)
    .bind(word_of_caller_numbers(tenant.caller_numbers))
    .bind(i64::from(tenant.cdr_retention_days))
    .bind(now_ms)
    .execute(&mut *connection)
    .await?;
    sqlx::query("DELETE FROM pseudonym_keys WHERE tenant = $1").bind(name).execute(&mut *connection).await?;
    for key in &tenant.pseudonym_keys {
        sqlx::query("INSERT INTO pseudonym_keys (tenant, generation, key) VALUES ($1, $2, $3)")
            .bind(name)
            .bind(i64::from(key.generation()))
            .bind(key.bytes().reveal().to_vec())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

fn word_of_caller_numbers(policy: CallerNumbers) -> &'static str {
    match policy {
        CallerNumbers::Pseudonym => "pseudonym",
        CallerNumbers::Plain => "plain",
    }
}

fn caller_numbers_from_word(word: &str) -> Result<CallerNumbers, sqlx::Error> {
    match word {
        "pseudonym" => Ok(CallerNumbers::Pseudonym),
        "plain" => Ok(CallerNumbers::Plain),
        _ => Err(stored::unreadable("a policy for callers' numbers is unknown to this version")),
    }
}
