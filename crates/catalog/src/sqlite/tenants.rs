//! The tenants port. Pseudonym keys and callback secrets are sealed. What erasing one means is in `erasure`.

use super::audit_chain::append_entry;
use super::{SqliteCatalog, read_failed, sealing, stored};
use async_trait::async_trait;
use sqlx::SqliteConnection;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::secret::{Sealer, Secret};
use tollbook_model::audit::AuditEntry;
use tollbook_model::ports::Tenants;
use tollbook_model::privacy::PseudonymKey;
use tollbook_model::tenant::{CallerNumbers, Tenant, TenantName, TenantQuota, TenantSettings, TenantState};

#[async_trait]
impl Tenants for SqliteCatalog {
    async fn find(&self, name: &TenantName) -> Result<Option<Tenant>, Fault> {
        let doing = "looking for a tenant";
        let mut transaction = self.begin_read(doing).await?;
        select(&mut transaction, &self.sealer, name).await.map_err(|error| read_failed(doing, error))
    }

    async fn list(&self) -> Result<Vec<Tenant>, Fault> {
        let doing = "listing tenants";
        let mut transaction = self.begin_read(doing).await?;
        select_all(&mut transaction, &self.sealer).await.map_err(|error| read_failed(doing, error))
    }

    async fn count(&self) -> Result<u64, Fault> {
        let doing = "counting tenants";
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM tenants")
            .fetch_one(&self.readers)
            .await
            .map_err(|error| read_failed(doing, error))?;
        stored::count(count).map_err(|error| read_failed(doing, error))
    }

    async fn create(&self, tenant: Tenant, audit: AuditEntry) -> Result<(), Fault> {
        let doing = "creating a tenant";
        refuse_without_key(&tenant)?;
        let mut transaction = self.begin_write(doing).await?;
        let created = insert(&mut transaction, &self.sealer, &tenant, audit).await;
        if self.settle(doing, transaction, created).await? {
            return Ok(());
        }
        let taken =
            "there is a tenant of that name, or of one that differs only in case; choose another name";
        Err(Fault::new(Code::Conflict, taken).with_context(doing))
    }

    async fn change(&self, tenant: Tenant, audit: AuditEntry) -> Result<bool, Fault> {
        let doing = "changing a tenant";
        refuse_without_key(&tenant)?;
        let mut transaction = self.begin_write(doing).await?;
        let changed = update(&mut transaction, &self.sealer, &tenant, audit).await;
        self.settle(doing, transaction, changed).await
    }

    async fn erase(&self, name: &TenantName, audit: AuditEntry) -> Result<bool, Fault> {
        self.erase_tenant(name, audit).await
    }
}

impl SqliteCatalog {
    /// Passes if the tenant is there and not erased. Asked in the transaction of whatever is made for it, so that an
    /// erasure at the same moment leaves nothing behind.
    pub(super) async fn require_tenant(
        &self,
        doing: &'static str,
        connection: &mut SqliteConnection,
        name: &TenantName,
    ) -> Result<(), Fault> {
        let is_there: bool =
            sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM tenants WHERE name = $1 AND state <> 'closed')")
                .bind(name.as_str())
                .fetch_one(connection)
                .await
                .map_err(|error| self.write_failed(doing, error))?;
        if is_there {
            return Ok(());
        }
        let text = "the tenant is closed and its data is deleted; nothing can be made for it any more";
        Err(Fault::new(Code::Conflict, text).with_context(doing))
    }
}

fn refuse_without_key(tenant: &Tenant) -> Result<(), Fault> {
    match tenant.pseudonym_keys.is_empty() {
        true => Err(Fault::internal("a tenant without a pseudonym key was to be stored")),
        false => Ok(()),
    }
}

