//! Configured sources: create, change, show, list, remove.
//!
//! What the settings of a kind mean is known to its connector alone.

use crate::faults::invalid;
use crate::rights::Rights;
use serde_json::{Map, Value};
use std::sync::Arc;
use tokio::sync::Mutex;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Code, Detail, Fault, InvalidKind};
use tollbook_kit::ids::IdSource;
use tollbook_model::access::{Action, Caller};
use tollbook_model::audit::{AuditEntry, AuditObject, Outcome};
use tollbook_model::ports::{ConnectorRegistry, Sources};
use tollbook_model::source::{ALIAS_BYTES, Source, is_alias};
use uuid::Uuid;

/// Most sources of one tenant.
pub const MOST_SOURCES: usize = 1000;

/// The configured sources of tenants.
pub struct SourceSettings {
    rights: Arc<Rights>,
    sources: Arc<dyn Sources>,
    connectors: Arc<dyn ConnectorRegistry>,
    ids: IdSource,
    clock: Arc<dyn Clock>,
    /// Held from looking a source up until its change is stored, so that the audit log names the id that was changed.
    changing: Mutex<()>,
}

impl SourceSettings {
    pub(crate) fn new(
        rights: Arc<Rights>,
        sources: Arc<dyn Sources>,
        connectors: Arc<dyn ConnectorRegistry>,
        ids: IdSource,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { rights, sources, connectors, ids, clock, changing: Mutex::new(()) }
    }

    /// May the caller see and change sources at all? Protocols ask before they read a body.
    ///
    /// # Errors
    /// `forbidden`.
    pub async fn permit(&self, caller: &Caller) -> Result<(), Fault> {
        self.rights.require(caller, Action::ManageSources).await
    }

    /// Creates or changes a source. `definition` holds `kind`, optionally `enabled`, and the settings of that kind.
    ///
    /// # Errors
    /// `forbidden`; `invalid`, naming everything that is wrong; `conflict` when it would be new and the tenant has
    /// [`MOST_SOURCES`], or the tenant is closed; `storage_full`, `unavailable` or `internal`.
    pub async fn put(
        &self,
        caller: &Caller,
        pbx_alias: &str,
        definition: Map<String, Value>,
    ) -> Result<Source, Fault> {
        self.permit(caller).await?;
        let checked = self.check(pbx_alias, definition)?;
        let _alone = self.changing.lock().await;
        let known = self.sources.find(&caller.tenant, pbx_alias).await?;
        self.store(caller, pbx_alias, checked, known.as_ref()).await
    }

    /// Like [`SourceSettings::put`], but a source that has this definition already keeps its version, and nothing is
    /// logged. For definitions in files, which are applied at every start. Answers whether anything changed.
    ///
    /// # Errors
    /// As [`SourceSettings::put`].
    pub async fn keep(
        &self,
        caller: &Caller,
        pbx_alias: &str,
        definition: Map<String, Value>,
    ) -> Result<bool, Fault> {
        self.permit(caller).await?;
        let checked = self.check(pbx_alias, definition)?;
        let _alone = self.changing.lock().await;
        let known = self.sources.find(&caller.tenant, pbx_alias).await?;
        if known.as_ref().is_some_and(|known| checked.describes(known)) {
            return Ok(false);
        }
        self.store(caller, pbx_alias, checked, known.as_ref()).await.map(|_| true)
    }

    /// The source of that name.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `unavailable` or `internal`.
    pub async fn get(&self, caller: &Caller, pbx_alias: &str) -> Result<Source, Fault> {
        self.permit(caller).await?;
        self.sources.find(&caller.tenant, pbx_alias).await?.ok_or_else(unknown_source)
    }

    /// All sources, by name.
    ///
    /// # Errors
    /// `forbidden`, `unavailable` or `internal`.
    pub async fn list(&self, caller: &Caller) -> Result<Vec<Source>, Fault> {
        self.permit(caller).await?;
        self.sources.list(&caller.tenant).await
    }

