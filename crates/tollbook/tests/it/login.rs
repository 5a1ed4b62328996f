//! Users, and the token endpoint as its clients use it.

use crate::client::{Answer, Client};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

/// The password of every user whose test does not need another one.
pub(crate) const PASSWORD: &str = "a password of the tests";
/// Where logins are taken.
pub(crate) const REALM: &str = "/auth/realms/master/protocol/openid-connect";

/// What a login gave.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    /// The access token.
    pub(crate) access: String,
    /// The refresh token; empty where there is none.
    pub(crate) refresh: String,
    /// The whole answer.
    pub(crate) document: Value,
}

impl Login {
    /// What a successful answer of the token endpoint gives.
    #[track_caller]
    pub(crate) fn of(answer: Answer) -> Self {
        let document = answer.expect(200).json();
        let text = |name: &str| document[name].as_str().unwrap_or_default().to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token"), document }
    }
}

/// The text of a form.
pub(crate) fn form(members: &[(&str, &str)]) -> String {
    let escaped = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    let pairs = members.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// Posts a form to the realm, as the client `ocp`, from an address behind a proxy.
#[track_caller]
pub(crate) fn post_from(client: &Client, address: &str, place: &str, members: &[(&str, &str)]) -> Answer {
    let body = form(&[&[("client_id", "ocp")], members].concat());
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("x-forwarded-for", address)];
    let stranger = client.with_authorization(None);
    let answer = stranger.send("POST", &format!("{REALM}/{place}"), &headers, body.as_bytes());
    answer.expect("the service answers")
}

/// Posts a form to the realm, as the client `ocp`.
#[track_caller]
pub(crate) fn post(client: &Client, place: &str, members: &[(&str, &str)]) -> Answer {
    post_from(client, "127.0.0.1", place, members)
}

/// Asks for a login.
#[track_caller]
pub(crate) fn try_log_in(client: &Client, username: &str, password: &str) -> Answer {
    post(client, "token", &[("grant_type", "password"), ("username", username), ("password", password)])
}

/// Logs a user of [`user`] in.
#[track_caller]
pub(crate) fn log_in(client: &Client, username: &str) -> Login {
    Login::of(try_log_in(client, username, PASSWORD))
}

/// Asks for another access token.
#[track_caller]
pub(crate) fn refresh(client: &Client, refresh_token: &str) -> Answer {
    post(client, "token", &[("grant_type", "refresh_token"), ("refresh_token", refresh_token)])
}

/// Makes a user in the tenant of the client's credential, and answers the id.
#[track_caller]
pub(crate) fn user(client: &Client, username: &str, role: &str) -> String {
    let body = json!({"username": username, "password": PASSWORD, "role": role});
    let made = client.send_json("POST", "/api/v1/users", &body).expect(201).json();
    made["id"].as_str().expect("an id").to_owned()
}
