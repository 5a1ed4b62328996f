//! Callbacks: calls to addresses that users gave us, through [`egress`](crate::egress) alone.
//!
//! Unlike other addresses these may hold a user name, a password and a fragment: they are taken off before the address is
//! judged, so that what is judged is what is called. What is sent and when is decided by whoever calls.

use crate::egress::{EgressClient, EgressReply};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use percent_encoding::percent_decode_str;
use std::time::Duration;
use tollbook_kit::fault::{Fault, ResultExt};
use tollbook_model::ports::{CallAnswer, CallMethod, Callbacks, OutgoingCall};

/// How callbacks name themselves.
const USER_AGENT: &str = "Tollbook-Callback/1";

/// Calls addresses of users under the egress policy.
#[derive(Debug, Clone)]
pub struct EgressCallbacks {
    client: EgressClient,
}

/// An address without what is not part of its request line.
struct Address {
    /// What is called.
    url: String,
    /// User name and password as Basic, if it had any.
    credentials: Option<HeaderValue>,
}

impl EgressCallbacks {
    /// Calls through this client, under its policy. Its times are replaced by those of each call.
    pub fn new(client: EgressClient) -> Self {
        Self { client }
    }
}

#[async_trait]
impl Callbacks for EgressCallbacks {
    fn judge(&self, url: &str) -> Result<(), Fault> {
        self.client.judge(&Address::read(url)?.url).map(drop)
    }

    async fn call(&self, call: OutgoingCall) -> Result<CallAnswer, Fault> {
        let address = Address::read(call.url.reveal())?;
        let url = self.client.judge(&address.url)?;
        let mut headers = HeaderMap::new();
        for (name, value) in call.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).fault("naming a header of a callback")?;
            headers.insert(name, HeaderValue::from_str(&value).fault("writing a header of a callback")?);
        }
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers.extend(address.credentials.map(|value| (header::AUTHORIZATION, value)));
        let method = match call.method {
            CallMethod::Get => Method::GET,
            CallMethod::Post => Method::POST,
        };
        let client = self.client.clone().with_times(call.connect_within, call.answer_within);
        let reply = client.send_for_head(method, &url, headers, call.body).await?;
        Ok(CallAnswer { status: reply.status, retry_after: retry_after(&reply) })
    }
}

impl Address {
    /// Takes user name, password and fragment off an address.
    ///
    /// # Errors
    /// `invalid`, parameter `url`: the user name or password could be read in two ways.
    fn read(text: &str) -> Result<Self, Fault> {
        let text = text.split_once('#').map_or(text, |(before, _)| before);
        let Some((scheme, behind)) = text.split_once("://") else {
            return Ok(Self { url: text.to_owned(), credentials: None });
        };
        let end = behind.find(['/', '?']).unwrap_or(behind.len());
        let (authority, rest) = behind.split_at(end);
        let Some((credentials, host)) = authority.split_once('@') else {
            return Ok(Self { url: text.to_owned(), credentials: None });
        };
        let credentials = basic(credentials).ok_or_else(|| {
            Fault::parameter("url", "must have its user name and password percent-encoded (RFC 3986)")
        })?;
        Ok(Self { url: format!("{scheme}://{host}{rest}"), credentials: Some(credentials) })
    }
}

/// User name and password of an address as Basic (RFC 7617); none when they hold what RFC 3986 does not let them hold, or
/// what Basic cannot carry.
fn basic(credentials: &str) -> Option<HeaderValue> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:%".contains(&byte);
    if !credentials.bytes().all(allowed) {
        return None;
    }
    let (user, password) = credentials.split_once(':').unwrap_or((credentials, ""));
    let [user, password] = [user, password].map(|text| percent_decode_str(text).collect::<Vec<u8>>());
    let fits = |text: &[u8]| !text.iter().any(u8::is_ascii_control);
    if !fits(&user) || !fits(&password) || user.contains(&b':') {
        return None;
    }
    let mut value =
        HeaderValue::from_str(&format!("Basic {}", STANDARD.encode([user, password].join(&b':')))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// `Retry-After` of a reply, in seconds or as a date (RFC 9110 section 10.2.3). A date is measured against the reply's own
/// `Date`, so that it does not matter whose clock is wrong.
fn retry_after(reply: &EgressReply) -> Option<Duration> {
    let text = |name| Some(reply.headers.get(name)?.to_str().ok()?.trim());
    let asked = text(header::RETRY_AFTER)?;
    if !asked.is_empty() && asked.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a number holds mean a very long time all the same.
        return Some(Duration::from_secs(asked.parse().unwrap_or(u64::MAX)));
    }
    let second = |date: &str| Some(jiff::fmt::rfc2822::parse(date).ok()?.timestamp().as_second());
    let seconds = second(asked)?.checked_sub(second(text(header::DATE)?)?)?;
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed test says where")]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn what_is_called_is_what_is_written_behind_the_credentials() {
        for (text, url, credentials) in [
            ("https://a.example/x?y=1", "https://a.example/x?y=1", None),
            ("https://a.example/x#top", "https://a.example/x", None),
            ("https://a.example/x@y?z=@", "https://a.example/x@y?z=@", None),
            ("https://eve:hush@a.example/x", "https://a.example/x", Some("eve:hush")),
            ("https://eve@a.example", "https://a.example", Some("eve:")),
            ("https://e%40v:h%3Au%C3%A4@a.example:8443/?q#f", "https://a.example:8443/?q", Some("e@v:h:uä")),
            ("https://a.example:443@b.example/", "https://b.example/", Some("a.example:443")),
            ("no address", "no address", None),
        ] {
            let address = Address::read(text).unwrap();
            let expected = credentials.map(|both| format!("Basic {}", STANDARD.encode(both)));
            let found = address.credentials.as_ref().map(|value| value.to_str().unwrap().to_owned());
            assert_eq!((address.url.as_str(), found), (url, expected), "{text}");
        }
    }

    #[test]
    fn credentials_that_could_be_read_in_two_ways_are_refused() {
        for text in [
            "https://a.example\\@b.example/",
            "https://a b@c.example/",
            "https://ä@c.example/",
            "https://[::1]@c.example/",
            "https://a%0d%0ab:c@d.example/",
            "https://a%3Ab:c@d.example/",
        ] {
            assert!(Address::read(text).is_err(), "{text}");
        }
        // A second at sign is part of no host.
        let address = Address::read("https://a@b@c.example/").unwrap();
        assert_eq!(address.url, "https://b@c.example/");
    }

    #[test]
    fn receivers_say_when_to_come_again() {
        let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
        for (asked, date, seconds) in [
            ("120", None, Some(120)),
            (" 0 ", None, Some(0)),
            ("99999999999999999999999", None, Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", date, Some(30)),
            ("Sun, 06 Nov 1994 08:49:07 GMT", date, Some(0)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", None, None),
            ("-1", None, None),
            ("1.5", None, None),
            ("", None, None),
            ("soon", date, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, asked.parse().unwrap());
            headers.extend(date.map(|date| (header::DATE, date.parse().unwrap())));
            let reply = EgressReply { status: 503, headers, body: Bytes::new() };
            assert_eq!(retry_after(&reply), seconds.map(Duration::from_secs), "{asked:?}");
        }
    }
}
