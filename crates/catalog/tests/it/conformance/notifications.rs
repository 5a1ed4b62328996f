//! Promises of the outbox.

use super::export_ends::notice;
use super::export_jobs::job;
use super::{NOW_MS, Ports, entry, id, tenant};
use tollbook_kit::retry::Pending;
use tollbook_model::ports::{LeftOut, NewNotification};
use uuid::Uuid;

/// One job of each tenant, cancelled with these notices.
async fn tell(ports: &Ports, number: u128, owner: &str, notices: Vec<NewNotification>) {
    ports.take(job(number, owner)).await;
    let act = entry(owner, "export.cancel");
    assert!(ports.export_jobs.cancel(&tenant(owner), id(number), NOW_MS, notices, act).await.unwrap());
}

async fn due(ports: &Ports, now_ms: i64, except: &[u128], limit: usize) -> Vec<u128> {
    let except: Vec<Uuid> = except.iter().map(|&number| id(number)).collect();
    let due = ports.notifications.due(now_ms, &except, limit).await.unwrap();
    due.iter().map(|due| due.notification.id.as_u128()).collect()
}

async fn due_beside(ports: &Ports, left_out: &LeftOut, limit: usize) -> Vec<u128> {
    let due = ports.notifications.due_beside(NOW_MS, &[], left_out, limit).await.unwrap();
    due.iter().map(|due| due.notification.id.as_u128()).collect()
}

pub(crate) async fn notices_are_due_at_once_and_come_back_whole(ports: Ports) {
    ports.open_tenants().await;
    assert_eq!(due(&ports, NOW_MS, &[], 9).await, [0u128; 0]);
    let at = |created_at_ms, notice| NewNotification { created_at_ms, ..notice };
    tell(&ports, 1, "acme", vec![at(30, notice(12, 1, "acme")), at(20, notice(11, 1, "acme"))]).await;
    tell(&ports, 2, "other", vec![at(10, notice(13, 2, "other"))]).await;
    for (now_ms, except, limit, expected) in [
        (NOW_MS, &[][..], 9, &[13, 11, 12][..]),
        (NOW_MS, &[], 2, &[13, 11]),
        (NOW_MS, &[], 0, &[]),
        (NOW_MS, &[13, 11], 1, &[12]),
        (NOW_MS, &[11, 99], 9, &[13, 12]),
        (NOW_MS, &[11, 12, 13], 9, &[]),
        // A clock that was set back does not hold a first attempt up.
        (0, &[], 9, &[13, 11, 12]),
    ] {
        assert_eq!(due(&ports, now_ms, except, limit).await, expected, "except {except:?}, at most {limit}");
    }
    for (without, expected) in [
        (&["other"][..], &[11, 12][..]),
        (&["acme"], &[13]),
        (&["acme", "other"], &[]),
        (&["nobody"], &[13, 11, 12]),
    ] {
        let tenants = without.iter().map(|name| tenant(name)).collect();
        let left_out = LeftOut { tenants, ..LeftOut::default() };
        assert_eq!(due_beside(&ports, &left_out, 9).await, expected, "without {without:?}");
    }
    assert_eq!(ports.notifications.next_due_in(0).await.unwrap(), None, "none rests");
    let first = ports.notifications.due(NOW_MS, &[], 1).await.unwrap().remove(0);
    let expected = at(10, notice(13, 2, "other"));
    assert_eq!(format!("{:?}", first.notification), format!("{expected:?}"));
    assert_eq!(first.notification.content.reveal(), expected.content.reveal());
    assert_eq!((first.failed, first.rests), (0, None));
}

