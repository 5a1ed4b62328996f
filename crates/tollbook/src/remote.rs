//! A service seen from the command line: questions, orders and records that are sent until they are taken, replies that
//! are read as they come, and refusals as faults.

use crate::service_flags::ServerFlags;
use crate::terminal::complain;
use bytes::Bytes;
use http::{HeaderName, Method};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::collections::VecDeque;
use std::path::Path;
use std::time::Duration;
use tollbook_connect::client::{ApiClient, ApiReply, ApiRequest, OpenReply};
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::retry;
use tollbook_kit::secret::Secret;

/// Characters that a segment of a path may hold as they are (RFC 3986, unreserved).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Type of every body of records: the source knows what is in it.
const RECORDS_TYPE: &str = "application/octet-stream";
/// Names an order, so that it may be sent twice and is carried out once.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Said of an answer that no Tollbook gives.
pub(crate) const NOT_OURS: &str =
    "the answer does not come from Tollbook; check the address, also whether it begins with http or https";

/// A service and the token for it.
pub(crate) struct Remote {
    client: ApiClient,
    /// Told of every attempt that failed and will be made again.
    notice: Box<dyn Fn(&str) + Send + Sync>,
}

impl Remote {
    /// The service at this base URL, which may have a certificate of its own.
    ///
    /// # Errors
    /// `invalid` when the URL is not one that can be called, or the file holds no certificate.
    pub(crate) fn new(server: &str, token: Secret<String>, ca_file: Option<&Path>) -> Result<Self, Fault> {
        Ok(Self { client: ApiClient::new(server, token, ca_file)?, notice: Box::new(complain) })
    }

    /// The service that the flags name.
    ///
    /// # Errors
    /// As [`Remote::new`]; `invalid` also without a token.
    pub(crate) fn of(flags: &ServerFlags) -> Result<Self, Fault> {
        let token = flags.token().cloned().ok_or_else(|| {
            Fault::new(Code::Invalid, "a token is needed: set TOLLBOOK_TOKEN, or give it with --token")
        })?;
        Self::new(&flags.server, token, flags.ca_file())
    }

    /// The same, telling failed attempts to `notice` instead of the terminal.
    #[must_use]
    pub(crate) fn with_notice(self, notice: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self { notice: Box::new(notice), ..self }
    }

    /// Asks once, with a JSON body if there is one: somebody waits for the answer, and not everything may be sent
    /// twice. An empty answer is null.
    ///
    /// # Errors
    /// `unavailable` or `timeout` when no answer came; a refusal of the service, with its own words.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value, Fault> {
        let content_type = body.as_ref().map(|_| "application/json");
        let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
        let reply = self.client.send(method, path, content_type, body).await?;
        if reply.is_success() { json_of(&reply.body) } else { Err(refusal(&reply, |line| line)) }
    }

    /// Looks something up; as patient as [`Remote::send_records`].
    ///
    /// # Errors
    /// As [`Remote::ask`].
    pub(crate) async fn look_up(&self, path: &str) -> Result<Value, Fault> {
        json_of(&self.fetch(ApiRequest::new(Method::GET, path)).await?)
    }

    /// Fetches something small that may be asked for twice; as patient as [`Remote::send_records`].
    ///
    /// # Errors
    /// As [`Remote::ask`].
    pub(crate) async fn fetch(&self, request: ApiRequest) -> Result<Bytes, Fault> {
        self.persist(request, |line| line).await
    }

    /// Orders something under a key of its own: however often the order is sent, it is carried out once. As patient as
    /// [`Remote::send_records`].
    ///
    /// # Errors
    /// As [`Remote::ask`].
    pub(crate) async fn order(&self, path: &str, key: &str, body: &Value) -> Result<Value, Fault> {
        let request = ApiRequest::new(Method::POST, path).with_header(IDEMPOTENCY_KEY, key);
        json_of(&self.fetch(request.with_body("application/json", body.to_string())).await?)
    }

    /// Sends records until an answer other than "later" comes, or the schedule is used up: records may be sent twice,
    /// they are recognised when they come again.
    ///
    /// # Errors
    /// As [`Remote::ask`].
    pub(crate) async fn send_records(&self, path: &str, body: Bytes) -> Result<Bytes, Fault> {
        self.send_piece(path, body, |line| line).await
    }

    /// As [`Remote::send_records`], for a body that is a piece of a file: `in_file` says which line of the file a line
    /// of the body is, and a refusal names that one.
    ///
    /// # Errors
    /// As [`Remote::ask`].
    pub(crate) async fn send_piece(
        &self,
        path: &str,
        body: Bytes,
        in_file: impl Fn(u64) -> u64,
    ) -> Result<Bytes, Fault> {
        self.persist(ApiRequest::new(Method::POST, path).with_body(RECORDS_TYPE, body), in_file).await
    }

    /// Tries again by the schedule, and says so each time.
    async fn persist(&self, request: ApiRequest, in_file: impl Fn(u64) -> u64) -> Result<Bytes, Fault> {
        let mut failed = 0;
        loop {
            let outcome = match self.client.open(request.clone()).await {
                Ok(open) => open.whole().await,
                Err(fault) => Err(fault),
            };
            let fault = match outcome {
                Ok(reply) if reply.is_success() => return Ok(reply.body),
                Ok(reply) => refusal(&reply, &in_file),
                Err(fault) => fault,
            };
            failed += 1;
            self.rest_after(failed, fault).await?;
        }
    }

    /// Rests after `failed` failed attempts at something that may be tried again, and says so.
    ///
    /// # Errors
    /// The fault itself, when trying again is of no use or the schedule is used up.
    pub(crate) async fn rest_after(&self, failed: usize, fault: Fault) -> Result<(), Fault> {
        // What is refused for now has a wait, be it of no length; what broke off is worth another try as well.
        let is_temporary =
            fault.retry_after().is_some() || matches!(fault.code(), Code::Unavailable | Code::Timeout);
        let wait = retry::CLIENT.wait_after(failed).filter(|_| is_temporary);
        let Some(wait) = wait else { return Err(fault) };
        let wait = fault.retry_after().unwrap_or(Duration::ZERO).max(wait);
        (self.notice)(&format!("{}; trying again in {wait:?}", fault.message()));
        tokio::time::sleep(wait).await;
        Ok(())
    }

    /// Asks once for something whose body is read as it comes.
    ///
    /// # Errors
    /// `unavailable` or `timeout` when no answer came; a refusal of the service, with its own words.
    pub(crate) async fn open(&self, request: ApiRequest) -> Result<OpenReply, Fault> {
        let open = self.client.open(request).await?;
        if (200..300).contains(&open.status()) {
            return Ok(open);
        }
        Err(refusal(&open.whole().await?, |line| line))
    }

    /// Fetches an answer of any size into a file.
    ///
    /// # Errors
    /// As the service refuses; `unavailable` when it broke off, `internal` when the file cannot be written.
    pub(crate) async fn download(&self, path: &str, into: &mut tokio::fs::File) -> Result<u64, Fault> {
        let (reply, written) = self.client.download(path, into).await?;
        if reply.is_success() { Ok(written) } else { Err(refusal(&reply, |line| line)) }
    }
}

