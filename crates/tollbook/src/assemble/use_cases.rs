//! The use cases on the ports of both wings.

use super::{ControlWing, DataWing, Surroundings};
use crate::config::AuthSettings;
use std::sync::Arc;
use tollbook_app::{App, Ports};
use tollbook_connect::egress::{EgressClient, EgressPolicy};
use tollbook_connect::issuer::OpenIdIssuer;
use tollbook_kit::fault::Fault;
use tollbook_model::ports::TokenIssuer;

/// Puts the use cases together. The outside issuer, where there is one, is reached under the policy `egress`.
///
/// # Errors
/// As [`OpenIdIssuer::new`] and [`App::open`].
pub(crate) async fn use_cases(
    control: ControlWing,
    data: DataWing,
    auth: AuthSettings,
    egress: EgressPolicy,
    public_url: &str,
    surroundings: &Surroundings,
) -> Result<App, Fault> {
    let clock = &surroundings.clock;
    let client = EgressClient::new(egress);
    let issuer: Option<Arc<dyn TokenIssuer>> = match auth.issuer {
        Some(issuer) => Some(Arc::new(OpenIdIssuer::new(issuer, client, clock.clone())?)),
        None => None,
    };
    let catalog = control.catalog;
    App::open(Ports {
        intake: data.intake,
        data_plane: data.engine,
        connectors: control.connectors,
        sources: catalog.clone(),
        tenants: catalog.clone(),
        tokens: catalog.clone(),
        users: catalog.clone(),
        sessions: catalog.clone(),
        audit_log: catalog.clone(),
        export_manifests: catalog.clone(),
        signing_keys: catalog.clone(),
        stored_bytes: catalog,
        issuer,
        clock: clock.clone(),
        randomness: surroundings.randomness.clone(),
        public_url: public_url.to_owned(),
        auth: auth.claims,
    })
    .await
}
