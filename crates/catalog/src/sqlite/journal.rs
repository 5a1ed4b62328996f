//! The journal port. `append` is what "nothing acknowledged is lost" rests on: it returns after the commit's fsync.

use super::stored;
use super::{SqliteCatalog, read_failed};
use async_trait::async_trait;
use bytes::Bytes;
use sqlx::SqliteConnection;
use std::collections::HashMap;
use tollbook_kit::fault::Fault;
use tollbook_model::dataset::Dataset;
use tollbook_model::ports::{AppendedBatch, BatchContent, Journal, NewBatch};
use tollbook_model::tenant::TenantName;
use uuid::Uuid;

#[async_trait]
impl Journal for SqliteCatalog {
    async fn append(&self, batches: Vec<NewBatch>) -> Result<Vec<AppendedBatch>, Fault> {
        let doing = "appending to the journal";
        if batches.is_empty() {
            return Ok(Vec::new());
        }
        let mut transaction = self.begin_write(doing).await?;
        let appended = insert_batches(&mut transaction, batches)
            .await
            .map_err(|error| self.write_failed(doing, error))?;
        self.commit(doing, transaction).await?;
        Ok(appended)
    }

    async fn contents(&self, batches: &[Uuid]) -> Result<Vec<BatchContent>, Fault> {
        let doing = "reading batches";
        if batches.is_empty() {
            return Ok(Vec::new());
        }
        let mut transaction = self.begin_read(doing).await?;
        let mut contents = Vec::with_capacity(batches.len());
        for batch in batches {
            let content =
                select_content(&mut transaction, batch).await.map_err(|error| read_failed(doing, error))?;
            contents.push(content.ok_or_else(|| Fault::internal("a batch that is read is no longer there"))?);
        }
        Ok(contents)
    }
}

async fn insert_batches(
    connection: &mut SqliteConnection,
    batches: Vec<NewBatch>,
) -> Result<Vec<AppendedBatch>, sqlx::Error> {
    let mut next_sequences = allocate(connection, &batches).await?;
    let mut appended = Vec::with_capacity(batches.len());
    for batch in batches {
        let next = next_sequences
            .get_mut(&(batch.tenant.clone(), batch.dataset))
            .expect("sequences were allocated for every tenant and dataset of these batches");
        let first_sequence = *next;
        *next += stored::column(batch.rows)?;
        appended.push(AppendedBatch { id: batch.id, first_sequence: stored::count(first_sequence)? });
        insert_batch(connection, batch, first_sequence).await?;
    }
    Ok(appended)
}

/// Takes the sequences of all batches at once; the answer holds the first of each tenant and dataset.
async fn allocate(
    connection: &mut SqliteConnection,
    batches: &[NewBatch],
) -> Result<HashMap<(TenantName, Dataset), i64>, sqlx::Error> {
    let mut rows: HashMap<(TenantName, Dataset), i64> = HashMap::new();
    for batch in batches {
        let sum = rows.entry((batch.tenant.clone(), batch.dataset)).or_default();
        *sum = sum
            .checked_add(stored::column(batch.rows)?)
            .ok_or_else(|| sqlx::Error::Encode("an append has over 63 bits of records".into()))?;
    }
    for ((tenant, dataset), rows) in &mut rows {
        let next: i64 = sqlx::query_scalar(
            "INSERT INTO sequences (tenant, dataset, next) VALUES ($1, $2, 1 + $3) \
             ON CONFLICT (tenant, dataset) DO UPDATE SET next = sequences.next + $3 RETURNING next",
        )
        .bind(tenant.as_str())
        .bind(dataset.name())
        .bind(*rows)
        .fetch_one(&mut *connection)
        .await?;
        *rows = next - *rows;
    }
    Ok(rows)
}

async fn insert_batch(
    connection: &mut SqliteConnection,
    batch: NewBatch,
    first_sequence: i64,
) -> Result<(), sqlx::Error> {
    let (object, inline) = match batch.content {
        BatchContent::Inline(bytes) => (None, Some(bytes)),
        BatchContent::Object(path) => (Some(path), None),
    };
    let number: i64 = sqlx::query_scalar(
        "INSERT INTO batches (id, tenant, dataset, first_sequence, rows, revisions, unsettled, first_ms, last_ms, \
         bytes, received_at_ms, object) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING number",
    )
    .bind(stored::id_column(&batch.id))
    .bind(batch.tenant.as_str())
    .bind(batch.dataset.name())
    .bind(first_sequence)
    .bind(stored::column(batch.rows)?)
    .bind(stored::column(batch.revisions)?)
    .bind(batch.unsettled)
    .bind(batch.time_ms.0)
    .bind(batch.time_ms.1)
    .bind(stored::column(batch.bytes)?)
    .bind(batch.received_at_ms)
    .bind(object)
    .fetch_one(&mut *connection)
    .await?;
    if let Some(bytes) = inline {
        sqlx::query("INSERT INTO batch_contents (batch, content) VALUES ($1, $2)")
            .bind(number)
            // Free of copying when the sender kept no other handle on the bytes.
            .bind(Vec::<u8>::from(bytes))
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn select_content(
    connection: &mut SqliteConnection,
    batch: &Uuid,
) -> Result<Option<BatchContent>, sqlx::Error> {
    let row: Option<(Option<String>, Option<Vec<u8>>)> = sqlx::query_as(
        "SELECT b.object, c.content FROM batches b LEFT JOIN batch_contents c ON c.batch = b.number WHERE b.id = $1",
    )
    .bind(stored::id_column(batch))
    .fetch_optional(connection)
    .await?;
    match row {
        None => Ok(None),
        Some((Some(path), _)) => Ok(Some(BatchContent::Object(path))),
        Some((None, Some(bytes))) => Ok(Some(BatchContent::Inline(Bytes::from(bytes)))),
        Some((None, None)) => Err(stored::unreadable("a batch has neither bytes nor an object")),
    }
}
