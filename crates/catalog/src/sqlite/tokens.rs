//! The tokens port. Only hashes are here: the file alone opens no door.

use super::{SqliteCatalog, read_failed, stored};
use async_trait::async_trait;
use sqlx::SqliteConnection;
use tollbook_kit::fault::Fault;
use tollbook_model::access::Role;
use tollbook_model::ports::{TokenHolder, Tokens};

#[async_trait]
impl Tokens for SqliteCatalog {
    async fn holder(&self, hash: [u8; 32]) -> Result<Option<TokenHolder>, Fault> {
        let doing = "looking for a token";
        let row: Option<HolderRow> =
            sqlx::query_as("SELECT id, tenant, role, name FROM tokens WHERE hash = $1")
                .bind(hash.to_vec())
                .fetch_optional(&self.readers)
                .await
                .map_err(|error| read_failed(doing, error))?;
        row.map(holder_from_row).transpose().map_err(|error| read_failed(doing, error))
    }

    async fn put(&self, hash: [u8; 32], holder: TokenHolder) -> Result<(), Fault> {
        let doing = "registering a token";
        let now_ms = self.clock.now_ms();
        let mut transaction = self.begin_write(doing).await?;
        insert(&mut transaction, WITH_ITS_ID, hash, &holder, now_ms)
            .await
            .map_err(|error| self.write_failed(doing, error))?;
        self.commit(doing, transaction).await
    }

    async fn put_only(&self, hash: [u8; 32], holder: TokenHolder) -> Result<(), Fault> {
        let doing = "replacing a token";
        let now_ms = self.clock.now_ms();
        // A start with the same token as ever must not need room on the disk.
        if self.is_only(hash, &holder).await.map_err(|error| read_failed(doing, error))? {
            return Ok(());
        }
        let mut transaction = self.begin_write(doing).await?;
        sqlx::query("DELETE FROM tokens WHERE tenant = $1 AND name = $2 AND hash <> $3")
            .bind(holder.tenant.as_str())
            .bind(holder.name.as_str())
            .bind(hash.to_vec())
            .execute(&mut *transaction)
            .await
            .map_err(|error| self.write_failed(doing, error))?;
        insert(&mut transaction, WITH_THE_ID_IT_HAS, hash, &holder, now_ms)
            .await
            .map_err(|error| self.write_failed(doing, error))?;
        self.commit(doing, transaction).await
    }

    async fn count(&self) -> Result<u64, Fault> {
        let doing = "counting tokens";
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM tokens")
            .fetch_one(&self.readers)
            .await
            .map_err(|error| read_failed(doing, error))?;
        stored::count(count).map_err(|error| read_failed(doing, error))
    }
}

/// A token that is known gets the new holder, id and all.
const WITH_ITS_ID: &str = "INSERT INTO tokens (hash, id, tenant, role, name, created_at_ms) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (hash) DO UPDATE \
     SET id = excluded.id, tenant = excluded.tenant, role = excluded.role, name = excluded.name";
/// A token that is known keeps its id.
const WITH_THE_ID_IT_HAS: &str = "INSERT INTO tokens (hash, id, tenant, role, name, created_at_ms) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (hash) DO UPDATE \
     SET tenant = excluded.tenant, role = excluded.role, name = excluded.name";

async fn insert(
    connection: &mut SqliteConnection,
    statement: &'static str,
    hash: [u8; 32],
    holder: &TokenHolder,
    now_ms: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(statement)
        .bind(hash.to_vec())
        .bind(stored::id_column(&holder.id))
        .bind(holder.tenant.as_str())
        .bind(holder.role.name())
        .bind(holder.name.as_str())
        .bind(now_ms)
        .execute(connection)
        .await
        .map(drop)
}

impl SqliteCatalog {
    /// Is this token there with this role, and no other with its name?
    async fn is_only(&self, hash: [u8; 32], holder: &TokenHolder) -> Result<bool, sqlx::Error> {
        let named: Vec<(Vec<u8>, String)> =
            sqlx::query_as("SELECT hash, role FROM tokens WHERE tenant = $1 AND name = $2 LIMIT 2")
                .bind(holder.tenant.as_str())
                .bind(holder.name.as_str())
                .fetch_all(&self.readers)
                .await?;
        Ok(matches!(&named[..], [(only, role)] if only[..] == hash && role == holder.role.name()))
    }
}

type HolderRow = (Vec<u8>, String, String, String);

fn holder_from_row(row: HolderRow) -> Result<TokenHolder, sqlx::Error> {
    let (id, tenant, role, name) = row;
    Ok(TokenHolder {
        id: stored::id(&id)?,
        tenant: stored::tenant(&tenant)?,
        role: Role::from_name(&role)
            .ok_or_else(|| stored::unreadable("a role is unknown to this version"))?,
        name,
    })
}
