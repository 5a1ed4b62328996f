//! Puts the rooms together: one struct per wing, and the service that stands on both.
//!
//! The only place that sees both wings. Nothing is decided here but which implementation stands behind which port.

mod control_wing;
mod data_folder;
mod data_wing;
mod listeners;
mod sealing_key;
mod use_cases;

pub(crate) use control_wing::ControlWing;
pub(crate) use data_folder::DataFolder;
pub(crate) use data_wing::DataWing;
pub(crate) use listeners::{Encryption, Listeners};
pub(crate) use sealing_key::SealingKey;
pub(crate) use use_cases::{UseCaseSettings, use_cases};

use std::sync::Arc;
use tollbook_kit::clock::{Clock, SystemClock};
use tollbook_kit::ids::{IdSource, Randomness, SystemRandomness};

/// Time and randomness of the process.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) randomness: Arc<dyn Randomness>,
}

impl Surroundings {
    /// The machine's.
    pub(crate) fn of_the_machine() -> Self {
        Self { clock: Arc::new(SystemClock::new()), randomness: Arc::new(SystemRandomness) }
    }

    /// Ids made from them.
    pub(crate) fn ids(&self) -> IdSource {
        IdSource::new(self.clock.clone(), self.randomness.clone())
    }
}
