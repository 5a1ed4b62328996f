//! The use cases on the ports of both wings.

use super::{ControlWing, DataWing, Surroundings};
use crate::config::AuthSettings;
use std::sync::Arc;
use tollbook_app::{App, JobsConfig, Ports};
use tollbook_connect::callbacks::EgressCallbacks;
use tollbook_connect::egress::{EgressClient, EgressPolicy};
use tollbook_connect::issuer::OpenIdIssuer;
use tollbook_connect::mail::{SmtpConfig, SmtpMailer};
use tollbook_kit::fault::Fault;
use tollbook_model::ports::{Mailer, TokenIssuer};

/// What the settings say to the use cases and to the ports that lead out of the house.
pub(crate) struct UseCaseSettings {
    /// What is taken as a credential.
    pub(crate) auth: AuthSettings,
    /// What may be called for tenants: callbacks of their jobs, and the outside issuer.
    pub(crate) egress: EgressPolicy,
    /// Export jobs.
    pub(crate) jobs: JobsConfig,
    /// The mail server, where there is one.
    pub(crate) mail: Option<SmtpConfig>,
    /// Base URL under which clients reach the service.
    pub(crate) public_url: String,
}

/// Puts the use cases together.
///
/// # Errors
/// As [`OpenIdIssuer::new`], [`SmtpMailer::new`] and [`App::open`].
pub(crate) async fn use_cases(
    control: ControlWing,
    data: DataWing,
    settings: UseCaseSettings,
    surroundings: &Surroundings,
) -> Result<App, Fault> {
    let clock = &surroundings.clock;
    let client = EgressClient::new(settings.egress);
    let issuer: Option<Arc<dyn TokenIssuer>> = match settings.auth.issuer {
        Some(issuer) => Some(Arc::new(OpenIdIssuer::new(issuer, client.clone(), clock.clone())?)),
        None => None,
    };
    let mailer: Option<Arc<dyn Mailer>> = match settings.mail {
        Some(mail) => Some(Arc::new(SmtpMailer::new(mail)?)),
        None => None,
    };
    let catalog = control.catalog;
    App::open(Ports {
        intake: data.intake,
        data_plane: data.engine,
        artifacts: data.artifacts,
        connectors: control.connectors,
        sources: catalog.clone(),
        tenants: catalog.clone(),
        tokens: catalog.clone(),
        users: catalog.clone(),
        sessions: catalog.clone(),
        audit_log: catalog.clone(),
        export_manifests: catalog.clone(),
        export_jobs: catalog.clone(),
        notifications: catalog.clone(),
        signing_keys: catalog.clone(),
        stored_bytes: catalog,
        issuer,
        callbacks: Arc::new(EgressCallbacks::new(client)),
        callback_forms: tollbook_http::callback_forms(),
        sheets: tollbook_http::sheets(),
        mailer,
        clock: clock.clone(),
        randomness: surroundings.randomness.clone(),
        public_url: settings.public_url,
        auth: settings.auth.claims,
        jobs: settings.jobs,
    })
    .await
}
