//! Promises of the audit log port.

use super::{NOW_MS, Ports, entry, id, tenant, token};
use tokio::task::JoinSet;
use tollbook_model::access::{Actor, Role};
use tollbook_model::audit::{AuditEntry, FIRST_PREVIOUS, Outcome};
use tollbook_model::ports::{AuditHead, AuditScope};
use tollbook_model::time_range::TimeRange;

fn at(at_ms: i64) -> AuditEntry {
    AuditEntry { at_ms, ..entry("acme", "test") }
}

async fn append_at(ports: &Ports, times: &[i64]) {
    ports.audit_log.append(times.iter().map(|&at_ms| at(at_ms)).collect()).await.unwrap();
}

pub(crate) async fn entries_form_a_chain_per_tenant(ports: Ports) {
    assert_eq!(ports.audit_log.head(&tenant("acme")).await.unwrap(), None);
    assert_eq!(ports.audit_log.unsigned_heads().await.unwrap(), []);
    ports.audit_log.append(Vec::new()).await.unwrap();
    let bare = AuditEntry {
        actor: Actor::System,
        actor_role: None,
        ip: None,
        object: None,
        outcome: Outcome::Error,
        ..entry("acme", "bare")
    };
    let full =
        AuditEntry { actor_role: Some(Role::Source), outcome: Outcome::Denied, ..entry("acme", "full") }
            .because("the role source may not do this; é");
    ports.audit_log.append(vec![bare.clone(), entry("other", "theirs"), full.clone()]).await.unwrap();
    ports.audit_log.append(vec![entry("acme", "third")]).await.unwrap();

    let first = bare.chained(1, FIRST_PREVIOUS);
    let second = full.chained(2, first.hash);
    let third = entry("acme", "third").chained(3, second.hash);
    let head = AuditHead { tenant: tenant("acme"), seq: 3, hash: third.hash, unsigned: 3 };
    assert_eq!(ports.chain("acme").await, [first, second, third]);
    assert_eq!(ports.chain("other").await, [entry("other", "theirs").chained(1, FIRST_PREVIOUS)]);
    assert_eq!(ports.audit_log.head(&tenant("acme")).await.unwrap(), Some(head));
}

pub(crate) async fn many_writers_leave_no_gap_in_any_chain(ports: Ports) {
    const WRITERS: u128 = 12;
    const ACTS: u128 = 12;
    const OWNERS: [&str; 3] = ["acme", "globex", "initech"];
    ports.open_tenants().await;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let ports = ports.clone();
        writers.spawn(async move {
            for act in 0..ACTS {
                let number = writer * ACTS + act;
                let owner = OWNERS[(number % 3) as usize];
                let mut hash = [0; 32];
                hash[..16].copy_from_slice(&number.to_be_bytes());
                let token = token(number, owner, "key");
                ports.tokens.create(hash, token, entry(owner, "token.create")).await.unwrap();
                let everybody = OWNERS.map(|owner| entry(owner, "export.direct"));
                ports.audit_log.append(everybody.to_vec()).await.unwrap();
            }
        });
    }
    writers.join_all().await;
    for owner in OWNERS {
        let told = ports.actions(owner).await;
        let created = told.iter().filter(|action| *action == "token.create").count();
        assert_eq!((told.len() as u128, created as u128), (WRITERS * ACTS * 4 / 3, WRITERS * ACTS / 3));
        let head = ports.audit_log.head(&tenant(owner)).await.unwrap().unwrap();
        assert_eq!(head.seq, told.len() as u64);
    }
}

