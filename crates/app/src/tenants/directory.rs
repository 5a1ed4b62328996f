//! The directory of tenants: each request's tenant, remembered for a moment, and the one road by which one changes.
//!
//! Who may change a tenant is decided before.

use crate::Ports;
use crate::credentials::RememberedIdentities;
use crate::remembered::Remembered;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, Notify, OwnedMutexGuard};
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
const MOST_REMEMBERED: usize = 256;
/// Most tenants of one instance, closed ones among them, as their names stay taken.
pub const MOST_TENANTS: u64 = 10_000;
/// How often readiness is asked of the database itself.
const REACHABLE_LIFE: Duration = Duration::from_secs(1);

/// The tenants, as use cases see them.
pub struct TenantDirectory {
    tenants: Arc<dyn Tenants>,
    clock: Arc<dyn Clock>,
    randomness: Arc<dyn Randomness>,
    remembered: Arc<Remembered<TenantName, Arc<Tenant>>>,
    reachable: Remembered<(), ()>,
    identities: RememberedIdentities,
    /// Held from reading a tenant until its change is stored, so that no change undoes another one, such as the
    /// closing of the tenant.
    changing: Arc<Mutex<()>>,
    bell: Arc<Notify>,
}

impl TenantDirectory {
    /// `identities` are what is remembered of credentials: whether one is taken depends on its tenant.
    pub(crate) fn new(ports: &Ports, identities: RememberedIdentities) -> Self {
        Self {
            tenants: ports.tenants.clone(),
            clock: ports.clock.clone(),
            randomness: ports.randomness.clone(),
            remembered: Arc::new(Remembered::new(ports.clock.clone(), TENANT_LIFE, MOST_REMEMBERED)),
            reachable: Remembered::new(ports.clock.clone(), REACHABLE_LIFE, 1),
            identities,
            changing: Arc::default(),
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

    /// The caller's tenant, if there is still something to export.
    ///
    /// # Errors
    /// `gone` when its time to export is over; `unavailable` or `internal`.
    pub(crate) async fn exportable(&self, caller: &Caller) -> Result<Arc<Tenant>, Fault> {
        let tenant = self.of(caller).await?;
        if tenant.is_over(self.clock.now_ms()) { Err(time_to_export_is_over()) } else { Ok(tenant) }
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

    /// Answers when the control database does, or did a second ago. For readiness checks, which anybody may ask for.
    ///
    /// # Errors
    /// `unavailable` or `internal`.
    pub async fn reachable(&self) -> Result<(), Fault> {
        self.reachable.find((), async { self.tenants.count().await.map(|_| Some(())) }).await.map(drop)
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
        let alone = self.changing.clone().lock_owned().await;
        if self.tenants.count().await? >= MOST_TENANTS {
            let words =
                format!("there are {MOST_TENANTS} tenants, closed ones among them; start another instance");
            return Err(Fault::new(Code::Conflict, words));
        }
        let entry = self.entry(caller, &tenant.name, "tenant.create", &told);
        let (tenants, new) = (self.tenants.clone(), tenant.clone());
        self.carry(alone, async move { tenants.create(new, entry).await }).await?;
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
        let alone = self.changing.clone().lock_owned().await;
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
        let (tenants, new) = (self.tenants.clone(), tenant.clone());
        let changed = self.carry(alone, async move { tenants.change(new, entry).await }).await?;
        if changed { Ok(tenant) } else { Err(unknown_tenant()) }
    }

    /// Erases what the control database holds of a tenant whose time is over; false while there are records of it. The
    /// operator's audit log shows it, as the tenant's own ends with it.
    pub(crate) async fn erase(&self, name: &TenantName) -> Result<bool, Fault> {
        let alone = self.changing.clone().lock_owned().await;
        let object = Some(AuditObject::new("tenant", name));
        let system = Caller::system(TenantName::default_tenant());
        let entry = system.entry(self.clock.now_ms(), "tenant.erase", object, Outcome::Success);
        let (tenants, name) = (self.tenants.clone(), name.clone());
        self.carry(alone, async move { tenants.erase(&name, entry).await }).await
    }

    /// Carries a change to its end, then forgets what was remembered of tenants, and only then lets the next one begin.
    async fn carry<T: Send + 'static>(
        &self,
        alone: OwnedMutexGuard<()>,
        change: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<T, Fault> {
        let (remembered, bell) = (self.remembered.clone(), self.bell.clone());
        let forget = ForgetWhenDone { remembered, identities: self.identities.clone(), bell };
        let carried = async move {
            let _alone = alone;
            let _forget = forget;
            change.await
        };
        self.identities.changes().carry(carried).await
    }

    /// Rings after every change of a tenant.
    pub(crate) fn bell(&self) -> Arc<Notify> {
        self.bell.clone()
    }

    /// The entry stands in the chain of the tenant that it is about, whoever acts; the actor's own is told, too.
    fn entry(
        &self,
        caller: &Caller,
        tenant: &TenantName,
        action: &'static str,
        told: &[String],
    ) -> AuditEntry {
        let object = AuditObject::new("tenant", tenant);
        let entry = caller.entry(self.clock.now_ms(), action, Some(object), Outcome::Success).about(tenant);
        if told.is_empty() { entry } else { entry.because(&told.join("; ")) }
    }
}

/// Forgets what is remembered of tenants when a change is done, also when it failed: whether it was stored is not known
/// then.
struct ForgetWhenDone {
    remembered: Arc<Remembered<TenantName, Arc<Tenant>>>,
    identities: RememberedIdentities,
    bell: Arc<Notify>,
}

impl Drop for ForgetWhenDone {
    fn drop(&mut self) {
        self.remembered.forget_all();
        self.identities.forget_all();
        self.bell.notify_one();
    }
}

/// What is said of a tenant whose records are no longer to be had.
pub(crate) fn time_to_export_is_over() -> Fault {
    Fault::new(Code::Gone, "the tenant was closed and its time to export is over; its data is deleted")
}

/// What is said of a tenant that is not there.
pub(crate) fn unknown_tenant() -> Fault {
    Fault::new(Code::NotFound, "no such tenant; GET /api/v1/tenants lists them")
}
