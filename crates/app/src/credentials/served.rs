//! Tenants whose credentials are taken: those that exist and whose time is not over.

use super::RememberedIdentities;
use crate::Ports;
use std::sync::Arc;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::Fault;
use tollbook_model::ports::Tenants;
use tollbook_model::tenant::{Tenant, TenantName, TenantState};

/// Asks whether a tenant's people and programs are let in.
#[derive(Clone)]
pub(crate) struct ServedTenants {
    tenants: Arc<dyn Tenants>,
    clock: Arc<dyn Clock>,
    remembered: RememberedIdentities,
}

impl ServedTenants {
    pub(crate) fn new(ports: &Ports, remembered: RememberedIdentities) -> Self {
        Self { tenants: ports.tenants.clone(), clock: ports.clock.clone(), remembered }
    }

    /// Is there such a tenant whose time is not over?
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    pub(crate) async fn serves(&self, name: &TenantName) -> Result<bool, Fault> {
        // That there is none is remembered too, as a tenant without time: a subject may have many groups that are no
        // tenants. When one is created, this is forgotten.
        let look_up = async {
            let found = self.tenants.find(name).await?;
            Ok::<_, Fault>(Some(found.as_ref().map_or(i64::MIN, served_until_ms)))
        };
        let until_ms = self.remembered.tenants().find(name.clone(), look_up).await?;
        Ok(until_ms.is_some_and(|until_ms| self.clock.now_ms() < until_ms))
    }
}

/// Until when credentials of the tenant are taken: while it closes, exports still work.
fn served_until_ms(tenant: &Tenant) -> i64 {
    match tenant.state {
        TenantState::Open => i64::MAX,
        TenantState::Closing { ends_at_ms } => ends_at_ms,
        TenantState::Closed => i64::MIN,
    }
}
