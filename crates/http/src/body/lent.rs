//! The body of a request, lent to its handler: what he leaves on the wire can be taken off it when the request is refused.

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use bytes::Bytes;
use http::header::EXPECT;
use http_body_util::BodyExt;
use hyper::body::{Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

/// How long and how much of a refused body is still taken off the wire, so that its sender sees the answer.
const DISCARD_PATIENCE: Duration = Duration::from_secs(5);
const DISCARD_BYTES: usize = 256 * 1024 * 1024;

/// Replaces a request's body by one that is shared with the answer.
pub(crate) fn lend(request: Request) -> (Request, Rest) {
    let waits_for_continue = request.headers().contains_key(EXPECT);
    let (parts, body) = request.into_parts();
    let shared = Arc::new(Mutex::new(Lent { body, begun: false, ended: false }));
    let lent = Body::new(LentBody(shared.clone()));
    (Request::from_parts(parts, lent), Rest { shared, waits_for_continue })
}

struct Lent {
    body: Body,
    begun: bool,
    ended: bool,
}

type Shared = Arc<Mutex<Lent>>;

fn lock(shared: &Mutex<Lent>) -> MutexGuard<'_, Lent> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

struct LentBody(Shared);

impl HttpBody for LentBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut lent = lock(&self.0);
        lent.begun = true;
        let frame = Pin::new(&mut lent.body).poll_frame(cx);
        lent.ended |= matches!(frame, Poll::Ready(None | Some(Err(_))));
        frame
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.0).body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.0).body.size_hint()
    }
}

/// What a handler left of a body.
pub(crate) struct Rest {
    shared: Shared,
    waits_for_continue: bool,
}

impl Rest {
    /// Takes it off the wire, within bounds: a sender that is cut off while still sending would see a broken connection
    /// instead of the answer.
    pub(crate) async fn discard(self) {
        let mut body = {
            let mut lent = lock(&self.shared);
            // One who waits to be told to go on has not sent anything, and reading would tell him.
            if lent.ended || (self.waits_for_continue && !lent.begun) {
                return;
            }
            std::mem::take(&mut lent.body)
        };
        let rest = async {
            let mut taken = 0;
            while let Some(Ok(frame)) = body.frame().await {
                taken += frame.data_ref().map_or(0, Bytes::len);
                if taken > DISCARD_BYTES {
                    break;
                }
            }
        };
        // Whether it ended or time ran out: the answer is sent now.
        let _in_time = tokio::time::timeout(DISCARD_PATIENCE, rest).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::StreamExt;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn request(expects: bool) -> (Request, Arc<AtomicUsize>) {
        let taken = Arc::new(AtomicUsize::new(0));
        let counter = taken.clone();
        let pieces = futures::stream::iter(0..5).map(move |_| {
            counter.fetch_add(1, Ordering::SeqCst);
            Ok::<_, std::io::Error>(Bytes::from_static(b"piece"))
        });
        let mut request = Request::new(Body::from_stream(pieces));
        if expects {
            request.headers_mut().insert(EXPECT, http::HeaderValue::from_static("100-continue"));
        }
        (request, taken)
    }

    #[tokio::test]
    async fn what_is_left_is_discarded_unless_its_sender_waits() {
        for (expects, read, wanted) in [(false, 0, 5), (false, 2, 5), (true, 0, 0), (true, 1, 5)] {
            let (request, taken) = request(expects);
            let (request, rest) = lend(request);
            let mut body = request.into_body();
            for _ in 0..read {
                assert!(body.frame().await.is_some());
            }
            rest.discard().await;
            assert_eq!(taken.load(Ordering::SeqCst), wanted, "expects: {expects}, read: {read}");
        }
    }
}
