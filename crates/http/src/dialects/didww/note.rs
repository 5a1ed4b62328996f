//! What a job keeps of its export for this dialect alone; sealed at rest.

use super::attributes::CallbackMethod;
use super::filters::ExportType;
use serde::{Deserialize, Serialize};
use std::fmt;
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_kit::secret::Secret;
use tollbook_model::export_job::ExportJob;

/// What only this dialect knows of an export.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// What it holds.
    pub(super) export_type: ExportType,
    /// Its filters, as they are shown.
    pub(super) filters: Vec<(String, String)>,
    /// How its end is told.
    pub(super) callback_method: Option<CallbackMethod>,
}

/// Says nothing: filters may be phone numbers.
impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Note").field("export_type", &self.export_type).finish_non_exhaustive()
    }
}

impl Note {
    /// As it is kept.
    ///
    /// # Errors
    /// `internal` only.
    pub(super) fn to_text(&self) -> Result<Secret<String>, Fault> {
        serde_json::to_string(self).map(Secret::new).fault("writing what is kept of an export")
    }

    /// The note of a job of this dialect.
    ///
    /// # Errors
    /// `internal` when it has none that can be read.
    pub(super) fn of(job: &ExportJob) -> Result<Self, Fault> {
        let text = job.dialect_note.as_ref().ok_or_else(|| Fault::internal("an export without its note"))?;
        // What the parser says may repeat a piece of the text.
        serde_json::from_str(text.reveal())
            .map_err(|_| Fault::internal("the note of an export cannot be read"))
    }
}
