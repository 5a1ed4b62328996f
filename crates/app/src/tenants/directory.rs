//! The directory of tenants: each request's tenant, remembered for a moment, and the one road by which one changes.
//!
//! Who may change a tenant is decided before.

use crate::Ports;
use crate::identity::RememberedIdentities;
use crate::remembered::Remembered;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Notify};
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::ids::Randomness;
use tollbook_model::access::Caller;
use tollbook_model::audit::{AuditEntry, AuditObject, Outcome};
use tollbook_model::ports::Tenants;
use tollbook_model::privacy::PseudonymKey;
use tollbook_model::tenant::{Tenant, TenantName, TenantState};

/// How stale a tenant's settings may be when another process changed them.
const TENANT_LIFE: Duration = Duration::from_secs(2);
const MOST_TENANTS: usize = 256;

/// The tenants, as use cases see them.
pub struct TenantDirectory {
    tenants: Arc<dyn Tenants>,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    remembered: Remembered<TenantName, Arc<Tenant>>,
    identities: RememberedIdentities,
    /// Held from reading a tenant until its change is stored, so that no change undoes another one, such as the
    /// closing of the tenant.
    changing: Mutex<()>,
    bell: Arc<Notify>,
}

impl TenantDirectory {
    /// `identities` are what is remembered of credentials: whether one is taken depends on its tenant.
    pub(crate) fn new(ports: &Ports, identities: RememberedIdentities) -> Self {
        Self {
            tenants: ports.tenants.clone(),
            clock: ports.clock.clone(),
            randomness: ports.randomness.clone(),
            remembered: Remembered::new(ports.clock.clone(), TENANT_LIFE, MOST_TENANTS),
            identities,
            changing: Mutex::new(()),
            bell: Arc::default(),
        }
    }

    /// The caller's tenant. Changes made through this process show at once, others after two seconds at most.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    pub async fn of(&self, caller: &Caller) -> Result<Arc<Tenant>, Fault> {
        let found = self.named(&caller.tenant).await?;
        found.ok_or_else(|| Fault::internal("a credential of a tenant that does not exist"))
    }

    /// The tenant of that name, as fresh as with [`TenantDirectory::of`]; none if there is no such tenant.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    pub async fn named(&self, name: &TenantName) -> Result<Option<Arc<Tenant>>, Fault> {
        let look_up = async { Ok(self.tenants.find(name).await?.map(Arc::new)) };
        self.remembered.find(name.clone(), look_up).await
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
        let caller = Caller::system(name.clone());
        self.create(&caller, self.fresh(name), Vec::new()).await.map(drop)
    }

    /// Answers when the control database does. For readiness checks.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    pub async fn reachable(&self) -> Result<(), Fault> {
        self.tenants.find(&TenantName::default_tenant()).await.map(drop)
    }

    /// All tenants, by name, as they are now.
    pub(crate) async fn list(&self) -> Result<Vec<Tenant>, Fault> {
        self.tenants.list().await
    }

    /// The tenant of that name as it is now.
    pub(crate) async fn find(&self, name: &TenantName) -> Result<Tenant, Fault> {
        self.tenants.find(name).await?.ok_or_else(unknown_tenant)
    }

    /// A tenant that is not stored yet, with a pseudonym key of its own.
    pub(crate) fn fresh(&self, name: TenantName) -> Tenant {
        let mut key = [0u8; 32];
        self.randomness.fill(&mut key);
        Tenant::new(name, vec![PseudonymKey::new(1, key)], self.clock.now_ms())
    }

    /// Stores a new tenant. Its audit log begins with this, and with what is told of it.
    pub(crate) async fn create(
        &self,
        caller: &Caller,
        tenant: Tenant,
        told: Vec<String>,
    ) -> Result<Tenant, Fault> {
        let entry = self.entry(caller, &tenant.name, "tenant.create", &told);
        let _forgotten = ForgetWhenDone(self);
        self.tenants.create(tenant.clone(), entry).await?;
        Ok(tenant)
    }

    /// Changes a tenant as it is now. `change` answers what is to be told of it; when that is nothing, nothing is
    /// stored or logged.
    pub(crate) async fn change(
        &self,
        caller: &Caller,
        name: &TenantName,
        action: &'static str,
        change: impl FnOnce(&mut Tenant) -> Result<Vec<String>, Fault>,
    ) -> Result<Tenant, Fault> {
        let _alone = self.changing.lock().await;
        let mut tenant = self.find(name).await?;
        if tenant.state == TenantState::Closed {
            return Err(Fault::new(
                Code::Conflict,
                "the tenant is closed and its data is deleted; nothing of it can be changed",
            ));
        }
        let told = change(&mut tenant)?;
        if told.is_empty() {
            return Ok(tenant);
        }
        let entry = self.entry(caller, name, action, &told);
        let _forgotten = ForgetWhenDone(self);
        if self.tenants.change(tenant.clone(), entry).await? { Ok(tenant) } else { Err(unknown_tenant()) }
    }

    /// Erases what the control database holds of a tenant whose time is over; false while there are records of it.
    pub(crate) async fn erase(&self, name: &TenantName) -> Result<bool, Fault> {
        let _alone = self.changing.lock().await;
        let _forgotten = ForgetWhenDone(self);
        self.tenants.erase(name).await
    }

    /// Rings after every change of a tenant.
    pub(crate) fn bell(&self) -> Arc<Notify> {
        self.bell.clone()
    }

    /// The entry stands in the chain of the tenant that it is about, whoever acts.
    fn entry(
        &self,
        caller: &Caller,
        tenant: &TenantName,
        action: &'static str,
        told: &[String],
    ) -> AuditEntry {
        let object = AuditObject::new("tenant", tenant);
        let mut entry = caller.entry(self.clock.now_ms(), action, Some(object), Outcome::Success);
        entry.tenant = tenant.clone();
        if told.is_empty() { entry } else { entry.because(&told.join("; ")) }
    }
}

/// Forgets what is remembered of tenants when a change is done, also when it failed or nobody waited for its end: whether
/// it was stored is not known then.
struct ForgetWhenDone<'d>(&'d TenantDirectory);

impl Drop for ForgetWhenDone<'_> {
    fn drop(&mut self) {
        self.0.remembered.forget_all();
        self.0.identities.forget_all();
        self.0.bell.notify_one();
    }
}

/// What is said of a tenant that is not there.
pub(crate) fn unknown_tenant() -> Fault {
    Fault::new(Code::NotFound, "no such tenant; GET /api/v1/tenants lists them")
}
