//! The users port. Passwords are hashes; the keys of one-time passwords, which must be read again, are sealed.

use super::audit_chain::{append_entry, append_if_any};
use super::{SqliteCatalog, read_failed, sealing, stored};
use async_trait::async_trait;
use sqlx::SqliteConnection;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::secret::{Sealer, Secret};
use tollbook_model::audit::AuditEntry;
use tollbook_model::ports::{CredentialChange, Users};
use tollbook_model::tenant::TenantName;
use tollbook_model::user::{User, UserCredentials};
use uuid::Uuid;

#[async_trait]
impl Users for SqliteCatalog {
    async fn by_username(&self, username: &str) -> Result<Option<(User, UserCredentials)>, Fault> {
        let doing = "looking for a user by name";
        let mut transaction = self.begin_read(doing).await?;
        select_with_credentials(&mut transaction, &self.sealer, username)
            .await
            .map_err(|error| read_failed(doing, error))
    }

    async fn find(&self, tenant: &TenantName, id: Uuid) -> Result<Option<User>, Fault> {
        let doing = "looking for a user";
        let row: Option<UserRow> = sqlx::query_as(
            "SELECT id, tenant, username, email, role, enabled, sealed_second_factor IS NOT NULL, created_at_ms, \
             last_login_at_ms FROM users WHERE id = $1 AND tenant = $2",
        )
        .bind(stored::id_column(&id))
        .bind(tenant.as_str())
        .fetch_optional(&self.readers)
        .await
        .map_err(|error| read_failed(doing, error))?;
        row.map(user_from_row).transpose().map_err(|error| read_failed(doing, error))
    }

    async fn list(&self, tenant: &TenantName) -> Result<Vec<User>, Fault> {
        let doing = "listing users";
        let rows: Vec<UserRow> = sqlx::query_as(
            "SELECT id, tenant, username, email, role, enabled, sealed_second_factor IS NOT NULL, created_at_ms, \
             last_login_at_ms FROM users WHERE tenant = $1 ORDER BY username",
        )
        .bind(tenant.as_str())
        .fetch_all(&self.readers)
        .await
        .map_err(|error| read_failed(doing, error))?;
        rows.into_iter()
            .map(user_from_row)
            .collect::<Result<_, _>>()
            .map_err(|error| read_failed(doing, error))
    }

    async fn create(&self, user: User, credentials: UserCredentials, audit: AuditEntry) -> Result<(), Fault> {
        let doing = "creating a user";
        let mut transaction = self.begin_write(doing).await?;
        self.require_tenant(doing, &mut transaction, &user.tenant).await?;
        let created = insert(&mut transaction, &self.sealer, user, credentials, audit).await;
        if self.settle(doing, transaction, created).await? {
            return Ok(());
        }
        Err(Fault::new(Code::Conflict, "the user name is taken; choose another").with_context(doing))
    }

    async fn change(
        &self,
        user: User,
        credentials: CredentialChange,
        audit: AuditEntry,
    ) -> Result<bool, Fault> {
        let doing = "changing a user";
        let mut transaction = self.begin_write(doing).await?;
        let changed = update(&mut transaction, &self.sealer, user, credentials, audit).await;
        self.settle(doing, transaction, changed).await
    }

    async fn remove(&self, tenant: &TenantName, id: Uuid, audit: AuditEntry) -> Result<bool, Fault> {
        let doing = "removing a user";
        let mut transaction = self.begin_write(doing).await?;
        let removed = delete(&mut transaction, tenant, id, audit).await;
        self.settle(doing, transaction, removed).await
    }
}

async fn select_with_credentials(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    username: &str,
) -> Result<Option<(User, UserCredentials)>, sqlx::Error> {
    let row: Option<UserRow> = sqlx::query_as(
        "SELECT id, tenant, username, email, role, enabled, sealed_second_factor IS NOT NULL, created_at_ms, \
         last_login_at_ms FROM users WHERE username = $1",
    )
    .bind(username)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let user = user_from_row(row)?;
    let (password_hash, sealed, last_step): (String, Option<Vec<u8>>, Option<i64>) =
        sqlx::query_as("SELECT password_hash, sealed_second_factor, last_step FROM users WHERE id = $1")
            .bind(stored::id_column(&user.id))
            .fetch_one(connection)
            .await?;
    let second_factor = sealed
        .map(|sealed| sealing::open(sealer, &sealing::second_factor_place(&user.id), &sealed))
        .transpose()?
        .map(Secret::new);
    let password_hash = Secret::new(password_hash);
    Ok(Some((user, UserCredentials { password_hash, second_factor, last_step })))
}

