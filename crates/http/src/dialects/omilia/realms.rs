//! The realms: where clients log in, stay logged in and log out (`omilia.md` section 2.3), with errors as OAuth 2.0
//! writes them.
//!
//! Who may log in is decided in `app`. Passwords and tokens never appear in an error.

mod described;

use super::token_request::{Form, Grant};
use crate::api::Api;
use crate::body::{JSON_BODY_BYTES, RequestBody};
use crate::exchange::Exchange;
use crate::openapi::{Methods, Routes};
use crate::public::Public;
use crate::refusal::Refusal;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA};
use http::request::Parts;
use http::{HeaderValue, StatusCode};
use serde::Serialize;
use std::sync::Arc;
use tollbook_app::logins;
use tollbook_kit::fault::{Code, Fault};
use utoipa::ToSchema;
use uuid::Uuid;

/// The realms that there are. They are one and the same, as vendors use different names for it.
const REALMS: [&str; 2] = ["master", "ocp"];
/// The only client.
const CLIENT: &str = "ocp";

/// Tokens that were granted.
#[derive(Serialize, ToSchema)]
#[schema(as = Grant)]
struct GrantView<'g> {
    /// A JWT to be sent as `Authorization: Bearer`.
    access_token: &'g str,
    /// Seconds for which it is good.
    expires_in: u64,
    /// Seconds for which the refresh token is good; 0 when there is none.
    refresh_expires_in: u64,
    /// To be exchanged for another access token; not for an exchanged API token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    refresh_token: Option<&'g str>,
    /// How the access token is sent.
    token_type: &'static str,
    #[serde(rename = "not-before-policy")]
    not_before_policy: u64,
    /// Id of the login.
    session_state: Uuid,
    scope: &'static str,
}

/// Why nothing was granted (RFC 6749 section 5.2).
#[derive(Serialize, ToSchema)]
#[schema(as = OAuthError)]
pub(super) struct OAuthErrorView<'r> {
    /// The word for it.
    error: &'static str,
    /// What to do about it.
    error_description: &'r str,
}

type Realm = Result<Path<String>, PathRejection>;
type Answer = Result<Response, Refusal>;

pub(super) fn routes() -> Routes {
    let realm = "/auth/realms/{realm}/protocol/openid-connect";
    Routes::new()
        .at(&format!("{realm}/token"), Methods::refused_by(only_post).post(token, described::token()))
        .at(&format!("{realm}/logout"), Methods::refused_by(only_post).post(logout, described::logout()))
        .at(&format!("{realm}/certs"), Methods::refused_by(only_get).get(certs, described::certs()))
}

async fn token(State(api): State<Arc<Api>>, realm: Realm, _: Public, request: Request) -> Answer {
    let realm = known(realm)?;
    let issuer = api.public(&format!("/auth/realms/{realm}"));
    let (parts, body) = request.into_parts();
    let address = Exchange::of(&parts.extensions)?.address;
    let mut form = form(&api, &parts, body).await?;
    let grant = form.grant()?;
    let client = client(&mut form)?;
    let logins = &api.app.logins;
    let grant = match grant {
        Grant::Password => {
            let (username, password) = (form.required("username")?, form.required("password")?);
            let otp = form.optional("otp")?;
            let password = tollbook_kit::secret::Secret::new(password);
            logins.log_in(logins::PasswordLogin { issuer, client, username, password, otp, address }).await?
        }
        Grant::RefreshToken => logins.refresh(issuer, client, &form.required("refresh_token")?).await?,
        Grant::ClientCredentials if !api.client_credentials => {
            let text = "exchanging a token is switched off here; send it as it is, or log in";
            return Err(Refusal::from(Fault::new(Code::Invalid, text)).called("unauthorized_client"));
        }
        Grant::ClientCredentials => {
            logins.exchange(issuer, client, &form.required("client_secret")?, address).await?
        }
    };
    Ok(secret(StatusCode::OK, &granted(&grant)))
}