pub(crate) async fn notices_to_receivers_that_are_left_out_hide_no_others(ports: Ports) {
    ports.open_tenants().await;
    let to = |receiver, notice| NewNotification { receiver, ..notice };
    let many = (100..1_600).map(|number| to(u64::MAX, notice(number, 1, "acme")));
    let few = [to(7, notice(2_000, 1, "acme")), to(0, notice(2_001, 1, "acme"))];
    tell(&ports, 1, "acme", many.chain(few).collect()).await;
    tell(&ports, 2, "other", vec![to(u64::MAX, notice(3_000, 2, "other"))]).await;
    for (receivers, tenants, expected) in [
        (&[("acme", u64::MAX)][..], &[][..], &[2_000, 2_001, 3_000][..]),
        (&[("acme", u64::MAX), ("acme", 7)], &[], &[2_001, 3_000]),
        (&[("acme", u64::MAX), ("acme", 0)], &[], &[2_000, 3_000]),
        (&[("acme", u64::MAX), ("other", 7)], &[], &[2_000, 2_001, 3_000]),
        (&[("acme", u64::MAX), ("other", u64::MAX)], &[], &[2_000, 2_001]),
        (&[("acme", u64::MAX)], &["other"], &[2_000, 2_001]),
        (&[("other", u64::MAX)], &["acme"], &[]),
        (&[("acme", i64::MAX.cast_unsigned())], &["other"], &[100, 101, 102, 103]),
    ] {
        let left_out = LeftOut {
            tenants: tenants.iter().map(|name| tenant(name)).collect(),
            receivers: receivers.iter().map(|&(name, receiver)| (tenant(name), receiver)).collect(),
        };
        assert_eq!(due_beside(&ports, &left_out, 4).await, expected, "without {left_out:?}");
    }
}

pub(crate) async fn a_notice_rests_after_a_failed_attempt(ports: Ports) {
    ports.open_tenants().await;
    tell(&ports, 1, "acme", vec![notice(11, 1, "acme"), notice(12, 1, "acme")]).await;
    let rests = Pending { since_ms: NOW_MS + 100, wait_ms: 50 };
    ports.notifications.postpone(id(11), 3, rests).await.unwrap();
    for (now_ms, expected, next) in [
        (NOW_MS + 100, &[12][..], Some(50)),
        (NOW_MS + 149, &[12], Some(1)),
        (NOW_MS + 150, &[12, 11], None),
        // The clock was set back to before the rest began.
        (NOW_MS + 99, &[12, 11], None),
    ] {
        assert_eq!(due(&ports, now_ms, &[], 9).await, expected, "{now_ms}");
        assert_eq!(ports.notifications.next_due_in(now_ms).await.unwrap(), next, "{now_ms}");
    }
    let woken = ports.notifications.due(NOW_MS + 150, &[id(12)], 9).await.unwrap();
    assert_eq!((woken[0].failed, woken[0].rests), (3, Some(rests)));
    ports.notifications.postpone(id(12), 1, Pending { since_ms: NOW_MS, wait_ms: i64::MAX }).await.unwrap();
    assert_eq!(due(&ports, NOW_MS + 150, &[], 9).await, [11]);
    assert_eq!(
        ports.notifications.next_due_in(NOW_MS + 100).await.unwrap(),
        Some(50),
        "the shortest of those that rest"
    );
}

pub(crate) async fn what_was_told_is_forgotten(ports: Ports) {
    ports.open_tenants().await;
    tell(&ports, 1, "acme", vec![notice(11, 1, "acme"), notice(12, 1, "acme")]).await;
    for _ in 0..2 {
        ports.notifications.done(id(11)).await.unwrap();
        assert_eq!(due(&ports, NOW_MS, &[], 9).await, [12]);
    }
    // It was withdrawn while it was under way.
    ports.notifications.postpone(id(11), 1, Pending { since_ms: 0, wait_ms: 1 }).await.unwrap();
    assert_eq!(due(&ports, NOW_MS, &[], 9).await, [12]);
}

pub(crate) async fn what_is_untold_is_counted_by_tenant(ports: Ports) {
    ports.open_tenants().await;
    tell(&ports, 1, "acme", (11..14).map(|number| notice(number, 1, "acme")).collect()).await;
    tell(&ports, 2, "other", vec![notice(21, 2, "other")]).await;
    ports.notifications.postpone(id(12), 1, Pending { since_ms: NOW_MS, wait_ms: 1_000 }).await.unwrap();
    for (owner, most, count) in [("acme", 10, 3), ("acme", 2, 2), ("other", 10, 1), ("nobody", 10, 0)] {
        assert_eq!(ports.notifications.untold(&tenant(owner), most).await.unwrap(), count, "{owner} {most}");
    }
    ports.notifications.done(id(11)).await.unwrap();
    assert_eq!(ports.notifications.untold(&tenant("acme"), 10).await.unwrap(), 2);
}
