//! Every kind of source that this build knows, one line each.

use crate::sources::asterisk_csv::AsteriskCsv;
use crate::sources::csv::ProfiledCsv;
use crate::sources::freeswitch_json::FreeswitchJson;
use tollbook_model::ports::{Connector, ConnectorRegistry};

/// The kinds of sources.
pub struct Registry {
    connectors: Vec<Box<dyn Connector>>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Registry").field(&self.kinds()).finish()
    }
}

impl Registry {
    /// All kinds.
    pub fn standard() -> Self {
        Self { connectors: vec![Box::new(AsteriskCsv), Box::new(ProfiledCsv), Box::new(FreeswitchJson)] }
    }
}

impl ConnectorRegistry for Registry {
    fn connector(&self, kind: &str) -> Option<&dyn Connector> {
        self.connectors.iter().map(Box::as_ref).find(|connector| connector.kind() == kind)
    }

    fn kinds(&self) -> Vec<&'static str> {
        let mut kinds: Vec<_> = self.connectors.iter().map(|connector| connector.kind()).collect();
        kinds.sort_unstable();
        kinds
    }
}
