//! The keys of links, as the operator sees them.

use super::keys::{LinkKey, LinkKeys};
use crate::rights::Rights;
use std::sync::Arc;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::Fault;
use tollbook_model::access::{Action, Caller};
use tollbook_model::audit::{AuditObject, Outcome};

/// Shows, makes and removes keys of links.
pub struct LinkKeyRegister {
    rights: Arc<Rights>,
    keys: Arc<LinkKeys>,
    clock: Arc<dyn Clock>,
}

impl LinkKeyRegister {
    pub(crate) fn new(rights: Arc<Rights>, keys: Arc<LinkKeys>, clock: Arc<dyn Clock>) -> Self {
        Self { rights, keys, clock }
    }

    /// May the caller see and change keys of links at all? Protocols ask before they read a body.
    ///
    /// # Errors
    /// `forbidden`.
    pub async fn permit(&self, caller: &Caller) -> Result<(), Fault> {
        self.rights.require(caller, Action::ManageLinkKeys).await
    }

    /// All keys, newest first.
    ///
    /// # Errors
    /// `forbidden`.
    pub async fn list(&self, caller: &Caller) -> Result<Vec<LinkKey>, Fault> {
        self.permit(caller).await?;
        Ok(self.keys.list())
    }

    /// Makes a key that signs new links from now on. Those of the former keys stay good to their time.
    ///
    /// # Errors
    /// `forbidden`; `storage_full`, `unavailable` or `internal`.
    pub async fn rotate(&self, caller: &Caller) -> Result<LinkKey, Fault> {
        self.permit(caller).await?;
        let (caller, at_ms) = (caller.clone(), self.clock.now_ms());
        let entry = move |kid: &str| {
            let object = AuditObject::new("link_key", kid);
            Some(caller.entry(at_ms, "link-key.create", Some(object), Outcome::Success))
        };
        self.keys.add(entry).await
    }

    /// Removes a key: all links that it signed end at once.
    ///
    /// # Errors
    /// `forbidden`; `conflict` for the one that signs; `not_found`; `storage_full`, `unavailable` or `internal`.
    pub async fn remove(&self, caller: &Caller, kid: &str) -> Result<(), Fault> {
        self.permit(caller).await?;
        let object = AuditObject::new("link_key", kid);
        let entry = caller.entry(self.clock.now_ms(), "link-key.remove", Some(object), Outcome::Success);
        self.keys.remove(kid.to_owned(), Some(entry)).await
    }
}
