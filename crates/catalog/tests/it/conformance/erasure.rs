//! Promises of the tenants port about erasing one.

use super::export_ends::notice;
use super::export_jobs::rich_job;
use super::export_line::part as export_part;
use super::export_manifests::manifest;
use super::sessions::{begin, session};
use super::tenants::{keys, unusual, with_keys};
use super::users::{credentials, user};
use super::{NOW_MS, Ports, bare, batch, entry, id, part, swap, tenant, token};
use serde_json::Map;
use tollbook_kit::fault::{Code, Fault};
use tollbook_model::export_job::Claim;
use tollbook_model::source::Source;
use tollbook_model::tenant::{Tenant, TenantState};
use tollbook_model::user::SessionHolder;

fn source(number: u128) -> Source {
    Source {
        id: id(number),
        pbx_alias: String::from("pbx"),
        kind: String::from("csv"),
        settings: Map::new(),
        enabled: true,
        version: 1,
        last_seen_at_ms: None,
        updated_at_ms: 0,
    }
}

/// Gives the tenant one of everything but records.
async fn furnish(ports: &Ports, number: u128, owner: &str) {
    let act = || entry(owner, "furnish");
    ports.sources.put(&tenant(owner), source(number), act()).await.unwrap();
    ports.tokens.create([number as u8; 32], token(number, owner, "key"), act()).await.unwrap();
    ports.users.create(user(number, owner, owner), credentials(), act()).await.unwrap();
    for (session_id, holder) in
        [(number, SessionHolder::User(id(number))), (number + 100, SessionHolder::Token(id(number)))]
    {
        ports.sessions.open(begin(session(session_id, holder), None), act()).await.unwrap();
    }
    ports.export_manifests.keep(manifest(number, owner, 5)).await.unwrap();
    let job = id(number);
    ports.take(rich_job(number, owner)).await;
    let notices = vec![notice(number, number, owner)];
    assert!(ports.export_jobs.cancel(&tenant(owner), job, 5, notices, act()).await.unwrap());
    ports.audit_log.put_checkpoint(&tenant(owner), 1, 5, String::from("signed")).await.unwrap();
}

/// Which of those things are there.
async fn found(ports: &Ports, number: u128, owner: &str) -> [bool; 11] {
    let name = tenant(owner);
    let notices = ports.notifications.due(NOW_MS, &[], 9).await.unwrap();
    [
        ports.sources.find(&name, "pbx").await.unwrap().is_some(),
        ports.tokens.by_hash([number as u8; 32]).await.unwrap().is_some(),
        ports.users.by_username(owner).await.unwrap().is_some(),
        ports.sessions.find(id(number)).await.unwrap().is_some(),
        ports.sessions.find(id(number + 100)).await.unwrap().is_some(),
        ports.export_manifests.find(&name, id(number)).await.unwrap().is_some(),
        ports.export_jobs.find(id(number)).await.unwrap().is_some(),
        notices.iter().any(|due| due.notification.id == id(number)),
        !ports.chain(owner).await.is_empty(),
        ports.audit_log.head(&name).await.unwrap().is_some(),
        ports.audit_log.latest_checkpoint(&name).await.unwrap().is_some(),
    ]
}

async fn erase(ports: &Ports, name: &str) -> Result<bool, Fault> {
    ports.tenants.erase(&tenant(name), entry("default", "tenant.erase")).await
}

fn closing(name: &str, ends_at_ms: i64) -> Tenant {
    Tenant { state: TenantState::Closing { ends_at_ms }, ..unusual(name) }
}

pub(crate) async fn an_erased_tenant_leaves_its_closed_row(ports: Ports) {
    for (number, owner) in [(1, "acme"), (2, "other")] {
        ports.tenants.create(closing(owner, NOW_MS), entry(owner, "tenant.create")).await.unwrap();
        furnish(&ports, number, owner).await;
        assert_eq!(found(&ports, number, owner).await, [true; 11]);
    }
    let before = ports.chain("acme").await.len();
    assert!(before > 5);
    assert!(erase(&ports, "acme").await.unwrap());
    assert_eq!(found(&ports, 1, "acme").await, [false; 11]);
    assert_eq!(found(&ports, 2, "other").await, [true; 11], "a neighbour is not touched");

    let erased = ports.tenants.find(&tenant("acme")).await.unwrap().unwrap();
    assert_eq!((erased.state, erased.settings.callback_secret), (TenantState::Closed, None));
    let [key] = &erased.pseudonym_keys[..] else { panic!("one key is left") };
    let former = unusual("acme").pseudonym_keys;
    assert!(former.iter().all(|old| key.generation() > old.generation()), "no old generation has a key");
    assert!(former.iter().all(|old| old.bytes() != key.bytes()));
    assert_ne!(key.bytes().reveal(), &[0; 32], "nor is it one that everybody knows");
    assert!(
        ports.tenants.create(with_keys("acme", &[(1, 1)]), entry("other", "refused")).await.is_err(),
        "the name stays taken"
    );

    let stale = ports.tenants.change(closing("acme", NOW_MS), entry("other", "nothing")).await.unwrap();
    assert!(!stale, "a change that began before does not bring it back");
    assert!(erase(&ports, "acme").await.unwrap(), "asking again is fine");
    assert_eq!(ports.actions("default").await, ["tenant.erase"], "another tenant remembers it, once");
    let again = ports.tenants.find(&tenant("acme")).await.unwrap().unwrap();
    assert_eq!(again.newest_key().bytes(), key.bytes());
}

