//! Room for attempts: how many are made at once, in all, for one tenant and towards one receiver, so that a receiver
//! that hangs holds up nobody else. Pure.

use std::collections::HashMap;
use tollbook_model::tenant::TenantName;
use uuid::Uuid;

/// Attempts at once, in all.
const MOST: usize = 64;
/// Of these, for one tenant.
const MOST_OF_TENANT: usize = 8;
/// Of these, towards one receiver.
const MOST_OF_RECEIVER: usize = 4;
/// Attempts at once towards one receiver, for all tenants: all mail goes to one server, which may hang, too.
const MOST_TO_RECEIVER: usize = MOST / 2;

/// Attempts that are under way.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    under_way: HashMap<Uuid, Lane>,
}

/// Whose attempt it is and towards whom.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Lane {
    tenant: TenantName,
    receiver: String,
}

impl Lanes {
    /// Is there room for any more?
    pub(super) fn has_room(&self) -> bool {
        self.under_way.len() < MOST
    }

    /// Is there room for any more of a tenant?
    pub(super) fn has_room_for(&self, tenant: &TenantName) -> bool {
        self.under_way.values().filter(|lane| lane.tenant == *tenant).count() < MOST_OF_TENANT
    }

    /// Takes room for the attempt of a notice; false when there is none for it now.
    pub(super) fn enter(&mut self, notice: Uuid, tenant: &TenantName, receiver: &str) -> bool {
        let of = |wanted: fn(&Lane, &TenantName, &str) -> bool| {
            self.under_way.values().filter(|lane| wanted(lane, tenant, receiver)).count()
        };
        let of_receiver = of(|lane, tenant, receiver| lane.tenant == *tenant && lane.receiver == receiver);
        let to_receiver = of(|lane, _, receiver| lane.receiver == receiver);
        let fits = self.has_room()
            && self.has_room_for(tenant)
            && of_receiver < MOST_OF_RECEIVER
            && to_receiver < MOST_TO_RECEIVER;
        if fits {
            let lane = Lane { tenant: tenant.clone(), receiver: receiver.to_owned() };
            self.under_way.insert(notice, lane);
        }
        fits
    }

    /// Gives the room of a notice's attempt back.
    pub(super) fn leave(&mut self, notice: Uuid) {
        self.under_way.remove(&notice);
    }

    /// The notices whose attempts are under way.
    pub(super) fn notices(&self) -> impl Iterator<Item = Uuid> {
        self.under_way.keys().copied()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use super::*;

    fn tenant(name: &str) -> TenantName {
        TenantName::parse(name).unwrap()
    }

    /// How many of a hundred notices find room.
    fn entered(lanes: &mut Lanes, of: &TenantName, receiver: impl Fn(u128) -> String, ids: u128) -> usize {
        (0..100).filter(|n| lanes.enter(Uuid::from_u128(ids + n), of, &receiver(*n))).count()
    }

    #[test]
    fn one_receiver_and_one_tenant_leave_room_for_others() {
        let mut lanes = Lanes::default();
        let (acme, other) = (tenant("acme"), tenant("other"));
        assert_eq!(entered(&mut lanes, &acme, |_| "hangs".into(), 0), 4);
        assert!(lanes.has_room_for(&acme), "one receiver does not take all of it");
        assert_eq!(entered(&mut lanes, &acme, |n| format!("host-{n}"), 1_000), 4);
        assert!(!lanes.has_room_for(&acme) && lanes.has_room_for(&other));
        assert_eq!(entered(&mut lanes, &acme, |n| format!("more-{n}"), 2_000), 0);
        assert_eq!(
            entered(&mut lanes, &other, |_| "hangs".into(), 3_000),
            4,
            "another tenant's is another's"
        );
        lanes.leave(Uuid::from_u128(0));
        assert!(!lanes.notices().any(|notice| notice == Uuid::from_u128(0)));
        assert_eq!(entered(&mut lanes, &acme, |_| "hangs".into(), 4_000), 1);
    }

    #[test]
    fn a_receiver_of_many_tenants_leaves_room_for_other_receivers() {
        let mut lanes = Lanes::default();
        for (number, ids) in (0..20).zip((0..).step_by(1_000)) {
            entered(&mut lanes, &tenant(&format!("t{number}")), |_| String::new(), ids);
        }
        assert_eq!(lanes.notices().count(), MOST_TO_RECEIVER);
        assert_eq!(entered(&mut lanes, &tenant("t19"), |_| "host".into(), 50_000), 4);
    }

    #[test]
    fn all_of_them_have_an_end() {
        let mut lanes = Lanes::default();
        for (number, ids) in (0..20).zip((0..).step_by(1_000)) {
            entered(&mut lanes, &tenant(&format!("t{number}")), |n| format!("{n}"), ids);
        }
        assert!(!lanes.has_room());
        assert_eq!(lanes.notices().count(), MOST);
        lanes.leave(Uuid::from_u128(0));
        assert!(lanes.has_room());
    }
}
