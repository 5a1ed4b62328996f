//! The listener: takes connections, bounds them, and ends them in order.
//!
//! An own loop, because `axum::serve` bounds neither the time of headers nor the number of connections.

mod conversation;
mod guarded;
mod places;
mod running;
mod transport;
mod wire;

use crate::api::Api;
use crate::config::{ConnectionLimits, HttpConfig};
use crate::metrics::{ConnectionNumbers, Render};
use crate::ops;
use crate::proxies::is_trusted;
use crate::router::router;
use axum::Router;
use conversation::Conversations;
use places::Places;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tollbook_kit::fault::Fault;
use tollbook_kit::supervise::StopToken;

/// How often the numbers are written down when nobody reads them.
const CLEARING_PAUSE: Duration = Duration::from_secs(5);
/// Connections at once of those who read the numbers.
const MOST_METRICS_READERS: usize = 64;
/// Requests cut by a stop that are named one by one.
const MOST_NAMED: usize = 100;

/// Answers requests on `listener`, through TLS if there is any, until the API's stop token says otherwise; then finishes
/// what is under way. What is cut off before it is finished is named in the log.
///
/// # Errors
/// None: what fails is a connection, never the listener as a whole.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<rustls::ServerConfig>>,
    api: Api,
    config: HttpConfig,
) -> Result<(), Fault> {
    let stop = api.stop.clone();
    let router = router(Arc::new(api)).layer(axum::middleware::from_fn(running::note_route));
    let HttpConfig { connections: limits, trusted_proxies, .. } = config;
    let door = Door {
        listener,
        places: places(&limits),
        is_proxy: Box::new(move |peer| is_trusted(peer.ip().to_canonical(), &trusted_proxies)),
        numbers: ConnectionNumbers::of_process(),
        stop: stop.clone(),
    };
    let tls = tls.map(TlsAcceptor::from);
    let conversations = Conversations::new(router, tls, limits, door.numbers.clone(), stop);
    door.keep(conversations).await;
    Ok(())
}

/// Answers `GET /metrics` with what `render` writes, and `GET /healthz`, until told to stop. Whoever can reach `listener`
/// can read them.
///
/// # Errors
/// None: what fails is a connection, never the listener as a whole.
pub async fn serve_metrics(listener: TcpListener, render: Render, stop: StopToken) -> Result<(), Fault> {
    let limits = ConnectionLimits {
        most_connections: MOST_METRICS_READERS,
        most_of_address: Some(MOST_METRICS_READERS),
        ..ConnectionLimits::default()
    };
    let router: Router = ops::metrics_routes(render.clone());
    let door = Door {
        listener,
        places: places(&limits),
        is_proxy: Box::new(|_| false),
        numbers: ConnectionNumbers::of_nobody(),
        stop: stop.clone(),
    };
    let conversations = Conversations::new(router, None, limits, door.numbers.clone(), stop);
    tokio::select! {
        () = door.keep(conversations) => {}
        () = clear(&render) => {}
    }
    Ok(())
}

/// Without readers, what the histograms gather would grow for ever.
async fn clear(render: &Render) {
    loop {
        tokio::time::sleep(CLEARING_PAUSE).await;
        drop(render());
    }
}

/// The places that these bounds leave.
fn places(limits: &ConnectionLimits) -> Arc<Places> {
    let of_address = limits.most_of_address.unwrap_or(limits.most_connections / 4);
    Places::new(limits.most_connections, of_address.max(1))
}

/// Where connections come in.
struct Door {
    listener: TcpListener,
    places: Arc<Places>,
    is_proxy: Box<dyn Fn(SocketAddr) -> bool + Send + Sync>,
    numbers: ConnectionNumbers,
    stop: StopToken,
}

impl Door {
    /// Takes connections in, until told to stop and the last has ended.
    async fn keep(self, conversations: Conversations) {
        let conversations = Arc::new(conversations);
        let mut connections = JoinSet::new();
        // Dropped before the connections are, also when this task is aborted.
        let _late = NamesTheLate(self.places.clone());
        while let Some((socket, peer)) = self.next().await {
            while connections.try_join_next().is_some() {}
            let place = tokio::select! {
                () = self.stop.cancelled() => break,
                place = self.places.take(peer, (self.is_proxy)(peer)) => place,
            };
            let Some(place) = place else {
                self.numbers.turned_away.increment(1);
                continue;
            };
            let conversations = conversations.clone();
            connections.spawn(async move { conversations.converse(socket, place).await });
        }
        drop(self.listener);
        while connections.join_next().await.is_some() {}
    }

    /// The next connection; none after the stop.
    async fn next(&self) -> Option<(TcpStream, SocketAddr)> {
        loop {
            let accepted = tokio::select! {
                () = self.stop.cancelled() => return None,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok(connection) => return Some(connection),
                Err(error) => {
                    // Mostly "too many open files": without a pause this would spin until some are closed.
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

/// Names in the log, when the listener ends, the requests that end with it.
struct NamesTheLate(Arc<Places>);

impl Drop for NamesTheLate {
    fn drop(&mut self) {
        let late = self.0.running();
        for (peer, running) in late.iter().take(MOST_NAMED) {
            let (method, route) = (running.method, running.route());
            let age_s = running.age().as_secs_f64();
            tracing::warn!(method, route, %peer, age_s, "a request is cut off by the stop");
        }
        if late.len() > MOST_NAMED {
            tracing::warn!(
                requests = late.len(),
                "more requests are cut off by the stop than are named here"
            );
        }
    }
}
