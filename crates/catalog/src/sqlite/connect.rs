//! How the file is created, opened and brought up to date.

use super::failure;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool,
    SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, SqlSafeStr};
use std::fs::{DirBuilder, File, OpenOptions};
use std::path::Path;
use std::time::Duration;
use tollbook_kit::fault::{Code, Fault};

/// Readers at a time. Reads are short; more would only contend for two cores.
const READERS: u32 = 4;

/// How long work waits for a connection before it is told to come back.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a statement waits for a lock of another process, such as a backup.
const BUSY_PATIENCE: Duration = Duration::from_secs(5);

/// The write-ahead log is folded into the file after this many pages of 4 KiB, by the commit that passes the mark.
/// SQLite's default of 1000 would do so after every seventh commit with a large batch; more than this would make the
/// commit that has to do it wait too long.
const CHECKPOINT_PAGES: &str = "2000";

/// The write-ahead log is cut to this after a burst; left alone it would keep its greatest size.
const LOG_BYTES_KEPT: &str = "67108864";

/// Rows a statement may run ahead of its reader: a manifest of 10,000 parts should not wake the reader 200 times.
const ROWS_AHEAD: usize = 1024;

/// The steps that lead from an empty file to today's tables. A step that was released is never changed.
const STEPS: [(i64, &str, &str); 9] = [
    (1, "journal and manifest", include_str!("../../migrations/sqlite/0001_journal_and_manifest.sql")),
    (
        2,
        "tenants, sources and tokens",
        include_str!("../../migrations/sqlite/0002_tenants_sources_tokens.sql"),
    ),
    (
        3,
        "identities and the audit log",
        include_str!("../../migrations/sqlite/0003_identities_and_audit_log.sql"),
    ),
    (4, "manifests of exports", include_str!("../../migrations/sqlite/0004_export_manifests.sql")),
    (5, "export jobs", include_str!("../../migrations/sqlite/0005_export_jobs.sql")),
    (6, "API versions of tokens", include_str!("../../migrations/sqlite/0006_api_versions.sql")),
    (7, "keys of callbacks", include_str!("../../migrations/sqlite/0007_callback_keys.sql")),
    (8, "attempts that go on", include_str!("../../migrations/sqlite/0008_attempts_that_go_on.sql")),
    (9, "receivers of notices", include_str!("../../migrations/sqlite/0009_receivers_of_notices.sql")),
];

/// Creates the file, and the folder it lies in, for this user alone unless they exist; both entries are fsynced.
/// SQLite gives its log and shared memory the mode of the file.
pub(super) fn create_private_file(path: &Path) -> Result<(), Fault> {
    if path.exists() {
        return Ok(());
    }
    create_and_sync(path).map_err(|error| {
        Fault::new(
            Code::Unavailable,
            "the control database cannot be created; check the data folder, its owner and its free space",
        )
        .with_context("creating the control database")
        .with_source(error)
    })
}

fn create_and_sync(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut folders = DirBuilder::new();
    folders.recursive(true);
    let mut file = OpenOptions::new();
    file.write(true).create(true).truncate(false);
    #[cfg(unix)]
    {
        use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
        folders.mode(0o700);
        file.mode(0o600);
    }
    let folder_is_new = !folder.exists();
    folders.create(folder)?;
    file.open(path)?.sync_all()?;
    sync_folder(folder)?;
    match folder.parent().filter(|above| folder_is_new && !above.as_os_str().is_empty()) {
        Some(above) => sync_folder(above),
        None => Ok(()),
    }
}

fn sync_folder(folder: &Path) -> std::io::Result<()> {
    // Windows cannot open a folder as a file and needs no such call.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The one connection that writes.
pub(super) async fn writer(path: &Path) -> Result<SqlitePool, Fault> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        // Set before the first table exists; gives the room of forgotten batches back, see `space`.
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        // In WAL mode only FULL fsyncs at every commit, and the commit is what a sender's answer rests on.
        .synchronous(SqliteSynchronous::Full)
        // On macOS an ordinary fsync stops at the drive's cache.
        .pragma("fullfsync", "ON")
        .pragma("checkpoint_fullfsync", "ON")
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        .pragma("journal_size_limit", LOG_BYTES_KEPT)
        // Deleted bytes are overwritten, freed pages too: of a key that was rotated away nothing is left. Only batches are
        // too large for that, see `space`.
        .pragma("secure_delete", "ON")
        .foreign_keys(true)
        .busy_timeout(BUSY_PATIENCE)
        .thread_name(|_| String::from("catalog-writer"))
        .disable_statement_logging();
    pool(1).connect_with(options).await.map_err(|error| failure::fault("opening the control database", error))
}

/// The connections that read; opened when first needed.
pub(super) fn readers(path: &Path) -> SqlitePool {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .pragma("query_only", "ON")
        .busy_timeout(BUSY_PATIENCE)
        .row_buffer_size(ROWS_AHEAD)
        .thread_name(|number| format!("catalog-reader-{number}"))
        .disable_statement_logging();
    pool(READERS).connect_lazy_with(options)
}

fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(PATIENCE)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_release(|connection, _| Box::pin(is_reusable(connection)))
}

/// Keeps a connection unless it still believes itself within a transaction. After a full disk SQLite rolls back by
/// itself, which the driver's own count of open transactions misses; such a connection would refuse to begin again.
async fn is_reusable(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    if !connection.is_in_transaction() {
        return Ok(true);
    }
    // A transaction was dropped: its rollback is queued, and done when the ping comes back.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}

/// Takes the steps that are missing, each in a transaction of its own.
pub(super) async fn migrate(writer: &SqlitePool) -> Result<(), Fault> {
    let steps = STEPS.map(|(version, what, sql)| {
        Migration::new(version, what.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(steps.to_vec()).run(writer).await.map_err(|error| {
        let doing = "bringing the control database up to date";
        match error {
            MigrateError::Execute(cause) | MigrateError::ExecuteMigration(cause, _) => failure::fault(doing, cause),
            MigrateError::VersionMissing(_) => Fault::new(
                Code::Conflict,
                "the control database was written by a newer version of tollbook; start that version, or restore a \
                 backup made before the upgrade",
            )
            .with_context(doing)
            .with_source(error),
            MigrateError::VersionMismatch(_) => Fault::new(
                Code::Conflict,
                "the control database was made by a build that was never released; start that build, or restore a \
                 backup",
            )
            .with_context(doing)
            .with_source(error),
            other => Fault::internal(doing).with_source(other),
        }
    })
}
