//! A tenant as the operator sees it.

use super::settings::{self, SettingsView};
use crate::openapi::schemas::words_object;
use serde::Serialize;
use tollbook_model::tenant::{Tenant, TenantState};
use tollbook_model::time_range::instant_text;
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

/// A tenant with its settings and quota.
#[derive(Serialize, ToSchema)]
#[schema(as = Tenant)]
pub(crate) struct TenantView {
    /// Its name, which is the group's in paths of groups.
    name: String,
    /// Where it is in its life.
    #[schema(schema_with = state)]
    state: &'static str,
    /// Until when a closing tenant can be exported.
    #[schema(format = DateTime, required)]
    closes_at: Option<String>,
    /// When it was made.
    #[schema(format = DateTime)]
    created_at: String,
    settings: SettingsView,
    quota: QuotaView,
}

/// What a tenant may use up at most.
#[derive(Serialize, ToSchema)]
#[schema(as = Quota)]
struct QuotaView {
    /// Direct exports at once per credential.
    direct_exports: u32,
    /// Jobs that run at once.
    running_jobs: u32,
    /// Jobs that wait.
    queued_jobs: u32,
    /// Bytes of stored records; null: as many as the disk holds.
    #[schema(required)]
    stored_bytes: Option<u64>,
}

fn state() -> RefOr<Schema> {
    words_object("Where it is in its life.", [OPEN, CLOSING, CLOSED])
}

const OPEN: &str = "open";
const CLOSING: &str = "closing";
const CLOSED: &str = "closed";

/// A tenant with its settings and quota.
pub(crate) fn tenant(tenant: &Tenant) -> TenantView {
    let (state, closes_at) = match tenant.state {
        TenantState::Open => (OPEN, None),
        TenantState::Closing { ends_at_ms } => (CLOSING, Some(instant_text(ends_at_ms))),
        TenantState::Closed => (CLOSED, None),
    };
    TenantView {
        name: tenant.name.to_string(),
        state,
        closes_at,
        created_at: instant_text(tenant.created_at_ms),
        settings: settings::settings(&tenant.settings),
        quota: QuotaView {
            direct_exports: tenant.quota.direct_exports,
            running_jobs: tenant.quota.running_jobs,
            queued_jobs: tenant.quota.queued_jobs,
            stored_bytes: tenant.quota.stored_bytes,
        },
    }
}
