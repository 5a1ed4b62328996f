//! Rights: the one place where use cases ask whether a caller may do something.
//!
//! What is permitted stands in the table of `model::access`; here a refusal is also written down.

use std::sync::Arc;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::Fault;
use tollbook_model::access::{Action, Caller};
use tollbook_model::audit::Outcome;
use tollbook_model::ports::AuditLog;

/// Judges callers, and logs whom it refuses.
pub struct Rights {
    audit_log: Arc<dyn AuditLog>,
    clock: Arc<dyn Clock>,
}

impl Rights {
    pub(crate) fn new(audit_log: Arc<dyn AuditLog>, clock: Arc<dyn Clock>) -> Self {
        Self { audit_log, clock }
    }

    /// Passes if the caller may do `action`. Nothing is looked up before. A refusal is in the audit log of the caller's
    /// tenant before it is answered: one that cannot be logged is answered with the reason for that.
    ///
    /// # Errors
    /// `forbidden`; for a refusal also `storage_full`, `unavailable` or `internal`.
    pub async fn require(&self, caller: &Caller, action: Action) -> Result<(), Fault> {
        let Err(refusal) = caller.require(action) else { return Ok(()) };
        let entry = caller.entry(self.clock.now_ms(), action.name(), action.object(), Outcome::Denied);
        let entry = entry.because(&format!("the role {} may not", caller.role.name()));
        match self.audit_log.append(vec![entry]).await {
            Ok(()) => Err(refusal),
            Err(fault) => {
                let (action, role) = (action.name(), caller.role.name());
                tracing::error!(action, role, fault = fault.log_text(), "a refusal could not be logged");
                Err(fault)
            }
        }
    }
}
