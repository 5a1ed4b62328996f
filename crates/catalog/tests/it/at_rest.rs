//! What lies on the disk: no secret in clear, nothing that opens under another key, no change of the log unseen.

use crate::conformance::export_ends::{notice, ready};
use crate::conformance::export_jobs::{job, lease, rich_job};
use crate::conformance::export_manifests::manifest;
use crate::conformance::sessions::{begin, session};
use crate::conformance::users::{credentials, user};
use crate::conformance::{NOW_MS, entry, id, tenant, token};
use crate::sqlite::{open, open_sealed_with, run_sql, sealer};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use std::path::Path;
use tollbook_catalog::SqliteCatalog;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::secret::Secret;
use tollbook_model::export_job::{Claim, ExportJob, JobState};
use tollbook_model::ports::{
    AuditLog, AuditScope, CredentialChange, ExportJobs, ExportManifests, KeyPurpose, Notifications, Sessions,
    SigningKeys, Sources, StoredSigningKey, Tenants, Tokens, Users,
};
use tollbook_model::privacy::PseudonymKey;
use tollbook_model::source::Source;
use tollbook_model::tenant::{Tenant, TenantState};
use tollbook_model::time_range::TimeRange;
use tollbook_model::user::{SessionHolder, User};

/// Is this in any file of the folder?
pub(crate) fn lies_in(folder: &Path, bytes: &[u8]) -> bool {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
    files.into_iter().any(|file| file.windows(bytes.len()).any(|window| window == bytes))
}

/// 32 bytes that stand nowhere by chance; the first half is the same in all.
pub(crate) fn planted(number: u16) -> [u8; 32] {
    let [high, low] = number.to_be_bytes();
    std::array::from_fn(|at| match at {
        0..16 => (at as u8).wrapping_mul(59) ^ 0xA5,
        _ => (at as u8).wrapping_mul(59) ^ if at % 2 == 0 { high } else { low },
    })
}

/// A tenant whose time is over.
fn tenant_with_secrets() -> Tenant {
    let keys = vec![PseudonymKey::new(1, planted(1)), PseudonymKey::new(2, planted(2))];
    let mut acme = Tenant::new(tenant("acme"), keys, 0);
    acme.settings.callback_secret = Some(Secret::new(String::from("planted callback secret")));
    acme.state = TenantState::Closing { ends_at_ms: NOW_MS };
    acme
}

async fn plant(catalog: &SqliteCatalog) {
    catalog_create(catalog, tenant_with_secrets()).await;
    let mut proof = credentials();
    proof.second_factor = Some(Secret::new(planted(3).to_vec()));
    Users::create(catalog, user(1, "acme", "planted-user"), proof, entry("acme", "user.create"))
        .await
        .unwrap();
    for (number, purpose) in [(4, KeyPurpose::AuditLog), (5, KeyPurpose::AccessToken)] {
        let seed = Secret::new(planted(number));
        let key = StoredSigningKey { purpose, kid: number.to_string(), seed, created_at_ms: 0 };
        SigningKeys::create(catalog, key, None).await.unwrap();
    }
    ExportManifests::keep(catalog, manifest(6, "acme", 0)).await.unwrap();
    make_ready(catalog, rich_job(7, "acme")).await;
}

/// Takes the order, and ends the job with its files and a notice, but without parts.
async fn make_ready(catalog: &SqliteCatalog, job: ExportJob) {
    let (id, number) = (job.id, job.id.as_u128());
    catalog.order(job, 100, None, entry("acme", "export.create")).await.unwrap();
    let seen = Claim { job: id, generation: 0 };
    let (claim, _) = catalog.claim(seen, lease(1, NOW_MS), NOW_MS).await.unwrap().unwrap();
    let notices = vec![notice(number, number, "acme")];
    assert!(catalog.end(claim, ready(i64::MAX), NOW_MS, notices).await.unwrap());
}

async fn catalog_create(catalog: &SqliteCatalog, tenant: Tenant) {
    Tenants::create(catalog, tenant, entry("acme", "tenant.create")).await.unwrap();
}

