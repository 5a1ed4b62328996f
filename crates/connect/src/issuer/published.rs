//! Fetching an issuer's keys and keeping them: fresh enough to follow a rotation, seldom enough that nobody can make us
//! a burden to the issuer, and long enough to outlast its failures.
//!
//! Fetches run beside the calls that need them, which only wait for their end: a client that hangs up takes no fetch
//! with it, and so cannot spend what a minute allows on nothing. Every fetch is a whole one, whoever began it, so a
//! storm of unknown keys refreshes the known ones too.
//!
//! What the keys vouch for is not decided here.

use super::keys::KeySet;
use crate::egress::{CheckedUrl, EgressClient};
use serde_json::Value;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tollbook_kit::clock::Clock;
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::supervise::{OnError, Supervisor};

/// Keys older than this are fetched anew, while they go on serving.
const REFRESH_AFTER: Duration = Duration::from_secs(10 * 60);
/// After a failed fetch the next refresh is tried this much later: the other fetch of a minute is for unknown keys.
const RETRY_AFTER: Duration = Duration::from_secs(60);
/// Keys older than this serve no longer.
const MOST_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// At most two fetches in any minute. A window that begins anew would let four pass around its end.
const FETCHES: usize = 2;
const FETCHES_WITHIN: Duration = Duration::from_secs(60);
/// Bound of a discovery document and of a key set.
const MOST_BYTES: usize = 256 * 1024;
/// Bounds of each step of connecting and of one call: somebody waits for it.
const CONNECT_TIME: Duration = Duration::from_secs(5);
const CALL_TIME: Duration = Duration::from_secs(10);

/// The keys of one issuer.
pub(super) struct PublishedKeys {
    issuer: String,
    discovery: CheckedUrl,
    client: EgressClient,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// The fetch under way. It is bounded in time and may be cut off at any point.
    background: Supervisor,
}

#[derive(Default)]
struct State {
    kept: Option<Kept>,
    /// Where the keys were found, until that fails or is old.
    keys_url: Option<(String, Duration)>,
    /// Fetches that have ended, well or not.
    attempts: u64,
    /// When the latest fetches began.
    began: [Option<Duration>; FETCHES],
    last_failed: bool,
    /// The fetch under way: closed once it has ended, even if by a panic. Nothing is ever sent.
    latest: Option<watch::Receiver<()>>,
}

impl State {
    /// Counts a fetch, unless there were too many of late.
    fn may_fetch(&mut self, now: Duration) -> bool {
        let [earliest, ..] = self.began;
        if earliest.is_some_and(|began| now.saturating_sub(began) < FETCHES_WITHIN) {
            return false;
        }
        self.began.rotate_left(1);
        self.began[FETCHES - 1] = Some(now);
        true
    }
}

struct Kept {
    keys: Arc<KeySet>,
    fetched_at: Duration,
    refresh_at: Duration,
}

/// The keys as they were at one moment.
pub(super) struct Known {
    /// None when nothing was ever fetched, or too long ago.
    pub(super) keys: Option<Arc<KeySet>>,
    /// Is it time to fetch them anew?
    pub(super) is_due: bool,
    /// Did the latest fetch fail?
    pub(super) last_failed: bool,
    /// Fetches so far.
    pub(super) attempts: u64,
}

impl fmt::Debug for PublishedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublishedKeys({})", self.issuer)
    }
}

impl PublishedKeys {
    /// The keys of this issuer, none of which are fetched yet.
    ///
    /// # Errors
    /// `invalid`: the issuer is no URL that the egress policy lets pass.
    pub(super) fn new(issuer: &str, client: EgressClient, clock: Arc<dyn Clock>) -> Result<Self, Fault> {
        let wrong = |reason: &str| Fault::parameter("auth.issuer", reason);
        if issuer.contains('?') {
            return Err(wrong("must not hold a query"));
        }
        let document = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
        let discovery = client.judge(&document).map_err(|fault| {
            wrong(fault.details().first().map_or("must be a URL", |detail| detail.reason.as_str()))
        })?;
        Ok(Self {
            issuer: issuer.to_owned(),
            discovery,
            client: client.with_times(CONNECT_TIME, CALL_TIME),
            clock,
            state: Mutex::default(),
            background: Supervisor::new(),
        })
    }

