//! What every handler holds. Which paths lead to which handler is `router`'s.

use crate::body::BodyMemory;
use std::sync::Arc;
use tollbook_app::App;
use tollbook_kit::clock::Clock;
use tollbook_kit::ids::IdSource;
use tollbook_kit::supervise::StopToken;

/// The use cases and what requests need besides.
pub struct Api {
    pub(crate) app: App,
    pub(crate) ids: IdSource,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stop: StopToken,
    pub(crate) body_memory: BodyMemory,
}

impl Api {
    /// The API over these use cases. After `stop` it reports that it is not ready.
    pub fn new(app: App, ids: IdSource, clock: Arc<dyn Clock>, stop: StopToken) -> Self {
        Self { app, ids, clock, stop, body_memory: BodyMemory::default() }
    }
}
