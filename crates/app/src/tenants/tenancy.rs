//! What the operator does with tenants: create, show, change and close them.
//!
//! Their first credentials are made by the use cases of tokens and users.

use super::directory::{TenantDirectory, unknown_tenant};
use super::quota::QuotaChange;
use crate::faults::{all_right, invalid};
use crate::rights::Rights;
use crate::settings::SettingsChange;
use std::sync::Arc;
use std::time::Duration;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Code, Fault};
use tollbook_model::access::{Action, Caller};
use tollbook_model::tenant::{Tenant, TenantName, TenantState};
use tollbook_model::time_range::instant_text;

/// How long a closing tenant can still be exported (`natalia.md` section 15).
const TIME_TO_EXPORT: Duration = Duration::from_secs(30 * 86_400);

/// The tenants, as the operator sees them.
pub struct Tenancy {
    rights: Arc<Rights>,
    tenants: Arc<TenantDirectory>,
    clock: Arc<dyn Clock>,
}

impl Tenancy {
    pub(crate) fn new(rights: Arc<Rights>, tenants: Arc<TenantDirectory>, clock: Arc<dyn Clock>) -> Self {
        Self { rights, tenants, clock }
    }

    /// May the caller see and change tenants at all? Protocols ask before they read a body.
    ///
    /// # Errors
    /// `forbidden`.
    pub async fn permit(&self, caller: &Caller) -> Result<(), Fault> {
        self.rights.require(caller, Action::ManageTenants).await
    }

    /// Creates a tenant with a pseudonym key of its own; what is not given is as usual.
    ///
    /// # Errors
    /// `forbidden`; `invalid`, naming everything that is wrong; `conflict` when there is one of that name, or of one
    /// that differs only in case, or there are [`MOST_TENANTS`](super::MOST_TENANTS); `storage_full`, `unavailable` or
    /// `internal`.
    pub async fn create(
        &self,
        caller: &Caller,
        name: &str,
        settings: SettingsChange,
        quota: QuotaChange,
    ) -> Result<Tenant, Fault> {
        self.permit(caller).await?;
        let parsed = TenantName::parse(name);
        let mut faults = Vec::new();
        if parsed.is_none() {
            faults.push(invalid("name", "must be 1 to 128 characters of A-Z a-z 0-9 . _ -"));
        }
        faults.extend(settings.faults());
        faults.extend(quota.faults());
        all_right(faults)?;
        let mut tenant = self.tenants.fresh(parsed.ok_or_else(unknown_tenant)?);
        let told = apply(settings, quota, &mut tenant);
        self.tenants.create(caller, tenant, told).await
    }

    /// All tenants, by name.
    ///
    /// # Errors
    /// `forbidden`, `unavailable` or `internal`.
    pub async fn list(&self, caller: &Caller) -> Result<Vec<Tenant>, Fault> {
        self.permit(caller).await?;
        self.tenants.list().await
    }

    /// The tenant of that name.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `unavailable` or `internal`.
    pub async fn find(&self, caller: &Caller, name: &str) -> Result<Tenant, Fault> {
        self.permit(caller).await?;
        self.tenants.find(&parse(name)?).await
    }

    /// Changes settings and quota of a tenant, also of one that is closing. What changes nothing is not logged.
    ///
    /// # Errors
    /// `forbidden`; `invalid`, naming everything that is wrong; `not_found`; `conflict` when it is closed;
    /// `storage_full`, `unavailable` or `internal`.
    pub async fn change(
        &self,
        caller: &Caller,
        name: &str,
        settings: SettingsChange,
        quota: QuotaChange,
    ) -> Result<Tenant, Fault> {
        self.permit(caller).await?;
        let mut faults = settings.faults();
        faults.extend(quota.faults());
        all_right(faults)?;
        let change = |tenant: &mut Tenant| Ok(apply(settings, quota, tenant));
        self.tenants.change(caller, &parse(name)?, "tenant.change", change).await
    }

    /// Ends a tenant: from now on nothing goes in, exports work for 30 days, then its data is deleted. There is no way
    /// back.
    ///
    /// # Errors
    /// `forbidden`; `not_found`; `conflict` when it is closing or closed already, or is the operator's own;
    /// `storage_full`, `unavailable` or `internal`.
    pub async fn close(&self, caller: &Caller, name: &str) -> Result<Tenant, Fault> {
        self.permit(caller).await?;
        let name = parse(name)?;
        if name == TenantName::default_tenant() {
            return Err(Fault::new(
                Code::Conflict,
                "the tenant default is the operator's own and cannot be closed",
            ));
        }
        let time_to_export_ms = i64::try_from(TIME_TO_EXPORT.as_millis()).unwrap_or(i64::MAX);
        let ends_at_ms = self.clock.now_ms().saturating_add(time_to_export_ms);
        let close = |tenant: &mut Tenant| match tenant.state {
            TenantState::Open => {
                tenant.state = TenantState::Closing { ends_at_ms };
                Ok(vec![format!("exports work until {}", instant_text(ends_at_ms))])
            }
            TenantState::Closing { .. } | TenantState::Closed => Err(Fault::new(
                Code::Conflict,
                "the tenant is closing already; its field closes_at says until when it can be exported",
            )),
        };
        self.tenants.change(caller, &name, "tenant.close", close).await
    }
}

fn apply(settings: SettingsChange, quota: QuotaChange, tenant: &mut Tenant) -> Vec<String> {
    let mut told = settings.apply(&mut tenant.settings);
    told.extend(quota.apply(&mut tenant.quota));
    told
}

/// What could not be a name is no tenant's.
fn parse(name: &str) -> Result<TenantName, Fault> {
    TenantName::parse(name).ok_or_else(unknown_tenant)
}