pub(crate) async fn a_tenant_is_not_erased_too_early(ports: Ports) {
    assert!(!erase(&ports, "acme").await.unwrap(), "there is none");
    ports.tenants.create(with_keys("acme", &[(1, 8)]), entry("acme", "tenant.create")).await.unwrap();
    furnish(&ports, 1, "acme").await;
    assert!(!erase(&ports, "acme").await.unwrap(), "it is open");
    assert!(ports.tenants.change(closing("acme", NOW_MS + 1), entry("acme", "close")).await.unwrap());
    assert!(!erase(&ports, "acme").await.unwrap(), "its time is not over");
    assert!(ports.tenants.change(closing("acme", NOW_MS), entry("acme", "close")).await.unwrap());

    ports.journal.append(vec![batch(1, 1, 0)]).await.unwrap();
    assert!(!erase(&ports, "acme").await.unwrap(), "a batch is live");
    assert!(ports.manifest.replace(swap(&[id(1)], &[], vec![], 5)).await.unwrap());
    assert!(!erase(&ports, "acme").await.unwrap(), "a batch is doomed");
    ports.manifest.forget(&[id(1)]).await.unwrap();
    assert!(ports.manifest.replace(swap(&[], &[], vec![bare(part(10, 0, 1))], 5)).await.unwrap());
    assert!(!erase(&ports, "acme").await.unwrap(), "a part is live");
    assert!(ports.manifest.replace(swap(&[], &[id(10)], vec![], 6)).await.unwrap());
    assert!(!erase(&ports, "acme").await.unwrap(), "a part is doomed");
    assert_eq!(found(&ports, 1, "acme").await, [true; 11], "nothing was taken away meanwhile");
    assert_eq!(keys(&ports.tenants.find(&tenant("acme")).await.unwrap().unwrap()), [(1, 8), (2, 7)]);

    ports.manifest.forget(&[id(10)]).await.unwrap();
    let claim = ports.take_and_claim(50).await;
    assert!(ports.export_jobs.keep_part(claim, export_part(0, "exports/50/0")).await.unwrap());
    assert!(!erase(&ports, "acme").await.unwrap(), "a file is being written");
    assert_eq!(ports.export_jobs.end_all(&tenant("acme"), NOW_MS).await.unwrap(), 1);
    assert!(!erase(&ports, "acme").await.unwrap(), "its bytes are left");
    let leftovers = ports.export_jobs.leftovers(None, 9).await.unwrap();
    ports.export_jobs.forget_parts(&leftovers).await.unwrap();
    assert!(erase(&ports, "acme").await.unwrap());
}

pub(crate) async fn nothing_is_made_for_a_tenant_that_is_erased(ports: Ports) {
    ports.tenants.create(closing("acme", NOW_MS), entry("acme", "tenant.create")).await.unwrap();
    furnish(&ports, 1, "acme").await;
    assert!(erase(&ports, "acme").await.unwrap());
    // Whoever does these looked the tenant up before it was erased.
    for owner in ["acme", "nobody"] {
        let act = || entry(owner, "late");
        let name = tenant(owner);
        for refused in [
            ports.tokens.create([2; 32], token(2, owner, "key"), act()).await,
            ports.tokens.put_only([2; 32], token(2, owner, "key"), act()).await,
            ports.users.create(user(2, owner, owner), credentials(), act()).await,
            ports.sources.put(&name, source(2), act()).await.map(drop),
            ports.export_jobs.order(rich_job(2, owner), 9, None, act()).await.map(drop),
        ] {
            assert_eq!(refused.unwrap_err().code(), Code::Conflict, "{owner}");
        }
    }
    for holder in [SessionHolder::User(id(1)), SessionHolder::Token(id(1))] {
        let late = ports.sessions.open(begin(session(2, holder), None), entry("acme", "late")).await;
        assert_eq!(late.unwrap_err().code(), Code::NotFound);
    }
    // A worker that outlives its job.
    let claim = Claim { job: id(1), generation: 1 };
    assert!(!ports.export_jobs.keep_part(claim, export_part(0, "exports/1/0")).await.unwrap());
    ports.audit_log.append(vec![entry("acme", "late"), entry("other", "in time")]).await.unwrap();
    assert_eq!(found(&ports, 1, "acme").await, [false; 11], "no new chain begins, above all");
    assert_eq!(ports.actions("other").await, ["in time"]);
}