async fn logout(State(api): State<Arc<Api>>, realm: Realm, _: Public, request: Request) -> Answer {
    known(realm)?;
    let (parts, body) = request.into_parts();
    let address = Exchange::of(&parts.extensions)?.address;
    let mut form = form(&api, &parts, body).await?;
    client(&mut form)?;
    api.app.logins.log_out(&form.required("refresh_token")?, address).await?;
    Ok((StatusCode::NO_CONTENT, [(CACHE_CONTROL, "no-store")]).into_response())
}

async fn certs(State(api): State<Arc<Api>>, realm: Realm, _: Public) -> Answer {
    known(realm)?;
    let shared = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "public, max-age=300")];
    Ok((shared, api.app.logins.published_keys().to_string()).into_response())
}

// A realm that is not there is not found, whatever the method.

async fn only_post(realm: Realm) -> Refusal {
    known(realm).map_or_else(|refusal| refusal, |_| Refusal::allowed_are("POST"))
}

async fn only_get(realm: Realm) -> Refusal {
    known(realm).map_or_else(|refusal| refusal, |_| Refusal::allowed_are("GET,HEAD"))
}

fn known(realm: Realm) -> Result<&'static str, Refusal> {
    let given = realm.ok().map(|Path(name)| name);
    let known = REALMS.into_iter().find(|name| given.as_deref() == Some(name));
    known.ok_or_else(|| Refusal::not_found("there is no such realm; use master or ocp"))
}

async fn form(api: &Api, parts: &Parts, body: Body) -> Result<Form, Refusal> {
    let address = Exchange::of(&parts.extensions)?.address;
    let mut body = RequestBody::of_stranger(body, &parts.headers, &api.body_memory, address);
    let kind = Form::kind(&parts.headers)?;
    Ok(Form::parse(kind, &body.read(JSON_BODY_BYTES).await?)?)
}

fn client(form: &mut Form) -> Result<String, Refusal> {
    let client = form.required("client_id")?;
    if client == CLIENT {
        return Ok(client);
    }
    let fault = Fault::new(Code::Unauthenticated, "there is no such client; send client_id=ocp");
    Err(Refusal::from(fault).called("invalid_client"))
}

fn granted(grant: &logins::Grant) -> GrantView<'_> {
    GrantView {
        access_token: grant.access_token.reveal(),
        expires_in: grant.expires_in.as_secs(),
        refresh_expires_in: grant.refresh.as_ref().map_or(0, |(_, left)| left.as_secs()),
        refresh_token: grant.refresh.as_ref().map(|(token, _)| token.reveal().as_str()),
        token_type: "bearer",
        not_before_policy: 0,
        session_state: grant.session,
        scope: "openid",
    }
}

/// The document of a refusal.
pub(crate) fn render(refusal: &Refusal) -> Response {
    let word = refusal.word.unwrap_or_else(|| word_of(refusal));
    let document = OAuthErrorView { error: word, error_description: refusal.message() };
    let mut response = secret(refusal.status(), &document);
    refusal.advise(response.headers_mut());
    response
}

/// The word of RFC 6749 for what has none of its own; where that has none either, one that says it.
fn word_of(refusal: &Refusal) -> &'static str {
    match refusal.status() {
        StatusCode::UNAUTHORIZED => "invalid_grant",
        StatusCode::FORBIDDEN => "access_denied",
        StatusCode::NOT_FOUND => "not_found",
        StatusCode::TOO_MANY_REQUESTS => "too_many_requests",
        StatusCode::SERVICE_UNAVAILABLE => "temporarily_unavailable",
        status if status.is_server_error() => "server_error",
        _ => "invalid_request",
    }
}

/// An answer that nobody may keep.
fn secret(status: StatusCode, document: &impl Serialize) -> Response {
    // Made of texts and numbers: it can be written.
    let mut response = Response::new(Body::from(serde_json::to_string(document).unwrap_or_default()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}
