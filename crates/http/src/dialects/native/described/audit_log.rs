//! Checkpoints of the audit log, and the keys of everything signed.

use crate::openapi::{Operation, answers};
use serde_json::json;
use tollbook_model::access::Action;
use tollbook_model::dataset::Dataset;

const TAG: &str = "audit log";

pub(in super::super) fn latest_checkpoint() -> Operation {
    Operation::needs(Action::Export(Dataset::AuditLog), TAG, "getLatestCheckpoint", "Get the latest signed checkpoint")
        .saying("Its payload has tenant, seq, hash and time of the last entry that it proves. 404 while there is none.")
        .refuses(&[404])
        .answers(200, answers::compact_jws())
}

pub(in super::super) fn keys() -> Operation {
    Operation::public(TAG, "listSigningKeys", "Get the keys that prove checkpoints, manifests and records")
        .answers(
            200,
            answers::shared(
                "A JWK Set. A retired key stays in it as long as it is needed.",
                json!({"application/jwk-set+json": {"schema": answers::key_set()}}),
            ),
        )
}
