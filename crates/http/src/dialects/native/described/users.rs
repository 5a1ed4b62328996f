//! Users of the own tenant.

use super::super::requests::user::{change_schema, new_user_schema};
use super::super::responses::user::{ChangedUserView, UserView};
use crate::openapi::{Operation, parameters};
use serde_json::{Value, json};
use tollbook_model::access::Action;

const TAG: &str = "users";

fn operation(id: &'static str, summary: &'static str) -> Operation {
    Operation::needs(Action::ManageUsers, TAG, id, summary)
}

fn id() -> Value {
    parameters::id("Id of the user.")
}

pub(in super::super) fn list() -> Operation {
    operation("listUsers", "List users").answers_list::<UserView>("All users of the tenant.")
}

pub(in super::super) fn create() -> Operation {
    taking(operation("createUser", "Make a user")).saying("An operator is made by an operator.")
}

/// A new user is taken, and answered.
pub(super) fn taking(operation: Operation) -> Operation {
    let example = json!({"username": "eve", "password": "correct horse battery", "role": "analyst"});
    operation
        .takes_json("NewUser", new_user_schema(), &example)
        .refuses(&[409])
        .answers_json::<UserView>(201, "The user.")
}

pub(in super::super) fn show() -> Operation {
    operation("getUser", "Get a user").with(id()).answers_json::<UserView>(200, "The user.")
}

pub(in super::super) fn change() -> Operation {
    operation("changeUser", "Change a user")
        .saying("What is not given stays. A new password, and being disabled, end the user's logins.")
        .with(id())
        .takes_json("UserChange", change_schema(), &json!({"role": "auditor"}))
        .answers_json::<ChangedUserView>(200, "The user as it is now.")
}

pub(in super::super) fn remove() -> Operation {
    operation("deleteUser", "Delete a user")
        .with(id())
        .answers_nothing("It is gone, and its logins have ended.")
}
