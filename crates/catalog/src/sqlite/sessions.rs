//! The sessions port. Only hashes of refresh tokens are here. A session goes with its user or token: its row refers to it.

use super::audit_chain::append_entry;
use super::{SqliteCatalog, read_failed, stored};
use async_trait::async_trait;
use sqlx::SqliteConnection;
use tollbook_kit::fault::{Code, Fault};
use tollbook_model::audit::AuditEntry;
use tollbook_model::ports::Sessions;
use tollbook_model::user::{LiveSession, MOST_SESSIONS, NewSession, Session, SessionHolder};
use uuid::Uuid;

#[async_trait]
impl Sessions for SqliteCatalog {
    async fn open(&self, new: NewSession, audit: AuditEntry) -> Result<u64, Fault> {
        let doing = "beginning a session";
        let mut transaction = self.begin_write(doing).await?;
        let begun = begin(&mut transaction, new, audit).await;
        let Some(ended) = begun.map_err(|error| self.write_failed(doing, error))? else {
            let text =
                "the user or token is gone or disabled, or the one-time password used; use another one";
            return Err(Fault::new(Code::NotFound, text).with_context(doing));
        };
        self.commit(doing, transaction).await?;
        Ok(ended)
    }

    async fn find(&self, id: Uuid) -> Result<Option<LiveSession>, Fault> {
        let doing = "looking for a session";
        let row: Option<SessionRow> = sqlx::query_as(
            "SELECT s.id, s.user_id, s.token_id, s.created_at_ms, s.expires_at_ms, coalesce(u.tenant, t.tenant), \
             coalesce(u.role, t.role), coalesce(u.username, t.name) FROM sessions s \
             LEFT JOIN users u ON u.id = s.user_id LEFT JOIN tokens t ON t.id = s.token_id WHERE s.id = $1",
        )
        .bind(stored::id_column(&id))
        .fetch_optional(&self.readers)
        .await
        .map_err(|error| read_failed(doing, error))?;
        row.map(session_from_row).transpose().map_err(|error| read_failed(doing, error))
    }

    async fn by_refresh(&self, hash: [u8; 32]) -> Result<Option<LiveSession>, Fault> {
        let doing = "looking for a session by its refresh token";
        let row: Option<SessionRow> = sqlx::query_as(
            "SELECT s.id, s.user_id, s.token_id, s.created_at_ms, s.expires_at_ms, coalesce(u.tenant, t.tenant), \
             coalesce(u.role, t.role), coalesce(u.username, t.name) FROM sessions s \
             LEFT JOIN users u ON u.id = s.user_id LEFT JOIN tokens t ON t.id = s.token_id \
             WHERE s.refresh_hash = $1",
        )
        .bind(hash.to_vec())
        .fetch_optional(&self.readers)
        .await
        .map_err(|error| read_failed(doing, error))?;
        row.map(session_from_row).transpose().map_err(|error| read_failed(doing, error))
    }

    async fn close(&self, id: Uuid, audit: AuditEntry) -> Result<bool, Fault> {
        let doing = "ending a session";
        let mut transaction = self.begin_write(doing).await?;
        let ended = end(&mut transaction, id, audit).await;
        self.settle(doing, transaction, ended).await
    }

    async fn forget_expired(&self, before_ms: i64) -> Result<u64, Fault> {
        let doing = "forgetting sessions that are over";
        let statement = "DELETE FROM sessions WHERE id IN \
             (SELECT id FROM sessions WHERE expires_at_ms < $1 LIMIT $2)";
        self.forget_in_steps(doing, statement, before_ms).await
    }
}