    /// What is known now.
    pub(super) fn known(&self) -> Known {
        let now = self.clock.monotonic();
        let state = self.state();
        let kept = state.kept.as_ref().filter(|kept| now.saturating_sub(kept.fetched_at) < MOST_AGE);
        Known {
            keys: kept.map(|kept| kept.keys.clone()),
            is_due: kept.is_none_or(|kept| now >= kept.refresh_at),
            last_failed: state.last_failed,
            attempts: state.attempts,
        }
    }

    /// Fetches the keys as [`PublishedKeys::begin`] and waits for the end of it.
    pub(super) async fn renew(self: &Arc<Self>, seen_attempts: u64) {
        if let Some(mut under_way) = self.begin(seen_attempts) {
            // The one thing to hear of is that it has closed.
            drop(under_way.changed().await);
        }
    }

    /// Begins to fetch the keys in the background, unless that was done since `seen_attempts`, or is being done, or was
    /// done too often of late. Returns the fetch under way, should there be one now.
    pub(super) fn begin(self: &Arc<Self>, seen_attempts: u64) -> Option<watch::Receiver<()>> {
        let mut state = self.state();
        if state.attempts != seen_attempts {
            return None;
        }
        if let Some(latest) = state.latest.as_ref().filter(|latest| latest.has_changed().is_ok()) {
            return Some(latest.clone());
        }
        if !state.may_fetch(self.clock.monotonic()) {
            return None;
        }
        let (closes_at_the_end, under_way) = watch::channel(());
        state.latest = Some(under_way.clone());
        let keys = self.clone();
        self.background.spawn("fetching an issuer's keys", OnError::Log, async move {
            let outcome = keys.fetch().await;
            keys.learn(outcome);
            drop(closes_at_the_end);
            Ok(())
        });
        Some(under_way)
    }

    fn learn(&self, outcome: Result<KeySet, Fault>) {
        let now = self.clock.monotonic();
        let mut state = self.state();
        state.attempts += 1;
        // Whoever comes after this attempt must not join it.
        state.latest = None;
        state.last_failed = outcome.is_err();
        match outcome {
            Ok(keys) => {
                tracing::debug!(issuer = self.issuer, ?keys, "fetched the issuer's keys");
                state.kept =
                    Some(Kept { keys: Arc::new(keys), fetched_at: now, refresh_at: now + REFRESH_AFTER });
            }
            Err(fault) => {
                tracing::warn!(
                    issuer = self.issuer,
                    fault = fault.log_text(),
                    "the issuer's keys cannot be fetched; those known go on serving for a day"
                );
                state.keys_url = None;
                if let Some(kept) = &mut state.kept {
                    kept.refresh_at = kept.refresh_at.max(now + RETRY_AFTER);
                }
            }
        }
    }

    async fn fetch(&self) -> Result<KeySet, Fault> {
        let now = self.clock.monotonic();
        let known = self.state().keys_url.clone();
        let keys_url = match known {
            Some((keys_url, found_at)) if now.saturating_sub(found_at) < REFRESH_AFTER => keys_url,
            _ => {
                let found = self.discover().await?;
                self.state().keys_url = Some((found.clone(), now));
                found
            }
        };
        let set = self.document(&keys_url, "fetching its keys").await?;
        // An empty set would lock everybody out, as a failed fetch does not.
        let keys = KeySet::read(&set).filter(|keys| !keys.is_empty());
        keys.ok_or_else(|| no_use("its key set holds no usable key"))
    }

    async fn discover(&self) -> Result<String, Fault> {
        let document = self.document(self.discovery.as_str(), "reading its discovery document").await?;
        let says = |name: &str| document.get(name).and_then(Value::as_str);
        if says("issuer") != Some(self.issuer.as_str()) {
            return Err(no_use("its discovery document names another issuer than auth.issuer"));
        }
        let keys_url = says("jwks_uri").ok_or_else(|| no_use("its discovery document names no jwks_uri"))?;
        Ok(keys_url.to_owned())
    }

    async fn document(&self, url: &str, doing: &'static str) -> Result<Value, Fault> {
        let reply = self.client.get(url, MOST_BYTES).await.map_err(|fault| fault.with_context(doing))?;
        if reply.status != 200 {
            return Err(no_use("it answers with another status than 200").with_context(doing));
        }
        serde_json::from_slice(&reply.body).map_err(|_| no_use("it answers no JSON").with_context(doing))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_use(reason: &'static str) -> Fault {
    Fault::new(Code::Unavailable, "the issuer is of no use").with_context(reason)
}