fn seal_second_factor(sealer: &Sealer, user: &Uuid, key: Option<&Secret<Vec<u8>>>) -> Option<Vec<u8>> {
    key.map(|key| sealer.seal(&sealing::second_factor_place(user), key.reveal()))
}

/// False when the name is taken.
async fn insert(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    user: User,
    credentials: UserCredentials,
    audit: AuditEntry,
) -> Result<bool, sqlx::Error> {
    let inserted = sqlx::query(
        "INSERT INTO users (id, tenant, username, email, role, enabled, password_hash, sealed_second_factor, \
         created_at_ms, last_login_at_ms, last_step) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
         ON CONFLICT (username) DO NOTHING",
    )
    .bind(stored::id_column(&user.id))
    .bind(user.tenant.as_str())
    .bind(user.username)
    .bind(user.email)
    .bind(user.role.name())
    .bind(user.enabled)
    .bind(credentials.password_hash.reveal().as_str())
    .bind(seal_second_factor(sealer, &user.id, credentials.second_factor.as_ref()))
    .bind(user.created_at_ms)
    .bind(user.last_login_at_ms)
    .bind(credentials.last_step)
    .execute(&mut *connection)
    .await?;
    if inserted.rows_affected() == 0 {
        return Ok(false);
    }
    append_entry(connection, audit).await?;
    Ok(true)
}

/// False when there is no such user.
async fn update(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    user: User,
    credentials: CredentialChange,
    audit: AuditEntry,
) -> Result<bool, sqlx::Error> {
    let id = stored::id_column(&user.id);
    let before: Option<(String, bool)> =
        sqlx::query_as("SELECT role, enabled FROM users WHERE id = $1 AND tenant = $2")
            .bind(id.as_slice())
            .bind(user.tenant.as_str())
            .fetch_optional(&mut *connection)
            .await?;
    let Some((role, enabled)) = before else { return Ok(false) };
    sqlx::query("UPDATE users SET email = $2, role = $3, enabled = $4 WHERE id = $1")
        .bind(id.as_slice())
        .bind(user.email)
        .bind(user.role.name())
        .bind(user.enabled)
        .execute(&mut *connection)
        .await?;
    let keeps_sessions = credentials.is_empty() && role == user.role.name() && enabled == user.enabled;
    update_credentials(connection, sealer, &user.id, credentials).await?;
    if !keeps_sessions {
        sqlx::query("DELETE FROM sessions WHERE user_id = $1").bind(id).execute(&mut *connection).await?;
    }
    append_entry(connection, audit).await?;
    Ok(true)
}

async fn update_credentials(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    user: &Uuid,
    credentials: CredentialChange,
) -> Result<(), sqlx::Error> {
    if let Some(password_hash) = credentials.password_hash {
        sqlx::query("UPDATE users SET password_hash = $2 WHERE id = $1")
            .bind(stored::id_column(user))
            .bind(password_hash.reveal().as_str())
            .execute(&mut *connection)
            .await?;
    }
    if let Some(second_factor) = credentials.second_factor {
        sqlx::query("UPDATE users SET sealed_second_factor = $2, last_step = NULL WHERE id = $1")
            .bind(stored::id_column(user))
            .bind(seal_second_factor(sealer, user, second_factor.as_ref()))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// The rows of his sessions go with his.
async fn delete(
    connection: &mut SqliteConnection,
    tenant: &TenantName,
    id: Uuid,
    audit: AuditEntry,
) -> Result<bool, sqlx::Error> {
    let deleted = sqlx::query("DELETE FROM users WHERE id = $1 AND tenant = $2")
        .bind(stored::id_column(&id))
        .bind(tenant.as_str())
        .execute(&mut *connection)
        .await?;
    append_if_any(connection, deleted.rows_affected(), audit).await
}

type UserRow = (Vec<u8>, String, String, Option<String>, String, bool, bool, i64, Option<i64>);

fn user_from_row(row: UserRow) -> Result<User, sqlx::Error> {
    let (id, tenant, username, email, role, enabled, has_second_factor, created_at_ms, last_login_at_ms) =
        row;
    Ok(User {
        id: stored::id(&id)?,
        tenant: stored::tenant(&tenant)?,
        username,
        email,
        role: stored::role(&role)?,
        enabled,
        has_second_factor,
        created_at_ms,
        last_login_at_ms,
    })
}
