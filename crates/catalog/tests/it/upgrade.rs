//! A database that an older version left is brought up to date, and its keys no longer lie there in clear.

use crate::at_rest::{lies_in, planted};
use crate::conformance::{id, tenant};
use crate::sqlite::open;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode};
use sqlx::{ConnectOptions, SqlSafeStr};
use std::path::Path;
use tollbook_model::access::Role;
use tollbook_model::ports::{Sources, Tenants, Tokens};
use tollbook_model::tenant::{CallerNumbers, TenantQuota, TenantSettings, TenantState};
use tollbook_model::token::Token;

/// Tenants that the old database held for a while; their keys leave traces in free pages.
const FORMER_TENANTS: u16 = 3_000;

/// A database as the version before identities made it.
async fn old_database(path: &Path) -> SqliteConnection {
    let mut connection = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        .foreign_keys(true)
        .connect()
        .await
        .unwrap();
    let steps = [
        (1, include_str!("../../migrations/sqlite/0001_journal_and_manifest.sql")),
        (2, include_str!("../../migrations/sqlite/0002_tenants_sources_tokens.sql")),
    ];
    let steps = steps.map(|(version, sql)| {
        Migration::new(version, "an old step".into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    Migrator::with_migrations(steps.to_vec()).run(&mut connection).await.unwrap();
    connection
}

async fn fill(connection: &mut SqliteConnection) {
    sqlx::query("BEGIN").execute(&mut *connection).await.unwrap();
    for number in 0..=FORMER_TENANTS {
        let name = if number == 0 { String::from("default") } else { format!("former-{number}") };
        sqlx::query("INSERT INTO tenants VALUES ($1, 'pseudonym', 365, 77)")
            .bind(&name)
            .execute(&mut *connection)
            .await
            .unwrap();
        sqlx::query("INSERT INTO pseudonym_keys VALUES ($1, 1, $2)")
            .bind(&name)
            .bind(planted(number).to_vec())
            .execute(&mut *connection)
            .await
            .unwrap();
    }
    for statement in [
        "COMMIT",
        // As the key and its page were when the log was last folded, and as they are now.
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "DELETE FROM tenants WHERE name <> 'default'",
        "INSERT INTO tokens VALUES (zeroblob(32), \
         x'00000000000000000000000000000005', 'default', 'admin', 'bootstrap', 78)",
        "INSERT INTO tokens VALUES (randomblob(32), \
         x'00000000000000000000000000000007', 'default', 'admin', 'nightly', 78)",
        "INSERT INTO tokens VALUES (randomblob(32), \
         x'00000000000000000000000000000008', 'former-1', 'admin', 'bootstrap', 78)",
        "INSERT INTO tokens VALUES (randomblob(32), \
         x'00000000000000000000000000000009', 'default', 'source', 'bootstrap', 78)",
        "INSERT INTO sources VALUES ('default', 'pbx', \
         x'00000000000000000000000000000006', 'csv', '{}', 1, 3, NULL, 79)",
    ] {
        sqlx::query(statement).execute(&mut *connection).await.unwrap();
    }
}

#[tokio::test]
async fn keys_that_were_in_clear_are_sealed_and_the_rest_survives() {
    let (old, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut connection = old_database(&old.path().join("control.db")).await;
    fill(&mut connection).await;
    // What a killed process leaves: the log is not folded.
    for name in ["control.db", "control.db-wal"] {
        std::fs::copy(old.path().join(name), folder.path().join(name)).unwrap();
    }
    assert!(lies_in(folder.path(), &planted(0)) && lies_in(folder.path(), &planted(FORMER_TENANTS)));

    let catalog = open(&folder.path().join("control.db")).await.unwrap();
    for when in ["with the database open", "after it was closed"] {
        assert!(!lies_in(folder.path(), &planted(0)[..16]), "not even half of a key, {when}");
        catalog.close().await;
    }

    let catalog = open(&folder.path().join("control.db")).await.unwrap();
    let tenants = Tenants::list(&catalog).await.unwrap();
    let [default] = &tenants[..] else { panic!("{tenants:?}") };
    assert_eq!(default.newest_key().bytes().reveal(), &planted(0));
    let settings = TenantSettings {
        caller_numbers: CallerNumbers::Pseudonym,
        cdr_days: 365,
        ..TenantSettings::default()
    };
    assert_eq!((&default.settings, default.quota), (&settings, TenantQuota::default()));
    assert_eq!((default.state, default.created_at_ms), (TenantState::Open, 77));
    let bootstrap = Token {
        id: id(5),
        tenant: tenant("default"),
        role: Role::Operator,
        name: String::from("bootstrap"),
        created_at_ms: 78,
        expires_at_ms: None,
        last_used_at_ms: None,
        networks: Vec::new(),
        api_version: None,
    };
    assert_eq!(catalog.by_hash([0; 32]).await.unwrap(), Some(bootstrap), "there is an operator");
    for (owner, number, role) in
        [("default", 7, Role::Admin), ("former-1", 8, Role::Admin), ("default", 9, Role::Source)]
    {
        let other = Tokens::find(&catalog, &tenant(owner), id(number)).await.unwrap().unwrap();
        assert_eq!(other.role, role, "{number}");
    }
    assert_eq!(Sources::find(&catalog, &tenant("default"), "pbx").await.unwrap().unwrap().version, 3);
}