/// The document of an answer; an empty one is null.
fn json_of(answer: &[u8]) -> Result<Value, Fault> {
    if answer.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(answer).map_err(|_| Fault::new(Code::Unavailable, NOT_OURS))
}

/// A name as a segment of a path.
pub(crate) fn segment(name: &str) -> String {
    utf8_percent_encode(name, SEGMENT).to_string()
}

/// The path of a source.
pub(crate) fn source_path(alias: &str) -> String {
    format!("/api/v1/sources/{}", segment(alias))
}

/// The service's words about a refusal: its first errors, and the last one, which sums up those of a body. Lines are
/// those that `in_file` says.
fn refusal(reply: &ApiReply, in_file: impl Fn(u64) -> u64) -> Fault {
    const MOST_LINES: usize = 5;
    let document: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let detail = document["detail"].as_str().unwrap_or(NOT_OURS);
    let errors = document["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let told = |error: &Value| {
        let (name, reason) = (error["name"].as_str().unwrap_or(""), error["reason"].as_str().unwrap_or(""));
        let shown = match name.strip_prefix("line ").and_then(|number| number.parse().ok()) {
            Some(line) => format!("line {}: {reason}", in_file(line)),
            None => format!("{name}: {reason}"),
        };
        (format!("{name}: {reason}"), shown)
    };
    let mut further: VecDeque<(String, String)> = errors.iter().map(told).collect();
    // The detail mostly repeats the first error.
    let detail = match further.pop_front_if(|(first, _)| first == detail) {
        Some((_, shown)) => shown,
        None => detail.to_owned(),
    };
    let mut text = format!("the server refused with status {}: {detail}", reply.status);
    for (at, (_, line)) in further.iter().enumerate() {
        if at < MOST_LINES || at + 1 == further.len() {
            text.push_str(&format!("\n  {line}"));
        } else if at == MOST_LINES {
            text.push_str(&format!("\n  and {} more", further.len() - 1 - MOST_LINES));
        }
    }
    if let Some(request) = &reply.request_id {
        text.push_str(&format!("\n  (request {request})"));
    }
    let code = match reply.status {
        401 => Code::Unauthenticated,
        403 => Code::Forbidden,
        404 => Code::NotFound,
        410 => Code::Gone,
        501 | 505 => Code::Invalid,
        status if status >= 500 => Code::Unavailable,
        _ => Code::Invalid,
    };
    let fault = Fault::new(code, text);
    if reply.is_temporary() { fault.with_retry_after(reply.retry_after.unwrap_or_default()) } else { fault }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_are_encoded_and_refusals_read() {
        assert_eq!(source_path("Büro 1+/x"), "/api/v1/sources/B%C3%BCro%201%2B%2Fx");
        let body = br#"{"detail":"no","errors":[{"name":"line 2","reason":"is bad"}]}"#;
        let reply = ApiReply {
            status: 403,
            content_type: None,
            retry_after: None,
            request_id: Some("r1".into()),
            body: Bytes::from_static(body),
        };
        let fault = refusal(&reply, |line| line);
        assert_eq!(fault.code(), Code::Forbidden);
        let text = "the server refused with status 403: no\n  line 2: is bad\n  (request r1)";
        assert_eq!(fault.message(), text);

        let errors = br#"{"detail":"line 2: is bad","errors":[{"name":"line 2","reason":"is bad"},
            {"name":"line 3","reason":"is bad"},{"name":"body","reason":"2 of 9 rows are wrong"}]}"#;
        let reply = ApiReply { status: 400, request_id: None, body: Bytes::from_static(errors), ..reply };
        let fault = refusal(&reply, |line| line + 100);
        let text = "the server refused with status 400: line 102: is bad\n  line 103: is bad\n  \
                    body: 2 of 9 rows are wrong";
        assert_eq!((fault.code(), fault.message()), (Code::Invalid, text));

        for (status, is_temporary) in [(403, false), (410, false), (429, true), (501, false), (507, true)] {
            let fault = refusal(&ApiReply { status, ..reply.clone() }, |line| line);
            assert_eq!(fault.retry_after().is_some(), is_temporary, "{status}");
        }
    }
}
