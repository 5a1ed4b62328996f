//! The tokens port. Only hashes are here: the file alone opens no door.

use super::audit_chain::{append_entry, append_if_any};
use super::{SqliteCatalog, read_failed, stored};
use async_trait::async_trait;
use sqlx::SqliteConnection;
use tollbook_kit::fault::{Code, Fault};
use tollbook_model::audit::{AuditEntry, AuditObject};
use tollbook_model::ports::Tokens;
use tollbook_model::tenant::TenantName;
use tollbook_model::token::Token;
use uuid::Uuid;

#[async_trait]
impl Tokens for SqliteCatalog {
    async fn by_hash(&self, hash: [u8; 32]) -> Result<Option<Token>, Fault> {
        let doing = "looking for a token by its hash";
        let row: Option<TokenRow> = sqlx::query_as(
            "SELECT id, tenant, role, name, created_at_ms, expires_at_ms, last_used_at_ms, networks, \
             api_version FROM tokens WHERE hash = $1",
        )
        .bind(hash.to_vec())
        .fetch_optional(&self.readers)
        .await
        .map_err(|error| read_failed(doing, error))?;
        row.map(token_from_row).transpose().map_err(|error| read_failed(doing, error))
    }

    async fn find(&self, tenant: &TenantName, id: Uuid) -> Result<Option<Token>, Fault> {
        let doing = "looking for a token";
        let row: Option<TokenRow> = sqlx::query_as(
            "SELECT id, tenant, role, name, created_at_ms, expires_at_ms, last_used_at_ms, networks, \
             api_version FROM tokens WHERE id = $1 AND tenant = $2",
        )
        .bind(stored::id_column(&id))
        .bind(tenant.as_str())
        .fetch_optional(&self.readers)
        .await
        .map_err(|error| read_failed(doing, error))?;
        row.map(token_from_row).transpose().map_err(|error| read_failed(doing, error))
    }

    async fn list(&self, tenant: &TenantName) -> Result<Vec<Token>, Fault> {
        let doing = "listing tokens";
        let rows: Vec<TokenRow> = sqlx::query_as(
            "SELECT id, tenant, role, name, created_at_ms, expires_at_ms, last_used_at_ms, networks, \
             api_version FROM tokens WHERE tenant = $1 ORDER BY created_at_ms, id",
        )
        .bind(tenant.as_str())
        .fetch_all(&self.readers)
        .await
        .map_err(|error| read_failed(doing, error))?;
        rows.into_iter()
            .map(token_from_row)
            .collect::<Result<_, _>>()
            .map_err(|error| read_failed(doing, error))
    }

    async fn create(&self, hash: [u8; 32], token: Token, audit: AuditEntry) -> Result<(), Fault> {
        let doing = "registering a token";
        let mut transaction = self.begin_write(doing).await?;
        self.require_tenant(doing, &mut transaction, &token.tenant).await?;
        let created = register(&mut transaction, hash, &token, audit).await;
        if self.settle(doing, transaction, created).await? {
            return Ok(());
        }
        Err(Fault::new(Code::Conflict, "the value of the token is known already; choose another")
            .with_context(doing))
    }

    async fn put_only(&self, hash: [u8; 32], token: Token, audit: AuditEntry) -> Result<(), Fault> {
        let doing = "replacing a token";
        // A start with the same token as ever must not need room on the disk.
        let mut reading = self.begin_read(doing).await?;
        if is_only(&mut reading, hash, &token).await.map_err(|error| read_failed(doing, error))? {
            return Ok(());
        }
        drop(reading);
        let mut transaction = self.begin_write(doing).await?;
        self.require_tenant(doing, &mut transaction, &token.tenant).await?;
        let replaced = replace_named(&mut transaction, hash, &token, audit).await;
        self.settle(doing, transaction, replaced).await.map(drop)
    }

    async fn revoke(&self, tenant: &TenantName, id: Uuid, audit: AuditEntry) -> Result<bool, Fault> {
        let doing = "revoking a token";
        let mut transaction = self.begin_write(doing).await?;
        let revoked = delete(&mut transaction, tenant, id, audit).await;
        self.settle(doing, transaction, revoked).await
    }

