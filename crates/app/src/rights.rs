//! Rights: the one place where it is asked whether a caller may do something, or enter a tenant.
//!
//! What is permitted stands in the table of `model::access`; here a refusal is also written down.

use crate::identity::Identity;
use std::sync::Arc;
use std::time::Duration;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::Fault;
use tollbook_kit::rate::FixedWindows;
use tollbook_model::access::{Action, Caller};
use tollbook_model::audit::{AuditEntry, Outcome};
use tollbook_model::dataset::Dataset;
use tollbook_model::ports::AuditLog;
use uuid::Uuid;

/// Refusals of one credential that are logged in a minute: as many as the native dialect lets through. Where a dialect
/// judges rights before it counts, whoever is refused without end must not fill the disk with it.
const LOGGED_REFUSALS: u32 = 1200;
const MINUTE: Duration = Duration::from_secs(60);
/// What a caller tried who is refused before it is known what he wants.
const ENTER: &str = "tenant.enter";

/// Judges callers, and logs whom it refuses.
pub struct Rights {
    audit_log: Arc<dyn AuditLog>,
    clock: Arc<dyn Clock>,
    logged: FixedWindows<Uuid>,
}

impl Rights {
    pub(crate) fn new(audit_log: Arc<dyn AuditLog>, clock: Arc<dyn Clock>) -> Self {
        let logged = FixedWindows::new(clock.clone(), LOGGED_REFUSALS, MINUTE, MINUTE);
        Self { audit_log, clock, logged }
    }

    /// Passes if the caller may do `action`. Nothing is looked up before. A refusal is in the audit log of the caller's
    /// tenant before it is answered: one that cannot be logged is answered with the reason for that. Of one credential
    /// 1,200 refusals a minute are logged; further ones are only counted in the operator's log.
    ///
    /// # Errors
    /// `forbidden`; for a refusal also `storage_full`, `unavailable` or `internal`.
    pub async fn require(&self, caller: &Caller, action: Action) -> Result<(), Fault> {
        let Err(refusal) = caller.require(action) else { return Ok(()) };
        let entry = caller.entry(self.clock.now_ms(), action.name(), action.object(), Outcome::Denied);
        let entry = entry.because(&format!("the role {} may not", caller.role.name()));
        Err(self.logged(caller.credential, entry, refusal).await)
    }

    /// Passes if the caller may export any dataset at all, as [`Rights::require`].
    ///
    /// # Errors
    /// As [`Rights::require`].
    pub async fn require_any_export(&self, caller: &Caller) -> Result<(), Fault> {
        let may = |dataset: &Dataset| caller.require(Action::Export(*dataset)).is_ok();
        let any = Dataset::ALL.into_iter().find(may).unwrap_or(Dataset::Cdr);
        self.require(caller, Action::Export(any)).await
    }

    /// The caller of the tenant that the identity names, or of its only one. Whom it refuses is logged as in
    /// [`Rights::require`], in the log of the identity's own tenant: the other one must not be filled by strangers.
    ///
    /// # Errors
    /// As [`Identity::caller`]; for a refusal also `storage_full`, `unavailable` or `internal`.
    pub async fn enter(&self, identity: &Identity, named_tenant: Option<&str>) -> Result<Caller, Fault> {
        match identity.caller(named_tenant) {
            Ok(caller) => Ok(caller),
            Err(refusal) => Err(self.kept_out(identity, refusal).await),
        }
    }

    /// The caller of the tenant that is named like this group; refusals are logged as in [`Rights::enter`].
    ///
    /// # Errors
    /// As [`Identity::caller_of_group`]; for a refusal also `storage_full`, `unavailable` or `internal`.
    pub async fn enter_group(&self, identity: &Identity, group: &str) -> Result<Caller, Fault> {
        match identity.caller_of_group(group) {
            Ok(caller) => Ok(caller),
            Err(refusal) => Err(self.kept_out(identity, refusal).await),
        }
    }

    async fn kept_out(&self, identity: &Identity, refusal: Fault) -> Fault {
        let Some(tenant) = identity.own_tenant() else { return refusal };
        let entry = AuditEntry {
            tenant: tenant.clone(),
            home: None,
            at_ms: self.clock.now_ms(),
            actor: identity.actor().clone(),
            actor_role: identity.role(),
            ip: identity.address(),
            action: ENTER,
            object: None,
            outcome: Outcome::Denied,
            reason: None,
        };
        let entry = entry.because("the credential is not good for the tenant that was asked for");
        self.logged(identity.credential(), entry, refusal).await
    }

    /// The refusal, once its entry is written; else why it could not be.
    async fn logged(&self, credential: Uuid, entry: AuditEntry, refusal: Fault) -> Fault {
        let action = entry.action;
        if !self.logged.take(&credential).allowed {
            tracing::warn!(action, %credential, "a credential is refused too often for every refusal to be logged");
            return refusal;
        }
        match self.audit_log.append(vec![entry]).await {
            Ok(()) => refusal,
            Err(fault) => {
                tracing::error!(action, fault = fault.log_text(), "a refusal could not be logged");
                fault
            }
        }
    }
}
