//! The settings of a tenant. Of the callback secret only is shown that there is one.

use crate::dialects::native::requests::duration;
use serde_json::{Value, json};
use tollbook_model::tenant::{CallerNumbers, TenantSettings};

/// Every setting.
pub(crate) fn settings(settings: &TenantSettings) -> Value {
    let caller_numbers = match settings.caller_numbers {
        CallerNumbers::Pseudonym => "pseudonym",
        CallerNumbers::Plain => "plain",
    };
    json!({
        "caller_numbers": caller_numbers,
        "callback_secret_set": settings.callback_secret.is_some(),
        "retention": {
            "cdr_days": settings.cdr_days,
            "event_days": settings.event_days,
            "audit_months": settings.audit_months,
        },
        "native": {"file_retention": duration::text(settings.file_retention_s)},
    })
}
