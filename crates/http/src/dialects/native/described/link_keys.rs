//! The keys that sign links to files.

use super::super::responses::link_key::LinkKeyView;
use crate::openapi::schemas::text;
use crate::openapi::{Operation, parameters};
use tollbook_model::access::Action;

const TAG: &str = "link keys";

fn operation(id: &'static str, summary: &'static str) -> Operation {
    Operation::needs(Action::ManageLinkKeys, TAG, id, summary)
}

pub(in super::super) fn list() -> Operation {
    operation("listLinkKeys", "List keys of links").answers_list::<LinkKeyView>("All keys, newest first.")
}

pub(in super::super) fn rotate() -> Operation {
    operation("rotateLinkKeys", "Make a key of links")
        .saying(
            "It signs new links from now on. Links of former keys stay good to their time. Without anybody's doing, keys are \
             changed every 30 days.",
        )
        .answers_json::<LinkKeyView>(201, "The key.")
}

pub(in super::super) fn remove() -> Operation {
    operation("removeLinkKey", "Remove a key of links")
        .saying("All links that it signed end at once. The one that signs cannot be removed.")
        .with(parameters::path("kid", "Name of the key.", text(1..=100, "^[A-Za-z0-9_-]+$"), "k1"))
        .refuses(&[409])
        .answers_nothing("It is removed.")
}