    /// Removes a source; its records stay.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `storage_full`, `unavailable` or `internal`.
    pub async fn remove(&self, caller: &Caller, pbx_alias: &str) -> Result<(), Fault> {
        self.permit(caller).await?;
        let _alone = self.changing.lock().await;
        let known = self.sources.find(&caller.tenant, pbx_alias).await?.ok_or_else(unknown_source)?;
        let entry = self.entry(caller, "source.remove", known.id);
        let removed = self.sources.remove(&caller.tenant, pbx_alias, entry).await?;
        if removed { Ok(()) } else { Err(unknown_source()) }
    }

    async fn store(
        &self,
        caller: &Caller,
        pbx_alias: &str,
        checked: Checked,
        known: Option<&Source>,
    ) -> Result<Source, Fault> {
        if known.is_none() && self.sources.list(&caller.tenant).await?.len() >= MOST_SOURCES {
            let words =
                format!("the tenant has {MOST_SOURCES} sources; remove some that are not needed any more");
            return Err(Fault::new(Code::Conflict, words));
        }
        let source = Source {
            id: known.map_or_else(|| self.ids.next_id(), |known| known.id),
            pbx_alias: pbx_alias.to_owned(),
            kind: checked.kind,
            settings: checked.settings,
            enabled: checked.enabled,
            version: 1,
            last_seen_at_ms: None,
            updated_at_ms: self.clock.now_ms(),
        };
        let entry = self.entry(caller, "source.put", source.id);
        self.sources.put(&caller.tenant, source, entry).await
    }

    /// Sources are logged by id: their names are free text, and some name them by a number.
    fn entry(&self, caller: &Caller, action: &'static str, id: Uuid) -> AuditEntry {
        let object = AuditObject::new("source", id);
        caller.entry(self.clock.now_ms(), action, Some(object), Outcome::Success)
    }

    fn check(&self, pbx_alias: &str, mut definition: Map<String, Value>) -> Result<Checked, Fault> {
        let mut wrong = Vec::new();
        if !is_alias(pbx_alias) {
            let reason = format!("must be 1 to {ALIAS_BYTES} bytes without / and control characters");
            wrong.push(invalid("pbx_alias", reason));
        }
        let enabled = match definition.remove("enabled") {
            None => true,
            Some(Value::Bool(enabled)) => enabled,
            Some(_) => {
                wrong.push(invalid("enabled", "must be true or false"));
                true
            }
        };
        let kinds = || format!("must be one of {}", self.connectors.kinds().join(", "));
        let connector = match definition.remove("kind") {
            None => {
                let reason = format!("is required and {}", kinds());
                wrong.push(Detail { name: "kind".into(), reason, kind: InvalidKind::MissingParameter });
                None
            }
            Some(Value::String(kind)) => {
                let connector = self.connectors.connector(&kind);
                if connector.is_none() {
                    wrong.push(invalid("kind", kinds()));
                }
                connector
            }
            Some(_) => {
                wrong.push(invalid("kind", kinds()));
                None
            }
        };
        let settings = connector.map(|connector| connector.check(&definition)).transpose();
        match (connector, settings) {
            (Some(connector), Ok(Some(settings))) if wrong.is_empty() => {
                Ok(Checked { kind: connector.kind().to_owned(), settings, enabled })
            }
            (_, Ok(_)) => Err(Fault::from_details(wrong)),
            (_, Err(fault)) if wrong.is_empty() => Err(fault),
            (_, Err(fault)) => {
                wrong.extend_from_slice(fault.details());
                Err(Fault::from_details(wrong))
            }
        }
    }
}

/// A definition that passed.
struct Checked {
    kind: String,
    settings: Map<String, Value>,
    enabled: bool,
}

impl Checked {
    /// Is the source defined like this already?
    fn describes(&self, known: &Source) -> bool {
        known.kind == self.kind && known.enabled == self.enabled && known.settings == self.settings
    }
}

/// What is said of a source that is not there.
pub(crate) fn unknown_source() -> Fault {
    Fault::new(Code::NotFound, "no such source; create it with PUT /api/v1/sources/{pbx_alias}")
}
