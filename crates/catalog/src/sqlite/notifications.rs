//! The notifications port: the outbox. What is sent and where to is sealed, as addresses may hold passwords.

use super::{SqliteCatalog, read_failed, sealing, stored};
use async_trait::async_trait;
use serde_json::json;
use sqlx::SqliteConnection;
use tollbook_kit::fault::Fault;
use tollbook_kit::retry::Pending;
use tollbook_kit::secret::{Sealer, Secret};
use tollbook_model::ports::{LeftOut, NewNotification, Notifications, StoredNotification};
use tollbook_model::tenant::TenantName;
use uuid::Uuid;

#[async_trait]
impl Notifications for SqliteCatalog {
    async fn due_beside(
        &self,
        now_ms: i64,
        except: &[Uuid],
        left_out: &LeftOut,
        limit: usize,
    ) -> Result<Vec<StoredNotification>, Fault> {
        let doing = "listing notices that are to be told";
        let mut transaction = self.begin_read(doing).await?;
        select_due(&mut transaction, &self.sealer, now_ms, except, left_out, limit)
            .await
            .map_err(|error| read_failed(doing, error))
    }

    async fn untold(&self, tenant: &TenantName, most: u32) -> Result<u32, Fault> {
        let doing = "counting notices that are to be told";
        sqlx::query_scalar("SELECT count(*) FROM (SELECT 1 FROM notifications WHERE tenant = $1 LIMIT $2)")
            .bind(tenant.as_str())
            .bind(i64::from(most))
            .fetch_one(&self.readers)
            .await
            .and_then(stored::small_count)
            .map_err(|error| read_failed(doing, error))
    }

    async fn next_due_in(&self, now_ms: i64) -> Result<Option<i64>, Fault> {
        let doing = "looking for the next notice";
        let next: Option<i64> = sqlx::query_scalar(
            "SELECT min(due_at_ms) FROM notifications WHERE due_at_ms > $1 AND rest_since_ms <= $1",
        )
        .bind(now_ms)
        .fetch_one(&self.readers)
        .await
        .map_err(|error| read_failed(doing, error))?;
        Ok(next.map(|due_at_ms| due_at_ms.saturating_sub(now_ms)))
    }

    async fn done(&self, id: Uuid) -> Result<(), Fault> {
        let doing = "forgetting a notice";
        let mut transaction = self.begin_write(doing).await?;
        let forgotten = delete(&mut transaction, &id).await;
        self.settle(doing, transaction, forgotten).await.map(drop)
    }

    async fn postpone(&self, id: Uuid, failed: u32, rests: Pending) -> Result<(), Fault> {
        let doing = "letting a notice rest";
        let mut transaction = self.begin_write(doing).await?;
        let postponed = update(&mut transaction, &id, failed, rests).await;
        self.settle(doing, transaction, postponed).await.map(drop)
    }
}

