//! The one router over all dialects: what is below which path, and what is around all of it.

use crate::api::Api;
use crate::dialects::{didww, native, omilia};
use crate::downloads;
use crate::openapi::Routes;
use crate::refusal::Refusal;
use crate::{envelope, ops};
use axum::Router;
use axum::routing::get;
use std::sync::Arc;

/// Every route of every dialect.
pub(crate) fn router(api: Arc<Api>) -> Router {
    routes()
        .fallback(async || Refusal::not_found("there is nothing at this path"))
        .method_not_allowed_fallback(async || Refusal::method_not_allowed())
        .layer(axum::middleware::from_fn_with_state(api.clone(), envelope::envelop))
        .with_state(api)
}

fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route("/healthz", get(ops::health))
        .route("/readyz", get(ops::ready))
        .merge(described().into_router())
        .merge(didww::routes())
        .merge(omilia::gates())
}

/// The routes that documents tell of.
fn described() -> Routes {
    native::routes().merge(omilia::routes()).merge(downloads::routes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Paths that are in no document: what supervises the process, a dialect whose documents are its vendor's, and gates
    /// behind which there is nothing yet.
    const UNDESCRIBED: [&str; 10] = [
        "/healthz",
        "/readyz",
        "/v3",
        "/v3/",
        "/v3/exports",
        "/v3/exports/{export}",
        "/v3/{*rest}",
        "/exports-api/v1/groups/{group}",
        "/exports-api/v1/groups/{group}/",
        "/exports-api/v1/groups/{group}/{*rest}",
    ];

    /// The paths that a router shows of itself, without the two that stand for everything else.
    fn paths(router: &Router<Arc<Api>>) -> Vec<String> {
        let shown = format!("{router:?}");
        let pieces = shown.split("RouteId(").skip(1).filter_map(|piece| piece.split_once("): \""));
        let mut paths: Vec<String> =
            pieces.filter_map(|(_, rest)| rest.split_once('"')).map(|(path, _)| path.to_owned()).collect();
        paths.retain(|path| path != "/" && !path.contains("__private"));
        paths.sort();
        paths.dedup();
        paths
    }

    #[test]
    fn every_route_is_described_or_known_not_to_be() {
        let mut known: Vec<String> =
            described().into_described().into_iter().map(|described| described.path).collect();
        known.extend(UNDESCRIBED.map(str::to_owned));
        known.sort();
        known.dedup();
        assert_eq!(paths(&routes()), known);
    }
}
