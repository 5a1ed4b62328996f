//! Answers that are streamed while they are made: whole, or broken off so that nobody takes them for whole.

use crate::breaker::Breaker;
use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use std::fmt::Display;
use std::task::Poll;
use tollbook_kit::fault::Fault;

/// A body of these chunks. Whatever breaks it off before its end breaks the connection too, so that a short answer never
/// ends cleanly. `what` names it in the log.
pub(super) fn body(
    chunks: impl Stream<Item = Result<Bytes, Fault>> + Send + 'static,
    breaker: Option<Breaker>,
    what: impl Display + Send + 'static,
) -> Body {
    if let Some(breaker) = &breaker {
        breaker.begin_answer();
    }
    let chunks = chunks.map(move |chunk| {
        chunk.map_err(|fault| {
            let fault = fault.log_text();
            tracing::error!(answer = %what, fault, "an answer failed midway; its connection is broken");
            std::io::Error::other("the answer failed")
        })
    });
    let end = futures::stream::poll_fn(move |_| {
        if let Some(breaker) = &breaker {
            breaker.end_answer();
        }
        Poll::Ready(None)
    });
    Body::from_stream(chunks.chain(end))
}
