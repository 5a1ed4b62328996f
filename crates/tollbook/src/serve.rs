//! The service: started as a whole, run until it is asked to stop.

use crate::assemble::{ControlWing, DataFolder, DataWing, Surroundings};
use crate::config::Config;
use crate::source_files;
use crate::stop;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tollbook_app::{App, Ports};
use tollbook_catalog::SqliteCatalog;
use tollbook_http::Api;
use tollbook_kit::fault::{Code, Fault, ResultExt};
use tollbook_kit::secret::Secret;
use tollbook_kit::supervise::{OnError, Supervisor};

/// A service that takes requests.
pub(crate) struct Service {
    /// Where.
    pub(crate) address: SocketAddr,
    /// The first token, if this start made it. It is nowhere else.
    pub(crate) first_token: Option<Secret<String>>,
    front: Supervisor,
    back: Supervisor,
    stop_patience: Duration,
    catalog: Arc<SqliteCatalog>,
    _folder: DataFolder,
}

impl Service {
    /// Opens the data folder, starts everything, and takes requests. `own_token` replaces the
    /// former admin token.
    ///
    /// # Errors
    /// `conflict` when the port or the folder is in use; `invalid` for wrong source files or a wrong token; whatever
    /// opening the folder brings.
    pub(crate) async fn start(config: Config, own_token: Option<&Secret<String>>) -> Result<Self, Fault> {
        // The port first: it is the most likely thing to be wrong, and nothing has been touched yet.
        let listener = bind(&config.listen).await?;
        let address = listener.local_addr().fault("reading the own address")?;
        let folder = DataFolder::open(&config.data)?;
        let surroundings = Surroundings::of_the_machine();
        let (front, back) = (Supervisor::new(), Supervisor::new());
        let control = ControlWing::open(&folder, &surroundings).await?;
        let stores = (config.store, config.engine);
        let data = DataWing::start(&folder, &control, stores, &surroundings, &back).await?;
        let catalog = control.catalog.clone();
        let app = App::new(Ports {
            intake: data.intake,
            data_plane: data.engine,
            connectors: control.connectors,
            sources: catalog.clone(),
            tenants: catalog.clone(),
            tokens: catalog.clone(),
            clock: surroundings.clock.clone(),
            randomness: surroundings.randomness.clone(),
            public_url: config.public_url,
        });
        app.tenants.bootstrap().await?;
        let first_token = app.tokens.bootstrap(own_token).await?;
        if let Some(sources) = &config.sources_dir {
            source_files::apply(&app, sources).await?;
        }
        let api = Api::new(app, surroundings.ids(), surroundings.clock, front.stop_token());
        front.spawn("http", OnError::StopProcess, tollbook_http::serve(listener, api, config.connections));
        tracing::info!(%address, data = %config.data.display(), "taking requests");
        Ok(Self {
            address,
            first_token,
            front,
            back,
            stop_patience: config.stop_patience,
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

async fn bind(listen: &str) -> Result<TcpListener, Fault> {
    TcpListener::bind(listen).await.map_err(|error| {
        let text = match error.kind() {
            std::io::ErrorKind::AddrInUse => {
                format!(
                    "{listen} is taken by another process; stop it, or choose another with --listen HOST:PORT"
                )
            }
            _ => format!("cannot listen on {listen}: {error}; choose another with --listen HOST:PORT"),
        };
        Fault::new(Code::Conflict, text)
    })
}
