//! The service: started as a whole, run until it is asked to stop.

use crate::assemble::{
    ControlWing, DataFolder, DataWing, Encryption, Listeners, SealingKey, Surroundings, UseCaseSettings,
    use_cases,
};
use crate::config::Config;
use crate::source_files;
use crate::stop;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tollbook_catalog::SqliteCatalog;
use tollbook_http::{Api, HttpConfig, metrics};
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::secret::Secret;
use tollbook_kit::supervise::{OnError, Supervisor};

/// Secrets that come from the environment and are no settings.
#[derive(Debug, Default)]
pub(crate) struct HandedIn {
    /// The operator's own first token.
    pub(crate) token: Option<Secret<String>>,
    /// The key that seals secrets at rest.
    pub(crate) sealing_key: Option<Secret<String>>,
}

/// A service that takes requests.
pub(crate) struct Service {
    /// Where it takes requests, as `http://ADDRESS` or `https://ADDRESS`.
    pub(crate) address: String,
    /// Where it serves metrics, if it does.
    pub(crate) metrics: Option<SocketAddr>,
    /// Base URL for a client on this machine.
    pub(crate) local_url: String,
    /// The certificate that clients have to be told to trust, if the service made it.
    pub(crate) own_certificate: Option<PathBuf>,
    /// The first token, if this start made it. It is nowhere else.
    pub(crate) first_token: Option<Secret<String>>,
    front: Supervisor,
    back: Supervisor,
    stop_patience: Duration,
    catalog: Arc<SqliteCatalog>,
    _folder: DataFolder,
}

impl Service {
    /// Opens the data folder, starts everything, and takes requests. A token that is handed in replaces the former
    /// first token.
    ///
    /// # Errors
    /// `conflict` when a port or the folder is in use, or the sealing key is not the folder's; `invalid` for wrong
    /// source files, certificates or secrets; whatever opening the folder brings.
    pub(crate) async fn start(config: Config, handed_in: &HandedIn) -> Result<Self, Fault> {
        // The ports first: they are the most likely thing to be wrong, and nothing has been touched yet.
        let listeners = Listeners::bind(&config.listening).await?;
        let port = listeners.address.port();
        let public_url = config.listening.reached_at(port);
        let folder = DataFolder::open(&config.data)?;
        let encryption = Encryption::of(&config.listening, &folder)?;
        let surroundings = Surroundings::of_the_machine();
        let (own, named) = (folder.sealing_key(), config.key_file.as_deref());
        let key = SealingKey::find(handed_in.sealing_key.as_ref(), named, &own, &*surroundings.randomness)?;
        let (front, back) = (Supervisor::new(), Supervisor::new());
        let metrics = serve_metrics(listeners.metrics, &back)?;
        let control = ControlWing::open(&folder, &key, &surroundings).await?;
        let stores = (config.store, config.engine);
        let data = DataWing::start(&folder, &control, stores, &surroundings, &back).await?;
        let catalog = control.catalog.clone();
        let client_credentials = config.auth.client_credentials;
        let settings = UseCaseSettings {
            auth: config.auth,
            egress: config.egress,
            jobs: config.jobs,
            mail: config.mail,
            public_url: public_url.clone(),
        };
        let app = use_cases(control, data, settings, &surroundings).await?;
        app.tenants.bootstrap().await?;
        let first_token = app.tokens.bootstrap(handed_in.token.as_ref()).await?;
        if let Some(sources) = &config.sources_dir {
            source_files::apply(&app, sources).await?;
        }
        app.start_tasks(&back);
        let http = HttpConfig {
            connections: config.http.connections,
            limits: config.limits,
            trusted_proxies: config.http.trusted_proxies,
            client_credentials,
            public_url,
            links_name_the_host: config.listening.public_url.is_none(),
        };
        let api = Api::new(app, surroundings.ids(), surroundings.clock, front.stop_token(), &http);
        let scheme = if encryption.config.is_some() { "https" } else { "http" };
        let serving = tollbook_http::serve(listeners.requests, encryption.config, api, http);
        front.spawn("http", OnError::StopProcess, serving);
        let address = format!("{scheme}://{}", listeners.address);
        tracing::info!(address, data = %config.data.display(), "taking requests");
        Ok(Self {
            address,
            metrics,
            local_url: config.listening.local_url(port),
            own_certificate: encryption.own_certificate,
            first_token,
            front,
            back,
            stop_patience: config.http.stop_patience,
            catalog,
            _folder: folder,
        })
    }

    /// Runs until a signal comes or a part fails, then stops in order.
    ///
    /// # Errors
    /// `unavailable` when a part failed, so that a supervisor starts the process anew.
    pub(crate) async fn run(self) -> Result<(), Fault> {
        let (front, back) = (self.front.stop_token(), self.back.stop_token());
        let failed = tokio::select! {
            signal = stop::signalled() => {
                tracing::info!(signal = signal?, "stopping");
                None
            }
            () = front.cancelled() => Some("the listener failed"),
            () = back.cancelled() => Some("a background task failed"),
            () = self.catalog.broken() => Some("the control database can no longer be trusted"),
        };
        self.stop().await;
        match failed {
            None => Ok(()),
            Some(what) => {
                Err(Fault::new(Code::Unavailable, format!("{what}; see the log, then start again")))
            }
        }
    }

    /// Stops taking requests, finishes what is under way, and closes the data folder.
    pub(crate) async fn stop(self) {
        stop::in_order(&self.front, self.stop_patience, &self.back).await;
        self.catalog.close().await;
    }
}

/// Begins to measure, and serves what is measured, if there is a port for it; answers its address.
fn serve_metrics(
    port: Option<(TcpListener, SocketAddr)>,
    supervisor: &Supervisor,
) -> Result<Option<SocketAddr>, Fault> {
    let Some((listener, address)) = port else { return Ok(None) };
    let serving = tollbook_http::serve_metrics(listener, metrics::install()?, supervisor.stop_token());
    supervisor.spawn("metrics", OnError::Log, serving);
    Ok(Some(address))
}
