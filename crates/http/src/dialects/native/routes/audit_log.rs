//! The signed checkpoints of the audit log, and the public keys that prove them and manifests of exports. Its entries are
//! exported like those of any dataset.

use super::super::described::audit_log;
use super::super::{gate, responses};
use super::{Answer, Shared, no_parameters};
use crate::openapi::{Methods, Routes};
use crate::public::Public;
use crate::published;
use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;

pub(super) fn routes() -> Routes {
    let latest = Methods::new().get(latest_checkpoint, audit_log::latest_checkpoint());
    Routes::new().at("/audit-log/checkpoints/latest", latest)
}

pub(super) fn root_routes() -> Routes {
    Routes::new().at("/.well-known/jwks.json", Methods::new().get(keys, audit_log::keys()))
}

async fn latest_checkpoint(State(api): Shared, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    let caller = gate::caller(&api, &parts).await?;
    api.app.audit.permit(&caller).await?;
    no_parameters(&parts)?;
    let checkpoint = api.app.audit.latest_checkpoint(&caller).await?;
    Ok(responses::unkept(StatusCode::OK, "application/jose", checkpoint))
}

async fn keys(_: Public, State(api): Shared) -> Response {
    published::keys(&api.app.audit.published_keys())
}