#[tokio::test]
async fn no_secret_lies_in_clear() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.db");
    let catalog = open(&path).await.unwrap();
    plant(&catalog).await;
    for when in ["in the log", "in the file"] {
        assert!(lies_in(folder.path(), b"planted-user"), "what is no secret is found, {when}");
        for number in 1..=5 {
            assert!(!lies_in(folder.path(), &planted(number)), "secret {number}, {when}");
        }
        assert!(!lies_in(folder.path(), b"planted callback secret"), "{when}");
        for planted in [
            "planted-manifest",
            "planted-filter",
            "planted-password",
            "planted-mail",
            "planted-note",
            "planted-callback-key",
            "planted-job-manifest",
            "planted-notice",
        ] {
            assert!(!lies_in(folder.path(), planted.as_bytes()), "{planted}, {when}");
        }
        catalog.close().await;
    }
    let catalog = open(&path).await.unwrap();
    let acme = Tenants::find(&catalog, &tenant("acme")).await.unwrap().unwrap();
    assert_eq!(acme.newest_key().bytes().reveal(), &planted(2), "and yet they are there");
    let ordered = ExportJobs::find(&catalog, id(7)).await.unwrap().unwrap();
    assert_eq!(ordered.order.query.selection.filters[0].values, ["+44 20 planted-filter"]);
    assert_eq!(catalog.due(NOW_MS, &[], 9).await.unwrap().len(), 1);
    let seeds = SigningKeys::list(&catalog).await.unwrap();
    assert_eq!(seeds.iter().map(|key| *key.seed.reveal()).collect::<Vec<_>>(), [planted(4), planted(5)]);
}

#[tokio::test]
async fn another_sealing_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.db");
    let catalog = open(&path).await.unwrap();
    plant(&catalog).await;
    catalog.close().await;
    let refused = open_sealed_with(&path, sealer(2)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Conflict);
    assert!(refused.message().contains("sealing key is not the one of this data folder"), "{refused}");
    let again = open(&path).await.unwrap();
    assert!(Tenants::find(&again, &tenant("acme")).await.unwrap().is_some(), "nothing was spoilt");
}

#[tokio::test]
async fn a_secret_that_was_moved_does_not_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.db");
    let catalog = open(&path).await.unwrap();
    plant(&catalog).await;
    catalog_create(&catalog, Tenant { name: tenant("globex"), ..tenant_with_secrets() }).await;
    run_sql(
        &path,
        "UPDATE pseudonym_keys SET sealed_key = (SELECT sealed_key FROM pseudonym_keys \
         WHERE tenant = 'globex' AND generation = 1) WHERE tenant = 'acme' AND generation = 1",
    )
    .await;
    assert_eq!(Tenants::find(&catalog, &tenant("acme")).await.unwrap_err().code(), Code::Internal);
    assert!(Tenants::find(&catalog, &tenant("globex")).await.unwrap().is_some());
}

#[tokio::test]
async fn the_key_of_a_call_is_gone_after_the_end_even_from_whoever_has_the_sealing_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.db");
    let catalog = open(&path).await.unwrap();
    catalog_create(&catalog, tenant_with_secrets()).await;
    catalog.order(rich_job(7, "acme"), 100, None, entry("acme", "export.create")).await.unwrap();
    let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    let key: Vec<u8> = sqlx::query_scalar("SELECT sealed_callback_key FROM export_orders")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    assert!(lies_in(folder.path(), &key));
    let seen = Claim { job: id(7), generation: 0 };
    let (claim, _) = catalog.claim(seen, lease(1, NOW_MS), NOW_MS).await.unwrap().unwrap();
    assert!(catalog.end(claim, ready(i64::MAX), NOW_MS, Vec::new()).await.unwrap());
    catalog.close().await;
    assert!(!lies_in(folder.path(), &key));
}

async fn sealed_values(path: &Path) -> Vec<Vec<u8>> {
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let values = sqlx::query_scalar(
        "SELECT sealed_key FROM pseudonym_keys UNION ALL SELECT sealed_callback_secret FROM tenants \
         UNION ALL SELECT sealed_second_factor FROM users WHERE sealed_second_factor IS NOT NULL \
         UNION ALL SELECT sealed_order FROM export_orders UNION ALL SELECT sealed_contacts FROM export_orders \
         UNION ALL SELECT sealed_dialect_note FROM export_orders \
         UNION ALL SELECT sealed_manifest FROM export_results \
         UNION ALL SELECT sealed_content FROM notifications",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    values
}

#[tokio::test]
async fn erased_secrets_are_gone_even_from_whoever_has_the_sealing_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.db");
    let catalog = open(&path).await.unwrap();
    plant(&catalog).await;
    // So many that whole pages become free.
    for number in 2..200 {
        let user = user(number, "acme", &format!("planted-user-{number}"));
        Users::create(&catalog, user, credentials(), entry("acme", "user.create")).await.unwrap();
    }
    let former = sealed_values(&path).await;
    assert_eq!(former.len(), 9);
    assert!(former.iter().all(|value| lies_in(folder.path(), value)));
    assert!(catalog.erase(&tenant("acme"), entry("default", "tenant.erase")).await.unwrap());
    for value in &former {
        assert!(!lies_in(folder.path(), value), "with the database open");
    }
    assert!(!lies_in(folder.path(), b"planted-user"));
    catalog.close().await;
    assert!(!former.iter().any(|value| lies_in(folder.path(), value)));
}

