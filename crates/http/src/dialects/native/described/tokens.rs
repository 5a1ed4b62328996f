//! Tokens of the own tenant.

use super::super::requests::token::new_token_schema;
use super::super::responses::token::{MadeTokenView, TokenView};
use crate::openapi::{Operation, parameters};
use serde_json::{Value, json};
use tollbook_model::access::Action;

const TAG: &str = "tokens";

fn operation(id: &'static str, summary: &'static str) -> Operation {
    Operation::needs(Action::ManageTokens, TAG, id, summary)
}

pub(in super::super) fn list() -> Operation {
    operation("listTokens", "List tokens")
        .answers_list::<TokenView>("All tokens of the tenant, oldest first.")
}

pub(in super::super) fn create() -> Operation {
    taking(operation("createToken", "Make a token"))
        .saying("The same text serves every dialect. It is shown this once. An operator's token is made by an operator.")
}

/// A new token is taken, and answered with its text.
pub(super) fn taking(operation: Operation) -> Operation {
    operation
        .takes_json("NewToken", new_token_schema(), &example())
        .refuses(&[409])
        .answers_json::<MadeTokenView>(201, "The token with its text.")
}

pub(in super::super) fn revoke() -> Operation {
    operation("revokeToken", "Revoke a token")
        .saying(
            "It, and the logins made from it, end at once. An operator's token is revoked by an operator.",
        )
        .with(parameters::id("Id of the token."))
        .answers_nothing("It is revoked.")
}

fn example() -> Value {
    json!({"name": "nightly export", "role": "analyst", "networks": ["192.0.2.0/24"]})
}