    async fn used(&self, id: Uuid, at_ms: i64) -> Result<(), Fault> {
        let doing = "noting that a token was used";
        let mut transaction = self.begin_write(doing).await?;
        // Notes may overtake one another; the latest moment stays.
        sqlx::query(
            "UPDATE tokens SET last_used_at_ms = $2 \
             WHERE id = $1 AND (last_used_at_ms IS NULL OR last_used_at_ms < $2)",
        )
        .bind(stored::id_column(&id))
        .bind(at_ms)
        .execute(&mut *transaction)
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

/// A token that is known stays as it is.
const IF_UNKNOWN: &str = "INSERT INTO tokens (hash, id, tenant, role, name, created_at_ms, expires_at_ms, \
     last_used_at_ms, networks, api_version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (hash) DO NOTHING";
/// A token that is known keeps its id, when it was made and when it was used.
const OVER_A_KNOWN: &str = "INSERT INTO tokens (hash, id, tenant, role, name, created_at_ms, expires_at_ms, \
     last_used_at_ms, networks, api_version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (hash) DO UPDATE \
     SET tenant = excluded.tenant, role = excluded.role, name = excluded.name, \
     expires_at_ms = excluded.expires_at_ms, networks = excluded.networks, api_version = excluded.api_version";

/// False when nothing was inserted or updated.
async fn insert(
    connection: &mut SqliteConnection,
    statement: &'static str,
    hash: [u8; 32],
    token: &Token,
) -> Result<bool, sqlx::Error> {
    let inserted = sqlx::query(statement)
        .bind(hash.to_vec())
        .bind(stored::id_column(&token.id))
        .bind(token.tenant.as_str())
        .bind(token.role.name())
        .bind(token.name.as_str())
        .bind(token.created_at_ms)
        .bind(token.expires_at_ms)
        .bind(token.last_used_at_ms)
        .bind(networks_column(token))
        .bind(token.api_version.as_deref())
        .execute(connection)
        .await?;
    Ok(inserted.rows_affected() == 1)
}

/// False when the hash is known.
async fn register(
    connection: &mut SqliteConnection,
    hash: [u8; 32],
    token: &Token,
    audit: AuditEntry,
) -> Result<bool, sqlx::Error> {
    if !insert(connection, IF_UNKNOWN, hash, token).await? {
        return Ok(false);
    }
    append_entry(connection, audit).await?;
    Ok(true)
}

/// False when everything is as it should be already.
async fn replace_named(
    connection: &mut SqliteConnection,
    hash: [u8; 32],
    token: &Token,
    audit: AuditEntry,
) -> Result<bool, sqlx::Error> {
    if is_only(connection, hash, token).await? {
        return Ok(false);
    }
    let former: Vec<Vec<u8>> =
        sqlx::query_scalar("DELETE FROM tokens WHERE tenant = $1 AND name = $2 AND hash <> $3 RETURNING id")
            .bind(token.tenant.as_str())
            .bind(token.name.as_str())
            .bind(hash.to_vec())
            .fetch_all(&mut *connection)
            .await?;
    for id in former {
        let object = Some(AuditObject::new("token", stored::id(&id)?));
        let revoked = AuditEntry { action: "token.revoke", object, ..audit.clone() };
        append_entry(connection, revoked.because("another one took its place")).await?;
    }
    insert(connection, OVER_A_KNOWN, hash, token).await?;
    // A text that was known keeps its id, and the entry is about that one.
    let id: Vec<u8> = sqlx::query_scalar("SELECT id FROM tokens WHERE hash = $1")
        .bind(hash.to_vec())
        .fetch_one(&mut *connection)
        .await?;
    let object = Some(AuditObject::new("token", stored::id(&id)?));
    append_entry(connection, AuditEntry { object, ..audit }).await?;
    Ok(true)
}

/// Hash, role, end, networks and version of an API.
type BoundsRow = (Vec<u8>, String, Option<i64>, String, Option<String>);

/// Is this token there with its role and bounds, and no other with its name?
async fn is_only(
    connection: &mut SqliteConnection,
    hash: [u8; 32],
    token: &Token,
) -> Result<bool, sqlx::Error> {
    let named: Vec<BoundsRow> = sqlx::query_as(
        "SELECT hash, role, expires_at_ms, networks, api_version FROM tokens \
         WHERE tenant = $1 AND name = $2 LIMIT 2",
    )
    .bind(token.tenant.as_str())
    .bind(token.name.as_str())
    .fetch_all(connection)
    .await?;
    let [(only, role, expires_at_ms, networks, api_version)] = &named[..] else { return Ok(false) };
    Ok(only[..] == hash
        && role == token.role.name()
        && *expires_at_ms == token.expires_at_ms
        && *networks == networks_column(token)
        && *api_version == token.api_version)
}

/// The rows of the sessions made from it go with its own.
async fn delete(
    connection: &mut SqliteConnection,
    tenant: &TenantName,
    id: Uuid,
    audit: AuditEntry,
) -> Result<bool, sqlx::Error> {
    let deleted = sqlx::query("DELETE FROM tokens WHERE id = $1 AND tenant = $2")
        .bind(stored::id_column(&id))
        .bind(tenant.as_str())
        .execute(&mut *connection)
        .await?;
    append_if_any(connection, deleted.rows_affected(), audit).await
}

fn networks_column(token: &Token) -> String {
    let networks: Vec<String> = token.networks.iter().map(ToString::to_string).collect();
    networks.join(" ")
}

type TokenRow = (Vec<u8>, String, String, String, i64, Option<i64>, Option<i64>, String, Option<String>);

fn token_from_row(row: TokenRow) -> Result<Token, sqlx::Error> {
    let (id, tenant, role, name, created_at_ms, expires_at_ms, last_used_at_ms, networks, api_version) = row;
    let networks = networks
        .split_ascii_whitespace()
        .map(|network| network.parse().map_err(|_| stored::unreadable("a token's network is not one")))
        .collect::<Result<_, _>>()?;
    Ok(Token {
        id: stored::id(&id)?,
        tenant: stored::tenant(&tenant)?,
        role: stored::role(&role)?,
        name,
        created_at_ms,
        expires_at_ms,
        last_used_at_ms,
        networks,
        api_version,
    })
}
