//! What documents say of the realms' operations.

use super::{CLIENT, GrantView, REALMS};
use crate::openapi::schemas::{meaning, word};
use crate::openapi::{Operation, answers, parameters};
use serde_json::{Value, json};

/// Tag of these operations.
const TAG: &str = "login";

fn realm() -> Value {
    parameters::path("realm", "Name of the realm; all are the same.", word(&REALMS), "ocp")
}

/// A form or JSON. Members that are not asked for are ignored, as RFC 6749 wants it.
fn form(schema: &Value, example: &Value) -> Value {
    let content = json!({"schema": schema, "example": example});
    json!({"application/x-www-form-urlencoded": content, "application/json": content})
}

fn client() -> Value {
    meaning(word(&[CLIENT]), "The client; there is one.")
}

fn given(what: &str) -> Value {
    json!({"type": "string", "minLength": 1, "description": what})
}

/// What is sent with a grant besides the client.
fn grant(name: &str, members: Value, required: &[&str]) -> Value {
    let mut schema = json!({"title": name, "type": "object", "properties": members, "required": required});
    schema["properties"]["grant_type"] = json!({"const": name});
    schema
}

fn token_schema() -> Value {
    let password = json!({
        "username": given("Name of the user."),
        "password": given("His password."),
        "otp": {"type": ["string", "null"], "description": "His one-time password, if he has a second factor."},
    });
    let refresh = json!({"refresh_token": given("The refresh token of an earlier login.")});
    let exchange = json!({"client_secret": given("An API token.")});
    json!({
        "type": "object",
        "properties": {
            "grant_type": word(&["password", "refresh_token", "client_credentials"]), "client_id": client(),
        },
        "required": ["grant_type", "client_id"],
        "oneOf": [
            grant("password", password, &["username", "password"]),
            grant("refresh_token", refresh, &["refresh_token"]),
            grant("client_credentials", exchange, &["client_secret"]),
        ],
    })
}

pub(super) fn token() -> Operation {
    let example = json!({
        "grant_type": "password", "client_id": CLIENT, "username": "eve", "password": "correct horse battery",
    });
    Operation::public(TAG, "logIn", "Get an access token")
        .saying(
            "By name and password, by the refresh token of an earlier login, or (where the operator allows it) by an \
             API token. After ten failures in five minutes of one name or from one address: 429.",
        )
        .with(realm())
        .takes(
            "A form, or the same as a JSON object. Without a media type, what begins with a brace is JSON.",
            form(&token_schema(), &example),
        )
        .refuses(&[401, 503, 507])
        .answers_json::<GrantView<'_>>(200, "The tokens. Nobody may keep this answer.")
}

pub(super) fn logout() -> Operation {
    let members = json!({"client_id": client(), "refresh_token": given("The refresh token of the login.")});
    let schema = json!({"type": "object", "properties": members, "required": ["client_id", "refresh_token"]});
    let example = json!({"client_id": CLIENT, "refresh_token": "tbr_of-the-login"});
    Operation::public(TAG, "logOut", "End a login")
        .saying("The refresh token, and access tokens made from it, are dead at once. An unknown one is no fault.")
        .with(realm())
        .takes("A form, or the same as a JSON object.", form(&schema, &example))
        .refuses(&[401, 503, 507])
        .answers_nothing("The login is over.")
}

pub(super) fn certs() -> Operation {
    let content = json!({"application/json": {"schema": answers::key_set()}});
    Operation::public(TAG, "listIssuerKeys", "Get the keys that prove access tokens").with(realm()).answers(
        200,
        json!({
            "description": "A JWK Set.",
            "headers": {"Cache-Control": answers::kept_for_a_while()},
            "content": content,
        }),
    )
}
