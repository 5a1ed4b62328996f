//! What telling stands on: the outbox, the ways out, and the forms of the dialects.
//!
//! How they are used is told in `notices`, `dispatcher` and `attempt`.

use super::form::CallbackForm;
use std::sync::Arc;
use tollbook_kit::clock::Clock;
use tollbook_kit::ids::Randomness;
use tollbook_model::ports::{Callbacks, Mailer, Notifications, Tenants, Users};

/// What telling stands on.
pub(crate) struct NoticePorts {
    /// The outbox.
    pub(crate) notifications: Arc<dyn Notifications>,
    /// Calls to addresses of users.
    pub(crate) callbacks: Arc<dyn Callbacks>,
    /// The mail server, if there is one.
    pub(crate) mailer: Option<Arc<dyn Mailer>>,
    /// How each dialect calls back.
    pub(crate) forms: Vec<Arc<dyn CallbackForm>>,
    /// Where the secrets are that sign calls.
    pub(crate) tenants: Arc<dyn Tenants>,
    /// Who may get mail.
    pub(crate) users: Arc<dyn Users>,
    /// The clock.
    pub(crate) clock: Arc<dyn Clock>,
    /// Spreads attempts.
    pub(crate) randomness: Arc<dyn Randomness>,
}

impl NoticePorts {
    /// How this dialect calls back, if it does.
    pub(super) fn form(&self, dialect: &str) -> Option<&dyn CallbackForm> {
        self.forms.iter().find(|form| form.dialect() == dialect).map(|form| &**form)
    }
}
