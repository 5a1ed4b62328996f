//! Users to be made or changed.

use super::members::Members;
use super::token::role;
use tollbook_app::users::{NewUser, UserChange};
use tollbook_kit::fault::Fault;
use tollbook_kit::secret::Secret;

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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use tollbook_model::access::Role;

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
