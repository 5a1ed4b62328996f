//! Settings of the own tenant.

use super::super::requests::settings::schema;
use super::super::responses::settings::SettingsView;
use crate::openapi::Operation;
use serde_json::json;
use tollbook_model::access::Action;

const TAG: &str = "settings";

fn operation(id: &'static str, summary: &'static str) -> Operation {
    Operation::needs(Action::ManageSettings, TAG, id, summary)
}

pub(in super::super) fn show() -> Operation {
    operation("getSettings", "Get the settings").answers_json::<SettingsView>(200, "Every setting.")
}

pub(in super::super) fn change() -> Operation {
    operation("changeSettings", "Change settings")
        .saying("What is not given stays.")
        .takes_json("SettingsChange", schema(), &json!({"retention": {"cdr_days": 400}}))
        .refuses(&[409])
        .answers_json::<SettingsView>(200, "Every setting as it is now.")
}
