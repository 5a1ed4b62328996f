//! The settings of a tenant. Of the callback secret only is shown that there is one.

use crate::dialects::native::requests::duration;
use crate::openapi::schemas::words_object;
use serde::Serialize;
use tollbook_model::tenant::{CallerNumbers, TenantSettings};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

/// Every setting of a tenant.
#[derive(Serialize, ToSchema)]
#[schema(as = Settings)]
pub(crate) struct SettingsView {
    /// What is done with the numbers of external callers.
    #[schema(schema_with = caller_numbers)]
    caller_numbers: &'static str,
    /// Is there a secret that signs callbacks?
    callback_secret_set: bool,
    retention: RetentionView,
    native: NativeView,
}

/// How long records are kept.
#[derive(Serialize, ToSchema)]
#[schema(as = Retention)]
struct RetentionView {
    /// Days for which call records are kept.
    cdr_days: u32,
    /// Days for which event records are kept.
    event_days: u32,
    /// Months for which the audit log is kept.
    audit_months: u32,
}

/// Settings of the native API.
#[derive(Serialize, ToSchema)]
#[schema(as = NativeSettings)]
struct NativeView {
    /// How long files of exports are kept, such as `7d`.
    #[schema(pattern = "^[0-9]+[smhd]$")]
    file_retention: String,
}

fn caller_numbers() -> RefOr<Schema> {
    words_object("What is done with the numbers of external callers.", [PSEUDONYM, PLAIN])
}

const PSEUDONYM: &str = "pseudonym";
const PLAIN: &str = "plain";

/// Every setting.
pub(crate) fn settings(settings: &TenantSettings) -> SettingsView {
    let caller_numbers = match settings.caller_numbers {
        CallerNumbers::Pseudonym => PSEUDONYM,
        CallerNumbers::Plain => PLAIN,
    };
    let TenantSettings { cdr_days, event_days, audit_months, .. } = *settings;
    SettingsView {
        caller_numbers,
        callback_secret_set: settings.callback_secret.is_some(),
        retention: RetentionView { cdr_days, event_days, audit_months },
        native: NativeView { file_retention: duration::text(settings.file_retention_s) },
    }
}
