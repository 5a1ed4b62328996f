//! What is known of one request, from its arrival to its line in the log: filled on the way by whoever learns it.
//!
//! Nothing of its query, body or credential is kept here.

use crate::dialect::Dialect;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Uri};
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tollbook_app::identity::Identity;
use tollbook_kit::fault::Fault;
use tollbook_kit::rate::Taken;
use tollbook_model::access::{Actor, Caller};
use tollbook_model::tenant::TenantName;
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// One request and its answer.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// The id of the request, in its answer and in the log.
    pub(crate) id: Uuid,
    /// The dialect in which it is answered.
    pub(crate) dialect: Dialect,
    /// Where the client is, if that is known.
    pub(crate) address: Option<IpAddr>,
    path: Box<str>,
    who: OnceLock<Who>,
    rate: OnceLock<Taken>,
}

/// Who asked, as the log names him.
#[derive(Debug)]
pub(crate) struct Who {
    /// The tenant of the call.
    pub(crate) tenant: TenantName,
    /// The holder of the credential.
    pub(crate) actor: Actor,
}

impl Exchange {
    /// A request for this address of ours, from that client.
    pub(crate) fn new(id: Uuid, uri: &Uri, address: Option<IpAddr>) -> Arc<Self> {
        let dialect = Dialect::of(uri.path());
        Arc::new(Self {
            id,
            dialect,
            address,
            path: uri.path().into(),
            who: OnceLock::new(),
            rate: OnceLock::new(),
        })
    }

    /// The exchange that a request belongs to.
    ///
    /// # Errors
    /// `internal` for a request that did not come through the envelope, which all do.
    pub(crate) fn of(extensions: &Extensions) -> Result<&Arc<Self>, Fault> {
        extensions.get::<Arc<Self>>().ok_or_else(|| Fault::internal("a request without its exchange"))
    }

    /// The path as it was sent, without the query.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Notes who asks.
    pub(crate) fn came_from(&self, caller: &Caller) {
        // A request has one caller: a second note of him says the same.
        self.who.get_or_init(|| Who { tenant: caller.tenant.clone(), actor: caller.actor.clone() });
    }

    /// Notes who it would be, before his rate is judged, so that the log says whose is used up.
    pub(crate) fn would_come_from(&self, identity: &Identity, named_tenant: &Result<Option<&str>, Fault>) {
        if let Some(caller) = named_tenant.as_ref().ok().and_then(|named| identity.caller(*named).ok()) {
            self.came_from(&caller);
        }
    }

    /// Who asked, if that became known.
    pub(crate) fn who(&self) -> Option<&Who> {
        self.who.get()
    }

    /// Notes that the request was counted for its credential.
    pub(crate) fn counted(&self, taken: Taken) {
        // A request is counted once.
        self.rate.get_or_init(|| taken);
    }

    /// Puts on an answer what every answer has: the request's id, and what is left to a credential that was counted.
    pub(crate) fn mark(&self, headers: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::from_str(&self.id.to_string()) {
            headers.insert(REQUEST_ID, id);
        }
        if let Some(taken) = self.rate.get() {
            headers.insert(LIMIT, taken.limit.into());
            headers.insert(REMAINING, taken.remaining.into());
            headers.insert(RESET, whole_seconds(taken.full_in).into());
        }
    }
}

/// Whole seconds, rounded up: who comes back too early is refused again.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}
