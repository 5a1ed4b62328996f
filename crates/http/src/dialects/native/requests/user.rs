//! Users to be made or changed.

use super::members::Members;
use super::token::role;
use crate::openapi::schemas::{meaning, object, or_null, text, word};
use serde_json::{Value, json};
use tollbook_app::users::{NewUser, UserChange};
use tollbook_kit::fault::Fault;
use tollbook_kit::secret::Secret;
use tollbook_model::access::Role;
use tollbook_model::user::{PASSWORD_BYTES, USERNAME_BYTES};

/// Reads a new user.
///
/// # Errors
/// `invalid`, with every fault.
pub(crate) fn new_user(mut given: Members) -> Result<NewUser, Fault> {
    let username = given.required_text("username");
    let password = given.required_text("password").map(Secret::new);
    let role = role(&mut given, true);
    let email = given.text_or_null("email").flatten();
    given.finish()?;
    let (Some(username), Some(password), Some(role)) = (username, password, role) else {
        return Err(Fault::internal("a user passed without name, password or role"));
    };
    Ok(NewUser { username, password, role, email })
}

/// Reads what is to be changed of a user.
///
/// # Errors
/// `invalid`, with every fault.
pub(crate) fn change(mut given: Members) -> Result<UserChange, Fault> {
    let change = UserChange {
        password: given.text("password").map(Secret::new),
        role: role(&mut given, false),
        email: given.text_or_null("email"),
        enabled: given.boolean("enabled"),
        second_factor: given.boolean("second_factor"),
    };
    given.finish()?;
    Ok(change)
}

/// What documents say of a new user.
pub(crate) fn new_user_schema() -> Value {
    let mut members = json!({
        "username": meaning(
            text(1..=USERNAME_BYTES, USERNAME),
            "Its name at login, in any instance once; kept in lower case. At most 128 bytes.",
        ),
    });
    members_of_both(&mut members);
    object(members, &["username", "password", "role"])
}

/// What documents say of a change of a user.
pub(crate) fn change_schema() -> Value {
    let mut members = json!({
        "enabled": {"type": "boolean", "description": "May it log in?"},
        "second_factor": {
            "type": "boolean", "description": "Does its login need a one-time password? Switched on, the answer has its key.",
        },
    });
    members_of_both(&mut members);
    object(members, &[])
}

fn members_of_both(members: &mut Value) {
    members["password"] = json!({
        "type": "string", "minLength": PASSWORD_BYTES.start(), "maxLength": PASSWORD_BYTES.end(),
        "format": "password", "description": "Its password: 10 to 256 bytes.",
    });
    let people = Role::ALL.map(Role::name).into_iter().filter(|name| *name != Role::Source.name());
    members["role"] = meaning(
        word(&people.collect::<Vec<_>>()),
        "What it may do; `operator` in the tenant `default` only.",
    );
    members["email"] = meaning(or_null(text(3..=254, EMAIL)), "Where mail for it goes.");
}

/// No white space and no control characters.
const USERNAME: &str = "^[^\\s\\x00-\\x1f\\x7f-\\x9f]+$";
/// As far as a pattern can tell; labels of domains may have letters of any script.
const EMAIL: &str = "^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\
                     (\\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$";

#[cfg(test)]
mod tests {
    use super::*;

    fn members(value: Value) -> Members {
        let Value::Object(object) = value else { panic!("an object") };
        Members::of(object)
    }

    fn names(fault: &Fault) -> Vec<&str> {
        fault.details().iter().map(|detail| detail.name.as_str()).collect()
    }

    #[test]
    fn what_is_absent_stays_and_null_clears() {
        let nothing = change(members(json!({}))).unwrap();
        assert!(nothing.password.is_none() && nothing.role.is_none() && nothing.email.is_none());
        assert!(nothing.enabled.is_none() && nothing.second_factor.is_none());
        let some = change(members(json!({"email": null, "enabled": false, "role": "admin"}))).unwrap();
        assert_eq!((some.email, some.enabled, some.role), (Some(None), Some(false), Some(Role::Admin)));
    }

    #[test]
    fn every_fault_is_named() {
        let wrong =
            json!({"username": "x", "password": null, "role": 1, "enabled": 1, "second_factor": "on"});
        let fault = change(members(wrong)).unwrap_err();
        assert_eq!(names(&fault), ["username", "password", "role", "enabled", "second_factor"]);
        let fault = new_user(members(json!({"username": "x", "email": 1}))).unwrap_err();
        assert_eq!(names(&fault), ["password", "role", "email"]);
    }
}
