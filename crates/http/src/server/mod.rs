//! The listener: takes connections, bounds them, and ends them in order.
//!
//! An own loop, because `axum::serve` bounds neither the time of headers nor the number of connections.

mod stream;

use crate::api::Api;
use crate::breaker::Breaker;
use crate::router::router;
use axum::Router;
use axum::body::Body;
use http::{Request, Version};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::sync::Arc;
use std::time::Duration;
use stream::GuardedStream;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tollbook_kit::fault::Fault;
use tollbook_kit::supervise::StopToken;
use tower::ServiceExt;

/// Bounds of connections.
#[derive(Debug, Clone)]
pub struct ConnectionLimits {
    /// Connections at once; further ones wait in the system's queue.
    pub most_connections: usize,
    /// How long a connection may take to send the headers of its next request.
    pub header_patience: Duration,
    /// How long a reader may take nothing of an answer before he is taken for gone.
    pub reader_patience: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            most_connections: 10_000,
            header_patience: Duration::from_secs(10),
            reader_patience: Duration::from_secs(120),
        }
    }
}

/// Answers requests on `listener` until the API's stop token says otherwise; then finishes what is under way.
///
/// # Errors
/// None: what fails is a connection, never the listener as a whole.
pub async fn serve(listener: TcpListener, api: Api, limits: ConnectionLimits) -> Result<(), Fault> {
    let stop = api.stop.clone();
    let router = router(Arc::new(api));
    let builder = Arc::new(builder(&limits));
    let room = Arc::new(Semaphore::new(limits.most_connections));
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            Some(_ended) = connections.join_next() => continue,
            accepted = accept(&listener, &room) => accepted,
        };
        let Some((stream, place)) = accepted else { continue };
        let (router, builder, limits, stop) = (router.clone(), builder.clone(), limits.clone(), stop.clone());
        connections.spawn(async move {
            let _place = place;
            converse(stream, router, &builder, &limits, &stop).await;
        });
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = room.clone().acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            // Mostly "too many open files": without a pause this would spin until some are closed.
            tracing::warn!(%error, "could not accept a connection");
            tokio::time::sleep(Duration::from_millis(100)).await;
            None
        }
    }
}

fn builder(limits: &ConnectionLimits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(limits.header_patience);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(100)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// Serves one connection to its end.
async fn converse(
    stream: TcpStream,
    router: Router,
    builder: &auto::Builder<TokioExecutor>,
    limits: &ConnectionLimits,
    stop: &StopToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "connection lost before its first request");
        return;
    }
    let breaker = Breaker::default();
    let io = TokioIo::new(GuardedStream::new(stream, limits, breaker.clone()));
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        // HTTP/2 tells the end of each answer itself, and other answers share the connection.
        if request.version() < Version::HTTP_2 {
            request.extensions_mut().insert(breaker.clone());
        }
        router.clone().oneshot(request.map(Body::new))
    });
    let mut connection = std::pin::pin!(builder.serve_connection(io, service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "connection ended early");
    }
}
