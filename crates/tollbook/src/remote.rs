//! A service seen from the command line: calls with retries, and its refusals as faults.

use bytes::Bytes;
use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::time::Duration;
use tollbook_connect::client::{ApiClient, ApiReply};
use tollbook_kit::fault::{Code, Fault};
use tollbook_kit::retry;
use tollbook_kit::secret::Secret;

/// Characters that a segment of a path may hold as they are (RFC 3986, unreserved).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A service and the token for it.
pub(crate) struct Remote {
    client: ApiClient,
}

impl Remote {
    /// The service at this base URL.
    ///
    /// # Errors
    /// `invalid` when the URL is not one that can be called.
    pub(crate) fn new(server: &str, token: Secret<String>) -> Result<Self, Fault> {
        Ok(Self { client: ApiClient::new(server, token)? })
    }

    /// Calls until an answer other than "later" comes, or the schedule is used up. Safe for everything that may be
    /// sent twice: records are recognised when they come again.
    ///
    /// # Errors
    /// `unavailable` or `timeout` when no answer came; a refusal of the service, with its own words.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: Bytes,
    ) -> Result<Bytes, Fault> {
        let mut failed = 0;
        loop {
            let outcome = self.client.send(method.clone(), path, content_type, body.clone()).await;
            let (fault, asked_wait) = match outcome {
                Ok(reply) if reply.is_success() => return Ok(reply.body),
                Ok(reply) if reply.is_temporary() => (refusal(&reply), reply.retry_after),
                Ok(reply) => return Err(refusal(&reply)),
                Err(fault) if matches!(fault.code(), Code::Unavailable | Code::Timeout) => (fault, None),
                Err(fault) => return Err(fault),
            };
            failed += 1;
            let Some(wait) = retry::CLIENT.wait_after(failed) else { return Err(fault) };
            tokio::time::sleep(asked_wait.unwrap_or(Duration::ZERO).max(wait)).await;
        }
    }

    /// Fetches an answer of any size into a file.
    ///
    /// # Errors
    /// As the service refuses; `unavailable` when it broke off, `internal` when the file cannot be written.
    pub(crate) async fn download(&self, path: &str, into: &mut tokio::fs::File) -> Result<u64, Fault> {
        let (reply, written) = self.client.download(path, into).await?;
        if reply.is_success() { Ok(written) } else { Err(refusal(&reply)) }
    }
}

/// The path of a source.
pub(crate) fn source_path(alias: &str) -> String {
    format!("/api/v1/sources/{}", utf8_percent_encode(alias, SEGMENT))
}

/// The service's words about a refusal: its first errors, and the last one, which sums up those of a body.
fn refusal(reply: &ApiReply) -> Fault {
    const MOST_LINES: usize = 5;
    let document: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    let detail =
        document["detail"].as_str().unwrap_or("the answer does not come from Tollbook; check the address");
    let mut text = format!("the server refused with status {}: {detail}", reply.status);
    let errors = document["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let line = |error: &Value| {
        let (name, reason) = (error["name"].as_str().unwrap_or(""), error["reason"].as_str().unwrap_or(""));
        format!("{name}: {reason}")
    };
    // The detail repeats the first error.
    let further: Vec<String> = errors.iter().map(line).skip_while(|line| line == detail).collect();
    for (at, line) in further.iter().enumerate() {
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
        status if status >= 500 => Code::Unavailable,
        _ => Code::Invalid,
    };
    Fault::new(code, text)
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
        let fault = refusal(&reply);
        assert_eq!(fault.code(), Code::Forbidden);
        let text = "the server refused with status 403: no\n  line 2: is bad\n  (request r1)";
        assert_eq!(fault.message(), text);
    }
}