#[tokio::test]
async fn a_changed_past_shows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.db");
    let catalog = open(&path).await.unwrap();
    let all = AuditScope { tenant: tenant("acme"), range: TimeRange::all(), up_to_seq: u64::MAX };
    for statement in [
        "UPDATE audit_log SET action = 'logout' WHERE seq = 2",
        "UPDATE audit_log SET at_ms = at_ms + 1 WHERE seq = 2",
        "UPDATE audit_log SET actor_role = 'viewer' WHERE seq = 2",
        "UPDATE audit_log SET ip = NULL WHERE seq = 2",
        "UPDATE audit_log SET outcome = 'denied' WHERE seq = 2",
        "UPDATE audit_log SET object_id = object_id || 'x' WHERE seq = 2",
        "UPDATE audit_log SET reason = 'because' WHERE seq = 2",
        "UPDATE audit_log SET prev_hash = zeroblob(32) WHERE seq = 2",
        "UPDATE audit_log SET hash = zeroblob(32) WHERE seq = 2",
    ] {
        run_sql(&path, "DELETE FROM audit_log").await;
        run_sql(&path, "DELETE FROM audit_chains").await;
        catalog.append(vec![entry("acme", "login"); 3]).await.unwrap();
        let sound = |records: &[tollbook_model::audit::AuditRecord]| {
            records.iter().all(|record| record.computed_hash() == record.hash)
        };
        assert!(sound(&catalog.page(&all, 0, 10).await.unwrap()));
        run_sql(&path, statement).await;
        assert!(!sound(&catalog.page(&all, 0, 10).await.unwrap()), "{statement}");
    }
    // An end that was cut off leaves a gap, as the next entry stands where it would have stood.
    run_sql(&path, "DELETE FROM audit_log WHERE seq = 3").await;
    catalog.append(vec![entry("acme", "login")]).await.unwrap();
    let seqs: Vec<_> = catalog.page(&all, 0, 10).await.unwrap().iter().map(|record| record.seq).collect();
    assert_eq!(seqs, [1, 2, 4]);
}

/// Every act that is logged, by name, on a catalog that holds one of everything.
async fn every_act(catalog: &SqliteCatalog) -> Vec<(&'static str, Result<(), Fault>)> {
    let acme = tenant("acme");
    let act = || entry("acme", "act");
    let none = CredentialChange::default();
    let source = |number, alias: &str| Source {
        id: id(number),
        pbx_alias: alias.to_owned(),
        kind: String::from("csv"),
        settings: serde_json::Map::new(),
        enabled: true,
        version: 1,
        last_seen_at_ms: None,
        updated_at_ms: 0,
    };
    let globex = Tenant { name: tenant("globex"), ..tenant_with_secrets() };
    let admin = User { role: tollbook_model::access::Role::Admin, ..user(1, "acme", "planted-user") };
    let of_user = session(21, SessionHolder::User(id(1)));
    let key = |kid: &str| StoredSigningKey {
        purpose: KeyPurpose::DownloadLink,
        kid: kid.to_owned(),
        seed: Secret::new([9; 32]),
        created_at_ms: 0,
    };
    let notices = || vec![notice(35, 35, "acme")];
    vec![
        ("tenant made", Tenants::create(catalog, globex, act()).await),
        ("tenant changed", Tenants::change(catalog, tenant_with_secrets(), act()).await.map(drop)),
        ("token made", Tokens::create(catalog, [2; 32], token(2, "acme", "new"), act()).await),
        ("token put", catalog.put_only([3; 32], token(3, "acme", "key"), act()).await),
        ("token revoked", catalog.revoke(&acme, id(1), act()).await.map(drop)),
        ("user made", Users::create(catalog, user(2, "acme", "eve"), credentials(), act()).await),
        ("user changed", Users::change(catalog, admin, none, act()).await.map(drop)),
        ("user removed", Users::remove(catalog, &acme, id(1), act()).await.map(drop)),
        ("session begun", Sessions::open(catalog, begin(of_user, None), act()).await.map(drop)),
        ("session ended", Sessions::close(catalog, id(20), act()).await.map(drop)),
        ("source made", catalog.put(&acme, source(2, "new"), act()).await.map(drop)),
        ("source changed", catalog.put(&acme, source(1, "pbx"), act()).await.map(drop)),
        ("source removed", Sources::remove(catalog, &acme, "pbx", act()).await.map(drop)),
        ("job ordered", catalog.order(job(36, "acme"), 100, None, act()).await.map(drop)),
        ("job renamed", catalog.rename(&acme, id(35), Some("x".into()), act()).await.map(drop)),
        ("job cancelled", catalog.cancel(&acme, id(35), NOW_MS, notices(), act()).await.map(drop)),
        ("files taken back", catalog.expire(&acme, id(7), Some(act())).await.map(drop)),
        ("job removed", ExportJobs::remove(catalog, &acme, id(34), &JobState::ALL, act()).await.map(drop)),
        ("key made", SigningKeys::create(catalog, key("k2"), Some(act())).await),
        ("key removed", SigningKeys::remove(catalog, key("k1").purpose, "k1", Some(act())).await.map(drop)),
    ]
}

