//! Secrets at rest: the places they are sealed for, the check of the key, and the move of keys that were in clear.
//!
//! Where the sealing key comes from is decided outside. Hashes of tokens and passwords are not sealed: nothing here has
//! to read them again.

use super::{failure, stored};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqlitePool;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::secret::Sealer;
use uuid::Uuid;

const CHECK_PLACE: &str = "sealing-check";
const CHECK: &[u8] = b"tollbook-sealing-check-v1";

/// Where a tenant's pseudonym key of one generation is.
pub(super) fn pseudonym_key_place(tenant: &str, generation: i64) -> String {
    format!("pseudonym-key/{tenant}/{generation}")
}

/// Where a tenant's callback secret is.
pub(super) fn callback_secret_place(tenant: &str) -> String {
    format!("callback-secret/{tenant}")
}

/// Where a user's key of one-time passwords is.
pub(super) fn second_factor_place(user: &Uuid) -> String {
    format!("second-factor/{user}")
}

/// Where the secret part of a signing key is.
pub(super) fn signing_key_place(purpose: &str, kid: &str) -> String {
    format!("signing-key/{purpose}/{kid}")
}

/// Where the signed manifest of an export is.
pub(super) fn export_manifest_place(export: &Uuid) -> String {
    format!("export-manifest/{export}")
}

/// Where the order of an export job is.
pub(super) fn export_order_place(job: &Uuid) -> String {
    format!("export-order/{job}")
}

/// Where the addresses are that an export job tells of its end.
pub(super) fn export_contacts_place(job: &Uuid) -> String {
    format!("export-contacts/{job}")
}

/// Where that is what a dialect keeps with an export job.
pub(super) fn export_dialect_note_place(job: &Uuid) -> String {
    format!("export-dialect-note/{job}")
}

/// Where the key is with which the call of an export job's end can be signed.
pub(super) fn export_callback_key_place(job: &Uuid) -> String {
    format!("export-callback-key/{job}")
}

/// Where the signed manifest of an export job's files is.
pub(super) fn export_job_manifest_place(job: &Uuid) -> String {
    format!("export-job-manifest/{job}")
}

/// Where the content of a notice is.
pub(super) fn notification_place(notice: &Uuid) -> String {
    format!("notification/{notice}")
}

/// Opens what was sealed for `place`. That it does not open although the key is right means a damaged or moved row.
pub(super) fn open(sealer: &Sealer, place: &str, sealed: &[u8]) -> Result<Vec<u8>, sqlx::Error> {
    sealer.open(place, sealed).ok_or_else(|| stored::unreadable("a sealed secret does not open in its place"))
}

/// Opens a sealed text.
pub(super) fn open_text(sealer: &Sealer, place: &str, sealed: &[u8]) -> Result<String, sqlx::Error> {
    String::from_utf8(open(sealer, place, sealed)?)
        .map_err(|_| stored::unreadable("a sealed text is no text"))
}

/// Opens a sealed key of 32 bytes.
pub(super) fn open_key(sealer: &Sealer, place: &str, sealed: &[u8]) -> Result<[u8; 32], sqlx::Error> {
    open(sealer, place, sealed)?.try_into().map_err(|_| stored::unreadable("a sealed key is not of 32 bytes"))
}

/// A key that nobody has known before: bytes of a cipher's output under a fresh nonce.
pub(super) fn fresh_key(sealer: &Sealer) -> [u8; 32] {
    let sealed = sealer.seal("fresh-key", &[0; 32]);
    *sealed.last_chunk().expect("what 32 bytes are sealed to is longer than they")
}

/// Refuses a key with which this file was not sealed; notes the key of a file that has none yet; seals what an older
/// version kept in clear. Afterwards no such key is left in the file or its log.
///
/// # Errors
/// `conflict` when the key is another one; `storage_full`, `unavailable` or `internal`.
pub(super) async fn prepare(writer: &SqlitePool, sealer: &Sealer) -> Result<(), Fault> {
    let doing = "checking the sealing key";
    let failed = |error| failure::fault(doing, error);
    let mut transaction = writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    if !is_right_key(&mut transaction, sealer).await.map_err(failed)? {
        return Err(Fault::new(
            Code::Conflict,
            "the sealing key is not the one of this data folder; give the key that the folder was first started with \
             (TOLLBOOK_SEALING_KEY, the file that secrets.key_file names, or sealing.key in the folder)",
        )
        .with_context(doing));
    }
    seal_plain_keys(&mut transaction, sealer).await.map_err(failed)?;
    transaction.commit().await.map_err(failed)?;
    // At every start, as the last one may have been killed between its commit and this.
    fold_log(writer).await;
    Ok(())
}

async fn is_right_key(connection: &mut SqliteConnection, sealer: &Sealer) -> Result<bool, sqlx::Error> {
    let noted: Option<Vec<u8>> =
        sqlx::query_scalar("SELECT sealed FROM sealing_check").fetch_optional(&mut *connection).await?;
    if let Some(sealed) = noted {
        return Ok(sealer.open(CHECK_PLACE, &sealed).as_deref() == Some(CHECK));
    }
    sqlx::query("INSERT INTO sealing_check (number, sealed) VALUES (1, $1)")
        .bind(sealer.seal(CHECK_PLACE, CHECK))
        .execute(connection)
        .await?;
    Ok(true)
}

/// Dropping the table overwrites its pages; pages that it gave up earlier are cut off the file.
async fn seal_plain_keys(connection: &mut SqliteConnection, sealer: &Sealer) -> Result<(), sqlx::Error> {
    let is_there: bool =
        sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'plain_pseudonym_keys')")
            .fetch_one(&mut *connection)
            .await?;
    if !is_there {
        return Ok(());
    }
    let plain: Vec<(String, i64, Vec<u8>)> =
        sqlx::query_as("SELECT tenant, generation, key FROM plain_pseudonym_keys")
            .fetch_all(&mut *connection)
            .await?;
    for (tenant, generation, key) in plain {
        insert_pseudonym_key(connection, sealer, &tenant, generation, &key).await?;
    }
    for statement in ["DROP TABLE plain_pseudonym_keys", "PRAGMA incremental_vacuum"] {
        sqlx::query(statement).execute(&mut *connection).await?;
    }
    Ok(())
}

/// Inserts one pseudonym key, sealed.
pub(super) async fn insert_pseudonym_key(
    connection: &mut SqliteConnection,
    sealer: &Sealer,
    tenant: &str,
    generation: i64,
    key: &[u8],
) -> Result<(), sqlx::Error> {
    let sealed = sealer.seal(&pseudonym_key_place(tenant, generation), key);
    sqlx::query("INSERT INTO pseudonym_keys (tenant, generation, sealed_key) VALUES ($1, $2, $3)")
        .bind(tenant)
        .bind(generation)
        .bind(sealed)
        .execute(connection)
        .await
        .map(drop)
}

/// Folds the write-ahead log into the file and empties it, so that nothing overwritten is left there. What was asked for
/// is durable already, so a failure is only logged; the next start does it again.
pub(super) async fn fold_log(writer: &SqlitePool) {
    let folded: Result<(i64, i64, i64), _> =
        sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(writer).await;
    match folded {
        Ok((0, _, _)) => {}
        Ok(_) => {
            tracing::warn!("the control database's log is in use and keeps its past until the next start")
        }
        Err(error) => {
            tracing::warn!(%error, "the control database's log keeps its past until the next start")
        }
    }
}
