//! The audit log as its readers see it beside the exports: its latest signed checkpoint, and the keys that prove it.
//!
//! Its entries are written where things are done, and exported like any dataset.

pub(crate) mod checkpoints;

use crate::rights::Rights;
use crate::signing_keys::SigningKeyRing;
use serde_json::Value;
use std::sync::Arc;
use tollbook_kit::fault::{Code, Fault};
use tollbook_model::access::{Action, Caller};
use tollbook_model::dataset::Dataset;
use tollbook_model::ports::{AuditLog, KeyPurpose};

/// The audit logs of tenants.
pub struct AuditTrail {
    rights: Arc<Rights>,
    audit_log: Arc<dyn AuditLog>,
    keys: Arc<SigningKeyRing>,
}

impl AuditTrail {
    pub(crate) fn new(rights: Arc<Rights>, audit_log: Arc<dyn AuditLog>, keys: Arc<SigningKeyRing>) -> Self {
        Self { rights, audit_log, keys }
    }

    /// May the caller read the audit log at all?
    ///
    /// # Errors
    /// `forbidden`.
    pub async fn permit(&self, caller: &Caller) -> Result<(), Fault> {
        self.rights.require(caller, Action::Export(Dataset::AuditLog)).await
    }

    /// The latest signed checkpoint of the caller's tenant, a compact JWS.
    ///
    /// # Errors
    /// `forbidden`; `not_found` while there is none; `unavailable` or `internal`.
    pub async fn latest_checkpoint(&self, caller: &Caller) -> Result<String, Fault> {
        self.permit(caller).await?;
        self.audit_log.latest_checkpoint(&caller.tenant).await?.ok_or_else(|| {
            Fault::new(Code::NotFound, "there is no checkpoint yet; the first one follows within a minute")
        })
    }

    /// The public keys of checkpoints and of manifests of exports, as a JWK Set. Public: no caller is needed.
    pub fn published_keys(&self) -> Value {
        self.keys.published(&[KeyPurpose::AuditLog, KeyPurpose::Manifest])
    }
}