/// All rows of all tables that an act could change.
async fn dump(path: &Path) -> Vec<String> {
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let rows = sqlx::query_scalar(
        "SELECT json_array('tenant', name, hex(sealed_callback_secret), state) FROM tenants \
         UNION ALL SELECT json_array('key', tenant, generation, hex(sealed_key)) FROM pseudonym_keys \
         UNION ALL SELECT json_array('token', hex(hash), hex(id), name, role) FROM tokens \
         UNION ALL SELECT json_array('user', hex(id), role, last_login_at_ms) FROM users \
         UNION ALL SELECT json_array('session', hex(id)) FROM sessions \
         UNION ALL SELECT json_array('source', hex(id), version) FROM sources \
         UNION ALL SELECT json_array('job', hex(id), state, external_reference) FROM export_jobs \
         UNION ALL SELECT json_array('order', hex(job)) FROM export_orders \
         UNION ALL SELECT json_array('result', hex(job)) FROM export_results \
         UNION ALL SELECT json_array('notice', hex(id)) FROM notifications \
         UNION ALL SELECT json_array('signing key', purpose, kid) FROM signing_keys \
         UNION ALL SELECT json_array('entry', tenant, seq, hex(hash)) FROM audit_log \
         UNION ALL SELECT json_array('end', tenant, seq, hex(hash)) FROM audit_chains ORDER BY 1",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap();
    connection.close().await.unwrap();
    rows
}

#[tokio::test]
async fn what_cannot_be_logged_is_not_done() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.db");
    let catalog = open(&path).await.unwrap();
    plant(&catalog).await;
    Tokens::create(&catalog, [1; 32], token(1, "acme", "key"), entry("acme", "act")).await.unwrap();
    let of_user = session(20, SessionHolder::User(id(1)));
    Sessions::open(&catalog, begin(of_user, None), entry("acme", "login")).await.unwrap();
    let source = Source {
        id: id(1),
        pbx_alias: String::from("pbx"),
        kind: String::from("csv"),
        settings: serde_json::Map::new(),
        enabled: true,
        version: 1,
        last_seen_at_ms: None,
        updated_at_ms: 0,
    };
    catalog.put(&tenant("acme"), source, entry("acme", "act")).await.unwrap();
    make_ready(&catalog, job(34, "acme")).await;
    catalog.order(job(35, "acme"), 100, None, entry("acme", "act")).await.unwrap();
    let link_key = StoredSigningKey {
        purpose: KeyPurpose::DownloadLink,
        kid: String::from("k1"),
        seed: Secret::new([8; 32]),
        created_at_ms: 0,
    };
    SigningKeys::create(&catalog, link_key, None).await.unwrap();

    run_sql(
        &path,
        "CREATE TRIGGER refuse BEFORE INSERT ON audit_log BEGIN SELECT RAISE(ABORT, 'not today'); END",
    )
    .await;
    let before = dump(&path).await;
    for (act, result) in every_act(&catalog).await {
        assert!(result.is_err(), "{act}");
    }
    assert_eq!(dump(&path).await, before);
    run_sql(&path, "DROP TRIGGER refuse").await;
    let done = every_act(&catalog).await;
    // The user was removed just before, and his session went with him.
    for (act, result) in done.into_iter().filter(|(act, _)| *act != "session begun") {
        assert!(result.is_ok(), "{act}");
    }
    assert_ne!(dump(&path).await, before);
}
