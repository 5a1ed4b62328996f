//! Configured sources: create, change, show, list, remove.
//!
//! What the settings of a kind mean is known to its connector alone.

use serde_json::{Map, Value};
use std::sync::Arc;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Code, Detail, Fault, InvalidKind};
use tollbook_kit::ids::IdSource;
use tollbook_model::access::{Action, Caller};
use tollbook_model::ports::{ConnectorRegistry, Sources};
use tollbook_model::source::{ALIAS_BYTES, Source, is_alias};

/// The configured sources of tenants.
pub struct SourceSettings {
    sources: Arc<dyn Sources>,
    connectors: Arc<dyn ConnectorRegistry>,
    ids: IdSource,
    clock: Arc<dyn Clock>,
}

impl SourceSettings {
    pub(crate) fn new(
        sources: Arc<dyn Sources>,
        connectors: Arc<dyn ConnectorRegistry>,
        ids: IdSource,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { sources, connectors, ids, clock }
    }

    /// May the caller see and change sources at all? Protocols ask before they read a body.
    ///
    /// # Errors
    /// `forbidden`.
    pub fn permit(&self, caller: &Caller) -> Result<(), Fault> {
        caller.require(Action::ManageSources)
    }

    /// Creates or changes a source. `definition` holds `kind`, optionally `enabled`, and the settings of that kind.
    ///
    /// # Errors
    /// `forbidden`; `invalid`, naming everything that is wrong; `storage_full`, `unavailable` or `internal`.
    pub async fn put(
        &self,
        caller: &Caller,
        pbx_alias: &str,
        definition: Map<String, Value>,
    ) -> Result<Source, Fault> {
        self.permit(caller)?;
        let checked = self.check(pbx_alias, definition)?;
        let source = Source {
            id: self.ids.next_id(),
            pbx_alias: pbx_alias.to_owned(),
            kind: checked.kind,
            settings: checked.settings,
            enabled: checked.enabled,
            version: 1,
            last_seen_at_ms: None,
            updated_at_ms: self.clock.now_ms(),
        };
        self.sources.put(&caller.tenant, source).await
    }

    /// Like [`SourceSettings::put`], but a source that has this definition already keeps its version. For definitions
    /// in files, which are applied at every start. Answers whether anything changed.
    ///
    /// # Errors
    /// As [`SourceSettings::put`].
    pub async fn keep(
        &self,
        caller: &Caller,
        pbx_alias: &str,
        definition: Map<String, Value>,
    ) -> Result<bool, Fault> {
        self.permit(caller)?;
        let checked = self.check(pbx_alias, definition.clone())?;
        if let Some(known) = self.sources.find(&caller.tenant, pbx_alias).await?
            && known.kind == checked.kind
            && known.enabled == checked.enabled
            && known.settings == checked.settings
        {
            return Ok(false);
        }
        self.put(caller, pbx_alias, definition).await.map(|_| true)
    }

    /// The source of that name.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `unavailable` or `internal`.
    pub async fn get(&self, caller: &Caller, pbx_alias: &str) -> Result<Source, Fault> {
        self.permit(caller)?;
        self.sources.find(&caller.tenant, pbx_alias).await?.ok_or_else(unknown_source)
    }

    /// All sources, by name.
    ///
    /// # Errors
    /// `forbidden`, `unavailable` or `internal`.
    pub async fn list(&self, caller: &Caller) -> Result<Vec<Source>, Fault> {
        self.permit(caller)?;
        self.sources.list(&caller.tenant).await
    }

    /// Removes a source; its records stay.
    ///
    /// # Errors
    /// `forbidden`, `not_found`, `unavailable` or `internal`.
    pub async fn remove(&self, caller: &Caller, pbx_alias: &str) -> Result<(), Fault> {
        self.permit(caller)?;
        if self.sources.remove(&caller.tenant, pbx_alias).await? { Ok(()) } else { Err(unknown_source()) }
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

fn invalid(name: &str, reason: impl Into<String>) -> Detail {
    Detail { name: name.into(), reason: reason.into(), kind: InvalidKind::InvalidParameter }
}

/// What is said of a source that is not there.
pub(crate) fn unknown_source() -> Fault {
    Fault::new(Code::NotFound, "no such source; create it with PUT /api/v1/sources/{pbx_alias}")
}