/// The tenant of that name.
pub(super) async fn select(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    name: &TenantName,
) -> Result<Option<Tenant>, sqlx::Error> {
    let row: Option<TenantRow> = sqlx::query_as(
        "SELECT name, caller_numbers, sealed_callback_secret, cdr_retention_days, event_retention_days, \
         audit_retention_months, file_retention_s, most_direct_exports, most_running_jobs, most_queued_jobs, \
         most_stored_bytes, state, ends_at_ms, created_at_ms FROM tenants WHERE name = $1",
    )
    .bind(name.as_str())
    .fetch_optional(&mut *connection)
    .await?;
    match row {
        Some(row) => tenant_from_row(connection, sealer, row).await.map(Some),
        None => Ok(None),
    }
}

async fn select_all(connection: &mut SqliteConnection, sealer: &Sealer) -> Result<Vec<Tenant>, sqlx::Error> {
    let rows: Vec<TenantRow> = sqlx::query_as(
        "SELECT name, caller_numbers, sealed_callback_secret, cdr_retention_days, event_retention_days, \
         audit_retention_months, file_retention_s, most_direct_exports, most_running_jobs, most_queued_jobs, \
         most_stored_bytes, state, ends_at_ms, created_at_ms FROM tenants ORDER BY name",
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut tenants = Vec::with_capacity(rows.len());
    for row in rows {
        tenants.push(tenant_from_row(connection, sealer, row).await?);
    }
    Ok(tenants)
}

type TenantRow = (
    String,
    String,
    Option<Vec<u8>>,
    i64,
    i64,
    i64,
    i64,
    i64,
    i64,
    i64,
    Option<i64>,
    String,
    Option<i64>,
    i64,
);

async fn tenant_from_row(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    row: TenantRow,
) -> Result<Tenant, sqlx::Error> {
    let (name, caller_numbers, sealed, cdr_days, event_days, audit_months, file_retention_s, ..) = row;
    let (.., direct_exports, running_jobs, queued_jobs, stored_bytes, state, ends_at_ms, created_at_ms) = row;
    let settings = TenantSettings {
        caller_numbers: caller_numbers_from_word(&caller_numbers)?,
        callback_secret: callback_secret(sealer, &name, sealed)?,
        cdr_days: stored::small_count(cdr_days)?,
        event_days: stored::small_count(event_days)?,
        audit_months: stored::small_count(audit_months)?,
        file_retention_s: stored::small_count(file_retention_s)?,
    };
    let quota = TenantQuota {
        direct_exports: stored::small_count(direct_exports)?,
        running_jobs: stored::small_count(running_jobs)?,
        queued_jobs: stored::small_count(queued_jobs)?,
        stored_bytes: stored_bytes.map(stored::count).transpose()?,
    };
    Ok(Tenant {
        settings,
        quota,
        state: state_from_columns(&state, ends_at_ms)?,
        pseudonym_keys: select_keys(connection, sealer, &name).await?,
        created_at_ms,
        name: stored::tenant(&name)?,
    })
}

fn callback_secret(
    sealer: &Sealer,
    tenant: &str,
    sealed: Option<Vec<u8>>,
) -> Result<Option<Secret<String>>, sqlx::Error> {
    let Some(sealed) = sealed else { return Ok(None) };
    let text = sealing::open_text(sealer, &sealing::callback_secret_place(tenant), &sealed)?;
    Ok(Some(Secret::new(text)))
}

async fn select_keys(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    tenant: &str,
) -> Result<Vec<PseudonymKey>, sqlx::Error> {
    let keys: Vec<(i64, Vec<u8>)> = sqlx::query_as(
        "SELECT generation, sealed_key FROM pseudonym_keys WHERE tenant = $1 ORDER BY generation",
    )
    .bind(tenant)
    .fetch_all(connection)
    .await?;
    if keys.is_empty() {
        return Err(stored::unreadable("a tenant has no pseudonym key"));
    }
    keys.into_iter()
        .map(|(generation, sealed)| {
            let place = sealing::pseudonym_key_place(tenant, generation);
            let bytes = sealing::open_key(sealer, &place, &sealed)?;
            Ok(PseudonymKey::new(stored::small_count(generation)?, bytes))
        })
        .collect()
}

/// False when the name is taken.
async fn insert(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    tenant: &Tenant,
    audit: AuditEntry,
) -> Result<bool, sqlx::Error> {
    // Settings are written in one place, `put_columns`; what they are until then nobody sees.
    let inserted = sqlx::query(
        "INSERT INTO tenants (name, caller_numbers, cdr_retention_days, created_at_ms) VALUES ($1, '', 0, $2) \
         ON CONFLICT DO NOTHING",
    )
    .bind(tenant.name.as_str())
    .bind(tenant.created_at_ms)
    .execute(&mut *connection)
    .await?;
    if inserted.rows_affected() == 0 {
        return Ok(false);
    }
    update(connection, sealer, tenant, audit).await
}

/// False when there is no such tenant, or it was erased: whoever changes it read it earlier, and would bring back what was
/// erased since. Afterwards it has exactly these keys: a generation that is left out is gone, and
/// with it every original that it sealed.
async fn update(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    tenant: &Tenant,
    audit: AuditEntry,
) -> Result<bool, sqlx::Error> {
    if !put_columns(connection, sealer, tenant).await? {
        return Ok(false);
    }
    let name = tenant.name.as_str();
    sqlx::query("DELETE FROM pseudonym_keys WHERE tenant = $1").bind(name).execute(&mut *connection).await?;
    for key in &tenant.pseudonym_keys {
        let generation = i64::from(key.generation());
        sealing::insert_pseudonym_key(connection, sealer, name, generation, key.bytes().reveal()).await?;
    }
    append_entry(connection, audit).await?;
    Ok(true)
}

async fn put_columns(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    tenant: &Tenant,
) -> Result<bool, sqlx::Error> {
    let (name, settings, quota) = (tenant.name.as_str(), &tenant.settings, &tenant.quota);
    let seal = |secret: &Secret<String>| {
        sealer.seal(&sealing::callback_secret_place(name), secret.reveal().as_bytes())
    };
    let (state, ends_at_ms) = columns_of_state(tenant.state);
    let updated = sqlx::query(
        "UPDATE tenants SET caller_numbers = $2, sealed_callback_secret = $3, cdr_retention_days = $4, \
         event_retention_days = $5, audit_retention_months = $6, file_retention_s = $7, most_direct_exports = $8, \
         most_running_jobs = $9, most_queued_jobs = $10, most_stored_bytes = $11, state = $12, ends_at_ms = $13 \
         WHERE name = $1 AND state <> 'closed'",
    )
    .bind(name)
    .bind(word_of_caller_numbers(settings.caller_numbers))
    .bind(settings.callback_secret.as_ref().map(seal))
    .bind(i64::from(settings.cdr_days))
    .bind(i64::from(settings.event_days))
    .bind(i64::from(settings.audit_months))
    .bind(i64::from(settings.file_retention_s))
    .bind(i64::from(quota.direct_exports))
    .bind(i64::from(quota.running_jobs))
    .bind(i64::from(quota.queued_jobs))
    .bind(quota.stored_bytes.map(stored::column).transpose()?)
    .bind(state)
    .bind(ends_at_ms)
    .execute(connection)
    .await?;
    Ok(updated.rows_affected() == 1)
}

fn columns_of_state(state: TenantState) -> (&'static str, Option<i64>) {
    match state {
        TenantState::Open => ("open", None),
        TenantState::Closing { ends_at_ms } => ("closing", Some(ends_at_ms)),
        TenantState::Closed => ("closed", None),
    }
}

fn state_from_columns(word: &str, ends_at_ms: Option<i64>) -> Result<TenantState, sqlx::Error> {
    match (word, ends_at_ms) {
        ("open", None) => Ok(TenantState::Open),
        ("closing", Some(ends_at_ms)) => Ok(TenantState::Closing { ends_at_ms }),
        ("closed", None) => Ok(TenantState::Closed),
        _ => Err(stored::unreadable("a tenant's state is unknown to this version")),
    }
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