/// Keeps notices of a job; each is due at once.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    notices: Vec<NewNotification>,
) -> Result<(), sqlx::Error> {
    for notice in notices {
        let place = sealing::notification_place(&notice.id);
        sqlx::query(
            "INSERT INTO notifications (id, tenant, job, receiver, sealed_content, created_at_ms, due_at_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $6)",
        )
        .bind(stored::id_column(&notice.id))
        .bind(notice.tenant.as_str())
        .bind(stored::id_column(&notice.job))
        .bind(notice.receiver.cast_signed())
        .bind(sealer.seal(&place, notice.content.reveal().as_bytes()))
        .bind(notice.created_at_ms)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

/// Ids of those that are due and not left out.
const DUE: &str = "\
SELECT id FROM notifications WHERE (due_at_ms <= $1 OR rest_since_ms IS NULL OR rest_since_ms > $1) \
AND ($2 = '[]' OR tenant NOT IN (SELECT value FROM json_each($2))) \
AND ($3 = '[]' OR (tenant, receiver) NOT IN (SELECT value ->> 0, value ->> 1 FROM json_each($3))) \
ORDER BY due_at_ms, id LIMIT $4";

/// Which are due and not left out is told by the index alone; see [`Pending::is_over`] for a clock that was set back.
async fn select_due(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    now_ms: i64,
    except: &[Uuid],
    left_out: &LeftOut,
    limit: usize,
) -> Result<Vec<StoredNotification>, sqlx::Error> {
    let tenants = serde_json::Value::from_iter(left_out.tenants.iter().map(TenantName::as_str));
    let pair = |(tenant, receiver): &(TenantName, u64)| json!([tenant.as_str(), receiver.cast_signed()]);
    let receivers = serde_json::Value::from_iter(left_out.receivers.iter().map(pair));
    let ids: Vec<Vec<u8>> = sqlx::query_scalar(DUE)
        .bind(now_ms)
        .bind(tenants.to_string())
        .bind(receivers.to_string())
        .bind(i64::try_from(limit.saturating_add(except.len())).unwrap_or(i64::MAX))
        .fetch_all(&mut *connection)
        .await?;
    let mut due = Vec::new();
    for id in ids {
        let id = stored::id(&id)?;
        if due.len() < limit && !except.contains(&id) {
            due.push(select(connection, sealer, id).await?);
        }
    }
    Ok(due)
}

/// What is sent; nothing when that cannot be opened, so that whoever tells it refuses this one and goes on with others.
fn content(sealer: &Sealer, id: &Uuid, sealed: &[u8]) -> String {
    sealing::open_text(sealer, &sealing::notification_place(id), sealed).unwrap_or_else(|error| {
        tracing::error!(notice = %id, %error, "a notice cannot be opened");
        String::new()
    })
}

async fn select(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    id: Uuid,
) -> Result<StoredNotification, sqlx::Error> {
    let row: NotificationRow = sqlx::query_as(
        "SELECT tenant, job, receiver, sealed_content, created_at_ms, failed, rest_since_ms, rest_wait_ms \
         FROM notifications WHERE id = $1",
    )
    .bind(stored::id_column(&id))
    .fetch_one(connection)
    .await?;
    let (tenant, job, receiver, sealed, created_at_ms, failed, rest_since_ms, rest_wait_ms) = row;
    Ok(StoredNotification {
        notification: NewNotification {
            id,
            tenant: stored::tenant(&tenant)?,
            job: stored::id(&job)?,
            receiver: receiver.cast_unsigned(),
            content: Secret::new(content(sealer, &id, &sealed)),
            created_at_ms,
        },
        failed: stored::small_count(failed)?,
        rests: stored::pending(rest_since_ms, rest_wait_ms),
    })
}

type NotificationRow = (String, Vec<u8>, i64, Vec<u8>, i64, i64, Option<i64>, Option<i64>);

/// False when there is none.
async fn delete(connection: &mut SqliteConnection, id: &Uuid) -> Result<bool, sqlx::Error> {
    let deleted = sqlx::query("DELETE FROM notifications WHERE id = $1")
        .bind(stored::id_column(id))
        .execute(connection)
        .await?;
    Ok(deleted.rows_affected() > 0)
}

/// False when there is none.
async fn update(
    connection: &mut SqliteConnection,
    id: &Uuid,
    failed: u32,
    rests: Pending,
) -> Result<bool, sqlx::Error> {
    let updated = sqlx::query(
        "UPDATE notifications SET failed = $2, rest_since_ms = $3, rest_wait_ms = $4, due_at_ms = $5 WHERE id = $1",
    )
    .bind(stored::id_column(id))
    .bind(i64::from(failed))
    .bind(rests.since_ms)
    .bind(rests.wait_ms)
    .bind(rests.since_ms.saturating_add(rests.wait_ms))
    .execute(connection)
    .await?;
    Ok(updated.rows_affected() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sqlx::ConnectOptions;

    #[tokio::test]
    async fn what_is_due_and_not_left_out_is_told_by_the_index_alone() {
        let mut connection = sqlx::sqlite::SqliteConnectOptions::new().connect().await.unwrap();
        for step in [
            include_str!("../../migrations/sqlite/0005_export_jobs.sql"),
            include_str!("../../migrations/sqlite/0008_attempts_that_go_on.sql"),
            include_str!("../../migrations/sqlite/0009_receivers_of_notices.sql"),
        ] {
            sqlx::raw_sql(step).execute(&mut connection).await.unwrap();
        }
        let plan: Vec<(i64, i64, i64, String)> =
            sqlx::query_as(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {DUE}")))
                .fetch_all(&mut connection)
                .await
                .unwrap();
        let plan: Vec<String> = plan.into_iter().map(|(.., step)| step).collect();
        let plan = plan.join("\n");
        assert!(plan.contains("SCAN notifications USING COVERING INDEX notifications_by_due"), "{plan}");
        assert!(!plan.contains("CORRELATED"), "what is left out is read once: {plan}");
    }
}
