//! A file on its way out: the headers of its answers, and its bytes as far as they are asked for.

use super::range::Wanted;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    LAST_MODIFIED, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use std::io::{Error, ErrorKind};
use std::ops::Range;
use tollbook_app::downloads::Download;
use tollbook_kit::fault::{Code, Fault};

/// What of `Wanted` is sent: the bytes, and under which status. None when nothing of it can be.
pub(super) fn sent(wanted: Wanted, bytes: u64) -> Option<(StatusCode, Range<u64>)> {
    match wanted {
        Wanted::Whole => Some((StatusCode::OK, 0..bytes)),
        Wanted::Part(part) => Some((StatusCode::PARTIAL_CONTENT, part)),
        Wanted::Nothing => None,
    }
}

/// The head of an answer with these bytes of a file; its body is empty.
pub(super) fn head(download: &Download, status: StatusCode, part: &Range<u64>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    validators(headers, download);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(download.media_type));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_LENGTH, (part.end - part.start).into());
    put(headers, CONTENT_DISPOSITION, &format!("attachment; filename=\"{}\"", download.name));
    if status == StatusCode::PARTIAL_CONTENT {
        let range = format!("bytes {}-{}/{}", part.start, part.end - 1, download.bytes);
        put(headers, CONTENT_RANGE, &range);
    }
    response
}

/// The client has the file already.
pub(super) fn unchanged(download: &Download) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    validators(response.headers_mut(), download);
    response
}

/// These bytes of a file, for an answer that has promised so many. A stream that ends before breaks the answer off, as
/// one does that fails.
pub(super) fn body(chunks: BoxStream<'static, Result<Bytes, Fault>>, promised: u64) -> Body {
    let left = futures::stream::unfold((chunks, promised), |(mut chunks, left)| async move {
        let chunk = match chunks.next().await {
            Some(Ok(chunk)) => chunk,
            Some(Err(fault)) if fault.code() == Code::Gone => return Some((Err(removed()), (chunks, 0))),
            Some(Err(fault)) => return Some((Err(broken_off(&fault.log_text())), (chunks, 0))),
            None if left == 0 => return None,
            None => return Some((Err(broken_off("it is shorter than was promised")), (chunks, 0))),
        };
        match left.checked_sub(chunk.len() as u64) {
            Some(left) => Some((Ok(chunk), (chunks, left))),
            None => Some((Err(broken_off("it is longer than was promised")), (chunks, 0))),
        }
    });
    Body::from_stream(left)
}

fn broken_off(why: &str) -> Error {
    tracing::error!(why, "a download failed midway; it is broken off");
    Error::new(ErrorKind::UnexpectedEof, "the file could not be read to its end")
}

/// Whoever deletes an export ends its downloads: nothing is wrong with that.
fn removed() -> Error {
    tracing::info!("a download is broken off: its file was removed meanwhile");
    Error::new(ErrorKind::UnexpectedEof, "the file was removed")
}

/// What tells this file from others, and that nobody on the way may keep it.
fn validators(headers: &mut HeaderMap, download: &Download) {
    put(headers, ETAG, &download.etag);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    let modified_at = Timestamp::from_millisecond(download.modified_at_ms);
    let date = modified_at.and_then(|at| DateTimePrinter::new().timestamp_to_rfc9110_string(&at));
    if let Ok(date) = date {
        put(headers, LAST_MODIFIED, &date);
    }
}

/// Names, digests and dates need no escapes.
fn put(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    async fn read(chunks: Vec<Result<&'static str, Code>>, promised: u64) -> Option<String> {
        let chunks = chunks.into_iter().map(|chunk| {
            chunk.map(|text| Bytes::from_static(text.as_bytes())).map_err(|code| Fault::new(code, "no"))
        });
        let body = body(futures::stream::iter(chunks).boxed(), promised);
        let bytes = body.collect().await.ok()?.to_bytes();
        Some(String::from_utf8(bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_body_is_as_long_as_promised_or_breaks_off() {
        assert_eq!(read(vec![Ok("ab"), Ok("c")], 3).await.as_deref(), Some("abc"));
        assert_eq!(read(Vec::new(), 0).await.as_deref(), Some(""));
        assert_eq!(read(vec![Ok("ab")], 3).await, None, "too short");
        assert_eq!(read(vec![Ok("ab"), Ok("cd")], 3).await, None, "too long");
        assert_eq!(read(vec![Ok("ab"), Err(Code::Gone)], 2).await, None, "failed");
    }

    /// What a log takes of one level.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_file_that_is_deleted_while_it_is_read_is_no_error() {
        for (code, level) in [(Code::Gone, "INFO"), (Code::Internal, "ERROR")] {
            let lines = Lines::default();
            let writer = lines.clone();
            let log = tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).finish();
            let told = tracing::subscriber::set_default(log);
            assert_eq!(read(vec![Ok("ab"), Err(code)], 3).await, None);
            drop(told);
            let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
            assert_eq!((text.lines().count(), text.contains(level)), (1, true), "{text}");
        }
    }
}
