//! A user. What he proves himself with is not shown; the key of a second factor once, when it is switched on.

use serde_json::{Value, json};
use tollbook_app::users::ChangedUser;
use tollbook_model::time_range::instant_text;
use tollbook_model::user::User;

/// What is known of a user.
pub(crate) fn user(user: &User) -> Value {
    json!({
        "id": user.id.to_string(),
        "username": user.username,
        "email": user.email,
        "role": user.role.name(),
        "enabled": user.enabled,
        "second_factor": user.has_second_factor,
        "created_at": instant_text(user.created_at_ms),
        "last_login_at": user.last_login_at_ms.map(instant_text),
    })
}

/// A user just changed.
pub(crate) fn changed(changed: &ChangedUser) -> Value {
    let mut view = user(&changed.user);
    if let Some(uri) = &changed.otpauth_uri {
        view["otpauth_uri"] = uri.reveal().as_str().into();
    }
    view
}