pub(crate) async fn pages_show_what_was_asked_for(ports: Ports) {
    // In minutes. The clock was set back after the fourth.
    const MINUTE_MS: i64 = 60_000;
    append_at(&ports, &[10, 20, 30, 90, 25, 40, 50].map(|minute| minute * MINUTE_MS)).await;
    ports.audit_log.append(vec![entry("other", "theirs")]).await.unwrap();
    let all = (i64::MIN, i64::MAX);
    for (range, up_to_seq, after_seq, most, expected) in [
        (all, u64::MAX, 0, 100, vec![1, 2, 3, 4, 5, 6, 7]),
        (all, 4, 0, 100, vec![1, 2, 3, 4]),
        (all, u64::MAX, 2, 3, vec![3, 4, 5]),
        (all, u64::MAX, u64::MAX, 3, vec![]),
        (all, 0, 0, 3, vec![]),
        ((20, 31), u64::MAX, 0, 100, vec![2, 3, 5]),
        ((20, 31), u64::MAX, 2, 1, vec![3]),
        ((20, 31), u64::MAX, 3, 1, vec![5]),
        ((20, 31), 4, 0, 100, vec![2, 3]),
        ((20, i64::MAX), u64::MAX, 0, 100, vec![2, 3, 4, 5, 6, 7]),
        ((35, i64::MAX), u64::MAX, 0, 100, vec![4, 6, 7]),
        ((90, 91), u64::MAX, 0, 100, vec![4]),
        ((91, i64::MAX), u64::MAX, 0, 100, vec![]),
        ((i64::MIN, 10), u64::MAX, 0, 100, vec![]),
        ((i64::MIN, 26), u64::MAX, 0, 100, vec![1, 2, 5]),
    ] {
        let ms = |minute: i64| minute.saturating_mul(MINUTE_MS);
        let range = TimeRange::new(ms(range.0), ms(range.1)).unwrap();
        let scope = AuditScope { tenant: tenant("acme"), range, up_to_seq };
        let page = ports.audit_log.page(&scope, after_seq, most).await.unwrap();
        let seqs: Vec<_> = page.iter().map(|record| record.seq).collect();
        assert_eq!(seqs, expected, "{scope:?} after {after_seq}, at most {most}");
    }
}

pub(crate) async fn a_later_place_has_no_earlier_time_unless_the_clock_was_set_back(ports: Ports) {
    append_at(&ports, &[1_000, 990, 5_000, 4_999, 15_001, 5_000, 60_000]).await;
    let scope = AuditScope { tenant: tenant("acme"), range: TimeRange::all(), up_to_seq: u64::MAX };
    let records = ports.audit_log.page(&scope, 0, 100).await.unwrap();
    let times: Vec<_> = records.iter().map(|record| record.at_ms).collect();
    assert_eq!(times, [1_000, 1_000, 5_000, 5_000, 15_001, 5_000, 60_000]);
    assert!(records.iter().all(|record| record.computed_hash() == record.hash));
}

pub(crate) async fn checkpoints_cover_what_they_sign(ports: Ports) {
    let acme = tenant("acme");
    append_at(&ports, &[1, 2, 3]).await;
    ports.audit_log.append(vec![entry("other", "theirs")]).await.unwrap();
    let news = async || {
        let heads = ports.audit_log.unsigned_heads().await.unwrap();
        heads.into_iter().map(|head| (head.tenant.to_string(), head.seq, head.unsigned)).collect::<Vec<_>>()
    };
    let sign = async |seq, jws: &str| {
        ports.audit_log.put_checkpoint(&acme, seq, 5, jws.to_owned()).await.unwrap();
        ports.audit_log.latest_checkpoint(&acme).await.unwrap()
    };
    let other = (String::from("other"), 1u64, 1u64);
    assert_eq!(ports.audit_log.latest_checkpoint(&acme).await.unwrap(), None);
    assert_eq!(news().await, [(String::from("acme"), 3, 3), other.clone()]);
    assert_eq!(sign(2, "two").await.as_deref(), Some("two"));
    assert_eq!(news().await, [(String::from("acme"), 3, 1), other.clone()]);
    assert_eq!(sign(3, "three").await.as_deref(), Some("three"));
    assert_eq!(news().await, std::slice::from_ref(&other));
    assert_eq!(sign(2, "late").await.as_deref(), Some("three"), "an older one does not replace it");
    assert_eq!(sign(4, "early").await.as_deref(), Some("three"), "nor does one beyond the end");
    append_at(&ports, &[4]).await;
    let head = ports.audit_log.head(&acme).await.unwrap().unwrap();
    assert_eq!((head.seq, head.unsigned), (4, 1));
    assert_eq!(news().await, [(String::from("acme"), 4, 1), other]);
    assert_eq!(ports.audit_log.latest_checkpoint(&tenant("other")).await.unwrap(), None);
}

