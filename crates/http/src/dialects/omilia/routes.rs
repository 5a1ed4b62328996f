//! The routes of the Omilia dialect.

use super::gate::gate;
use super::{document, realms};
use crate::api::Api;
use crate::openapi::Routes;
use crate::refusal::Refusal;
use axum::Router;
use axum::extract::{Request, State};
use axum::routing::any;
use percent_encoding::percent_decode_str;
use std::sync::Arc;
use tollbook_model::access::Action;

/// What comes before the group in a path.
const GROUPS: &str = "/exports-api/v1/groups/";

/// Every described route below `/exports-api`, and the realms below `/auth/realms`.
pub(crate) fn routes() -> Routes {
    Routes::new().merge(document::own_routes()).merge(realms::routes())
}

/// The gate of the groups, behind which nothing is known yet.
pub(crate) fn gates() -> Router<Arc<Api>> {
    Router::new()
        .route("/exports-api/v1/groups/{group}", any(unknown))
        .route("/exports-api/v1/groups/{group}/", any(unknown))
        .route("/exports-api/v1/groups/{group}/{*rest}", any(unknown))
}

/// Whatever nobody knows; only who may see what is in the group learns that.
async fn unknown(State(api): State<Arc<Api>>, request: Request) -> Refusal {
    let (parts, _) = request.into_parts();
    match gate(&api, &parts, &group(parts.uri.path()), Action::ListEvents).await {
        Ok(_) => Refusal::not_found("there is nothing at this path"),
        Err(refusal) => refusal,
    }
}

/// The group that a path names, decoded once; one that is no text is no group. Taken from the path itself, because the
/// router gives no segment at all when any of them is no text.
fn group(path: &str) -> String {
    let segment = path.strip_prefix(GROUPS).and_then(|rest| rest.split('/').next()).unwrap_or("");
    percent_decode_str(segment).decode_utf8().map_or_else(|_| String::new(), std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_decoded_once() {
        for (path, wanted) in [
            ("/exports-api/v1/groups/acme_bank/jobs", "acme_bank"),
            ("/exports-api/v1/groups/acme%5Fbank", "acme_bank"),
            ("/exports-api/v1/groups/acme%255Fbank/jobs", "acme%5Fbank"),
            ("/exports-api/v1/groups/a%2Fb/jobs", "a/b"),
            ("/exports-api/v1/groups/%FF/jobs", ""),
            ("/exports-api/v1/groups/a/%FF", "a"),
            ("/exports-api/v1/groups//jobs", ""),
        ] {
            assert_eq!(group(path), wanted, "{path}");
        }
    }
}
