//! Tenants: finding the caller's, and making the one that exists from the first start on.
//!
//! Creating further tenants and rotating their keys are not here yet.

use crate::remembered::Remembered;
use std::sync::Arc;
use std::time::Duration;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::Fault;
use tollbook_kit::ids::Randomness;
use tollbook_model::access::Caller;
use tollbook_model::ports::Tenants;
use tollbook_model::privacy::PseudonymKey;
use tollbook_model::tenant::{CallerNumbers, Tenant, TenantName};

/// Days for which call records are kept unless the tenant says otherwise (`natalia.md` section 1).
const CDR_RETENTION_DAYS: u32 = 400;
/// How stale a tenant's settings may be.
const TENANT_LIFE: Duration = Duration::from_secs(2);
const MOST_TENANTS: usize = 256;

/// The tenants, as use cases see them.
pub struct TenantDirectory {
    tenants: Arc<dyn Tenants>,
    randomness: Arc<dyn Randomness>,
    remembered: Remembered<TenantName, Arc<Tenant>>,
}

impl TenantDirectory {
    pub(crate) fn new(
        tenants: Arc<dyn Tenants>,
        clock: Arc<dyn Clock>,
        randomness: Arc<dyn Randomness>,
    ) -> Self {
        Self { tenants, randomness, remembered: Remembered::new(clock, TENANT_LIFE, MOST_TENANTS) }
    }

    /// The caller's tenant; at most two seconds stale.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    pub async fn of(&self, caller: &Caller) -> Result<Arc<Tenant>, Fault> {
        if let Some(tenant) = self.remembered.get(&caller.tenant) {
            return Ok(tenant);
        }
        let found = self.tenants.find(&caller.tenant).await?;
        let tenant =
            Arc::new(found.ok_or_else(|| Fault::internal("a token of a tenant that does not exist"))?);
        self.remembered.keep(caller.tenant.clone(), tenant.clone());
        Ok(tenant)
    }

    /// Makes sure that the tenant `default` exists; a new one gets a fresh pseudonym key. For the start of the process.
    ///
    /// # Errors
    /// `storage_full`, `unavailable` or `internal`.
    pub async fn bootstrap(&self) -> Result<(), Fault> {
        let name = TenantName::default_tenant();
        if self.tenants.find(&name).await?.is_some() {
            return Ok(());
        }
        let mut key = [0u8; 32];
        self.randomness.fill(&mut key);
        let tenant = Tenant {
            name,
            caller_numbers: CallerNumbers::Pseudonym,
            pseudonym_keys: vec![PseudonymKey::new(1, key)],
            cdr_retention_days: CDR_RETENTION_DAYS,
        };
        self.tenants.put(tenant).await
    }

    /// Answers when the control database does. For readiness checks.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    pub async fn reachable(&self) -> Result<(), Fault> {
        self.tenants.find(&TenantName::default_tenant()).await.map(drop)
    }
}
