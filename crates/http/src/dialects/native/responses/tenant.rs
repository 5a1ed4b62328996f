//! A tenant as the operator sees it.

use super::settings;
use serde_json::{Value, json};
use tollbook_model::tenant::{Tenant, TenantState};
use tollbook_model::time_range::instant_text;

/// A tenant with its settings and quota.
pub(crate) fn tenant(tenant: &Tenant) -> Value {
    let (state, closes_at) = match tenant.state {
        TenantState::Open => ("open", None),
        TenantState::Closing { ends_at_ms } => ("closing", Some(instant_text(ends_at_ms))),
        TenantState::Closed => ("closed", None),
    };
    json!({
        "name": tenant.name.as_str(),
        "state": state,
        "closes_at": closes_at,
        "created_at": instant_text(tenant.created_at_ms),
        "settings": settings::settings(&tenant.settings),
        "quota": {
            "direct_exports": tenant.quota.direct_exports,
            "running_jobs": tenant.quota.running_jobs,
            "queued_jobs": tenant.quota.queued_jobs,
            "stored_bytes": tenant.quota.stored_bytes,
        },
    })
}
