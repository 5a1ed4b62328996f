//! Signed checkpoints: what makes it visible when somebody writes a whole chain anew.
//!
//! When a round is made is decided by `tasks`; which chains are due in it, here.

use crate::signing_keys::SigningKeyRing;
use serde_json::{Map, Value};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::Fault;
use tollbook_model::audit::CHECKPOINT_TYPE;
use tollbook_model::canonical;
use tollbook_model::ports::{AuditHead, AuditLog, KeyPurpose};
use tollbook_model::tenant::TenantName;
use tollbook_model::time_range::instant_text;

/// A chain with news gets a checkpoint this long after its last one (`natalia.md` section 14),
const MOST_AGE: Duration = Duration::from_secs(60);
/// or when so many entries are without one.
const MOST_UNSIGNED: u64 = 1000;

/// Signs the ends of chains.
pub(crate) struct Checkpoints {
    audit_log: Arc<dyn AuditLog>,
    keys: Arc<SigningKeyRing>,
    clock: Arc<dyn Clock>,
    /// Chains signed within [`MOST_AGE`].
    lately: Mutex<HashMap<TenantName, Duration>>,
}

impl Checkpoints {
    pub(crate) fn new(
        audit_log: Arc<dyn AuditLog>,
        keys: Arc<SigningKeyRing>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { audit_log, keys, clock, lately: Mutex::default() }
    }

    /// Signs the chains that are due: those with 1,000 entries or more that no checkpoint covers, and those with any
    /// whose last checkpoint is a minute old. The failure of one chain does not hold up the others; the first is
    /// answered.
    pub(crate) async fn sign_due(&self) -> Result<(), Fault> {
        let mut outcome = Ok(());
        for head in self.audit_log.unsigned_heads().await? {
            if head.unsigned >= MOST_UNSIGNED || !self.was_signed_lately(&head.tenant) {
                outcome = outcome.and(self.sign(&head).await);
            }
        }
        outcome
    }

    async fn sign(&self, head: &AuditHead) -> Result<(), Fault> {
        let at_ms = self.clock.now_ms();
        let mut payload = Map::new();
        payload.insert("tenant".into(), head.tenant.as_str().into());
        payload.insert("seq".into(), head.seq.into());
        payload.insert("hash".into(), hex::encode(head.hash).into());
        payload.insert("at".into(), instant_text(at_ms).into());
        let payload = canonical::object(&payload).unwrap_or_else(|| Value::Object(payload).to_string());
        let jws = self.keys.newest(KeyPurpose::AuditLog).sign(CHECKPOINT_TYPE, payload.as_bytes());
        self.audit_log.put_checkpoint(&head.tenant, head.seq, at_ms, jws).await?;
        let now = self.clock.monotonic();
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        lately.retain(|_, at| now < *at + MOST_AGE);
        lately.insert(head.tenant.clone(), now);
        Ok(())
    }

    fn was_signed_lately(&self, tenant: &TenantName) -> bool {
        let lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        lately.get(tenant).is_some_and(|at| self.clock.monotonic() < *at + MOST_AGE)
    }
}
