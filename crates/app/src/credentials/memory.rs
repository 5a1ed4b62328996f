//! What was looked up of credentials lately, and the road of changes that make it forgotten.

use crate::changes::Changes;
use crate::remembered::Remembered;
use std::sync::Arc;
use std::time::Duration;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::Fault;
use tollbook_model::tenant::TenantName;
use tollbook_model::token::Token;
use tollbook_model::user::LiveSession;
use uuid::Uuid;

/// How long a change that another process made may go unseen; those of this process are seen at once.
const LIFE: Duration = Duration::from_secs(2);
const MOST_CREDENTIALS: usize = 4096;
const MOST_TENANTS: usize = 4096;

/// A session, and the token behind it where it was made from one.
pub(crate) type HeldSession = (LiveSession, Option<Token>);

/// Look-ups of credentials. Clones share one memory.
#[derive(Debug, Clone)]
pub(crate) struct RememberedIdentities(Arc<Memories>);

#[derive(Debug)]
struct Memories {
    tokens: Remembered<[u8; 32], Token>,
    sessions: Remembered<Uuid, HeldSession>,
    tenants: Remembered<TenantName, i64>,
    changes: Changes,
}

impl RememberedIdentities {
    pub(crate) fn new(clock: &Arc<dyn Clock>) -> Self {
        Self(Arc::new(Memories {
            tokens: Remembered::new(clock.clone(), LIFE, MOST_CREDENTIALS),
            sessions: Remembered::new(clock.clone(), LIFE, MOST_CREDENTIALS),
            tenants: Remembered::new(clock.clone(), LIFE, MOST_TENANTS),
            changes: Changes::default(),
        }))
    }

    /// Forgets everything, because a token, a user, a session or a tenant has changed.
    pub(crate) fn forget_all(&self) {
        self.0.tokens.forget_all();
        self.0.sessions.forget_all();
        self.0.tenants.forget_all();
    }

    /// Forgets sessions alone, because some have ended.
    pub(crate) fn forget_sessions(&self) {
        self.0.sessions.forget_all();
    }

    /// Carries a change of a token, a user or a session to its end, whether or not whoever asked for it waits, and then
    /// forgets everything, also when it failed: whether it was stored is not known then. A look-up that begins later sees
    /// the change.
    ///
    /// # Errors
    /// Those of the change.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        change: impl Future<Output = Result<T, Fault>> + Send + 'static,
    ) -> Result<T, Fault> {
        let forget = ForgetWhenDone(self.clone());
        self.0
            .changes
            .carry(async move {
                let _forget = forget;
                change.await
            })
            .await
    }

    /// What carries changes to their ends, for those that have more to forget, or less.
    pub(crate) fn changes(&self) -> &Changes {
        &self.0.changes
    }

    /// Tokens by their hashes.
    pub(crate) fn tokens(&self) -> &Remembered<[u8; 32], Token> {
        &self.0.tokens
    }

    /// Sessions by their ids.
    pub(crate) fn sessions(&self) -> &Remembered<Uuid, HeldSession> {
        &self.0.sessions
    }

    /// Until when credentials of a tenant are taken, in milliseconds.
    pub(crate) fn tenants(&self) -> &Remembered<TenantName, i64> {
        &self.0.tenants
    }
}

/// Forgets what is remembered of identities when it is dropped.
struct ForgetWhenDone(RememberedIdentities);

impl Drop for ForgetWhenDone {
    fn drop(&mut self) {
        self.0.forget_all();
    }
}