/// How many older sessions this one ends; none when the holder may not begin it.
async fn begin(
    connection: &mut SqliteConnection,
    NewSession { session, refresh_hash, step }: NewSession,
    audit: AuditEntry,
) -> Result<Option<u64>, sqlx::Error> {
    let (may_begin, user, token) = match session.holder {
        SessionHolder::User(id) => {
            (note_login(connection, id, session.created_at_ms, step).await?, Some(id), None)
        }
        SessionHolder::Token(id) => (is_token(connection, id).await?, None, Some(id)),
    };
    if !may_begin {
        return Ok(None);
    }
    let ended = end_oldest(connection, session.holder).await?;
    sqlx::query(
        "INSERT INTO sessions (id, user_id, token_id, refresh_hash, created_at_ms, expires_at_ms) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(stored::id_column(&session.id))
    .bind(user.as_ref().map(stored::id_column))
    .bind(token.as_ref().map(stored::id_column))
    .bind(refresh_hash.map(|hash| hash.to_vec()))
    .bind(session.created_at_ms)
    .bind(session.expires_at_ms)
    .execute(&mut *connection)
    .await?;
    append_entry(connection, audit).await?;
    Ok(Some(ended))
}

/// False when the user is gone or disabled, or the one-time password of this step is used.
async fn note_login(
    connection: &mut SqliteConnection,
    user: Uuid,
    at_ms: i64,
    step: Option<i64>,
) -> Result<bool, sqlx::Error> {
    let noted = sqlx::query(
        "UPDATE users SET last_login_at_ms = $2, last_step = coalesce($3, last_step) \
         WHERE id = $1 AND enabled <> 0 AND ($3 IS NULL OR last_step IS NULL OR last_step < $3)",
    )
    .bind(stored::id_column(&user))
    .bind(at_ms)
    .bind(step)
    .execute(connection)
    .await?;
    Ok(noted.rows_affected() == 1)
}

/// Makes room for one more session of the holder; answers how many had to go.
async fn end_oldest(connection: &mut SqliteConnection, holder: SessionHolder) -> Result<u64, sqlx::Error> {
    let (statement, id) = match holder {
        SessionHolder::User(id) => (
            "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE user_id = $1 \
             ORDER BY created_at_ms DESC, id DESC LIMIT -1 OFFSET $2)",
            id,
        ),
        SessionHolder::Token(id) => (
            "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE token_id = $1 \
             ORDER BY created_at_ms DESC, id DESC LIMIT -1 OFFSET $2)",
            id,
        ),
    };
    let kept = i64::try_from(MOST_SESSIONS - 1).unwrap_or(i64::MAX);
    let ended = sqlx::query(statement).bind(stored::id_column(&id)).bind(kept).execute(connection).await?;
    Ok(ended.rows_affected())
}

async fn is_token(connection: &mut SqliteConnection, token: Uuid) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM tokens WHERE id = $1)")
        .bind(stored::id_column(&token))
        .fetch_one(connection)
        .await
}

async fn end(connection: &mut SqliteConnection, id: Uuid, audit: AuditEntry) -> Result<bool, sqlx::Error> {
    let ended = sqlx::query("DELETE FROM sessions WHERE id = $1")
        .bind(stored::id_column(&id))
        .execute(&mut *connection)
        .await?;
    if ended.rows_affected() == 0 {
        return Ok(false);
    }
    append_entry(connection, audit).await?;
    Ok(true)
}

type SessionRow = (Vec<u8>, Option<Vec<u8>>, Option<Vec<u8>>, i64, i64, String, String, String);

fn session_from_row(row: SessionRow) -> Result<LiveSession, sqlx::Error> {
    let (id, user, token, created_at_ms, expires_at_ms, tenant, role, name) = row;
    let holder = match (user, token) {
        (Some(user), None) => SessionHolder::User(stored::id(&user)?),
        (None, Some(token)) => SessionHolder::Token(stored::id(&token)?),
        _ => return Err(stored::unreadable("a session is not of one user or token")),
    };
    let session = Session { id: stored::id(&id)?, holder, created_at_ms, expires_at_ms };
    Ok(LiveSession { session, tenant: stored::tenant(&tenant)?, role: stored::role(&role)?, name })
}
