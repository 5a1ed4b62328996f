//! One order of a tenant at a time, from counting its unfinished exports to making one more: of a crowd that asks at once
//! no more get through than there is room for.
//!
//! How many that are is not known here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::OwnedMutexGuard;
use tollbook_model::tenant::TenantName;

/// Whose turn it is, for each tenant that has ordered since the start.
#[derive(Debug, Default)]
pub(crate) struct OrderTurns(Mutex<HashMap<TenantName, Arc<tokio::sync::Mutex<()>>>>);

impl OrderTurns {
    /// The tenant's turn, as soon as those before are over; first come, first served. It is over when it is dropped.
    pub(crate) async fn next(&self, tenant: &TenantName) -> OwnedMutexGuard<()> {
        let turn = {
            let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            turns.entry(tenant.clone()).or_default().clone()
        };
        turn.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    #[test]
    fn a_tenant_has_one_turn_at_a_time() {
        let turns = OrderTurns::default();
        let [acme, other] = ["acme", "other"].map(|name| TenantName::parse(name).unwrap());
        let mut context = Context::from_waker(Waker::noop());
        let Poll::Ready(turn) = pin!(turns.next(&acme)).poll(&mut context) else {
            panic!("nobody is before")
        };
        let mut second = pin!(turns.next(&acme));
        assert!(second.as_mut().poll(&mut context).is_pending());
        assert!(
            pin!(turns.next(&other)).poll(&mut context).is_ready(),
            "tenants do not wait for one another"
        );
        drop(turn);
        assert!(second.as_mut().poll(&mut context).is_ready());
    }
}
