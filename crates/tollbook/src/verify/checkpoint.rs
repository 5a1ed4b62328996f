//! A signed checkpoint: the word of the service that at some moment its log ended with this entry.

use super::hash_text::is_hash;
use super::{NotVerified, mismatch, wrong_use};
use serde::Deserialize;
use serde_json::Value;
use std::path::Path;
use tollbook_model::audit::CHECKPOINT_TYPE;
use tollbook_model::jws::{JwsKeys, NotGenuine};
use tollbook_model::tenant::TenantName;
use tollbook_model::time_range::parse_instant;

/// What a checkpoint says.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Checkpoint {
    /// Whose log.
    pub(super) tenant: String,
    /// Place of the entry.
    pub(super) seq: u64,
    /// Its hash.
    pub(super) hash: String,
    /// When it was signed.
    pub(super) at: String,
}

/// The keys of a JWK Set.
///
/// # Errors
/// Wrong use, when the file is none.
pub(super) fn keys(path: &Path) -> Result<JwsKeys, NotVerified> {
    let text = super::input::small_text(path)?;
    let set: Option<Value> = serde_json::from_str(&text).ok();
    let keys = set.as_ref().and_then(JwsKeys::from_jwks);
    keys.ok_or_else(|| wrong_use(path, "is no JWK Set; fetch it from /.well-known/jwks.json of the service"))
}

/// The checkpoint, if one of the keys signed it.
///
/// # Errors
/// A mismatch when it is not genuine; wrong use when it is something else that is signed.
pub(super) fn verify(path: &Path, jws: &str, keys: &JwsKeys) -> Result<Checkpoint, NotVerified> {
    let payload = match keys.verify(jws, CHECKPOINT_TYPE) {
        Ok(payload) => payload,
        Err(NotGenuine::OtherKind) => {
            let what = "is signed, but is no checkpoint of an audit log; only those can be verified";
            return Err(wrong_use(path, what));
        }
        Err(other) => return Err(mismatch(path, &format!("the checkpoint {other}"))),
    };
    let said: Option<Checkpoint> = serde_json::from_slice(&payload).ok();
    let sound = |checkpoint: &Checkpoint| {
        TenantName::parse(&checkpoint.tenant).is_some()
            && checkpoint.seq > 0
            && is_hash(&checkpoint.hash)
            && parse_instant(&checkpoint.at).is_some()
    };
    said.filter(sound).ok_or_else(|| mismatch(path, "the checkpoint does not say what a checkpoint says"))
}