pub(crate) async fn the_beginning_of_a_chain_is_forgotten(ports: Ports) {
    let acme = tenant("acme");
    let seqs = async || ports.chain("acme").await.iter().map(|record| record.seq).collect::<Vec<_>>();
    assert_eq!(ports.audit_log.forget_before(&acme, i64::MAX).await.unwrap(), 0);
    append_at(&ports, &[10, 20, 30, 90, 25, 40]).await;
    ports.audit_log.append(vec![entry("other", "theirs")]).await.unwrap();
    for (before_ms, forgotten, left) in [
        (10, 0, vec![1, 2, 3, 4, 5, 6]),
        (26, 2, vec![3, 4, 5, 6]),
        // Entries 5 and 6 are older than 50, but stand behind one that is not.
        (50, 1, vec![4, 5, 6]),
        (i64::MAX, 2, vec![6]),
        (i64::MAX, 0, vec![6]),
    ] {
        assert_eq!(ports.audit_log.forget_before(&acme, before_ms).await.unwrap(), forgotten);
        assert_eq!(seqs().await, left, "before {before_ms}");
    }
    let last = ports.chain("acme").await.remove(0);
    append_at(&ports, &[100]).await;
    let chain = ports.chain("acme").await;
    assert_eq!((chain[1].seq, chain[1].previous), (7, last.hash), "the chain goes on");
    assert_eq!(ports.chain("other").await.len(), 1, "another tenant's stays");
}

pub(crate) async fn a_long_beginning_is_forgotten(ports: Ports) {
    ports.open_tenants().await;
    let acme = tenant("acme");
    append_at(&ports, &(0..2_345).collect::<Vec<_>>()).await;
    let token = token(1, "acme", "key");
    ports.tokens.create([1; 32], token, entry("acme", "token.create")).await.unwrap();
    assert_eq!(ports.audit_log.forget_before(&acme, 2_000).await.unwrap(), 2_000);
    assert_eq!(ports.chain("acme").await.len(), 346);
    assert!(ports.tokens.revoke(&acme, id(1), entry("acme", "token.revoke")).await.unwrap());
    assert_eq!(ports.audit_log.head(&acme).await.unwrap().unwrap().seq, 2_347);
}

pub(crate) async fn a_clock_that_ran_ahead_keeps_nothing_for_ever(ports: Ports) {
    let acme = tenant("acme");
    let seqs = async || ports.chain("acme").await.iter().map(|record| record.seq).collect::<Vec<_>>();
    let ahead = NOW_MS + 1;
    append_at(&ports, &[10, ahead, 20, 30, ahead, 40, 50]).await;
    for (before_ms, left) in [
        (10, vec![1, 2, 3, 4, 5, 6, 7]),
        // How old the second one is, nobody knows; no older than the third.
        (20, vec![2, 3, 4, 5, 6, 7]),
        (21, vec![4, 5, 6, 7]),
        (40, vec![5, 6, 7]),
        (41, vec![7]),
    ] {
        ports.audit_log.forget_before(&acme, before_ms).await.unwrap();
        assert_eq!(seqs().await, left, "before {before_ms}");
    }
}

pub(crate) async fn what_is_done_to_another_tenant_is_told_at_home(ports: Ports) {
    ports.open_tenants().await;
    let before = ports.chain("default").await.len();
    let about = |action| entry("default", action).about(&tenant("acme"));
    ports.tokens.create([1; 32], token(1, "acme", "key"), about("token.create")).await.unwrap();
    ports.tokens.create([1; 32], token(2, "acme", "key"), about("refused")).await.unwrap_err();
    assert_eq!(ports.actions("acme").await, ["token.create"]);
    let home = ports.chain("default").await.split_off(before);
    let [told] = &home[..] else { panic!("{home:?}") };
    assert_eq!((told.action.as_str(), told.object_id.as_deref()), ("token.create", Some("acme")));
    assert_eq!(told.object_type.as_deref(), Some("tenant"));
}
