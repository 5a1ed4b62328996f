//! Notes when tokens were last used: at most once a minute for each, and never in the way of a request.
//!
//! A note that is lost, at a crash or because the disk is full, is made at the next use.

use crate::remembered::Remembered;
use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::Fault;
use tollbook_kit::supervise::StopToken;
use tollbook_model::ports::Tokens;
use uuid::Uuid;

/// How exact the last use is.
const NOTED_EVERY: Duration = Duration::from_secs(60);
const MOST_NOTED: usize = 65_536;
/// Pause after a round of notes: with more tokens than are remembered they must not become a transaction per request.
const PAUSE: Duration = Duration::from_secs(1);

/// Uses of tokens that are still to be noted.
pub(super) struct TokenUses {
    tokens: Arc<dyn Tokens>,
    clock: Arc<dyn Clock>,
    noted: Remembered<Uuid, ()>,
    waiting: Mutex<HashMap<Uuid, i64>>,
    bell: Notify,
}

impl TokenUses {
    pub(super) fn new(tokens: Arc<dyn Tokens>, clock: Arc<dyn Clock>) -> Self {
        let noted = Remembered::new(clock.clone(), NOTED_EVERY, MOST_NOTED);
        Self { tokens, clock, noted, waiting: Mutex::default(), bell: Notify::new() }
    }

    /// Takes down that the token was used now.
    pub(super) async fn used(&self, token: Uuid) {
        let take_down = async {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.insert(token, self.clock.now_ms());
            self.bell.notify_one();
            Ok::<_, Infallible>(Some(()))
        };
        let Ok(_) = self.noted.find(token, take_down).await;
    }

    /// Writes down what was taken down, until told to stop; then what is left.
    pub(super) async fn write_down(&self, stop: StopToken) -> Result<(), Fault> {
        loop {
            tokio::select! {
                () = self.bell.notified() => {}
                () = stop.cancelled() => break,
            }
            self.write_waiting().await;
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = stop.cancelled() => break,
            }
        }
        self.write_waiting().await;
        Ok(())
    }

    async fn write_waiting(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        for (token, at_ms) in waiting {
            if let Err(fault) = self.tokens.used(token, at_ms).await {
                tracing::warn!(fault = fault.log_text(), "could not note that a token was used");
            }
        }
    }
}
