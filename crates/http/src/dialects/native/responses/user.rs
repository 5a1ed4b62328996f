//! A user. What he proves himself with is not shown; the key of a second factor once, when it is switched on.

use crate::openapi::schemas::role_object;
use serde::Serialize;
use tollbook_app::users::ChangedUser;
use tollbook_model::time_range::instant_text;
use tollbook_model::user::User;
use utoipa::ToSchema;
use uuid::Uuid;

/// What is known of a user.
#[derive(Serialize, ToSchema)]
#[schema(as = User)]
pub(crate) struct UserView {
    /// Its id.
    id: Uuid,
    /// Its name at login, in lower case.
    username: String,
    /// Where mail for it goes.
    #[schema(required)]
    email: Option<String>,
    /// What it may do.
    #[schema(schema_with = role_object)]
    role: &'static str,
    /// May it log in?
    enabled: bool,
    /// Does its login need a one-time password?
    second_factor: bool,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it last logged in.
    #[schema(format = DateTime, required)]
    last_login_at: Option<String>,
}

/// A user just changed.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangedUser)]
pub(crate) struct ChangedUserView {
    #[serde(flatten)]
    user: UserView,
    /// The key of one-time passwords, as authenticator apps read it; only when a second factor was switched on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    otpauth_uri: Option<String>,
}

/// What is known of a user.
pub(crate) fn user(user: &User) -> UserView {
    UserView {
        id: user.id,
        username: user.username.clone(),
        email: user.email.clone(),
        role: user.role.name(),
        enabled: user.enabled,
        second_factor: user.has_second_factor,
        created_at: instant_text(user.created_at_ms),
        last_login_at: user.last_login_at_ms.map(instant_text),
    }
}

/// A user just changed.
pub(crate) fn changed(changed: &ChangedUser) -> ChangedUserView {
    let otpauth_uri = changed.otpauth_uri.as_ref().map(|uri| uri.reveal().clone());
    ChangedUserView { user: user(&changed.user), otpauth_uri }
}
